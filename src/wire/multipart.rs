//! Multipart forms (RFC 7578), as far as a relay needs them: where one field's value stands. Nothing is decoded or copied.
//!
//! Rule: what two readers could see differently is refused: lines that end with LF alone, a field that stands twice, a form without its end.

use std::ops::Range;

/// Longest boundary (RFC 2046 §5.1.1).
const BOUNDARY_LIMIT_BYTES: usize = 70;

/// Why a form cannot be relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The content type names no boundary.
    #[error("the content type names no boundary")]
    Boundary,
    /// The form's framing is broken, or its end is missing; with the byte where it was noticed.
    #[error("the form is malformed (noticed at byte {0})")]
    Malformed(usize),
    /// The field stands twice.
    #[error("the field `{0}` stands twice")]
    Duplicate(&'static str),
}

/// Returns whether a content type is that of a form.
pub fn is_form(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("multipart/form-data")
}

/// Finds the value of a plain field (not a file) in a form. One pass over the body.
///
/// # Errors
/// [`FormError`].
pub fn field(content_type: &str, body: &[u8], name: &'static str) -> Result<Option<Range<usize>>, FormError> {
    let boundary = parameters(content_type).find(|(key, _)| key.eq_ignore_ascii_case("boundary")).map(|(_, value)| value);
    let boundary = boundary.filter(|it| !it.is_empty() && it.len() <= BOUNDARY_LIMIT_BYTES).ok_or(FormError::Boundary)?;
    let form = Form { body, delimiter: format!("\r\n--{boundary}") };
    let mut found = None;
    let mut next = form.open()?;
    while let Some(start) = next {
        let part = form.part(start)?;
        if is_named(part.head, name) {
            if found.is_some() {
                return Err(FormError::Duplicate(name));
            }
            found = Some(part.value);
        }
        next = part.next;
    }
    Ok(found)
}

struct Form<'a> {
    body: &'a [u8],
    /// With the line break before it.
    delimiter: String,
}

struct Part<'a> {
    head: &'a [u8],
    value: Range<usize>,
    /// Where the next part's head starts.
    next: Option<usize>,
}

impl<'a> Form<'a> {
    /// Returns where the first part's head starts; none in an empty form.
    fn open(&self) -> Result<Option<usize>, FormError> {
        let first = self.delimiter.as_bytes().get(2..).unwrap_or_default();
        if self.body.starts_with(first)
            && let Some(next) = self.behind(first.len())
        {
            return Ok(next);
        }
        self.find(0).map(|(_, next)| next)
    }

    fn part(&self, start: usize) -> Result<Part<'a>, FormError> {
        let rest = self.body.get(start..).unwrap_or_default();
        let length = memchr::memmem::find(rest, b"\r\n\r\n").ok_or(FormError::Malformed(start))?;
        let value = start + length + 4;
        let (end, next) = self.find(value)?;
        Ok(Part { head: rest.get(..length).unwrap_or_default(), value: value..end, next })
    }

    /// Finds the next delimiter: where it begins, and where the head behind it starts.
    fn find(&self, from: usize) -> Result<(usize, Option<usize>), FormError> {
        let delimiter = self.delimiter.as_bytes();
        let mut at = from;
        loop {
            let rest = self.body.get(at..).unwrap_or_default();
            let hit = at + memchr::memmem::find(rest, delimiter).ok_or(FormError::Malformed(from))?;
            match self.behind(hit + delimiter.len()) {
                Some(next) => return Ok((hit, next)),
                // A longer word that begins like the boundary is content.
                None => at = hit + delimiter.len(),
            }
        }
    }

    /// Reads what follows a boundary: `--` at the end of the form, or blanks and a line break. The outer `None`: it is no delimiter.
    #[allow(clippy::option_option)]
    fn behind(&self, at: usize) -> Option<Option<usize>> {
        let rest = self.body.get(at..)?;
        if rest.starts_with(b"--") {
            return Some(None);
        }
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        rest.get(blanks..)?.starts_with(b"\r\n").then_some(Some(at + blanks + 2))
    }
}

/// Returns whether a part's head is that of a plain field of this name.
fn is_named(head: &[u8], name: &str) -> bool {
    let head = String::from_utf8_lossy(head);
    let disposition = head.split("\r\n").find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    let Some(disposition) = disposition else { return false };
    let has = |wanted: &str| parameters(disposition).find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
    has("name") == Some(name) && has("filename").is_none() && has("filename*").is_none()
}

