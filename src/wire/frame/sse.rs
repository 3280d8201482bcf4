//! Server-sent events, cut into whole events without copying where a piece holds whole ones.
//!
//! Rule: what comes out is what came in, only ever cut at ends of events (WHATWG HTML §9.2: lines end with LF, CR LF or CR; an
//! empty line ends an event).

use std::borrow::Cow;

use bytes::Bytes;

use super::pending::Pending;
use crate::wire::codec::Frame;

/// Largest single event; beyond it the stream counts as malformed.
const MAX_EVENT: usize = 16 << 20;

/// Why a stream cannot be cut any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {} MiB", MAX_EVENT >> 20)]
pub struct SseError;

/// The cutter: push pieces, pull whole events.
#[derive(Debug, Default)]
pub struct Sse {
    pending: Pending,
    /// How far the pending bytes were searched already.
    searched: usize,
}

impl Sse {
    /// Adds a piece of the stream.
    ///
    /// # Errors
    /// [`SseError`] when one event outgrows the cap.
    pub fn push(&mut self, piece: Bytes) -> Result<(), SseError> {
        self.pending.push(piece);
        if self.searched > MAX_EVENT { Err(SseError) } else { Ok(()) }
    }

    /// Takes the next whole event with its closing empty line, if there is one.
    pub fn next_event(&mut self) -> Option<Bytes> {
        let bytes = self.pending.bytes();
        match event_end(bytes, self.searched.saturating_sub(3)) {
            Some(end) => {
                self.searched = 0;
                Some(self.pending.take(end))
            }
            None => {
                self.searched = bytes.len();
                None
            }
        }
    }

    /// Takes what is left after the last whole event: an unfinished event, or nothing.
    pub fn rest(&mut self) -> Bytes {
        self.searched = 0;
        self.pending.rest()
    }
}

/// Finds the end of the first event: behind the first empty line.
fn event_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr::memchr2(b'\n', b'\r', bytes.get(at..)?)?;
        let first = line_break(bytes, at)?;
        match bytes.get(first) {
            Some(b'\n' | b'\r') => return line_break(bytes, first),
            Some(_) => at = first,
            None => return None,
        }
    }
}

/// Returns the position behind the line break at `at`; `None` where a lone CR is the last byte, since LF may follow.
fn line_break(bytes: &[u8], at: usize) -> Option<usize> {
    match (bytes.get(at), bytes.get(at + 1)) {
        (Some(b'\r'), Some(b'\n')) => Some(at + 2),
        (Some(b'\r'), None) => None,
        _ => Some(at + 1),
    }
}

/// Calls `each` with the value of every `data` field of one event; and returns its `event` name.
pub fn fields<'a>(event: &'a [u8], mut each: impl FnMut(&'a [u8])) -> Option<&'a [u8]> {
    let mut name = None;
    for line in event.split(|byte| *byte == b'\n' || *byte == b'\r') {
        if let Some(value) = line.strip_prefix(b"data:") {
            each(value.strip_prefix(b" ").unwrap_or(value));
        } else if let Some(value) = line.strip_prefix(b"event:") {
            name = Some(value.strip_prefix(b" ").unwrap_or(value));
        }
    }
    name
}

/// Reads one event as a frame; several lines of data are joined by a line feed. An event without data (a comment, an unfinished name) has an
/// empty payload.
pub fn read_frame(event: &[u8]) -> Frame<'_> {
    let mut data = Cow::Borrowed(&b""[..]);
    let mut lines = 0;
    let name = fields(event, |line| {
        lines += 1;
        if lines == 1 {
            data = Cow::Borrowed(line);
        } else {
            let joined = data.to_mut();
            joined.push(b'\n');
            joined.extend_from_slice(line);
        }
    });
    Frame { event: name.unwrap_or_default(), data, is_error: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(pieces: &[&[u8]]) -> (Vec<Bytes>, Bytes) {
        let mut sse = Sse::default();
        let mut events = Vec::new();
        for piece in pieces {
            sse.push(Bytes::copy_from_slice(piece)).unwrap();
            while let Some(event) = sse.next_event() {
                events.push(event);
            }
        }
        (events, sse.rest())
    }

    #[test]
    fn every_kind_of_line_end_closes_an_event() {
        for text in ["data: a\n\ndata: b\n\n", "data: a\r\n\r\ndata: b\r\n\r\n", ": c\n\ndata: b\n\n"] {
            let (events, rest) = cut(&[text.as_bytes()]);
            assert_eq!((events.len(), rest.len()), (2, 0), "{text:?}");
        }
        let (events, rest) = cut(&[b"data: a\r\rdata: b\r\rx"]);
        assert_eq!((events.len(), &rest[..]), (2, &b"x"[..]));
    }

    #[test]
    fn a_frame_has_its_name_and_all_its_lines_of_data() {
        let frame = read_frame(b"event: a\ndata: x\ndata:y\n\n");
        assert_eq!((frame.event, &*frame.data), (&b"a"[..], &b"x\ny"[..]));
        let comment = read_frame(b": ping\n\n");
        assert_eq!((comment.event, &*comment.data), (&b""[..], &b""[..]));
    }

    #[test]
    fn a_piece_with_whole_events_is_not_copied() {
        let piece = Bytes::from_static(b"data: a\n\n");
        let mut sse = Sse::default();
        sse.push(piece.clone()).unwrap();
        assert_eq!(sse.next_event().unwrap().as_ptr(), piece.as_ptr());
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(parts in proptest::collection::vec("(data: [a-z]{0,5}|: ping|event: x)(\n|\r\n)", 0..12), gaps in proptest::collection::vec(any::<bool>(), 12), cuts in proptest::collection::vec(0_usize..200, 0..10)) {
            let mut text = Vec::new();
            for (part, gap) in parts.iter().zip(gaps) {
                text.extend_from_slice(part.as_bytes());
                if gap { text.extend_from_slice(b"\n"); }
            }
            let whole = cut(&[&text]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (text.len() + 1)).collect();
            cuts.push(0);
            cuts.push(text.len());
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let split = cut(&pieces);
            prop_assert_eq!(&whole, &split);
            let joined: Vec<u8> = split.0.iter().flatten().chain(&split.1).copied().collect();
            prop_assert_eq!(joined, text);
        }
    }
}
