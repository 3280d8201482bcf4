//! AWS event streams: binary messages with their lengths in front and checksums over all of it, both ways.
//!
//! Source: "Event stream encoding" in Amazon Transcribe's guide, and Smithy's specification of `vnd.amazon.eventstream`. Rule: no length is
//! believed before its checksum, and no message before its own.

use std::borrow::Cow;

use bytes::Bytes;
use crc32fast::hash as crc32;

use super::FrameError;
use super::pending::Pending;
use crate::wire::codec::Frame;
use crate::wire::edit::quote_into;

/// Largest message; AWS's own limit is 16 MiB of payload and 128 KiB of headers.
const MAX_MESSAGE: usize = 24 << 20;
/// Length of the message, length of the headers, checksum of both.
const PRELUDE: usize = 12;
/// The prelude and the checksum of the message.
const AROUND: usize = PRELUDE + 4;

/// The cutter: push pieces, pull whole messages.
#[derive(Debug, Default)]
pub struct EventStream {
    pending: Pending,
}

impl EventStream {
    /// Adds a piece of the stream.
    pub fn push(&mut self, piece: Bytes) {
        self.pending.push(piece);
    }

    /// Takes the next whole message, checked, if there is one.
    ///
    /// # Errors
    /// [`FrameError`]: what has come is no message. Nothing can be found behind it.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, FrameError> {
        let bytes = self.pending.bytes();
        // A body of JSON in place of a stream: as a length it would be far over the limit.
        if bytes.first() == Some(&b'{') {
            return if bytes.len() > MAX_MESSAGE { Err(FrameError::TooLarge) } else { Ok(None) };
        }
        let Some((prelude, _)) = bytes.split_first_chunk::<PRELUDE>() else { return Ok(None) };
        let (total, headers) = lengths(prelude)?;
        if total > MAX_MESSAGE {
            return Err(FrameError::TooLarge);
        }
        if total < AROUND || headers > total - AROUND {
            return Err(FrameError::Length);
        }
        let Some(message) = bytes.get(..total) else { return Ok(None) };
        let (checked, checksum) = message.split_at(total - 4);
        if crc32(checked).to_be_bytes() != checksum {
            return Err(FrameError::Checksum);
        }
        Ok(Some(self.pending.take(total)))
    }

    /// Takes what is left after the last whole message: an unfinished one, another body in place of a stream, or nothing.
    pub fn rest(&mut self) -> Bytes {
        self.pending.rest()
    }
}

/// Returns the length of a message and of its headers, checked.
fn lengths(prelude: &[u8; PRELUDE]) -> Result<(usize, usize), FrameError> {
    let [a, b, c, d, e, f, g, h, checksum @ ..] = *prelude;
    if crc32(&[a, b, c, d, e, f, g, h]).to_be_bytes() != checksum {
        return Err(FrameError::Checksum);
    }
    let length = |bytes: [u8; 4]| usize::try_from(u32::from_be_bytes(bytes)).map_err(|_| FrameError::TooLarge);
    Ok((length([a, b, c, d])?, length([e, f, g, h])?))
}

/// The headers that say what a message is.
#[derive(Debug, Default)]
struct Meaning<'m> {
    message_type: &'m [u8],
    event_type: &'m [u8],
    exception_type: &'m [u8],
    error_code: &'m [u8],
    error_message: &'m [u8],
}

/// Reads a message, whose lengths and checksums were checked when it was cut, as a frame. An exception's name stands in place of the
/// event's; an error that is told in headers alone becomes `{"message":…}`.
///
/// # Errors
/// [`FrameError::Headers`].
pub(super) fn read(message: &[u8]) -> Result<Frame<'_>, FrameError> {
    let (prelude, rest) = message.split_first_chunk::<PRELUDE>().ok_or(FrameError::Length)?;
    let (total, headers) = lengths(prelude)?;
    let payload_length = total.checked_sub(AROUND + headers).ok_or(FrameError::Length)?;
    let (headers, rest) = rest.split_at_checked(headers).ok_or(FrameError::Length)?;
    let payload = rest.get(..payload_length).ok_or(FrameError::Length)?;
    let meaning = meaning(headers).ok_or(FrameError::Headers)?;
    Ok(match meaning.message_type {
        b"exception" => Frame { event: meaning.exception_type, data: Cow::Borrowed(payload), is_error: true },
        b"error" => {
            let mut data = b"{\"message\":".to_vec();
            quote_into(&String::from_utf8_lossy(meaning.error_message), &mut data);
            data.push(b'}');
            Frame { event: meaning.error_code, data: Cow::Owned(data), is_error: true }
        }
        _ => Frame { event: meaning.event_type, data: Cow::Borrowed(payload), is_error: false },
    })
}

