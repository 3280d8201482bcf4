//! Random bytes and damaged requests: nothing panics, and the handler sees only what a second parser, written differently, also reads.

use std::sync::Arc;
use std::time::Duration;

use bifrostctl::server::{Config, Peer, Server, Stop, check};
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use super::support::Echo;

const SEEDS: &[&str] = &[
    "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /v1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na\r\n0123456789\r\n0\r\n\r\n",
    "POST /v1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "\r\nPUT http://a/x?y HTTP/1.1\r\nHost:a\r\nX-Long: 0123456789\r\nContent-Length: 0\r\n\r\n",
];
const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "0",
    "5",
    "chunked",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Host: b\r\n",
    "\r\n\r\n",
    "GET / HTTP/1.1\r\n",
    "HTTP/1.0",
    "%2f",
    "/../",
    "//",
    "0\r\n\r\n",
    "\u{e9}",
];

/// Reads a stream of requests with httparse and a plain reading of RFC 9112: `METHOD target length` of each complete one.
fn reference(mut bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut request = httparse::Request::new(&mut headers);
        let Ok(httparse::Status::Complete(head)) = request.parse(bytes) else { return found };
        let values = |name: &str| -> Vec<&[u8]> {
            request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value).collect()
        };
        let rest = &bytes[head..];
        let length = match (values("transfer-encoding").as_slice(), values("content-length").as_slice()) {
            ([], []) => Some((0, 0)),
            ([], [length]) => {
                std::str::from_utf8(length).ok().and_then(|text| text.trim().parse().ok()).map(|length: usize| (length, length))
            }
            ([coding], []) if coding.trim_ascii() == b"chunked" => dechunk(rest),
            _ => return found,
        };
        let Some((raw, body)) = length.filter(|(raw, _)| *raw <= rest.len()) else { return found };
        // As the handler prints it: through the same URI type, which knows no fragment.
        let uri: http::Uri = request.path.unwrap_or("").parse().unwrap_or_default();
        found.push(format!("{} {uri} {body}", request.method.unwrap_or("")));
        bytes = &rest[raw..];
    }
}

/// Returns the raw and the decoded length of a chunked body.
fn dechunk(bytes: &[u8]) -> Option<(usize, usize)> {
    let (mut at, mut body) = (0, 0);
    loop {
        let line = bytes[at..].windows(2).position(|pair| pair == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).ok()?.split(';').next()?.to_owned();
        let size = usize::from_str_radix(&size, 16).ok()?;
        at += line + 2;
        if size == 0 {
            loop {
                let line = bytes[at..].windows(2).position(|pair| pair == b"\r\n")?;
                at += line + 2;
                if line == 0 {
                    return Some((at, body));
                }
            }
        }
        body += size;
        at = at.checked_add(size).filter(|at| *at + 2 <= bytes.len())?;
        if &bytes[at..at + 2] != b"\r\n" {
            return None;
        }
        at += 2;
    }
}

/// Feeds the bytes to a server in pieces; returns what its handler saw.
async fn served(bytes: &[u8], pieces: usize) -> Vec<String> {
    let (client, far) = tokio::io::duplex(1 << 16);
    let handler = Echo::default();
    let seen = Arc::clone(&handler.0);
    let server = Server::new(Config::default(), handler);
    let (_stop, signal) = watch::channel(Stop::Run);
    let serving = tokio::spawn(async move { server.serve_stream(far, Peer::default(), signal).await });
    let (mut reader, mut writer) = tokio::io::split(client);
    let reading = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    for piece in bytes.chunks(pieces) {
        if writer.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    // Requests that are complete are answered before the client goes; the timers then end what is not.
    let _ = tokio::time::timeout(Duration::from_secs(3600), serving).await.expect("every connection ends").map_err(|error| {
        assert!(!error.is_panic(), "the connection panicked");
    });
    reading.abort();
    seen.log.lock().unwrap().clone()
}

fn run(bytes: &[u8], pieces: usize) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(served(bytes, pieces))
}

fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let seeds = prop::collection::vec(prop::sample::select(SEEDS), 1..4);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, prop::sample::select(PIECES), 0..6usize), 0..4);
    (seeds, edits).prop_map(|(seeds, edits)| {
        let mut bytes = seeds.concat().into_bytes();
        for (at, kind, piece, length) in edits {
            let at = at.index(bytes.len());
            let end = (at + length).min(bytes.len());
            match kind {
                0 => drop(bytes.splice(at..at, piece.bytes())),
                1 => drop(bytes.drain(at..end)),
                _ => drop(bytes.splice(at..end, piece.bytes())),
            }
            if bytes.is_empty() {
                bytes.push(b'x');
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_handler_sees_only_what_a_second_parser_reads_too(bytes in damaged(), pieces in 1..200usize) {
        let served = run(&bytes, pieces);
        let reference = reference(&bytes);
        prop_assert!(reference.starts_with(&served), "served {served:?}, but the stream reads {reference:?}: {:?}", String::from_utf8_lossy(&bytes));
        prop_assert_eq!(&served, &run(&bytes, bytes.len()), "the split must not matter");
    }

    #[test]
    fn random_bytes_never_panic_and_never_arrive(bytes in prop::collection::vec(any::<u8>(), 0..600), pieces in 1..300usize) {
        let _ = check(&bytes, &Config::default());
        prop_assert_eq!(run(&bytes, pieces), Vec::<String>::new());
    }
}

#[test]
fn undamaged_requests_are_all_served() {
    let stream = SEEDS.concat();
    let expected = ["GET /v1/models 0", "POST /v1 5", "POST /v1 15", "POST /v1 3", "PUT http://a/x?y 0"];
    assert_eq!(reference(stream.as_bytes()), expected);
    for pieces in [1, 7, stream.len()] {
        assert_eq!(run(stream.as_bytes(), pieces), expected, "{pieces}");
    }
}
