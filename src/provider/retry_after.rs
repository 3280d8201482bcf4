//! How long an upstream asks to wait, in every form that providers use.
//!
//! Read only for errors: some providers send `retry-after` with 200 too. Order (wire notes §16.2): `retry-after-ms`, `retry-after`,
//! Gemini's `RetryInfo`, the error's text, the reset headers of limits that are used up. Rule: whatever comes in, no panic and no wait
//! over a day.

use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;

/// Longest wait that is believed. Callers have caps of their own; this one keeps arithmetic sane.
const CAP_MS: u64 = 86_400_000;
/// How much of a body is looked at. Error bodies are short; a page of HTML is not worth reading.
const BODY_LIMIT_BYTES: usize = 16 * 1024;

/// Limits that report what remains and when they reset, as `(remaining, reset)`: OpenAI and those like it, Anthropic, plain forms.
const LIMITS: [(&str, &str); 8] = [
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
];

/// Returns the milliseconds that an error answer asks to wait, if it says so in any known form; at most a day.
///
/// `header` looks a header up by its lower-case name; `now_unix_ms` turns dates into waits.
pub fn retry_after_ms<'a>(header: impl Fn(&str) -> Option<&'a str>, body: &[u8], now_unix_ms: u64) -> Option<u64> {
    let milliseconds = || header("retry-after-ms").and_then(|value| scaled(number(value.trim())?, 1.0));
    let after = || header("retry-after").and_then(|value| seconds_or_date(value.trim(), now_unix_ms));
    let found = milliseconds().or_else(after);
    let found = found.or_else(|| {
        let text = String::from_utf8_lossy(body.get(..BODY_LIMIT_BYTES).unwrap_or(body)).to_ascii_lowercase();
        retry_info(&text).or_else(|| prose(&text))
    });
    found.or_else(|| resets(header, now_unix_ms)).map(|wait| wait.min(CAP_MS))
}

/// The longest reset among the limits that are used up.
fn resets<'a>(header: impl Fn(&str) -> Option<&'a str>, now_unix_ms: u64) -> Option<u64> {
    let used_up =
        LIMITS.iter().filter(|(remaining, _)| header(remaining).and_then(|value| number(value.trim())).is_some_and(|left| left <= 0.0));
    used_up.filter_map(|(_, reset)| reset_at(header(reset)?.trim(), now_unix_ms)).max()
}

/// What an upstream says in passing that it still takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spare {
    /// Requests.
    pub requests: u32,
    /// How long that holds, in milliseconds.
    pub for_ms: u64,
}

/// Returns how many further requests an upstream's headers say that it takes, whatever its status; none where a limit on tokens is used up. Of
/// several limits the tightest. `header` and `now_unix_ms`: as for [`retry_after_ms`].
pub fn spare<'a>(header: impl Fn(&str) -> Option<&'a str>, now_unix_ms: u64) -> Option<Spare> {
    let told = LIMITS.iter().filter_map(|(remaining, reset)| {
        let left = number(header(remaining)?.trim())?;
        let for_ms = reset_at(header(reset)?.trim(), now_unix_ms)?;
        // Whoever writes a number below nothing does not count as others do.
        let requests = match remaining.contains("tokens") {
            true if left == 0.0 => 0,
            false if left >= 0.0 => floor(left),
            true | false => return None,
        };
        Some(Spare { requests, for_ms })
    });
    told.min_by_key(|spare| spare.requests)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
const fn floor(value: f64) -> u32 {
    value as u32
}

/// A reset: a duration (`1m0.052s`), an RFC 3339 time, bare seconds, or a time since the epoch.
fn reset_at(value: &str, now_unix_ms: u64) -> Option<u64> {
    duration(value).or_else(|| seconds_or_date(value, now_unix_ms))
}

/// Bare seconds; a time since the epoch in seconds or milliseconds where the number is that large; an HTTP or RFC 3339 date.
fn seconds_or_date(value: &str, now_unix_ms: u64) -> Option<u64> {
    if let Some(number) = number(value) {
        let since_epoch = match number {
            number if number >= 1e12 => number,
            number if number >= 1e9 => number * 1e3,
            seconds => return scaled(seconds, 1e3),
        };
        return Some(scaled(since_epoch, 1.0)?.saturating_sub(now_unix_ms));
    }
    let at = match httpdate::parse_http_date(value) {
        Ok(date) => date.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis(),
        Err(_) => u128::try_from(value.parse::<Timestamp>().ok()?.as_millisecond()).unwrap_or_default(),
    };
    Some(u64::try_from(at).unwrap_or(u64::MAX).saturating_sub(now_unix_ms))
}

/// Gemini: `"retryDelay": "34.4s"` in an error's details.
fn retry_info(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("\"retrydelay\"")?;
    let (value, _) = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?.split_once('"')?;
    duration(value)
}

/// "Please try again in 1m2.5s", "Please retry in 48.9s", "retry after 12 seconds".
fn prose(text: &str) -> Option<u64> {
    ["try again in ", "retry in ", "retry after ", "try again after "].iter().find_map(|lead| {
        let (_, rest) = text.split_once(lead)?;
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(rest.len());
        let (first, rest) = rest.split_at(end);
        let first = first.trim_end_matches('.');
        duration(first).or_else(|| {
            let word: String = rest.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
            scaled(number(first)?, unit(word.as_str())?)
        })
    })
}

/// One or more numbers, each with its unit: `494ms`, `1.2s`, `6m0s`, `1h2m`.
fn duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (value, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (name, tail) = tail.split_at(letters);
        total += number(value)? * unit(name)?;
        rest = tail;
    }
    if text.is_empty() { None } else { scaled(total, 1.0) }
}

