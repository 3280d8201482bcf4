//! Reads a request head line by line from raw bytes and judges everything that hyper accepts, or folds away, but that two servers
//! could read differently: framing, host, target, line ends. Sans-I/O; keeps its place between reads.
//!
//! It is not a header parser for the handler: hyper still does that, and may still refuse.

use std::ops::Range;

use memchr::memchr;

use super::Reason;
use super::target::{check_host, check_path_and_query};
use crate::server::Config;

/// How the body of a request is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// The body has this many bytes.
    Length(u64),
    /// The body is chunked.
    Chunked,
}

/// A head up to some line. The buffer passed to [`Head::feed`] always starts at the head's first byte.
#[derive(Debug, Default)]
pub(super) struct Head {
    line_start: usize,
    /// Header lines seen; none before the request line.
    headers: Option<usize>,
    skipped_blank: bool,
    is_http_10: bool,
    host: Option<Range<usize>>,
    authority: Option<Range<usize>>,
    length: Option<u64>,
    chunked: bool,
}

impl Head {
    /// Takes the bytes so far; returns the length of the head and the framing of its body once the head is complete.
    pub(super) fn feed(&mut self, buffer: &[u8], config: &Config) -> Result<Option<(usize, Framing)>, Reason> {
        while let Some(rest) = buffer.get(self.line_start..) {
            let Some(end) = memchr(b'\n', rest) else {
                self.check_partial(rest, buffer.len(), config)?;
                return Ok(None);
            };
            let line = rest.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Reason::BareLineFeed)?;
            let start = self.line_start;
            self.line_start += end + 1;
            if self.line_start > config.max_header_bytes {
                return Err(self.too_large(line.len(), config));
            }
            match (self.headers, line.is_empty()) {
                (Some(_), true) => return self.finish(buffer).map(|framing| Some((self.line_start, framing))),
                // RFC 9112 §2.2: one empty line before a request is to be ignored; old clients send it after a body.
                (None, true) if !self.skipped_blank => self.skipped_blank = true,
                (None, _) => {
                    self.request_line(line, start, config)?;
                    self.headers = Some(0);
                }
                (Some(count), false) => {
                    if count >= config.max_headers.min(100) {
                        return Err(Reason::TooManyHeaders);
                    }
                    self.header(line, start)?;
                    self.headers = Some(count + 1);
                }
            }
        }
        Ok(None)
    }

    fn check_partial(&self, rest: &[u8], total: usize, config: &Config) -> Result<(), Reason> {
        if self.headers.is_none() {
            // Refuses a TLS hello or other garbage at once instead of after the timeout.
            if rest.first().is_some_and(|byte| !byte.is_ascii_alphabetic() && *byte != b'\r') {
                return Err(Reason::RequestLine);
            }
            if rest.len() > config.max_target_bytes + 32 {
                return Err(Reason::TargetTooLong);
            }
        }
        if total >= config.max_header_bytes { Err(self.too_large(rest.len(), config)) } else { Ok(()) }
    }

    fn too_large(&self, line: usize, config: &Config) -> Reason {
        if self.headers.is_none() && line > config.max_target_bytes { Reason::TargetTooLong } else { Reason::HeadTooLarge }
    }

    fn request_line(&mut self, line: &[u8], start: usize, config: &Config) -> Result<(), Reason> {
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Reason::RequestLine);
        };
        if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
            return Err(Reason::RequestLine);
        }
        if method.len() > 16 || !method.iter().all(u8::is_ascii_uppercase) || matches!(method, b"CONNECT" | b"TRACE") {
            return Err(Reason::Method);
        }
        self.is_http_10 = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            other if other.starts_with(b"HTTP/") && other.len() == 8 => return Err(Reason::Version),
            _ => return Err(Reason::RequestLine),
        };
        if target.len() > config.max_target_bytes {
            return Err(Reason::TargetTooLong);
        }
        self.target(method, target, start + method.len() + 1)
    }

    fn target(&mut self, method: &[u8], target: &[u8], start: usize) -> Result<(), Reason> {
        if target == b"*" {
            return if method == b"OPTIONS" { Ok(()) } else { Err(Reason::Target) };
        }
        let scheme = [&b"http://"[..], b"https://"]
            .into_iter()
            .find(|scheme| target.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme)));
        let Some(scheme) = scheme else {
            return check_path_and_query(target);
        };
        let after = target.get(scheme.len()..).unwrap_or_default();
        let end = after.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        check_host(authority).map_err(|_| Reason::Target)?;
        self.authority = Some(start + scheme.len()..start + scheme.len() + end);
        if path.is_empty() { Ok(()) } else { check_path_and_query(path) }
    }

    fn header(&mut self, line: &[u8], start: usize) -> Result<(), Reason> {
        // A line that starts with a space is a folded one; its "name" fails the token test, as does a space before the colon.
        let colon = memchr(b':', line).ok_or(Reason::HeaderLine)?;
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default();
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) || !is_value(value) {
            return Err(Reason::HeaderLine);
        }
        let trimmed = trim(value);
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is(b"host") => {
                let lead = value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                let at = start + colon + 1 + lead;
                if self.host.replace(at..at + trimmed.len()).is_some() {
                    return Err(Reason::HostDuplicate);
                }
                check_host(trimmed)
            }
            6 if is(b"expect") && (self.is_http_10 || !trimmed.eq_ignore_ascii_case(b"100-continue")) => Err(Reason::Expect),
            7 if is(b"upgrade") => Err(Reason::Upgrade),
            14 if is(b"content-length") => self.content_length(trimmed),
            14 if is(b"http2-settings") => Err(Reason::Upgrade),
            // Servers that read `_` as `-` would frame this request differently.
            14 if is(b"content_length") => Err(Reason::ContentLength),
            17 if is(b"transfer_encoding") => Err(Reason::TransferEncoding),
            17 if is(b"transfer-encoding") => self.transfer_encoding(trimmed),
            _ => Ok(()),
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Reason> {
        let digits = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
        if self.length.is_some() || !digits {
            return Err(Reason::ContentLength);
        }
        self.length = Some(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')));
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Reason> {
        if value == b"chunked" && !self.chunked && !self.is_http_10 {
            self.chunked = true;
            return Ok(());
        }
        let names_chunked = value.to_ascii_lowercase().windows(7).any(|window| window == b"chunked");
        if names_chunked || self.chunked || self.is_http_10 { Err(Reason::TransferEncoding) } else { Err(Reason::Coding) }
    }

    fn finish(&self, buffer: &[u8]) -> Result<Framing, Reason> {
        let at = |range: &Range<usize>| buffer.get(range.clone()).unwrap_or_default();
        match (&self.host, &self.authority) {
            (None, _) if !self.is_http_10 => return Err(Reason::HostMissing),
            (Some(host), Some(authority)) if !at(host).eq_ignore_ascii_case(at(authority)) => return Err(Reason::AuthorityMismatch),
            _ => {}
        }
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Reason::LengthAndCoding),
            (None, true) => Ok(Framing::Chunked),
            (None | Some(0), false) => Ok(Framing::None),
            (Some(length), false) => Ok(Framing::Length(length)),
        }
    }
}

/// RFC 9110 §5.6.2.
#[allow(clippy::indexing_slicing)] // Evaluated by the compiler.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 128 {
        let byte = at as u8;
        table[at] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
        at += 1;
    }
    table
};

pub(super) fn is_token(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Visible bytes, spaces, tabs and non-ASCII bytes; written without an early exit so that it is compiled to vector code.
fn is_value(value: &[u8]) -> bool {
    value.iter().fold(true, |good, byte| good & ((*byte >= 0x20 && *byte != 0x7f) | (*byte == b'\t')))
}

fn trim(value: &[u8]) -> &[u8] {
    let mut value = value;
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
