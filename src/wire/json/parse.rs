//! The parser: fills the table of a document. Strict (RFC 8259), iterative, bounded in depth.

use super::document::{JsonError, Kind, Slot};
use super::string;

/// Deepest nesting that is accepted; the same as the scanner's.
const MAX_DEPTH: usize = crate::wire::scan::MAX_DEPTH as usize;

/// Parses a text of less than 4 GiB that is known to be UTF-8.
///
/// # Errors
/// [`JsonError`].
pub(super) fn slots(bytes: &[u8]) -> Result<Vec<Slot>, JsonError> {
    let mut parser = Parser { bytes, at: 0, slots: Vec::with_capacity(bytes.len() / 16 + 4) };
    parser.whole()?;
    Ok(parser.slots)
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    slots: Vec<Slot>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    const fn bad<T>(&self) -> Result<T, JsonError> {
        Err(JsonError::Syntax(self.at))
    }

    /// Opens an entry that starts here and ends nowhere yet.
    #[expect(clippy::cast_possible_truncation, reason = "the length of the text was checked to fit")]
    fn open(&mut self, kind: Kind) -> usize {
        self.slots.push(Slot { start: self.at as u32, end: 0, next: 0, kind, escaped: false });
        self.slots.len() - 1
    }

    #[expect(clippy::cast_possible_truncation, reason = "the length of the text was checked to fit")]
    fn close(&mut self, slot: usize) {
        let next = self.slots.len() as u32;
        if let Some(slot) = self.slots.get_mut(slot) {
            (slot.end, slot.next) = (self.at as u32, next);
        }
    }

    /// Parses one value and nothing behind it but space. Containers are kept on a stack of our own, never on the thread's.
    fn whole(&mut self) -> Result<(), JsonError> {
        let mut open: Vec<usize> = Vec::with_capacity(8);
        loop {
            self.space();
            if let Some(container) = self.begin()? {
                if open.len() == MAX_DEPTH {
                    return Err(JsonError::TooDeep);
                }
                open.push(container);
                if self.member(container)? {
                    continue;
                }
                open.pop();
            }
            // A value has ended: go on in its container, or leave it too.
            loop {
                let Some(container) = open.last().copied() else {
                    self.space();
                    return if self.at == self.bytes.len() { Ok(()) } else { self.bad() };
                };
                if self.more(container)? {
                    break;
                }
                open.pop();
            }
        }
    }

    fn kind_of(&self, slot: usize) -> Kind {
        self.slots.get(slot).map_or(Kind::Null, |slot| slot.kind)
    }

    /// Starts a value: a whole one, or a container that is returned.
    fn begin(&mut self) -> Result<Option<usize>, JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(|()| None),
            Some(b'{') => Ok(Some(self.container(Kind::Object))),
            Some(b'[') => Ok(Some(self.container(Kind::Array))),
            Some(b't') => self.word(b"true", Kind::Bool),
            Some(b'f') => self.word(b"false", Kind::Bool),
            Some(b'n') => self.word(b"null", Kind::Null),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| None),
            _ => self.bad(),
        }
    }

    fn container(&mut self, kind: Kind) -> usize {
        let slot = self.open(kind);
        self.at += 1;
        slot
    }

    /// Stands behind an opening bracket: reads the first key where there is one. Returns whether a value follows.
    fn member(&mut self, container: usize) -> Result<bool, JsonError> {
        self.space();
        let is_object = self.kind_of(container) == Kind::Object;
        if self.peek() == Some(if is_object { b'}' } else { b']' }) {
            self.at += 1;
            self.close(container);
            return Ok(false);
        }
        if is_object {
            self.key()?;
        }
        Ok(true)
    }

    /// Stands behind a value in a container. Returns whether another one follows; closes the container where none does.
    fn more(&mut self, container: usize) -> Result<bool, JsonError> {
        self.space();
        let is_object = self.kind_of(container) == Kind::Object;
        match (self.peek(), is_object) {
            (Some(b','), _) => {
                self.at += 1;
                if is_object {
                    self.space();
                    self.key()?;
                }
                Ok(true)
            }
            (Some(b'}'), true) | (Some(b']'), false) => {
                self.at += 1;
                self.close(container);
                Ok(false)
            }
            _ => self.bad(),
        }
    }

    fn key(&mut self) -> Result<(), JsonError> {
        if self.peek() != Some(b'"') {
            return self.bad();
        }
        self.string()?;
        self.space();
        if self.peek() != Some(b':') {
            return self.bad();
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<Option<usize>, JsonError> {
        if !self.bytes.get(self.at..).unwrap_or_default().starts_with(word) {
            return self.bad();
        }
        let slot = self.open(kind);
        self.at += word.len();
        self.close(slot);
        Ok(None)
    }

    fn string(&mut self) -> Result<(), JsonError> {
        let slot = self.open(Kind::Text);
        let escaped = string::skip(self.bytes, &mut self.at).map_err(JsonError::Syntax)?;
        self.close(slot);
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.escaped = escaped;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { self.bad() } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let slot = self.open(Kind::Number);
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1
        } else {
            self.digits()?
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.close(slot);
        Ok(())
    }
}
