//! Lines of JSON, cut at their ends (Ollama).
//!
//! Rule: JSON in one line holds no bare line feed, so every line feed ends a frame; blank lines are none.

use std::borrow::Cow;

use bytes::Bytes;

use super::FrameError;
use super::pending::Pending;
use crate::wire::codec::Frame;

/// Longest line; beyond it the stream counts as malformed.
const MAX_LINE: usize = 16 << 20;

/// The cutter: push pieces, pull whole lines.
#[derive(Debug, Default)]
pub struct Ndjson {
    pending: Pending,
    /// How far the pending bytes were searched already.
    searched: usize,
}

impl Ndjson {
    /// Adds a piece of the stream.
    pub fn push(&mut self, piece: Bytes) {
        self.pending.push(piece);
    }

    /// Takes the next whole line with its end, if there is one.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn next_line(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            let bytes = self.pending.bytes();
            let Some(found) = memchr::memchr(b'\n', bytes.get(self.searched..).unwrap_or_default()) else {
                self.searched = bytes.len();
                return if self.searched > MAX_LINE { Err(FrameError::TooLarge) } else { Ok(None) };
            };
            let line = self.pending.take(self.searched + found + 1);
            self.searched = 0;
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    /// Takes what is left after the last whole line: one without its end, or nothing.
    pub fn rest(&mut self) -> Bytes {
        self.searched = 0;
        self.pending.rest()
    }
}

/// Reads a line as a frame.
pub(super) fn read(line: &[u8]) -> Frame<'_> {
    Frame { event: b"", data: Cow::Borrowed(line.trim_ascii()), is_error: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(pieces: &[&[u8]]) -> (Vec<Bytes>, Bytes) {
        let mut ndjson = Ndjson::default();
        let mut lines = Vec::new();
        for piece in pieces {
            ndjson.push(Bytes::copy_from_slice(piece));
            while let Some(line) = ndjson.next_line().unwrap() {
                lines.push(line);
            }
        }
        (lines, ndjson.rest())
    }

    #[test]
    fn each_line_is_a_frame_and_blank_ones_are_none() {
        let (lines, rest) = cut(&[b"{\"a\":1}\r\n\r\n\n{\"b\":2}\n{\"c\""]);
        let data: Vec<_> = lines.iter().map(|line| read(line).data.into_owned()).collect();
        assert_eq!((data, &rest[..]), (vec![b"{\"a\":1}".to_vec(), b"{\"b\":2}".to_vec()], &b"{\"c\""[..]));
    }

    #[test]
    fn a_line_without_an_end_is_too_large_at_some_point() {
        let mut ndjson = Ndjson::default();
        for _ in 0..16 {
            ndjson.push(Bytes::from(vec![b' '; 1 << 20]));
            assert_eq!(ndjson.next_line(), Ok(None));
        }
        ndjson.push(Bytes::from_static(b" "));
        assert_eq!(ndjson.next_line(), Err(FrameError::TooLarge));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(text in "([a-z]{0,5}(\n|\r\n)){0,8}[a-z]{0,3}", cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..10)) {
            let whole = cut(&[text.as_bytes()]);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            prop_assert_eq!(cut(&pieces), whole);
        }
    }
}
