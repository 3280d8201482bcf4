//! The scanner: walks over JSON text without parsing it. Strings end, brackets pair; numbers and names are the upstream's to judge.

use std::borrow::Cow;
use std::ops::Range;

/// Deepest nesting that is accepted; checked before any parser sees the body.
pub const MAX_DEPTH: u32 = 64;

/// Why a body is not a JSON object that can be relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// Not an object at the top.
    #[error("the body is not a JSON object")]
    NotObject,
    /// Broken JSON, with the byte where it was noticed.
    #[error("the body is not valid JSON (noticed at byte {0})")]
    Syntax(usize),
    /// Not UTF-8.
    #[error("the body is not valid UTF-8")]
    Utf8,
    /// Nested too deeply.
    #[error("the body is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// A member that may stand only once stands twice.
    #[error("the member `{0}` stands twice")]
    Duplicate(&'static str),
}

/// One member of the top-level object.
#[derive(Debug, Clone)]
pub(super) struct Member<'a> {
    pub(super) key: Cow<'a, str>,
    /// From the key's opening quote.
    pub(super) start: usize,
    pub(super) value: Range<usize>,
}

/// Returns whether bytes are one whole JSON object in UTF-8: its brackets pair, its strings end, nothing follows. What stands between is
/// not judged. An object nested deeper than [`MAX_DEPTH`] is none.
pub fn is_whole_object(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii();
    let mut cursor = Cursor { bytes, at: 0 };
    bytes.first() == Some(&b'{') && std::str::from_utf8(bytes).is_ok() && cursor.container().is_ok() && cursor.at == bytes.len()
}

/// Reads a raw JSON string; `None` where it is not one.
pub fn unquote(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice::<String>(raw).ok().map(Cow::Owned)
}

/// A place in JSON text, moved over one value after another.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), ScanError> {
        if self.peek() != Some(byte) {
            return Err(ScanError::Syntax(self.at));
        }
        self.at += 1;
        Ok(())
    }

    /// Reads the members of the object that starts here.
    pub(super) fn object(&mut self, text: &'a str) -> Result<(Vec<Member<'a>>, usize), ScanError> {
        let mut members = Vec::with_capacity(12);
        self.expect(b'{')?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok((members, self.at - 1));
        }
        loop {
            self.space();
            let start = self.at;
            self.string()?;
            let raw = text.get(start..self.at).ok_or(ScanError::Syntax(start))?;
            let key = unquote(raw.as_bytes()).ok_or(ScanError::Syntax(start))?;
            self.space();
            self.expect(b':')?;
            self.space();
            let from = self.at;
            self.value()?;
            members.push(Member { key, start, value: from..self.at });
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok((members, self.at - 1));
                }
                _ => return Err(ScanError::Syntax(self.at)),
            }
        }
    }

    fn string(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        self.expect(b'"')?;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(hit) = memchr::memchr2(b'"', b'\\', rest) else { return Err(ScanError::Syntax(start)) };
            let escape = rest.get(hit) == Some(&b'\\');
            self.at += hit + if escape { 2 } else { 1 };
            if !escape {
                return Ok(());
            }
        }
    }

    /// Skips one value. Brackets must pair; what stands between them is the upstream's to judge.
    fn value(&mut self) -> Result<(), ScanError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{' | b'[') => self.container(),
            Some(_) => self.primitive(),
            None => Err(ScanError::Syntax(self.at)),
        }
    }

    fn primitive(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')) {
            self.at += 1;
        }
        let raw = self.bytes.get(start..self.at).unwrap_or_default();
        if serde_json::from_slice::<serde::de::IgnoredAny>(raw).is_err() {
            return Err(ScanError::Syntax(start));
        }
        Ok(())
    }

    /// Skips a container; one bit per level tells objects from arrays.
    fn container(&mut self) -> Result<(), ScanError> {
        let mut depth = 0_u32;
        let mut kinds = 0_u64;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                    continue;
                }
                Some(open @ (b'{' | b'[')) => {
                    depth += 1;
                    // The top-level object is a level of its own.
                    if depth >= MAX_DEPTH {
                        return Err(ScanError::TooDeep);
                    }
                    kinds = (kinds << 1) | u64::from(open == b'{');
                }
                Some(close @ (b'}' | b']')) => {
                    if (kinds & 1 == 1) != (close == b'}') {
                        return Err(ScanError::Syntax(self.at));
                    }
                    kinds >>= 1;
                    depth -= 1;
                }
                Some(_) => {}
                None => return Err(ScanError::Syntax(self.at)),
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_object_counts_as_an_answer() {
        for whole in [&b" {\"a\":1}\n"[..], b"{}", br#"{"a":"}\"","b":[{"c":null}]}"#] {
            assert!(is_whole_object(whole));
        }
        for bad in [&b""[..], b"[]", b"{\"a\":1", b"<html>", b"{} {}", b"{\"a\":\"}", b"{]", b"{\"\xff\":1}"] {
            assert!(!is_whole_object(bad));
        }
    }
}
