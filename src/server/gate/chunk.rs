//! Follows a chunked body byte by byte, stricter than RFC 9112 asks, so that its end cannot be read differently by anybody.
//! It decodes nothing: hyper does, behind it.

use super::Reason;

/// Most hexadecimal digits of one chunk size: 4 GiB, far over any body cap.
const MAX_SIZE_DIGITS: u8 = 8;
/// Most bytes of chunk extensions in one body. Nobody is known to send any; RFC 9112 §7.1.1 wants a limit.
const MAX_EXTENSION_BYTES: u16 = 1024;
/// Most bytes of trailers in one body.
const MAX_TRAILER_BYTES: u16 = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size { digits: u8, value: u64 },
    Extension { size: u64 },
    SizeEnd { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
}

/// A chunked body up to some byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunks {
    state: State,
    extension_bytes: u16,
    trailer_bytes: u16,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { state: State::Size { digits: 0, value: 0 }, extension_bytes: 0, trailer_bytes: 0 }
    }
}

impl Chunks {
    /// Takes the next bytes; returns how many belong to the body and whether it is over.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<(usize, bool), Reason> {
        let mut rest = bytes;
        while let Some((byte, tail)) = rest.split_first() {
            if let State::Data { left } = self.state {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                let left = left - taken as u64;
                rest = rest.get(taken..).unwrap_or_default();
                self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                continue;
            }
            rest = tail;
            if self.state == State::EndLf {
                return if *byte == b'\n' { Ok((bytes.len() - rest.len(), true)) } else { Err(Reason::Trailers) };
            }
            self.state = self.step(*byte)?;
        }
        Ok((bytes.len(), false))
    }

    fn step(&mut self, byte: u8) -> Result<State, Reason> {
        match (self.state, byte) {
            (State::Size { digits, value }, _) => size(digits, value, byte),
            (State::Extension { size }, b'\r') => Ok(State::SizeEnd { size }),
            (State::Extension { size }, b'\t' | 0x20..=0x7e) => {
                self.extension_bytes += 1;
                if self.extension_bytes > MAX_EXTENSION_BYTES { Err(Reason::ChunkExtensions) } else { Ok(State::Extension { size }) }
            }
            (State::Extension { .. }, _) => Err(Reason::ChunkExtensions),
            (State::SizeEnd { size: 0 }, b'\n') => Ok(State::TrailerStart),
            (State::SizeEnd { size }, b'\n') => Ok(State::Data { left: size }),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { digits: 0, value: 0 }),
            (State::SizeEnd { .. } | State::Data { .. } | State::DataCr | State::DataLf, _) => Err(Reason::Chunk),
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerLf | State::EndLf, _) => self.trailer(byte),
        }
    }

    fn trailer(&mut self, byte: u8) -> Result<State, Reason> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > MAX_TRAILER_BYTES {
            return Err(Reason::Trailers);
        }
        match (self.state, byte) {
            (State::TrailerStart | State::TrailerName, byte) if super::head::is_token(byte) => Ok(State::TrailerName),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, b'\t' | 0x20..=0x7e | 0x80..) => Ok(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            _ => Err(Reason::Trailers),
        }
    }
}

fn size(digits: u8, value: u64, byte: u8) -> Result<State, Reason> {
    match byte {
        b'\r' if digits > 0 => Ok(State::SizeEnd { size: value }),
        b';' if digits > 0 => Ok(State::Extension { size: value }),
        _ => match char::from(byte).to_digit(16) {
            Some(digit) if digits < MAX_SIZE_DIGITS => Ok(State::Size { digits: digits + 1, value: value * 16 + u64::from(digit) }),
            _ => Err(Reason::Chunk),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(body: &[u8]) -> Result<(usize, bool), Reason> {
        let whole = Chunks::default().advance(body);
        let mut chunks = Chunks::default();
        let mut taken = 0;
        let mut split = Ok((0, false));
        for byte in body {
            split = match chunks.advance(std::slice::from_ref(byte)) {
                Ok((n, done)) => {
                    taken += n;
                    Ok((taken, done))
                }
                Err(reason) => Err(reason),
            };
            if !matches!(split, Ok((_, false))) {
                break;
            }
        }
        if !body.is_empty() {
            assert_eq!(whole, split, "the split must not matter: {:?}", String::from_utf8_lossy(body));
        }
        whole
    }

    #[test]
    fn a_body_ends_at_its_last_chunk_and_not_later() {
        assert_eq!(run(b"5\r\nhello\r\n0\r\n\r\n"), Ok((15, true)));
        assert_eq!(run(b"5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1"), Ok((15, true)));
        assert_eq!(run(b"0\r\nx-a: b\r\nx-c:\r\n\r\nrest"), Ok((19, true)));
        assert_eq!(run(b"00A;a=\"b\"\r\n0123456789\r\n0\r\n\r\n"), Ok((28, true)));
        assert_eq!(run(b"5\r\nhel"), Ok((6, false)));
        assert_eq!(run(b""), Ok((0, false)));
    }

    #[test]
    fn a_malformed_body_is_refused() {
        for bad in [
            &b"\r\n"[..],
            b"x\r\n",
            b"5\n",
            b"5 \r\n",
            b" 5\r\n",
            b"+5\r\n",
            b"-1\r\n",
            b"0x5\r\n",
            b"5_0\r\n",
            b"123456789\r\n",
            b"ffffffffffffffff\r\n",
            b"5\r\nhelloX",
            b"5\r\nhello\n0\r\n",
            b"5\r\nhello\rX",
            b"5\rX",
            b";a\r\n",
        ] {
            assert_eq!(run(bad), Err(Reason::Chunk), "{}", String::from_utf8_lossy(bad));
        }
        assert_eq!(run(b"5;a\nb"), Err(Reason::ChunkExtensions));
        assert_eq!(run(format!("5;{}", "a".repeat(1025)).as_bytes()), Err(Reason::ChunkExtensions));
        for bad in
            [&b"0\r\n\n"[..], b"0\r\na b: c\r\n", b"0\r\n: c\r\n", b"0\r\na: \x00\r\n", b"0\r\na: b\n", b"0\r\n\rX", b"0\r\n a: b\r\n"]
        {
            assert_eq!(run(bad), Err(Reason::Trailers), "{}", String::from_utf8_lossy(bad));
        }
        assert_eq!(run(format!("0\r\na: {}\r\n", "b".repeat(4100)).as_bytes()), Err(Reason::Trailers));
    }
}
