//! Quantities as the spec writes them: a number never stands without its unit.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::text_form::text_form;

/// Why a quantity was refused; the text says which spellings exist and never repeats the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a duration.
    #[error("expected a duration such as `250ms`, `30s`, `5m`, `1h30m` or `7d` (units: ms, s, m, h, d)")]
    Duration,
    /// Not a size.
    #[error("expected a size such as `64KiB`, `32MiB` or `1GB` (units: B, KB, MB, GB, KiB, MiB, GiB)")]
    Size,
    /// Not a pace.
    #[error(
        "expected a rate such as `10/s`, `600/min`, `200k/min` or `1M/day` (units: s, min, h, day; k and M are thousands and millions)"
    )]
    Pace,
}

/// A length of time, written `250ms`, `30s`, `1h30m`, `7d`. Resolution: one millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span(Duration);

impl Span {
    /// Makes a span of whole milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// Makes a span of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// Returns the standard library's duration.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Returns whole milliseconds.
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Digits that a number may have: so few that no sum overflows, and that the schema's pattern can say the same.
const DIGITS: usize = 9;
/// The longest span, 999999999 days and a bit: what is written longer counts as this.
const LONGEST_MS: u64 = 86_400_000_000_000_000 - 1;

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut rest = text;
        let mut total: u64 = 0;
        let mut smallest = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(UnitError::Duration)?;
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, after) = tail.split_at(letters);
            if number.len() > DIGITS {
                return Err(UnitError::Duration);
            }
            let number: u64 = number.parse().map_err(|_| UnitError::Duration)?;
            let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(UnitError::Duration)?;
            // Descending units only: `1h30m`, never `30m1h` or `1m1m`.
            if *scale >= smallest {
                return Err(UnitError::Duration);
            }
            smallest = *scale;
            total = total.saturating_add(number.saturating_mul(*scale));
            rest = after;
        }
        if smallest == u64::MAX { Err(UnitError::Duration) } else { Ok(Self::from_millis(total.min(LONGEST_MS))) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.as_millis();
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, scale) in UNITS {
            let count = left / scale;
            left %= scale;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

/// A number of bytes, written `64KiB`, `32MiB`, `1GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ByteSize(u64);

impl ByteSize {
    /// Makes a size from bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Returns bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

const SIZES: [(&str, u64); 7] =
    [("GiB", 1 << 30), ("GB", 1_000_000_000), ("MiB", 1 << 20), ("MB", 1_000_000), ("KiB", 1 << 10), ("KB", 1_000), ("B", 1)];

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(UnitError::Size)?;
        let (number, unit) = text.split_at(digits);
        if number.len() > DIGITS {
            return Err(UnitError::Size);
        }
        let number: u64 = number.parse().map_err(|_| UnitError::Size)?;
        let (_, scale) = SIZES.iter().find(|(name, _)| *name == unit).ok_or(UnitError::Size)?;
        number.checked_mul(*scale).map(Self).ok_or(UnitError::Size)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) = SIZES.iter().find(|(_, scale)| self.0 != 0 && self.0.is_multiple_of(*scale)).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

/// So many in so long, written `10/s`, `600/min`, `200k/min`, `1M/day`.
///
/// `60/min` and `1/s` come to the same in the long run and are two paces all the same: what may come at once follows from the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pace {
    /// How many.
    pub count: u64,
    /// In how long.
    pub per: Per,
}

/// The unit of time of a [`Pace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Per {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day of 24 hours.
    Day,
}

impl Per {
    const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    /// Returns the unit as it is written: `s`, `min`, `h`, `day`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
            Self::Day => "day",
        }
    }

    /// Returns its length.
    pub const fn span(self) -> Span {
        match self {
            Self::Second => Span::from_secs(1),
            Self::Minute => Span::from_secs(60),
            Self::Hour => Span::from_secs(3_600),
            Self::Day => Span::from_secs(86_400),
        }
    }
}

impl Pace {
    /// Returns whether more comes than at another pace, in the long run.
    pub fn is_faster_than(self, other: Self) -> bool {
        let each = |pace: Self, of: Self| u128::from(pace.count) * u128::from(of.per.span().as_millis());
        each(self, other) > each(other, self)
    }
}

/// Thousands and millions, with the digits that may stand before them: no pace is a thousand million or more.
const MULTIPLES: [(&str, u64, usize); 3] = [("M", 1_000_000, 3), ("k", 1_000, 6), ("", 1, DIGITS)];

