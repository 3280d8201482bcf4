//! The fault grammar: a [`Behaviour`] on one line, for a model name or a header.
//!
//! ```text
//! faults = item *( ";" item )
//! item   = field "=" value | flag | "header." NAME "=" value
//! ```
//! Fields and flags are those of [`Behaviour`]; a flag without value is true. Texts may escape bytes as `%3B`. Example:
//! `gpt-4o@status=429;retry_after=2;header.x-a=b`.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::Behaviour;

/// Why a line of faults was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FaultError(String);

/// Fields whose value is a number. Text fields may look like numbers and stay texts.
const NUMBERS: [&str; 8] = ["status", "segment", "malformed_at", "error_at", "pings", "content_length", "chunks", "calls"];

/// Flags that may stand alone right after the model's `@`.
const FLAGS: [&str; 8] = ["html", "empty", "garbage", "close", "no_done", "no_finish", "no_usage", "error_named"];

impl FromStr for Behaviour {
    type Err = FaultError;

    fn from_str(line: &str) -> Result<Self, FaultError> {
        let mut fields = Map::new();
        let mut headers = Map::new();
        for item in line.split(';').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = item.split_once('=').map_or((item, None), |(name, value)| (name.trim(), Some(value.trim())));
            if let (Some(header), Some(value)) = (name.strip_prefix("header."), value) {
                headers.insert(header.to_owned(), Value::String(unescape(value)));
            } else if fields.insert(name.to_owned(), typed(name, value)).is_some() {
                return Err(FaultError(format!("`{name}` stands twice")));
            }
        }
        if !headers.is_empty() {
            fields.insert("headers".to_owned(), Value::Object(headers));
        }
        serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| FaultError(error.to_string()))
    }
}

fn typed(name: &str, value: Option<&str>) -> Value {
    let Some(text) = value else {
        return Value::Bool(true);
    };
    match (text, text.parse::<u64>()) {
        (_, Ok(number)) if NUMBERS.contains(&name) => Value::from(number),
        ("true", _) => Value::Bool(true),
        ("false", _) => Value::Bool(false),
        _ => Value::String(unescape(text)),
    }
}

pub(super) fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| tail.get(..2)).flatten().and_then(|pair| hex::decode(pair).ok());
        match escaped {
            Some(byte) => {
                out.extend(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Splits a model's name from its faults.
///
/// What follows the last `@` is faults when it has an `=` or begins with a flag, so that `claude@20250101` stays a name.
pub(super) fn split_model(model: &str) -> (&str, Option<&str>) {
    let Some((name, tail)) = model.rsplit_once('@') else {
        return (model, None);
    };
    let first = tail.split(';').next().unwrap_or_default().trim();
    if tail.contains('=') || FLAGS.contains(&first) { (name, Some(tail)) } else { (model, None) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Span;
    use crate::mock::{At, Failure, Framing};

    #[test]
    fn a_line_says_what_a_behaviour_says() {
        let line = "status=429; retry_after=2;delay=1s500ms;cut_at=event:3;framing=close;close;header.x-a=1%3B2;text=7%";
        let parsed: Behaviour = line.parse().unwrap();
        let expected = Behaviour {
            status: Some(429),
            retry_after: Some("2".into()),
            delay: Span::from_millis(1500),
            cut_at: Some(At::Event(3)),
            framing: Some(Framing::Close),
            close: true,
            headers: [("x-a".to_owned(), "1;2".to_owned())].into(),
            text: Some("7%".into()),
            ..Behaviour::default()
        };
        assert_eq!(parsed, expected);
        assert_eq!("".parse(), Ok(Behaviour::default()));
        assert_eq!("reset_at=start".parse(), Ok(Behaviour::reset(At::Start)));
        assert_eq!("stall_at=17".parse(), Ok(Behaviour::stall(At::Byte(17))));
        assert_eq!("error=insufficient_quota".parse(), Ok(Behaviour::error(Failure::InsufficientQuota)));
    }

    #[test]
    fn a_line_that_says_nothing_known_is_refused() {
        for (line, names) in [
            ("statsu=503", "statsu"),
            ("status=5o3", "status"),
            ("delay=5", "delay: expected a duration"),
            ("cut_at=end", "cut_at: expected a place in the answer"),
            ("error=oops", "oops"),
            ("status=500;status=503", "twice"),
            ("close=maybe", "close"),
        ] {
            let error = line.parse::<Behaviour>().unwrap_err().to_string();
            assert!(error.contains(names), "{line}: {error}");
        }
    }

    #[test]
    fn only_a_suffix_that_looks_like_faults_is_cut_from_a_model() {
        assert_eq!(split_model("gpt-4o"), ("gpt-4o", None));
        assert_eq!(split_model("claude@20250101"), ("claude@20250101", None));
        assert_eq!(split_model("@cf/meta/llama"), ("@cf/meta/llama", None));
        assert_eq!(split_model("gpt-4o@status=503"), ("gpt-4o", Some("status=503")));
        assert_eq!(split_model("claude@20250101@html;delay=1s"), ("claude@20250101", Some("html;delay=1s")));
        assert_eq!(split_model("m@statsu=1"), ("m", Some("statsu=1")));
    }
}
