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

/// Walks over one whole JSON object in UTF-8 (its brackets pair, its strings end, nothing follows) and returns the raw value of the
/// member of that name, the last of several. What stands between is not judged.
///
/// # Errors
/// [`ScanError`] for what is no such object, or nested deeper than [`MAX_DEPTH`].
pub fn member<'a>(bytes: &'a [u8], name: &str) -> Result<Option<&'a [u8]>, ScanError> {
    members(bytes, [name]).map(|[found]| found)
}

/// Walks like [`member`], for several members at once.
///
/// # Errors
/// [`ScanError`], like [`member`].
pub fn members<'a, const N: usize>(bytes: &'a [u8], names: [&str; N]) -> Result<[Option<&'a [u8]>; N], ScanError> {
    let bytes = bytes.trim_ascii();
    std::str::from_utf8(bytes).map_err(|_| ScanError::Utf8)?;
    let mut cursor = Cursor { bytes, at: 1 };
    let mut places = [None; N];
    if bytes.first() != Some(&b'{') {
        return Err(ScanError::NotObject);
    }
    loop {
        match cursor.peek() {
            Some(b'"') => {
                let start = cursor.at;
                cursor.string()?;
                let text = bytes.get(start + 1..cursor.at - 1);
                cursor.space();
                if cursor.peek() == Some(b':')
                    && let Some((_, place)) = names.iter().zip(&mut places).find(|(name, _)| text == Some(name.as_bytes()))
                {
                    cursor.at += 1;
                    cursor.space();
                    *place = Some(cursor.at);
                }
            }
            Some(b'{' | b'[') => cursor.container()?,
            Some(b'}') => break,
            Some(b']') | None => return Err(ScanError::Syntax(cursor.at)),
            Some(_) => cursor.at += 1,
        }
    }
    if cursor.at + 1 != bytes.len() {
        return Err(ScanError::Syntax(cursor.at + 1));
    }
    let mut found = [None; N];
    for (value, at) in found.iter_mut().zip(places) {
        let Some(at) = at else { continue };
        let mut cursor = Cursor { bytes, at };
        cursor.value()?;
        *value = bytes.get(at..cursor.at);
    }
    Ok(found)
}

/// Reads a raw JSON string; `None` where it is not one.
pub fn unquote(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice::<String>(raw).ok().map(Cow::Owned)
}

/// Finds the first quote or backslash. Most strings are short, so the first bytes are looked at eight at a time without a call.
fn quote_or_escape(rest: &[u8]) -> Option<usize> {
    const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // Marks bytes that are zero. Marks above a true one may be wrong, so only the lowest counts.
    let zeros = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    let (words, _) = rest.as_chunks::<8>();
    let mut skipped = 0;
    for word in words.iter().take(6) {
        let word = u64::from_le_bytes(*word);
        let hits = zeros(word ^ u64::from_ne_bytes([b'"'; 8])) | zeros(word ^ u64::from_ne_bytes([b'\\'; 8]));
        if hits != 0 {
            return Some(skipped + (hits.trailing_zeros() / 8) as usize);
        }
        skipped += 8;
    }
    memchr::memchr2(b'"', b'\\', rest.get(skipped..)?).map(|hit| skipped + hit)
}

/// A place in JSON text, moved over one value after another.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

/// Gets the raw name of a member, and must move over its value.
type Each<'e, 'a> = dyn FnMut(&mut Cursor<'a>, &'a [u8]) -> Result<(), ScanError> + 'e;