/// The parameters of a header value: `form-data; name="a"; filename="b;c"`. Escapes in quotes are left as they are.
fn parameters(value: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = value.split_once(';').map_or("", |(_, rest)| rest);
    std::iter::from_fn(move || {
        loop {
            let (key, after) = rest.split_once('=')?;
            let after = after.trim_start();
            let (value, next) = match after.strip_prefix('"') {
                Some(quoted) => {
                    let end = quote_end(quoted)?;
                    (quoted.get(..end)?, quoted.get(end + 1..)?)
                }
                None => {
                    let end = after.find(';').unwrap_or(after.len());
                    (after.get(..end)?.trim(), after.get(end..)?)
                }
            };
            rest = next.trim_start().strip_prefix(';').unwrap_or_default();
            // A word without a value before this one belongs to nobody.
            let key = key.rsplit(';').next().unwrap_or_default().trim();
            if !key.is_empty() {
                return Some((key, value));
            }
        }
    })
}

fn quote_end(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    quoted.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIND: &str = "multipart/form-data; boundary=\"b 1\"";

    fn form(parts: &[(&str, &str)]) -> String {
        let parts: String = parts.iter().map(|(head, value)| format!("--b 1\r\n{head}\r\n\r\n{value}\r\n")).collect();
        format!("{parts}--b 1--\r\n")
    }

    fn model(body: &str) -> Result<Option<&str>, FormError> {
        field(KIND, body.as_bytes(), "model").map(|range| range.map(|range| &body[range]))
    }

    #[test]
    fn a_field_is_found_wherever_it_stands_and_a_file_of_its_name_is_none() {
        let disposition = "Content-Disposition: form-data; name=\"model\"";
        let file = (
            "Content-Disposition: form-data; name=\"file\"; filename=\"model; name=\\\"model\\\".wav\"\r\nContent-Type: audio/wav",
            "RIFF\r\n--b 1x\r\n",
        );
        for parts in
            [vec![(disposition, "whisper-1"), file], vec![file, ("X-A: b\r\ncontent-disposition:form-data;name=model", "whisper-1")]]
        {
            assert_eq!(model(&form(&parts)), Ok(Some("whisper-1")), "{parts:?}");
            assert_eq!(model(&format!("preamble\r\n{}epilogue", form(&parts))), Ok(Some("whisper-1")));
        }
        assert_eq!(model(&form(&[(disposition, "")])), Ok(Some("")));
        assert_eq!(model(&form(&[file])), Ok(None));
        assert_eq!(model(&form(&[("Content-Disposition: form-data; name=\"model\"; filename=\"m\"", "x")])), Ok(None));
        assert_eq!(model("--b 1--"), Ok(None));
    }

    #[test]
    fn what_two_readers_could_see_differently_is_refused() {
        let part = ("Content-Disposition: form-data; name=\"model\"", "a");
        assert_eq!(model(&form(&[part, part])), Err(FormError::Duplicate("model")));
        assert!(matches!(model(&form(&[part]).replace("\r\n", "\n")), Err(FormError::Malformed(_))));
        assert!(matches!(model(form(&[part]).strip_suffix("--\r\n").unwrap()), Err(FormError::Malformed(_))));
        assert!(matches!(model(""), Err(FormError::Malformed(_))));
        for kind in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"open"] {
            assert_eq!(field(kind, b"", "model"), Err(FormError::Boundary), "{kind}");
        }
        assert!(is_form("Multipart/Form-Data;boundary=x") && !is_form("multipart/mixed; boundary=x") && !is_form("application/json"));
    }

    proptest! {
        #[test]
        fn any_value_is_found_byte_for_byte(value in "[^\r\n]{0,40}", before in prop::collection::vec("[ -~\r\n]{0,60}", 0..4)) {
            prop_assume!(!before.iter().any(|text| text.contains("--b 1")));
            let mut parts: Vec<_> = before.iter().map(|text| ("Content-Disposition: form-data; name=\"x\"", text.as_str())).collect();
            parts.push(("Content-Disposition: form-data; name=\"model\"", &value));
            let body = form(&parts);
            prop_assert_eq!(model(&body), Ok(Some(value.as_str())));
        }

        #[test]
        fn nothing_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..300), kind in "\\PC{0,40}") {
            let _ = field(&kind, &body, "model");
            let _ = field("multipart/form-data; boundary=a", &body, "model");
        }
    }
}
