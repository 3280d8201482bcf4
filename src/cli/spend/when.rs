//! Moments as they are typed: a day, a month, a time, or how long ago.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::base::Span;

/// A moment, or a span of the calendar that has a beginning and an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// `2026-11-25`.
    Day(Date),
    /// `2026-11`, as its first day.
    Month(Date),
    /// `2026-11-25T12:00:00Z`.
    Time(Timestamp),
    /// `7d`: so long before now.
    Ago(Span),
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(span) = text.parse() {
            return Ok(Self::Ago(span));
        }
        if let (7, Ok(first)) = (text.len(), format!("{text}-01").parse()) {
            return Ok(Self::Month(first));
        }
        if let (10, Ok(day)) = (text.len(), text.parse()) {
            return Ok(Self::Day(day));
        }
        text.parse()
            .map(Self::Time)
            .map_err(|_| "expected a day (2026-11-25), a month (2026-11), a time (2026-11-25T12:00:00Z) or how long ago (7d)".to_owned())
    }
}

impl When {
    /// Returns the Unix milliseconds at which it begins.
    pub(crate) fn begins(self, zone: &TimeZone, now_ms: u64) -> u64 {
        match self {
            Self::Day(date) | Self::Month(date) => start_of(date, zone),
            Self::Time(time) => time.as_millisecond().max(0).unsigned_abs(),
            Self::Ago(span) => now_ms.saturating_sub(span.as_millis()),
        }
    }

    /// Returns the Unix milliseconds at which it is over: a day and a month are taken whole.
    pub(crate) fn ends(self, zone: &TimeZone, now_ms: u64) -> u64 {
        match self {
            Self::Day(date) => start_of(date.saturating_add(1.day()), zone),
            Self::Month(date) => start_of(date.saturating_add(1.month()), zone),
            Self::Time(_) | Self::Ago(_) => self.begins(zone, now_ms),
        }
    }
}

fn start_of(date: Date, zone: &TimeZone) -> u64 {
    let start = date.to_zoned_datetime(zone.clone()).map(|start| start.timestamp().as_millisecond());
    start.unwrap_or_default().max(0).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_are_taken_whole_in_their_time_zone() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let read = |text: &str| text.parse::<When>().unwrap();
        let hours = |when: When| (when.ends(&berlin, 0) - when.begins(&berlin, 0)) / 3_600_000;
        // 25 October 2026 has 25 hours in Berlin.
        assert_eq!(hours(read("2026-10-25")), 25);
        assert_eq!(hours(read("2026-10")), 31 * 24 + 1);
        assert_eq!(read("2026-11-25").begins(&TimeZone::UTC, 0), 1_795_564_800_000);
        assert_eq!(read("2026-11-25T01:00:00+01:00").ends(&berlin, 0), 1_795_564_800_000);
        assert_eq!(read("7d").begins(&berlin, 8 * 86_400_000), 86_400_000);
        for bad in ["", "yesterday", "2026", "2026-13", "2026-11-31", "25.11.2026"] {
            assert!(bad.parse::<When>().is_err(), "{bad}");
        }
    }
}
