//! Numbers without units into quantities with them.
//!
//! Rule: what has no exact counterpart gives nothing, and its field is told of as not carried over.

use serde_json::Number;

use crate::base::rate::{Rate, Units};
use crate::base::{Pace, Per, Span, Usd};
use crate::catalog::convert::scaled;
use crate::spec::{Period, RateLimit};

/// Returns seconds, which may have a fraction, as a time; none where they come to no millisecond or to more than a year.
pub(super) fn seconds(number: &Number) -> Option<Span> {
    let ms = scaled(number, 3)?;
    (1..=31_536_000_000).contains(&ms).then(|| Span::from_millis(ms))
}

/// Returns dollars as an amount of money.
pub(super) fn dollars(number: &Number) -> Option<Usd> {
    let nano = i64::try_from(scaled(number, 9)?).ok()?;
    Some(Usd::from_nano(nano)).filter(|amount| amount.to_string().parse::<Usd>().is_ok())
}

/// Returns a limit of so many in so long. Small numbers may come at once: with a tenth of them a client that has been let in before would
/// be refused.
pub(super) fn limit(count: u64, per: Per) -> Option<RateLimit> {
    let rate = Pace { count, per };
    let burst = (count < 100).then_some(u32::try_from(count).ok()?).filter(|burst| *burst > 1);
    (count > 0 && rate.to_string().parse::<Pace>() == Ok(rate)).then_some(RateLimit { rate, burst })
}

/// Returns the price of a million tokens, from that of one.
pub(super) fn per_million(number: &Number) -> Option<String> {
    Some(format!("${}/Mtok", rate(number)?.dollars(Units::Million)))
}

/// Returns the price of one of something else.
pub(super) fn per_one(number: &Number, unit: &str) -> Option<String> {
    Some(format!("${}/{unit}", rate(number)?.dollars(Units::One)))
}

/// Returns the price of an hour, from that of a second.
pub(super) fn per_hour(number: &Number) -> Option<String> {
    let pico = rate(number)?.pico().checked_mul(3_600)?;
    Some(format!("${}/hour", Rate::from_pico(pico).dollars(Units::One)))
}

fn rate(number: &Number) -> Option<Rate> {
    scaled(number, 12).map(Rate::from_pico)
}

/// A length of time as other gateways write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Length {
    count: u64,
    unit: char,
}

impl Length {
    /// Reads `30s`, `5m`, `1h`, `1d`, `1w`, `1M` (or `1mo`), `1Q`, `1Y`; a number alone is seconds.
    pub(super) fn read(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits)?;
        let unit = match unit {
            "s" | "" => 's',
            "m" => 'm',
            "h" => 'h',
            "d" => 'd',
            "w" => 'w',
            "M" | "mo" => 'M',
            "Q" => 'Q',
            "Y" | "y" => 'Y',
            _ => return None,
        };
        number.parse().ok().filter(|count| (1..=1_000_000).contains(count)).map(|count| Self { count, unit })
    }

    fn seconds(self) -> u64 {
        let unit = match self.unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            'M' => 30 * 86_400,
            'Q' => 91 * 86_400,
            _ => 365 * 86_400,
        };
        self.count.saturating_mul(unit)
    }

    /// Returns the window of a budget, and whether it is the very same: one that begins anew at times of its own is none of the calendar.
    pub(super) fn period(self, is_aligned: bool) -> Option<(Period, bool)> {
        let calendar = match (self.count, self.unit) {
            (1, 'h') | (60, 'm') => Some(Period::Hour),
            (1, 'd') | (24, 'h') => Some(Period::Day),
            (1, 'w') | (7, 'd') => Some(Period::Week),
            (1, 'M') | (30 | 31, 'd') => Some(Period::Month),
            (1, 'Q') | (3, 'M') => Some(Period::Quarter),
            (1, 'Y') | (12, 'M') | (365, 'd') => Some(Period::Year),
            _ => None,
        };
        if let Some(period) = calendar {
            return Some((period, is_aligned));
        }
        let rolling: Period = format!("rolling {}", Span::from_secs(self.seconds())).parse().ok()?;
        Some((rolling, false))
    }

    /// Returns a limit of so many in this length, and whether it is the very same in the long run.
    pub(super) fn limit(self, count: u64) -> Option<(RateLimit, bool)> {
        let per = match (self.count, self.unit) {
            (1, 's') => Some(Per::Second),
            (1, 'm') | (60, 's') => Some(Per::Minute),
            (1, 'h') | (60, 'm') => Some(Per::Hour),
            (1, 'd') | (24, 'h') => Some(Per::Day),
            _ => None,
        };
        if let Some(per) = per {
            return limit(count, per).map(|limit| (limit, true));
        }
        // The smallest unit in which a whole number comes out, else the nearest number by day.
        let exact = [Per::Second, Per::Minute, Per::Hour, Per::Day].into_iter().find_map(|per| {
            let whole = count.checked_mul(per.span().as_millis() / 1_000)?;
            let rate = whole.checked_div(self.seconds()).filter(|_| whole % self.seconds() == 0)?;
            limit(rate, per)
        });
        let near = || limit(count.checked_mul(86_400)?.checked_div(self.seconds())?.max(1), Per::Day);
        exact.or_else(near).map(|limit| (limit, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn numbers_get_the_units_that_they_meant() {
        assert_eq!(seconds(&number("0.5")).unwrap().to_string(), "500ms");
        assert_eq!(seconds(&number("600")).unwrap().to_string(), "10m");
        assert_eq!(seconds(&number("0")), None);
        assert_eq!(dollars(&number("12.5")).unwrap().to_string(), "$12.50");
        assert_eq!(dollars(&number("-1")), None);
        assert_eq!(per_million(&number("2.5e-06")).unwrap(), "$2.5/Mtok");
        assert_eq!(per_hour(&number("0.0001")).unwrap(), "$0.36/hour");
        assert_eq!(limit(600, Per::Minute).unwrap().burst, None);
        assert_eq!(limit(10, Per::Minute).unwrap().burst, Some(10));
        assert_eq!(limit(0, Per::Minute), None);
    }

    #[test]
    fn lengths_become_windows_and_paces() {
        let period = |text: &str| Length::read(text).unwrap().period(false).unwrap();
        assert_eq!(period("1M"), (Period::Month, false));
        assert_eq!(period("30d"), (Period::Month, false));
        assert_eq!(period("2d").0.to_string(), "rolling 2d");
        assert_eq!(Length::read("30s").unwrap().period(false), None, "no window is that short");
        assert_eq!(Length::read("monthly"), None);
        let limit = |text: &str, count| Length::read(text).unwrap().limit(count).unwrap();
        assert_eq!((limit("1m", 600).0.rate.to_string().as_str(), limit("1m", 600).1), ("600/min", true));
        assert_eq!((limit("30s", 100).0.rate.to_string().as_str(), limit("30s", 100).1), ("200/min", false));
        assert_eq!(limit("7d", 70).0.rate.to_string(), "10/day");
    }
}