/// Milliseconds of one unit.
fn unit(name: &str) -> Option<f64> {
    Some(match name {
        "ns" => 1e-6,
        "us" | "µs" | "μs" => 1e-3,
        "ms" | "millisecond" | "milliseconds" => 1.0,
        "s" | "sec" | "secs" | "second" | "seconds" => 1e3,
        "m" | "min" | "mins" | "minute" | "minutes" => 6e4,
        "h" | "hour" | "hours" => 3.6e6,
        "d" | "day" | "days" => 8.64e7,
        _ => return None,
    })
}

/// A plain decimal number; `inf`, `nan` and exponents are none.
fn number(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    if plain { text.parse().ok() } else { None }
}

/// Scales to whole milliseconds, rounded up so that nobody comes back too early. Negative waits are none at all.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn scaled(value: f64, scale: f64) -> Option<u64> {
    let milliseconds = (value * scale).ceil();
    // The cast saturates; the cap follows.
    (milliseconds.is_finite()).then_some(milliseconds.max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-01T00:00:00Z.
    const NOW: u64 = 1_793_491_200_000;

    fn wait(headers: &[(&str, &str)], body: &str) -> Option<u64> {
        retry_after_ms(|name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value), body.as_bytes(), NOW)
    }

    #[test]
    fn every_form_that_providers_send_is_understood() {
        for (headers, body, expected) in [
            (vec![("retry-after-ms", "1500.2")], "", Some(1_501)),
            (vec![("retry-after-ms", "20"), ("retry-after", "9")], "", Some(20)),
            (vec![("retry-after", "3")], "", Some(3_000)),
            (vec![("retry-after", "0.25")], "", Some(250)),
            (vec![("retry-after", "-4")], "", Some(0)),
            (vec![("retry-after", "Sun, 01 Nov 2026 00:00:30 GMT")], "", Some(30_000)),
            (vec![("retry-after", "Sat, 31 Oct 2026 00:00:00 GMT")], "", Some(0)),
            (vec![], r#"{"error":{"details":[{"@type":"RetryInfo","retryDelay":"34.400000001s"}]}}"#, Some(34_401)),
            (vec![], r#"[{"error":{"details":[{"retryDelay" : "2s"}]}}]"#, Some(2_000)),
            (vec![], "Rate limit reached. Please try again in 494ms. Visit", Some(494)),
            (vec![], "Please try again in 1.2s.", Some(1_200)),
            (vec![], "Please try again in 6m0s", Some(360_000)),
            (vec![], "Quota exceeded. Please retry in 48.9s.", Some(48_900)),
            (vec![], "Please retry after 12 seconds.", Some(12_000)),
            (vec![], "try again in 2 minutes", Some(120_000)),
            (vec![], "please try again in a while", None),
            (vec![("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "6ms")], "", Some(6)),
            (vec![("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "1m0.052s")], "", Some(60_052)),
            (vec![("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "17")], "", Some(17_000)),
            (vec![("x-ratelimit-remaining-tokens", "7"), ("x-ratelimit-reset-tokens", "17s")], "", None),
            (vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1793491205000")], "", Some(5_000)),
            (vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1793491205")], "", Some(5_000)),
            (
                vec![("anthropic-ratelimit-requests-remaining", "0"), ("anthropic-ratelimit-requests-reset", "2026-11-01T00:00:07Z")],
                "",
                Some(7_000),
            ),
            (vec![("retry-after", "soon")], "try again in 5s", Some(5_000)),
            (vec![("retry-after", "99999999")], "", Some(CAP_MS)),
            (vec![], "", None),
        ] {
            assert_eq!(wait(&headers, body), expected, "{headers:?} {body}");
        }
    }

    #[test]
    fn of_several_limits_that_are_used_up_the_latest_reset_counts() {
        let headers = [
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "2s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "9s"),
        ];
        assert_eq!(wait(&headers, ""), Some(9_000));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_or_wait_over_a_day(value in "\\PC{0,40}", body in prop::collection::vec(any::<u8>(), 0..200), now in any::<u64>()) {
            let waited = retry_after_ms(|_| Some(value.as_str()), &body, now);
            prop_assert!(waited.is_none_or(|wait| wait <= CAP_MS));
        }

        #[test]
        fn hostile_numbers_in_every_place_stay_within_the_cap(number in "[0-9.\\-]{0,40}", unit in "(ms|s|m|h|d| seconds|)", now in any::<u64>()) {
            for body in [format!("try again in {number}{unit}"), format!("\"retryDelay\": \"{number}{unit}\"")] {
                let none = retry_after_ms(|_| None, body.as_bytes(), now);
                prop_assert!(none.is_none_or(|wait| wait <= CAP_MS));
            }
            let value = format!("{number}{unit}");
            let waited = retry_after_ms(|name| Some(if name.contains("remaining") { "0" } else { value.as_str() }), b"", now);
            prop_assert!(waited.is_none_or(|wait| wait <= CAP_MS));
        }
    }
}