impl FromStr for Pace {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (amount, unit) = text.split_once('/').ok_or(UnitError::Pace)?;
        let per = Per::ALL.into_iter().find(|per| per.word() == unit).ok_or(UnitError::Pace)?;
        let (number, multiple) = amount.split_at(amount.find(|it: char| !it.is_ascii_digit()).unwrap_or(amount.len()));
        let (_, scale, digits) = MULTIPLES.iter().find(|(name, ..)| *name == multiple).ok_or(UnitError::Pace)?;
        if number.len() > *digits {
            return Err(UnitError::Pace);
        }
        let number: u64 = number.parse().map_err(|_| UnitError::Pace)?;
        Ok(Self { count: number * scale, per })
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |scale: u64| self.count != 0 && self.count.is_multiple_of(scale);
        let (multiple, scale, _) = MULTIPLES.iter().find(|(_, scale, _)| fits(*scale)).unwrap_or(&("", 1, DIGITS));
        write!(f, "{}{multiple}/{}", self.count / scale, self.per.word())
    }
}

text_form!(
    Span,
    "Duration",
    "^([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$",
    "A duration with its unit: `250ms`, `30s`, `5m`, `1h30m`, `7d`."
);
text_form!(
    Pace,
    "Pace",
    "^([0-9]{1,9}|[0-9]{1,6}k|[0-9]{1,3}M)/(s|min|h|day)$",
    "So many in so long: `10/s`, `600/min`, `200k/min`, `1M/day`."
);
text_form!(ByteSize, "Size", "^[0-9]{1,9}(B|KB|MB|GB|KiB|MiB|GiB)$", "A size with its unit: `64KiB`, `32MiB`, `1GB`.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_prints_as_it_would_be_written() {
        for (input, canonical) in
            [("90s", "1m30s"), ("1h30m", "1h30m"), ("250ms", "250ms"), ("0s", "0s"), ("7d", "7d"), ("1500ms", "1s500ms")]
        {
            let span: Span = input.parse().unwrap();
            assert_eq!(span.to_string(), canonical);
            assert_eq!(canonical.parse::<Span>(), Ok(span));
        }
    }

    #[test]
    fn a_duration_without_unit_or_out_of_order_is_refused() {
        for bad in ["", "30", "s", "30m1h", "1m1m", "1.5s", "-1s", "1 s", "99999999999999999999s", "300000000000d"] {
            assert_eq!(bad.parse::<Span>(), Err(UnitError::Duration), "{bad}");
        }
    }

    #[test]
    fn a_size_prints_in_the_largest_unit_that_fits() {
        for (input, bytes, canonical) in
            [("32MiB", 33_554_432, "32MiB"), ("1GB", 1_000_000_000, "1GB"), ("10B", 10, "10B"), ("0B", 0, "0B")]
        {
            let size: ByteSize = input.parse().unwrap();
            assert_eq!(size.get(), bytes);
            assert_eq!(size.to_string(), canonical);
            assert_eq!(size.to_string().parse::<ByteSize>(), Ok(size));
        }
        for bad in ["", "32", "MiB", "1.5MiB", "32 MiB", "99999999999GiB"] {
            assert_eq!(bad.parse::<ByteSize>(), Err(UnitError::Size), "{bad}");
        }
    }

    #[test]
    fn a_pace_prints_with_the_largest_multiple_that_fits() {
        for (input, count, per, canonical) in [
            ("600/min", 600, Per::Minute, "600/min"),
            ("200k/min", 200_000, Per::Minute, "200k/min"),
            ("200000/min", 200_000, Per::Minute, "200k/min"),
            ("1000k/day", 1_000_000, Per::Day, "1M/day"),
            ("1500/h", 1_500, Per::Hour, "1500/h"),
            ("0/s", 0, Per::Second, "0/s"),
            ("999M/s", 999_000_000, Per::Second, "999M/s"),
        ] {
            let pace: Pace = input.parse().unwrap();
            assert_eq!((pace, pace.to_string().as_str()), (Pace { count, per }, canonical));
            assert_eq!(canonical.parse::<Pace>(), Ok(pace));
        }
    }

    #[test]
    fn a_pace_without_its_unit_or_out_of_bounds_is_refused() {
        for bad in
            ["", "600", "/min", "600/m", "600/minute", "600 /min", "1.5k/min", "-1/s", "1K/s", "1000M/s", "1000000000/s", "1/s/s", "k/s"]
        {
            assert_eq!(bad.parse::<Pace>(), Err(UnitError::Pace), "{bad}");
        }
    }
}
