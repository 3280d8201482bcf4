//! Numbers of JSON as exact decimals: what is published as `2.5e-06` is two and a half millionths, not the nearest binary fraction.

use serde_json::Number;

/// Returns a number times `10^power`, rounded to the nearest whole one, halves up. None where it is negative or too large.
pub fn scaled(number: &Number, power: i32) -> Option<u64> {
    let text = number.to_string();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.trim_start_matches('+').parse::<i32>().ok()?),
        None => (text.as_str(), 0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: u128 = format!("{whole}{part}").parse().ok()?;
    let shift = exponent.checked_add(power)?.checked_sub(i32::try_from(part.len()).ok()?)?;
    let scale = |by: i32| 10_u128.checked_pow(by.unsigned_abs());
    let scaled = match shift {
        0.. => digits.checked_mul(scale(shift)?)?,
        // What is so small is nothing.
        ..-38 => 0,
        -38..0 => scale(shift)?.checked_div(2)?.checked_add(digits)?.checked_div(scale(shift)?)?,
    };
    u64::try_from(scaled).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for (text, power, expected) in [
            ("2.5e-06", 12, Some(2_500_000)),
            ("3", 6, Some(3_000_000)),
            ("0.0375", 6, Some(37_500)),
            ("1.3e-10", 12, Some(130)),
            ("4.9999999999999998e-07", 12, Some(500_000)),
            ("1.0000005", 6, Some(1_000_001)),
            ("1.0000004", 6, Some(1_000_000)),
            ("0", 6, Some(0)),
            ("1e-300", 12, Some(0)),
            ("-1", 6, None),
            ("1e30", 12, None),
        ] {
            let number: Number = serde_json::from_str(text).unwrap();
            assert_eq!(scaled(&number, power), expected, "{text}");
        }
    }
}