/// Walks over the headers; `None` where they are not what they should be.
fn meaning(mut headers: &[u8]) -> Option<Meaning<'_>> {
    let mut meaning = Meaning::default();
    while let Some((name_length, rest)) = headers.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*name_length))?;
        let (kind, rest) = rest.split_first()?;
        let sized = || {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        };
        let (value, rest) = match kind {
            0 | 1 => (&[][..], rest),
            2 => rest.split_at_checked(1)?,
            3 => rest.split_at_checked(2)?,
            4 => rest.split_at_checked(4)?,
            5 | 8 => rest.split_at_checked(8)?,
            6 | 7 => sized()?,
            9 => rest.split_at_checked(16)?,
            _ => return None,
        };
        headers = rest;
        match name {
            b":message-type" => meaning.message_type = value,
            b":event-type" => meaning.event_type = value,
            b":exception-type" => meaning.exception_type = value,
            b":error-code" => meaning.error_code = value,
            b":error-message" => meaning.error_message = value,
            _ => {}
        }
    }
    Some(meaning)
}

/// What a message tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling<'n> {
    /// An event of that name.
    Event(&'n str),
    /// An exception of that name.
    Exception(&'n str),
}

/// Writes one message whose payload is JSON that `payload` appends.
pub fn write(telling: Telling<'_>, out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; PRELUDE]);
    let (key, name, kind) = match telling {
        Telling::Event(name) => (":event-type", name, "event"),
        Telling::Exception(name) => (":exception-type", name, "exception"),
    };
    for (name, value) in [(key, name), (":content-type", "application/json"), (":message-type", kind)] {
        header(name, value, out);
    }
    let headers = out.len() - start - PRELUDE;
    payload(out);
    let total = out.len() - start + 4;
    let mut prelude = [word(total), word(headers)].concat();
    prelude.extend_from_slice(&crc32(&prelude).to_be_bytes());
    if let Some(place) = out.get_mut(start..start + PRELUDE) {
        place.copy_from_slice(&prelude);
    }
    let checksum = crc32(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&checksum.to_be_bytes());
}

fn header(name: &str, value: &str, out: &mut Vec<u8>) {
    // Both are words of the format, far below 256 bytes.
    let length = |text: &str| u8::try_from(text.len()).unwrap_or(u8::MAX);
    out.push(length(name));
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&[7, 0, length(value)]);
    out.extend_from_slice(value.as_bytes());
}

