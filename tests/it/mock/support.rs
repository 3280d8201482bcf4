//! A client that speaks HTTP/1.1 by hand and shows every byte and how the connection ended.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bifrostctl::mock::{Config, Mock, Script};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for anything that should happen at once.
pub(super) const SOON: Duration = Duration::from_secs(20);
pub(super) const CHAT: &str = "/v1/chat/completions";

pub(super) async fn mock() -> Mock {
    Mock::start(Config::default()).await.unwrap()
}

pub(super) async fn scripted(script: Script) -> Mock {
    Mock::start(Config { script, ..Config::default() }).await.unwrap()
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Reset,
}

/// What a client saw until the connection ended, or until `Connection::response` had a whole answer.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) raw: Vec<u8>,
    pub(super) end: Option<End>,
}

pub(super) fn request(path: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: mock\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    format!("{head}\r\n{body}").into_bytes()
}

pub(super) fn chat(model: &str, is_stream: bool) -> String {
    format!(r#"{{"model":"{model}","stream":{is_stream},"messages":[{{"role":"user","content":"say hello world"}}]}}"#)
}

/// Sends one request and reads until the connection ends; asks for the close unless the fault ends it anyway.
pub(super) async fn exchange(addr: SocketAddr, bytes: &[u8]) -> Seen {
    let mut connection = Connection::open(addr).await;
    connection.send(bytes).await;
    connection.until_end().await
}

/// Asks for a chat completion with `connection: close`, and reads to the end.
pub(super) async fn ask(addr: SocketAddr, model: &str, is_stream: bool) -> Seen {
    exchange(addr, &request(CHAT, &["Connection: close"], &chat(model, is_stream))).await
}

/// Posts JSON and returns status and JSON.
pub(super) async fn post(addr: SocketAddr, path: &str, body: &Value) -> (u16, Value) {
    let seen = exchange(addr, &request(path, &["Connection: close"], &body.to_string())).await;
    (seen.status(), seen.json())
}

pub(super) async fn get(addr: SocketAddr, path: &str) -> (u16, Value) {
    let seen = exchange(addr, format!("GET {path} HTTP/1.1\r\nHost: mock\r\nConnection: close\r\n\r\n").as_bytes()).await;
    (seen.status(), seen.json())
}

pub(super) struct Connection(pub(super) TcpStream);

impl Connection {
    pub(super) async fn open(addr: SocketAddr) -> Self {
        Self(TcpStream::connect(addr).await.unwrap())
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Reads until the connection ends.
    pub(super) async fn until_end(&mut self) -> Seen {
        self.read_until(|_| false).await
    }

    /// Reads until `is_enough`, or until the connection ends.
    pub(super) async fn read_until(&mut self, is_enough: impl Fn(&[u8]) -> bool) -> Seen {
        let mut raw = Vec::new();
        while !is_enough(&raw) {
            match timeout(SOON, self.0.read_buf(&mut raw)).await.expect("the connection is silent") {
                Ok(0) => return Seen { raw, end: Some(End::Closed) },
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Seen { raw, end: Some(End::Reset) },
                Err(error) => panic!("{error}"),
            }
        }
        Seen { raw, end: None }
    }
}

impl Seen {
    fn split(&self) -> (&str, &[u8]) {
        let at = self.raw.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        (std::str::from_utf8(&self.raw[..at]).unwrap(), &self.raw[at + 4..])
    }

    pub(super) fn status(&self) -> u16 {
        self.split().0[9..12].parse().unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        let lines = self.split().0.lines().skip(1);
        let mut pairs = lines.filter_map(|line| line.split_once(": "));
        pairs.find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    }

    /// The body's bytes without chunk framing, and whether its end was told.
    pub(super) fn body(&self) -> (Vec<u8>, bool) {
        let mut rest = self.split().1;
        if self.header("transfer-encoding").is_none() {
            let length = self.header("content-length").map(|length| length.parse::<usize>().unwrap());
            return (rest.to_vec(), length == Some(rest.len()));
        }
        let mut body = Vec::new();
        loop {
            let Ok(httparse::Status::Complete((at, size))) = httparse::parse_chunk_size(rest) else {
                assert!(rest.is_empty(), "a chunk is cut: {:?}", String::from_utf8_lossy(rest));
                return (body, false);
            };
            let size = usize::try_from(size).unwrap();
            if size == 0 {
                assert_eq!(&rest[at..], b"\r\n");
                return (body, true);
            }
            body.extend_from_slice(&rest[at..at + size]);
            assert_eq!(&rest[at + size..at + size + 2], b"\r\n");
            rest = &rest[at + size + 2..];
        }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body().0).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body().0).unwrap()
    }

    /// The data of each event of a stream.
    pub(super) fn events(&self) -> Vec<String> {
        let text = self.text();
        text.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap_or(event).to_owned()).collect()
    }

    /// The chunks of a stream, without `[DONE]`.
    pub(super) fn chunks(&self) -> Vec<Value> {
        let events = self.events();
        events.iter().filter(|event| *event != "[DONE]").map(|event| serde_json::from_str(event).unwrap()).collect()
    }
}
