//! A client on a bare connection: little work for each answer, so that what is measured is the gateway.
//!
//! It is not a model of a client library; it understands the HTTP/1.1 that the gateway writes, and nothing more.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf as _, Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// A connection and where its answer stands.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) io: TcpStream,
    raw: BytesMut,
    body: Body,
    /// The gateway said that no further request can follow.
    pub(super) is_last: bool,
}

/// What of an answer's body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Length(usize),
    /// A line with the size of a chunk.
    Size,
    Chunk(usize),
    /// The end of a chunk's line; of the last chunk where it says so.
    Tail {
        is_last: bool,
    },
    Over,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: String,
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        Self::of(TcpStream::connect(address).await?)
    }

    /// Opens one whose kernel takes little ahead of its reader.
    pub(super) async fn narrow(address: SocketAddr, bytes: u32) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(bytes)?;
        Self::of(socket.connect(address).await?)
    }

    pub(super) fn of(io: TcpStream) -> io::Result<Self> {
        io.set_nodelay(true)?;
        Ok(Self { io, raw: BytesMut::new(), body: Body::Over, is_last: false })
    }

    /// Sends a request and reads the head of its answer; returns its status.
    pub(super) async fn begin(&mut self, request: &[u8]) -> io::Result<u16> {
        self.io.write_all(request).await?;
        loop {
            if let Some(status) = self.head()? {
                return Ok(status);
            }
            self.fill().await?;
        }
    }

    /// Returns the next bytes of the body, or nothing at its end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            match self.body {
                Body::Over | Body::Length(0) => return Ok(None),
                Body::Length(left) if !self.raw.is_empty() => {
                    let bytes = self.take(left);
                    self.body = Body::Length(left - bytes.len());
                    return Ok(Some(bytes));
                }
                Body::Chunk(left) if !self.raw.is_empty() => {
                    let bytes = self.take(left);
                    let left = left - bytes.len();
                    self.body = if left == 0 { Body::Tail { is_last: false } } else { Body::Chunk(left) };
                    return Ok(Some(bytes));
                }
                Body::Tail { is_last } if self.raw.len() >= 2 => {
                    self.raw.advance(2);
                    self.body = if is_last { Body::Over } else { Body::Size };
                    continue;
                }
                Body::Size => match httparse::parse_chunk_size(&self.raw).map_err(|_| broken("a chunk's size"))? {
                    httparse::Status::Complete((used, size)) => {
                        self.raw.advance(used);
                        let size = usize::try_from(size).map_err(|_| broken("a chunk's size"))?;
                        self.body = if size == 0 { Body::Tail { is_last: true } } else { Body::Chunk(size) };
                        continue;
                    }
                    httparse::Status::Partial => {}
                },
                Body::Length(_) | Body::Chunk(_) | Body::Tail { .. } => {}
            }
            self.fill().await?;
        }
    }

    /// Asks for a whole answer.
    pub(super) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        let status = self.begin(request).await?;
        let mut text = Vec::new();
        while let Some(bytes) = self.next().await? {
            text.extend_from_slice(&bytes);
        }
        Ok(Answer { status, text: String::from_utf8(text).map_err(|_| broken("text"))? })
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.io.read_buf(&mut self.raw).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn take(&mut self, most: usize) -> Bytes {
        let length = most.min(self.raw.len());
        self.raw.split_to(length).freeze()
    }

    fn head(&mut self) -> io::Result<Option<u16>> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = head.parse(&self.raw).map_err(|_| broken("a head"))? else { return Ok(None) };
        let status = head.code.ok_or_else(|| broken("a status"))?;
        let value = |name: &str| head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value);
        self.is_last = value("connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
        self.body = match value("content-length") {
            Some(length) => {
                let length = std::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
                Body::Length(length.ok_or_else(|| broken("a length"))?)
            }
            None => Body::Size,
        };
        self.raw.advance(length);
        Ok(Some(status))
    }
}

/// Whose client it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Openai,
    Anthropic,
    Gemini,
}

/// How an answer ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// With an error in the client's own format.
    Told,
    /// In any other way.
    Broken,
}

impl Dialect {
    /// Writes a request for an answer of at most so many tokens.
    pub(super) fn request(self, model: &str, is_stream: bool, tokens: u64) -> Bytes {
        self.asks("Hi", model, (is_stream, tokens))
    }

    /// The same, with a prompt.
    pub(super) fn asks(self, prompt: &str, model: &str, (is_stream, tokens): (bool, u64)) -> Bytes {
        let user = json!([{"role": "user", "content": prompt}]);
        let (path, key, body) = match self {
            Self::Openai => {
                let mut body = json!({"model": model, "stream": is_stream, "max_tokens": tokens, "messages": user});
                if is_stream {
                    body["stream_options"] = json!({"include_usage": true});
                }
                ("/v1/chat/completions".to_owned(), "authorization: Bearer ", body)
            }
            Self::Anthropic => {
                let body = json!({"model": model, "stream": is_stream, "max_tokens": tokens, "messages": user});
                ("/v1/messages".to_owned(), "anthropic-version: 2023-06-01\r\nx-api-key: ", body)
            }
            Self::Gemini => {
                let call = if is_stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
                let body =
                    json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}], "generationConfig": {"maxOutputTokens": tokens}});
                (format!("/v1beta/models/{model}:{call}"), "x-goog-api-key: ", body)
            }
        };
        let (body, secret) = (body.to_string(), super::gateway::KEY);
        let length = body.len();
        format!("POST {path} HTTP/1.1\r\nhost: gateway\r\n{key}{secret}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into()
    }

    /// Judges an answer.
    pub(super) fn judge(self, is_stream: bool, answer: &Answer) -> End {
        if answer.status == 200 && is_stream {
            let text = &answer.text;
            let is_whole = match self {
                Self::Openai => text.ends_with("data: [DONE]\n\n"),
                Self::Anthropic => text.trim_end().ends_with("{\"type\":\"message_stop\"}"),
                Self::Gemini => text.contains("\"finishReason\""),
            };
            return match (text.contains("\"error\""), is_whole && text.ends_with("\n\n")) {
                (false, true) => End::Whole,
                (true, _) => End::Told,
                (false, false) => End::Broken,
            };
        }
        let Ok(body) = serde_json::from_str::<Value>(&answer.text) else { return End::Broken };
        match (answer.status, body["error"].is_null()) {
            (200, true) => End::Whole,
            (400.., false) => End::Told,
            _ => End::Broken,
        }
    }
}
