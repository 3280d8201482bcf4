//! Headers that are sent to providers: those of a key are left out, and templates are not made by accident.

use http::{HeaderName, HeaderValue};

use super::draft::literal;
use super::secret::Spelling;
use super::tree::Cursor;
use crate::base::is_hop_by_hop;

/// Words in names of headers that carry keys.
const SECRET_WORDS: [&str; 7] = ["authorization", "key", "token", "secret", "cookie", "password", "signature"];

/// Returns the value of a header as the spec has it.
///
/// # Errors
/// What somebody must do instead.
pub(super) fn value(it: Cursor<'_>, name: &str, spelling: Spelling) -> Result<String, &'static str> {
    let lower = name.to_ascii_lowercase();
    let Ok(parsed) = lower.parse::<HeaderName>() else { return Err("this is not the name of a header") };
    if SECRET_WORDS.iter().any(|word| lower.contains(word)) {
        return Err(
            "a header that carries a key is none of `headers`: keep the key under `credentials`, and name its header in `auth: {header: …}`",
        );
    }
    if is_hop_by_hop(&parsed) || matches!(lower.as_str(), "content-encoding" | "accept-encoding" | "content-type" | "content-length") {
        return Err("the gateway sets this header itself");
    }
    let Some(text) = it.text() else {
        return Err("the value is no plain text, or looks like a secret, so it is neither written nor shown");
    };
    if let Some(variable) = spelling.variable(text) {
        return Ok(format!("${{env:{variable}}}"));
    }
    if ["{{", "{%", "{#"].iter().any(|open| text.contains(open)) {
        return Err("the value would be read as a template here; write what it means over the request's facts");
    }
    if HeaderValue::from_str(text).is_err() {
        return Err("the value holds a character that headers may not have");
    }
    Ok(literal(text))
}
