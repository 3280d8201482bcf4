//! What a plain (unquoted) scalar means: YAML 1.2's core schema, less what other parsers read differently.

use serde_json::{Number, Value};

/// What a plain scalar is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plain {
    /// Null, a boolean or a number.
    Value(Value),
    /// A text.
    Text,
    /// Something that is read differently from parser to parser, and why.
    Ambiguous(&'static str),
}

/// Resolves a plain scalar.
pub(super) fn resolve(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Value(Value::Null),
        "true" | "True" | "TRUE" => return Plain::Value(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Plain::Value(Value::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => return Plain::Ambiguous("JSON has no such number"),
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Plain::Ambiguous("JSON has no such number");
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Plain::Text;
    }
    if let Some(found) = radix(text, unsigned) {
        return found;
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return integer(text, unsigned);
    }
    if unsigned.contains('_') && unsigned.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'.')) {
        return Plain::Ambiguous("some parsers read digits with `_` as a number");
    }
    if is_float(unsigned) { float(text) } else { Plain::Text }
}

/// Returns whether a text is a boolean to a YAML 1.1 parser alone.
pub(super) fn is_yaml11_boolean(text: &str) -> bool {
    ["yes", "no", "on", "off", "y", "n"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn radix(text: &str, unsigned: &str) -> Option<Plain> {
    let (base, digits) = match unsigned.get(..2)? {
        "0x" => (16, unsigned.get(2..)?),
        "0o" => (8, unsigned.get(2..)?),
        "0b" => (2, unsigned.get(2..)?),
        _ => return None,
    };
    let known = |c: char| c == '_' || c.is_digit(base);
    if digits.is_empty() || !digits.chars().all(known) {
        return Some(Plain::Text);
    }
    if base == 2 || text.len() != unsigned.len() || digits.contains('_') {
        return Some(Plain::Ambiguous("some parsers read it as a number"));
    }
    let number = u64::from_str_radix(digits, base).map(|number| Plain::Value(number.into()));
    Some(number.unwrap_or(Plain::Ambiguous("the number has more than 64 bits")))
}

fn integer(text: &str, digits: &str) -> Plain {
    if digits.len() > 1 && digits.starts_with('0') {
        return Plain::Ambiguous("with a leading zero it is octal to some parsers");
    }
    let parsed: Option<Number> = match text.strip_prefix('+').unwrap_or(text) {
        negative if negative.starts_with('-') => negative.parse::<i64>().ok().map(Number::from),
        positive => positive.parse::<u64>().ok().map(Number::from),
    };
    parsed.map_or(Plain::Ambiguous("the number has more than 64 bits"), |number| Plain::Value(Value::Number(number)))
}

/// `[0-9]*(\.[0-9]*)?([eE][-+]?[0-9]+)?` with at least one digit before the exponent.
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_fits
}

fn float(text: &str) -> Plain {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite()).and_then(Number::from_f64);
    number.map_or(Plain::Ambiguous("the number is too large"), |number| Plain::Value(Value::Number(number)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, value) in [
            ("~", json!(null)),
            ("", json!(null)),
            ("true", json!(true)),
            ("FALSE", json!(false)),
            ("0", json!(0)),
            ("-17", json!(-17)),
            ("+5", json!(5)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("1e3", json!(1000.0)),
            ("-1.25E-2", json!(-0.0125)),
        ] {
            assert_eq!(resolve(text), Plain::Value(value), "{text}");
        }
    }

    #[test]
    fn what_looks_like_a_number_but_is_none_stays_text() {
        for text in
            ["yes", "off", "gpt-4o", "1.2.3", "12:30", "30s", "2026-12-01", "0xZZ", ".", "e5", "1e", "+", "-", "..", "127.0.0.1:8080"]
        {
            assert_eq!(resolve(text), Plain::Text, "{text}");
        }
    }

    #[test]
    fn what_parsers_read_differently_is_ambiguous() {
        for text in ["007", "-012", "1_000", "1_0.5", "0b101", "-0x1F", "0x1_F", "18446744073709551616", "1e400", ".inf", "-.INF", ".nan"] {
            assert!(matches!(resolve(text), Plain::Ambiguous(_)), "{text}");
        }
    }
}