fn word(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STOP: &str = "0000007a00000051ca2c46650b3a6576656e742d7479706507000b6d65737361676553746f700d3a636f6e74656e742d747970650700106170706c69636174696f6e2f\
        6a736f6e0d3a6d6573736167652d747970650700056576656e747b2273746f70526561736f6e223a22656e645f7475726e227d5fbf09fc";

    fn cut(pieces: &[&[u8]]) -> Result<(Vec<Bytes>, Bytes), FrameError> {
        let mut stream = EventStream::default();
        let mut messages = Vec::new();
        for piece in pieces {
            stream.push(Bytes::copy_from_slice(piece));
            while let Some(message) = stream.next_message()? {
                messages.push(message);
            }
        }
        Ok((messages, stream.rest()))
    }

    #[test]
    fn the_published_vectors_are_read() {
        let empty = hex::decode("000000100000000005c248eb7d98c8ff").unwrap();
        let payload = hex::decode("0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936").unwrap();
        let stop = hex::decode(STOP).unwrap();
        let (messages, rest) = cut(&[&[&empty[..], &payload, &stop].concat()]).unwrap();
        assert_eq!((messages.len(), rest.len()), (3, 0));
        let frames: Vec<Frame<'_>> = messages.iter().map(|message| read(message).unwrap()).collect();
        assert_eq!((frames[0].event, &*frames[0].data), (&b""[..], &b""[..]));
        assert_eq!(&*frames[1].data, b"{'foo':'bar'}");
        assert_eq!(
            (frames[2].event, &*frames[2].data, frames[2].is_error),
            (&b"messageStop"[..], &br#"{"stopReason":"end_turn"}"#[..], false)
        );
    }

    #[test]
    fn a_message_is_written_as_the_provider_writes_it() {
        let mut out = b"before".to_vec();
        write(Telling::Event("messageStop"), &mut out, |out| out.extend_from_slice(br#"{"stopReason":"end_turn"}"#));
        assert_eq!(hex::encode(out.strip_prefix(b"before").unwrap()), STOP);
        let mut out = Vec::new();
        write(Telling::Exception("throttlingException"), &mut out, |out| out.extend_from_slice(b"{}"));
        let (messages, _) = cut(&[&out]).unwrap();
        let frame = read(&messages[0]).unwrap();
        assert_eq!((frame.event, frame.is_error), (&b"throttlingException"[..], true));
    }

    /// Writes a message by hand, with headers of the test's choice.
    fn message(headers: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut out = [word(headers.len() + payload.len() + AROUND), word(headers.len())].concat();
        out.extend_from_slice(&crc32(&out).to_be_bytes());
        out.extend_from_slice(headers);
        out.extend_from_slice(payload);
        let checksum = crc32(&out);
        out.extend_from_slice(&checksum.to_be_bytes());
        out
    }

    #[test]
    fn an_error_told_in_headers_is_an_error_with_its_words() {
        let mut headers = Vec::new();
        for (name, value) in [(":message-type", "error"), (":error-code", "InternalError"), (":error-message", "it \"broke\"")] {
            header(name, value, &mut headers);
        }
        let bytes = message(&headers, b"");
        let frame = read(&bytes).unwrap();
        assert_eq!((frame.event, &*frame.data, frame.is_error), (&b"InternalError"[..], &br#"{"message":"it \"broke\""}"#[..], true));
    }

    #[test]
    fn headers_of_every_type_are_walked_over_and_broken_ones_are_noticed() {
        let mut headers = Vec::new();
        for (kind, value) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)] {
            headers.extend_from_slice(&[1, b'a', kind]);
            headers.extend(vec![0; value]);
        }
        headers.extend_from_slice(&[1, b'b', 6, 0, 3, 1, 2, 3]);
        header(":event-type", "x", &mut headers);
        assert_eq!(read(&message(&headers, b"p")).unwrap().event, b"x");
        for bad in [&[1, b'a', 10][..], &[9, b'a'], &[1, b'a', 7, 0, 9, b'x'], &[1, b'a', 5, 0], &[1]] {
            assert_eq!(read(&message(bad, b"")).map(|frame| frame.is_error), Err(FrameError::Headers), "{bad:?}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let stop = hex::decode(STOP).unwrap();
        for bit in 0..stop.len() * 8 {
            let mut bytes = stop.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // The first bit pattern of a JSON body is no message either.
            assert!(cut(&[&bytes]).map_or(true, |(messages, _)| messages.is_empty()), "bit {bit}");
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_refused_before_anything_is_held() {
        let prelude = |total: u32, headers: u32| {
            let mut out = [total.to_be_bytes(), headers.to_be_bytes()].concat();
            out.extend_from_slice(&crc32(&out).to_be_bytes());
            out
        };
        assert_eq!(cut(&[&prelude(25 << 20, 0)]), Err(FrameError::TooLarge));
        for (total, headers) in [(0, 0), (15, 0), (16, 1), (100, u32::MAX)] {
            assert_eq!(cut(&[&prelude(total, headers)]), Err(FrameError::Length), "{total} {headers}");
        }
    }

    #[test]
    fn a_body_of_json_is_left_whole() {
        let body = br#"{"message":"The provided model identifier is invalid."}"#;
        assert_eq!(cut(&[&body[..9], &body[9..]]), Ok((Vec::new(), Bytes::from_static(body))));
    }

    #[test]
    fn a_piece_with_whole_messages_is_not_copied() {
        let piece = Bytes::from(hex::decode(STOP).unwrap());
        let mut stream = EventStream::default();
        stream.push(piece.clone());
        assert_eq!(stream.next_message().unwrap().unwrap().as_ptr(), piece.as_ptr());
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_messages(payloads in proptest::collection::vec(".{0,20}", 0..6), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..10), missing in 0_usize..20) {
            let mut text = Vec::new();
            for payload in &payloads {
                write(Telling::Event("e"), &mut text, |out| out.extend_from_slice(payload.as_bytes()));
            }
            text.truncate(text.len().saturating_sub(missing));
            let whole = cut(&[&text]).unwrap();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(cut(&pieces).unwrap(), whole);
        }

        #[test]
        fn no_bytes_make_the_cutter_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = cut(&[&bytes]);
            let _ = read(&bytes);
        }
    }
}
