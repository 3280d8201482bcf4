//! Raw requests that must be refused before the handler, and odd but legal ones that must be served.

use std::fmt::Write as _;

use bifrostctl::server::{Config, Reason};

use tokio::io::AsyncWriteExt;

use super::support::{read_final_response, read_to_close, start, status, wait_for};

const HOST: &str = "Host: a\r\n";

/// Name, bytes, reason.
// A table of data, long by nature.
#[allow(clippy::too_many_lines)]
fn refused() -> Vec<(&'static str, Vec<u8>, Reason)> {
    use Reason::*;
    let post = |headers: &str, body: &str| format!("POST /v1 HTTP/1.1\r\n{HOST}{headers}\r\n{body}").into_bytes();
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\n{HOST}\r\n").into_bytes();
    let raw = |text: &str| text.as_bytes().to_vec();
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    vec![
        ("length and coding", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), LengthAndCoding),
        ("coding and length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), LengthAndCoding),
        ("two lengths, equal", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), ContentLength),
        ("two lengths, different", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), ContentLength),
        ("length list", post("Content-Length: 5, 5\r\n", "hello"), ContentLength),
        ("length with plus", post("Content-Length: +5\r\n", "hello"), ContentLength),
        ("negative length", post("Content-Length: -1\r\n", "hello"), ContentLength),
        ("hexadecimal length", post("Content-Length: 0x5\r\n", "hello"), ContentLength),
        ("empty length", post("Content-Length: \r\n", "hello"), ContentLength),
        ("length over 64 bits", post("Content-Length: 99999999999999999999\r\n", "hello"), ContentLength),
        ("length with underscore", post("Content_Length: 5\r\n", "hello"), ContentLength),
        ("length with inner space", post("Content-Length: 1 1\r\n", "hello"), ContentLength),
        ("identity, chunked", post("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"), TransferEncoding),
        ("chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), TransferEncoding),
        ("chunked twice in a list", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), TransferEncoding),
        ("two codings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), TransferEncoding),
        ("coding, then identity", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), TransferEncoding),
        ("coding in capitals", post("Transfer-Encoding: CHUNKED\r\n", "0\r\n\r\n"), TransferEncoding),
        ("xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), TransferEncoding),
        ("quoted chunked", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), TransferEncoding),
        ("coding with underscore", post("Transfer_Encoding: chunked\r\n", "0\r\n\r\n"), TransferEncoding),
        ("coding gzip", post("Transfer-Encoding: gzip\r\n", "0\r\n\r\n"), Coding),
        ("coding identity", post("Transfer-Encoding: identity\r\n", ""), Coding),
        ("empty coding", post("Transfer-Encoding:\r\n", ""), Coding),
        ("coding on HTTP/1.0", raw("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), TransferEncoding),
        ("coding with vertical tab", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), HeaderLine),
        ("space before colon", post("Content-Length : 5\r\n", "hello"), HeaderLine),
        ("tab before colon", post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), HeaderLine),
        ("folded header", post("X-A: b\r\n c\r\n", ""), HeaderLine),
        ("folded coding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), Coding),
        ("space before first header", raw("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), HeaderLine),
        ("NUL in value", post("X-A: a\0b\r\n", ""), HeaderLine),
        ("carriage return in value", post("X-A: a\rb\r\n", ""), HeaderLine),
        ("NUL in name", post("X\0A: b\r\n", ""), HeaderLine),
        ("header without colon", post("X-A\r\n", ""), HeaderLine),
        ("header without name", post(": b\r\n", ""), HeaderLine),
        ("non-ASCII name", post("X-\u{e9}: b\r\n", ""), HeaderLine),
        ("delete in value", post("X-A: a\x7fb\r\n", ""), HeaderLine),
        ("bare line feeds", raw("GET / HTTP/1.1\nHost: a\n\n"), BareLineFeed),
        ("one bare line feed", raw("GET / HTTP/1.1\r\nHost: a\nX-B: c\r\n\r\n"), BareLineFeed),
        ("line feed ends the head", raw("GET / HTTP/1.1\r\nHost: a\r\n\n"), BareLineFeed),
        ("no host", raw("GET / HTTP/1.1\r\nX-A: b\r\n\r\n"), HostMissing),
        ("two hosts", raw("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), HostDuplicate),
        ("two equal hosts", raw("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"), HostDuplicate),
        ("empty host", raw("GET / HTTP/1.1\r\nHost:\r\n\r\n"), HostInvalid),
        ("host with path", raw("GET / HTTP/1.1\r\nHost: localhost:4000/#@evil\r\n\r\n"), HostInvalid),
        ("host with user", raw("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), HostInvalid),
        ("host list", raw("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), HostInvalid),
        ("host with bad port", raw("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n"), HostInvalid),
        ("absolute target, other host", get("http://b/v1"), AuthorityMismatch),
        ("absolute target, other port", get("http://a:81/v1"), AuthorityMismatch),
        ("absolute target, user", get("http://u@a/v1"), Target),
        ("absolute target, other scheme", get("ftp://a/v1"), Target),
        ("CONNECT", raw("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), Method),
        ("TRACE", raw("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"), Method),
        ("method in small letters", raw("get / HTTP/1.1\r\nHost: a\r\n\r\n"), Method),
        ("method with control byte", raw("GE\x01T / HTTP/1.1\r\nHost: a\r\n\r\n"), RequestLine),
        ("websocket", post("Connection: Upgrade\r\nUpgrade: websocket\r\n", ""), Upgrade),
        ("h2c", post("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", ""), Upgrade),
        ("settings alone", post("HTTP2-Settings: AAMAAABkAAQAAP__\r\n", ""), Upgrade),
        ("other expectation", post("Expect: 200-ok\r\nContent-Length: 5\r\n", "hello"), Expect),
        ("expectation on HTTP/1.0", raw("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na"), Expect),
        ("encoded slash", get("/v1%2fchat"), EncodedPath),
        ("encoded dots", get("/v1/%2E%2e/admin"), EncodedPath),
        ("encoded backslash", get("/v1%5cchat"), EncodedPath),
        ("encoded NUL", get("/v1%00"), EncodedPath),
        ("half an escape", get("/v1%2"), EncodedPath),
        ("double slash", get("/v1//chat"), DotPath),
        ("leading double slash", get("//v1/chat"), DotPath),
        ("dot segment", get("/v1/./chat"), DotPath),
        ("dot dot segment", get("/v1/../admin"), DotPath),
        ("dot dot at the end", get("/v1/.."), DotPath),
        ("dot dot with parameter", get("/v1/..;/admin"), DotPath),
        ("backslash", get("/v1\\..\\admin"), Target),
        ("fragment", get("/v1#x"), Target),
        ("non-ASCII target", get("/\u{fc}"), Target),
        ("control byte in target", get("/v1\x07"), Target),
        ("NUL in target", get("/v1\0"), Target),
        ("delete in target", get("/v1\x7f"), Target),
        ("relative target", get("v1"), Target),
        ("asterisk with GET", get("*"), Target),
        ("two spaces", raw("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), RequestLine),
        ("space in target", get("/a b"), RequestLine),
        ("tabs between parts", raw("GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"), RequestLine),
        ("HTTP/0.9", raw("GET /\r\n\r\n"), RequestLine),
        ("HTTP/2.0 in a line", raw("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), Version),
        ("HTTP/1.2", raw("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), Version),
        ("small http", raw("GET / http/1.1\r\nHost: a\r\n\r\n"), RequestLine),
        ("trailing space", raw("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"), RequestLine),
        ("leading garbage", raw("\0\0GET / HTTP/1.1\r\nHost: a\r\n\r\n"), RequestLine),
        ("leading space", raw(" GET / HTTP/1.1\r\nHost: a\r\n\r\n"), RequestLine),
        ("two leading blank lines", raw("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), RequestLine),
        ("TLS hello on a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), RequestLine),
        ("byte order mark", "\u{feff}GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes().to_vec(), RequestLine),
        ("long target", get(&format!("/{}", "a".repeat(9000))), TargetTooLong),
        ("endless request line", format!("GET /{}", "a".repeat(9000)).into_bytes(), TargetTooLong),
        ("large head", post(&format!("X-A: {}\r\n", "b".repeat(40_000)), ""), HeadTooLarge),
        ("endless header", format!("GET / HTTP/1.1\r\nX-A: {}", "b".repeat(40_000)).into_bytes(), HeadTooLarge),
        (
            "many headers",
            post(
                &(0..101).fold(String::new(), |mut all, n| {
                    write!(all, "X-{n}: 1\r\n").unwrap();
                    all
                }),
                "",
            ),
            TooManyHeaders,
        ),
        ("chunk size with sign", chunked("+5\r\nhello\r\n0\r\n\r\n"), Chunk),
        ("chunk size with 0x", chunked("0x5\r\nhello\r\n0\r\n\r\n"), Chunk),
        ("chunk size with underscore", chunked("5_\r\nhello\r\n0\r\n\r\n"), Chunk),
        ("chunk size over 64 bits", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), Chunk),
        ("huge chunk", chunked("ffffffffffff\r\n"), Chunk),
        ("empty chunk size", chunked("\r\nhello\r\n0\r\n\r\n"), Chunk),
        ("space after chunk size", chunked("5 \r\nhello\r\n0\r\n\r\n"), Chunk),
        ("bare line feed after chunk size", chunked("5\nhello\r\n0\r\n\r\n"), Chunk),
        ("bare line feed after chunk", chunked("5\r\nhello\n0\r\n\r\n"), Chunk),
        ("chunk longer than its size", chunked("5\r\nhello!\r\n0\r\n\r\n"), Chunk),
        ("long chunk extensions", chunked(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(2000))), ChunkExtensions),
        ("line feed in chunk extension", chunked("5;a\nb\r\nhello\r\n0\r\n\r\n"), ChunkExtensions),
        ("malformed trailer", chunked("0\r\nX A: b\r\n\r\n"), Trailers),
        ("bare line feed after trailers", chunked("0\r\n\n"), Trailers),
    ]
}

#[tokio::test]
async fn a_malformed_or_ambiguous_request_is_refused_and_never_reaches_the_handler() {
    let server = start(Config::default()).await;
    let corpus = refused();
    assert!(corpus.len() >= 100, "{}", corpus.len());
    for (name, bytes, reason) in &corpus {
        let before = server.stats.refused(*reason);
        let answer = server.exchange(bytes).await;
        assert_eq!(status(&answer), reason.status(), "{name}: {answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{name}: {answer}");
        assert!(answer.ends_with(&reason.json()), "{name}: {answer}");
        assert_eq!(server.seen.hits(), 0, "{name} reached the handler");
        assert_eq!(server.stats.refused(*reason), before + 1, "{name} is counted");
    }
    let clean = server.exchange(b"GET /v1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&clean), 200, "{clean}");
    assert_eq!(server.seen.hits(), 1);
}

#[tokio::test]
async fn a_body_that_breaks_after_its_head_was_served_is_never_complete() {
    let server = start(Config::default()).await;
    let rests =
        ["0x5\r\n".to_owned(), format!("0\r\nX-A: {}\r\n\r\n", "b".repeat(5000)), "5\r\nhello\n0\r\n\r\n".to_owned(), "0\r\n\n".to_owned()];
    for (count, rest) in rests.iter().enumerate() {
        let mut stream = server.connect().await;
        stream.write_all(b"POST /gate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        wait_for(&server.seen.begun, "the request begins").await;
        server.seen.gate.add_permits(1);
        stream.write_all(rest.as_bytes()).await.unwrap();
        let answer = read_to_close(&mut stream).await;
        assert_eq!(status(&answer), 400, "{rest:?}: {answer}");
        assert!(answer.ends_with("malformed"), "{rest:?}: {answer}");
        assert_eq!((server.seen.hits(), server.seen.complete()), (count + 1, 0));
    }
}

#[tokio::test]
async fn odd_but_legal_requests_are_served() {
    let server = start(Config::default()).await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\nX-A: {}\r\n", "a".repeat(8000), "b".repeat(20_000));
    let legal: &[(&str, &str, &str)] = &[
        ("small header names", "GET /v1 HTTP/1.1\r\nhost: a\r\n", "GET /v1 0"),
        ("one blank line first", "\r\nGET /v1 HTTP/1.1\r\nHost: a\r\n", "GET /v1 0"),
        ("no space after colon", "GET /v1 HTTP/1.1\r\nHost:a\r\nX:\r\n", "GET /v1 0"),
        ("tabs and spaces around values", "GET /v1 HTTP/1.1\r\nHost: \t a \t\r\n", "GET /v1 0"),
        ("absolute target", "GET http://A:80/v1 HTTP/1.1\r\nHost: a:80\r\n", "GET http://A:80/v1 0"),
        ("absolute target without path", "GET http://a HTTP/1.1\r\nHost: a\r\n", "GET http://a/ 0"),
        ("asterisk with OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: a\r\n", "OPTIONS * 0"),
        ("dots and slashes in the query", "GET /v1?a=../..//%2f&b={|} HTTP/1.1\r\nHost: a\r\n", "GET /v1?a=../..//%2f&b={|} 0"),
        (
            "colon in the path",
            "POST /v1beta/models/m-1.5:generateContent HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n",
            "POST /v1beta/models/m-1.5:generateContent 0",
        ),
        ("leading zeros", "POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello", "POST /v1 5"),
        ("UTF-8 in a value", "GET /v1 HTTP/1.1\r\nHost: a\r\nX-Name: J\u{f6}rg\r\n", "GET /v1 0"),
        ("underscore in a name", "GET /v1 HTTP/1.1\r\nHost: a\r\nuser_id: 1\r\n", "GET /v1 0"),
        ("IPv6 host", "GET /v1 HTTP/1.1\r\nHost: [::1]:8080\r\n", "GET /v1 0"),
        (
            "chunk extension",
            "POST /v1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\n\r\n",
            "POST /v1 5",
        ),
        (
            "trailers",
            "POST /v1 HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n00A\r\n0123456789\r\n0\r\nX-A: b\r\n\r\n",
            "POST /v1 10",
        ),
        ("HTTP/1.0 without host", "GET /v1 HTTP/1.0\r\n", "GET /v1 0"),
        ("other method", "PROPFIND /v1 HTTP/1.1\r\nHost: a\r\n", "PROPFIND /v1 0"),
        ("expect", "POST /v1 HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\nhi", "POST /v1 2"),
        ("long target and value", &long, ""),
    ];
    for (name, request, expected) in legal {
        // Once in one piece and once byte by byte: the split must not matter.
        let request = if request.contains("\r\n\r\n") { (*request).to_owned() } else { format!("{request}\r\n") };
        for is_split in [false, true] {
            let mut stream = server.connect().await;
            let pieces = if is_split { 1 } else { request.len() };
            for piece in request.as_bytes().chunks(pieces) {
                stream.write_all(piece).await.unwrap();
                if is_split {
                    tokio::task::yield_now().await;
                }
            }
            let answer = read_final_response(&mut stream).await;
            assert_eq!(status(&answer), 200, "{name}: {answer}");
            assert!(answer.ends_with(expected), "{name}: {answer}");
        }
    }
    assert_eq!(server.seen.complete(), legal.len() * 2);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_and_a_smuggled_one_is_refused() {
    let server = start(Config::default()).await;
    let one = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let two = "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let bad =
        "POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /d HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = server.exchange(format!("{one}{two}{one}{bad}{one}").as_bytes()).await;
    let answers: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).collect();
    assert_eq!(answers.len(), 4, "{answer}");
    for (answer, expected) in answers.iter().zip(["POST /a 5", "POST /b 3", "POST /a 5"]) {
        assert!(answer.starts_with("200") && answer.ends_with(expected), "{answer}");
    }
    assert!(answers[3].starts_with("400") && answers[3].ends_with(&Reason::LengthAndCoding.json()), "{answer}");
    assert_eq!(server.seen.hits(), 3);
}
