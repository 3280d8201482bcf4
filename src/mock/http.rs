//! Reads HTTP/1.1 requests from a connection and keeps every byte of them.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use super::wire::Wire;

const MAX_HEADERS: usize = 200;
const MAX_HEAD: usize = 1 << 20;
/// Larger than any body the gateway lets through.
const MAX_BODY: usize = 256 << 20;

/// One request.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) is_http10: bool,
    pub(super) headers: Vec<(String, String)>,
    pub(super) head: Bytes,
    pub(super) body: Bytes,
}

/// Why no request came.
#[derive(Debug)]
pub(super) enum NoRequest {
    /// The client closed the connection between two requests.
    Closed,
    /// The client closed the connection within a request, of which this much came.
    Cut(Box<Request>),
    /// It is not HTTP/1.1.
    Bad(&'static str),
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(super) fn wants_close(&self) -> bool {
        let says = |word| self.header("connection").is_some_and(|value| value.to_ascii_lowercase().contains(word));
        says("close") || (self.is_http10 && !says("keep-alive"))
    }
}

/// Reads the next request; `buffer` keeps what came after it.
pub(super) async fn read<W: Wire>(stream: &mut W, buffer: &mut BytesMut) -> Result<Request, NoRequest> {
    let mut request = loop {
        if let Some(request) = parse_head(buffer)? {
            break request;
        }
        if buffer.len() > MAX_HEAD {
            return Err(NoRequest::Bad("the head is too large"));
        }
        if fill(stream, buffer).await.is_err() {
            let cut = Request { head: buffer.split().freeze(), ..Request::default() };
            return Err(if cut.head.is_empty() { NoRequest::Closed } else { NoRequest::Cut(Box::new(cut)) });
        }
    };
    if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        // A client that is gone shows at the next read.
        let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
    }
    let mut body = BytesMut::new();
    let whole = read_body(stream, buffer, (&request, &mut body)).await;
    request.body = body.freeze();
    match whole {
        Ok(()) => Ok(request),
        Err(Stop::Gone) => Err(NoRequest::Cut(Box::new(request))),
        Err(Stop::Bad(why)) => Err(NoRequest::Bad(why)),
    }
}

enum Stop {
    Gone,
    Bad(&'static str),
}

/// Reads more; an end is an error.
pub(super) async fn fill<W: Wire>(stream: &mut W, buffer: &mut BytesMut) -> io::Result<()> {
    buffer.reserve(8192);
    match stream.read_buf(buffer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn parse_head(buffer: &mut BytesMut) -> Result<Option<Request>, NoRequest> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(NoRequest::Bad("the head is not HTTP/1.1")),
    };
    let headers =
        parsed.headers.iter().map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned())).collect();
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        is_http10: parsed.version == Some(0),
        headers,
        ..Request::default()
    };
    request.head = buffer.split_to(length).freeze();
    Ok(Some(request))
}

async fn read_body<W: Wire>(stream: &mut W, buffer: &mut BytesMut, (request, body): (&Request, &mut BytesMut)) -> Result<(), Stop> {
    if request.header("transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().contains("chunked")) {
        return read_chunks(stream, buffer, body).await;
    }
    let length = match request.header("content-length").map(str::parse::<usize>) {
        None => return Ok(()),
        Some(Ok(length)) if length <= MAX_BODY => length,
        Some(_) => return Err(Stop::Bad("the content-length is not a length")),
    };
    take(stream, buffer, (length, body)).await
}

/// Moves `length` bytes into `body`; on an early end, what there is.
async fn take<W: Wire>(stream: &mut W, buffer: &mut BytesMut, (length, body): (usize, &mut BytesMut)) -> Result<(), Stop> {
    let mut missing = length;
    loop {
        let part = buffer.split_to(missing.min(buffer.len()));
        missing -= part.len();
        if body.is_empty() {
            *body = part;
        } else {
            body.extend_from_slice(&part);
        }
        if missing == 0 {
            return Ok(());
        }
        fill(stream, buffer).await.map_err(|_| Stop::Gone)?;
    }
}

async fn read_chunks<W: Wire>(stream: &mut W, buffer: &mut BytesMut, body: &mut BytesMut) -> Result<(), Stop> {
    loop {
        let size = loop {
            match httparse::parse_chunk_size(buffer) {
                Ok(httparse::Status::Complete((at, size))) => {
                    buffer.advance(at);
                    break usize::try_from(size).unwrap_or(usize::MAX);
                }
                Ok(httparse::Status::Partial) => fill(stream, buffer).await.map_err(|_| Stop::Gone)?,
                Err(_) => return Err(Stop::Bad("a chunk has no size")),
            }
        };
        if size == 0 {
            return skip_trailers(stream, buffer).await;
        }
        if body.len().saturating_add(size) > MAX_BODY {
            return Err(Stop::Bad("the body is too large"));
        }
        take(stream, buffer, (size, body)).await?;
        let mut end = BytesMut::new();
        take(stream, buffer, (2, &mut end)).await?;
        if end != b"\r\n".as_slice() {
            return Err(Stop::Bad("a chunk does not end where it says"));
        }
    }
}

async fn skip_trailers<W: Wire>(stream: &mut W, buffer: &mut BytesMut) -> Result<(), Stop> {
    loop {
        match memchr::memchr(b'\n', buffer) {
            Some(at) => {
                let line = buffer.split_to(at + 1);
                if line.trim_ascii().is_empty() {
                    return Ok(());
                }
            }
            None if buffer.len() > MAX_HEAD => return Err(Stop::Bad("the trailers are too large")),
            None => fill(stream, buffer).await.map_err(|_| Stop::Gone)?,
        }
    }
}
