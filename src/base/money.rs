//! Money, in whole nano-USD. Never floats.

use std::fmt;
use std::iter::Sum;
use std::ops::AddAssign;
use std::str::FromStr;

use super::text_form::text_form;

/// Nano-USD in a dollar.
const NANO: i64 = 1_000_000_000;

/// Why an amount was refused; never repeats the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an amount of money such as `$50`, `$12.50` or `12.50 USD` (at most $999,999,999, at most 9 decimal places)")]
pub struct MoneyError;

/// An amount of money: whole nano-USD, so up to 9.2 billion dollars. Sums saturate: an amount that large is past every limit anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Usd(i64);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(i64::MAX);

    /// Makes an amount from nano-USD.
    pub const fn from_nano(nano: i64) -> Self {
        Self(nano)
    }

    /// Returns nano-USD.
    pub const fn nano(self) -> i64 {
        self.0
    }

    /// Adds; saturates.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Subtracts; saturates.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Writes cents and what is smaller, without trailing zeros beyond the cents: `$12.50`, `$0.00012`.
    fn write(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let (dollars, rest) = (magnitude / NANO.unsigned_abs(), magnitude % NANO.unsigned_abs());
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}${dollars}")?;
        if rest == 0 {
            return Ok(());
        }
        let digits = format!("{rest:09}");
        let kept = digits.trim_end_matches('0');
        write!(f, ".{kept:0<2}")
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = self.plus(other);
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl FromStr for Usd {
    type Err = MoneyError;

    /// Reads an amount of the spec: never negative, always with its unit.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let number = match (text.strip_prefix('$'), text.strip_suffix(" USD")) {
            (Some(number), None) | (None, Some(number)) => number,
            (Some(_), Some(_)) | (None, None) => return Err(MoneyError),
        };
        decimal(number, 9).map(Self).ok_or(MoneyError)
    }
}

/// Reads `DIGITS[.DIGITS]` as a whole number of units, of which `places` decimal places make one. None where it is not that, is finer than a
/// unit, or has more than nine digits before the point.
fn decimal(text: &str, places: u32) -> Option<i64> {
    let (whole, part) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || whole.len() > 9 || part.is_some_and(|part| !is_digits(part)) {
        return None;
    }
    let part = part.unwrap_or_default().trim_end_matches('0');
    let missing = places.checked_sub(u32::try_from(part.len()).ok()?)?;
    let scale = 10_i64.checked_pow(places)?;
    let fraction = if part.is_empty() { 0 } else { part.parse::<i64>().ok()?.checked_mul(10_i64.checked_pow(missing)?)? };
    whole.parse::<i64>().ok()?.checked_mul(scale)?.checked_add(fraction)
}

text_form!(
    Usd,
    "Money",
    r"^(\$[0-9]{1,9}(\.[0-9]{1,9}0*)?|[0-9]{1,9}(\.[0-9]{1,9}0*)? USD)$",
    "An amount of money with its unit: `$50`, `$12.50`, `12.50 USD`."
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_amount_prints_with_its_cents() {
        for (nano, text) in [
            (0, "$0"),
            (50 * NANO, "$50"),
            (12_500_000_000, "$12.50"),
            (120_000, "$0.00012"),
            (1, "$0.000000001"),
            (-1_500_000_000, "-$1.50"),
        ] {
            assert_eq!(Usd::from_nano(nano).to_string(), text);
        }
    }

    #[test]
    fn an_amount_without_unit_or_too_fine_is_refused() {
        for (text, nano) in [("$50", 50 * NANO), ("12.50 USD", 12_500_000_000), ("$0.000000001", 1), ("$1.0000000000", NANO)] {
            assert_eq!(text.parse::<Usd>(), Ok(Usd::from_nano(nano)), "{text}");
        }
        for bad in ["", "50", "$", "$-1", "$.5", "$5.", "$1e3", "$0.0000000001", "$50 USD", "50USD", "$1,000", "$1000000000", "€5", "$٣"]
        {
            assert_eq!(bad.parse::<Usd>(), Err(MoneyError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(nano in 0_i64..=999_999_999 * NANO) {
            let amount = Usd::from_nano(nano);
            prop_assert_eq!(amount.to_string().parse::<Usd>(), Ok(amount));
        }
    }
}