impl<'a> Cursor<'a> {
    /// Starts at the first byte that is no space.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut cursor = Self { bytes, at: 0 };
        cursor.space();
        cursor
    }

    /// Checks that nothing but space follows.
    pub(super) fn end(&mut self) -> Result<(), ScanError> {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { Err(ScanError::Syntax(self.at)) }
    }

    /// Returns whether `null` stands here.
    pub(super) fn is_at_null(&self) -> bool {
        self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(b"null"))
    }

    /// Moves over the value that starts here, and returns it.
    pub(super) fn raw(&mut self) -> Result<&'a [u8], ScanError> {
        let start = self.at;
        self.value()?;
        self.bytes.get(start..self.at).ok_or(ScanError::Syntax(start))
    }

    /// Walks over the members of the object that starts here. `each` gets the raw name, and must move over the value.
    pub(super) fn members(&mut self, each: &mut Each<'_, 'a>) -> Result<(), ScanError> {
        self.list(b'{', b'}', &mut |cursor| {
            let start = cursor.at;
            cursor.string()?;
            let name = cursor.bytes.get(start + 1..cursor.at - 1).unwrap_or_default();
            cursor.colon()?;
            each(cursor, name)
        })
    }

    /// Walks over the elements of the array that starts here. `each` must move over the value.
    pub(super) fn elements(&mut self, each: &mut dyn FnMut(&mut Self) -> Result<(), ScanError>) -> Result<(), ScanError> {
        self.list(b'[', b']', each)
    }

    fn list(&mut self, open: u8, close: u8, each: &mut dyn FnMut(&mut Self) -> Result<(), ScanError>) -> Result<(), ScanError> {
        self.expect(open)?;
        self.space();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            each(self)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) | None => return Err(ScanError::Syntax(self.at)),
            }
        }
    }

    /// Moves over the colon between a name and its value.
    fn colon(&mut self) -> Result<(), ScanError> {
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(())
    }

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

    /// Reads the members of the object that starts here; also returns where its closing brace stands.
    pub(super) fn object(&mut self, text: &'a str) -> Result<(Vec<Member<'a>>, usize), ScanError> {
        let mut members = Vec::with_capacity(12);
        self.list(b'{', b'}', &mut |cursor| {
            let start = cursor.at;
            let key = match cursor.string()? {
                false => text.get(start + 1..cursor.at - 1).map(Cow::Borrowed),
                true => cursor.bytes.get(start..cursor.at).and_then(unquote),
            };
            let key = key.ok_or(ScanError::Syntax(start))?;
            cursor.colon()?;
            let from = cursor.at;
            cursor.value()?;
            members.push(Member { key, start, value: from..cursor.at });
            Ok(())
        })?;
        Ok((members, self.at - 1))
    }

    /// Skips a string. Returns whether it holds escapes.
    fn string(&mut self) -> Result<bool, ScanError> {
        let start = self.at;
        self.expect(b'"')?;
        let mut escapes = false;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(hit) = quote_or_escape(rest) else { return Err(ScanError::Syntax(start)) };
            if rest.get(hit) == Some(&b'"') {
                self.at += hit + 1;
                return Ok(escapes);
            }
            self.at += hit + 2;
            escapes = true;
        }
    }

    /// Skips one value. Brackets must pair; what stands between them is the upstream's to judge.
    pub(super) fn value(&mut self) -> Result<(), ScanError> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
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
        let is_plain =
            matches!(raw, b"true" | b"false" | b"null") || matches!(raw, [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit));
        if is_plain {
            return Ok(());
        }
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
        for whole in [&b" {\"a\":1}\n"[..], b"{}", br#"{"a":"}\"","b":[{"c":null}],"d":NaN}"#] {
            assert_eq!(member(whole, "x"), Ok(None));
        }
        for bad in [&b""[..], b"[]", b"{\"a\":1", b"<html>", b"{} {}", b"{\"a\":\"}", b"{]", b"{\"a\":[}", b"{\"\xff\":1}", b"{\"a\":\"\\"]
        {
            assert!(member(bad, "a").is_err(), "{}", String::from_utf8_lossy(bad));
        }
        let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels)).into_bytes();
        assert!(member(&deep(63), "x").is_ok());
        assert_eq!(member(&deep(64), "x"), Err(ScanError::TooDeep));
    }

    #[test]
    fn a_member_is_found_at_the_top_alone_and_the_last_of_several_counts() {
        let body = br#"{"x":{"u":1},"y":"u","z":["u",{"u":2}],"u" : {"n":[3]} ,"w":"\"u\":4"}"#;
        assert_eq!(member(body, "u"), Ok(Some(&br#"{"n":[3]}"#[..])));
        assert_eq!(member(br#"{"u":1,"u":"2"}"#, "u"), Ok(Some(&b"\"2\""[..])));
        assert_eq!(member(body, "v"), Ok(None));
    }

    #[test]
    fn the_end_of_a_string_is_found_wherever_it_stands() {
        for length in 0..80 {
            for mark in [b'"', b'\\'] {
                // Bytes that differ from a mark by one bit, before and behind it.
                let mut bytes = vec![b'#'; length];
                bytes.extend([mark, b']', b'"', b'!']);
                assert_eq!(quote_or_escape(&bytes), Some(length), "{length}");
            }
            assert_eq!(quote_or_escape(&vec![b'x'; length]), None);
        }
    }
}
