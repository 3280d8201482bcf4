//! Each fault as it shows on the wire.

use std::time::{Duration, Instant, SystemTime};

use bifrostctl::base::Span;
use bifrostctl::mock::{At, Behaviour, Ending, Failure, Framing, Mock, Rule, Script};
use tokio::time::timeout;

use super::support::{CHAT, Connection, End, SOON, Seen, ask, chat, exchange, mock, request, scripted};

/// Asks without `connection: close`, so that only the fault ends the connection.
async fn ask_open(mock: &Mock, model: &str, is_stream: bool) -> Seen {
    exchange(mock.addr(), &request(CHAT, &[], &chat(model, is_stream))).await
}

async fn last_ending(mock: &Mock) -> (Ending, u64) {
    let record = timeout(SOON, mock.wait_ended(1)).await.unwrap().pop().unwrap();
    (record.ending, record.sent)
}

#[tokio::test]
async fn a_cut_ends_cleanly_after_exactly_so_many_bytes() {
    let mock = mock().await;
    let whole = ask(mock.addr(), "m", true).await.body().0;
    for at in [0, 1, 100, whole.len() - 1, whole.len()] {
        mock.clear();
        let seen = ask_open(&mock, &format!("m@cut_at={at}"), true).await;
        let (body, is_ended) = seen.body();
        assert_eq!((body.len(), is_ended, seen.end), (at, false, Some(End::Closed)));
        assert_eq!(last_ending(&mock).await, (Ending::Broken, at as u64));
    }
    let seen = ask_open(&mock, "m@cut_at=20", false).await;
    assert_eq!((seen.body().0.len(), seen.body().1, seen.end), (20, false, Some(End::Closed)), "a whole body with its full length told");
    let beyond = ask(mock.addr(), "m@cut_at=1000000", true).await;
    assert!(beyond.body().1, "a place that the answer does not reach changes nothing");
}

#[tokio::test]
async fn a_reset_comes_after_exactly_so_many_bytes() {
    let mock = mock().await;
    for at in [0, 7, 300] {
        mock.clear();
        let seen = ask_open(&mock, &format!("m@reset_at={at}"), true).await;
        assert_eq!((seen.body().0.len(), seen.end), (at, Some(End::Reset)));
        assert_eq!(last_ending(&mock).await, (Ending::Broken, at as u64));
    }
    for (model, end) in [("m@reset_at=start", End::Reset), ("m@cut_at=start", End::Closed)] {
        let seen = ask_open(&mock, model, true).await;
        assert_eq!((seen.raw.len(), seen.end), (0, Some(end)), "{model}");
    }
}

#[tokio::test]
async fn a_place_may_be_told_in_events() {
    let mock = mock().await;
    let whole = ask(mock.addr(), "m", true).await.text();
    let seen = ask_open(&mock, "m@cut_at=event:3", true).await;
    let text = seen.text();
    assert_eq!((text.matches("\n\n").count(), text.ends_with("\n\n"), seen.end), (3, true, Some(End::Closed)));
    assert_eq!(text.len(), whole.match_indices("\n\n").nth(2).unwrap().0 + 2);
    let seen = ask_open(&mock, "m@cut_at=event:1;chunk_delay=1h", true).await;
    assert_eq!(seen.text().matches("\n\n").count(), 1, "the end does not wait for the next event");
}

#[tokio::test]
async fn a_stall_keeps_the_connection_open_until_the_client_leaves() {
    let mock = mock().await;
    for (fault, body) in [("start", None), ("0", Some(0)), ("50", Some(50))] {
        mock.clear();
        let mut connection = Connection::open(mock.addr()).await;
        connection.send(&request(CHAT, &[], &chat(&format!("m@stall_at={fault}"), true))).await;
        timeout(SOON, mock.wait_for(|records| !records.is_empty())).await.unwrap();
        let is_there = |raw: &[u8]| match body {
            None => true,
            // The one event that is cut comes as one chunk.
            Some(0) => raw.ends_with(b"\r\n\r\n"),
            Some(_) => raw.windows(6).any(|chunk| chunk == b"\r\n32\r\n") && raw.ends_with(b"\r\n") && !raw.ends_with(b"\n32\r\n"),
        };
        let seen = connection.read_until(is_there).await;
        assert!(body.is_none_or(|length| seen.body().0.len() == length));
        assert_eq!(seen.end, None);
        // Nothing more comes, and nothing ends.
        let more = timeout(Duration::from_millis(50), connection.read_until(|raw| !raw.is_empty())).await;
        assert!(more.is_err(), "{more:?}");
        assert_eq!(mock.requests()[0].ending, Ending::Running);
        drop(connection);
        assert_eq!(last_ending(&mock).await, (Ending::ClientClosed, body.unwrap_or(0) as u64));
    }
}

/// Runs in real time, because the sockets are real; the bounds are lower bounds only.
#[tokio::test]
async fn delays_come_where_they_are_told() {
    let mock = mock().await;
    let timed = async |fault: &str, marks: [&str; 2]| {
        let mut connection = Connection::open(mock.addr()).await;
        let start = Instant::now();
        connection.send(&request(CHAT, &["Connection: close"], &chat(&format!("m@{fault}"), true))).await;
        let has = |raw: &[u8], mark: &str| raw.windows(mark.len()).any(|window| window == mark.as_bytes());
        let first = connection.read_until(|raw| has(raw, marks[0])).await;
        let head = (start.elapsed(), has(&first.raw, marks[1]));
        connection.read_until(|raw| has(raw, marks[1])).await;
        (head, start.elapsed())
    };
    let (head, _) = timed("delay=80ms", ["200 OK", "[DONE]"]).await;
    assert!(head.0 >= Duration::from_millis(80));
    // Head and role at once, the first content later.
    let ((_, has_content), content) = timed("first_token_delay=80ms", ["assistant", "mock:"]).await;
    assert!(!has_content && content >= Duration::from_millis(80));
    // Six events after the first.
    let (_, all) = timed("chunk_delay=20ms", ["200 OK", "[DONE]"]).await;
    assert!(all >= Duration::from_millis(120), "{all:?}");
}

#[tokio::test]
async fn a_drip_comes_byte_by_byte_and_segments_cut_events_anywhere() {
    let mock = scripted(Script::always(Behaviour { drip: Span::from_millis(1), cut_at: Some(At::Byte(20)), ..Behaviour::default() })).await;
    let start = Instant::now();
    let seen = ask_open(&mock, "m", true).await;
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(seen.raw.windows(4).filter(|four| four == b"\n1\r\n").count(), 20, "a chunk for every byte");

    let mock = super::support::mock().await;
    let whole = ask(mock.addr(), "m", true).await.text();
    let other = Mock::start(bifrostctl::mock::Config::default()).await.unwrap();
    let segmented = ask(other.addr(), "m@segment=7", true).await;
    assert_eq!(segmented.text(), whole);
    assert!(segmented.raw.windows(5).filter(|five| five == b"\r\n7\r\n").count() > 50);
}

#[tokio::test]
async fn a_malformed_chunk_is_one_event_that_is_no_json() {
    let mock = mock().await;
    let events = ask(mock.addr(), "m@malformed_at=2", true).await.events();
    let bad: Vec<_> = events
        .iter()
        .enumerate()
        .filter(|(_, event)| serde_json::from_str::<serde_json::Value>(event).is_err())
        .map(|(at, _)| at)
        .collect();
    assert_eq!(bad, [2, events.len() - 1], "the third, and [DONE]");
    let whole = ask(mock.addr(), "m@malformed_at=0", false).await;
    assert!(whole.body().1 && serde_json::from_slice::<serde_json::Value>(&whole.body().0).is_err());
}

#[tokio::test]
async fn terminator_and_finish_reason_may_be_missing() {
    let mock = mock().await;
    for (fault, has_finish, has_done) in
        [("no_done", true, false), ("no_finish", false, true), ("no_done;no_finish", false, false), ("pings=0", true, true)]
    {
        let seen = ask(mock.addr(), &format!("m@{fault}"), true).await;
        let text = seen.text();
        assert_eq!((text.contains(r#""finish_reason":"stop""#), text.contains("[DONE]")), (has_finish, has_done), "{fault}");
        assert!(seen.body().1, "the body itself ends cleanly");
    }
}

#[tokio::test]
async fn an_error_event_ends_a_stream_before_or_after_content() {
    let mock = mock().await;
    for (at, content) in [(0, 0), (1, 0), (3, 2)] {
        let seen = ask_open(&mock, &format!("m@error_at={at};error=overloaded"), true).await;
        assert_eq!((seen.status(), seen.end), (200, Some(End::Closed)));
        let chunks = seen.chunks();
        assert_eq!(chunks.len(), at + 1);
        assert_eq!(seen.text().matches(r#""delta":{"content":"#).count(), content);
        assert_eq!(chunks[at]["error"]["type"], "server_error");
        assert!(!seen.text().contains("[DONE]") && seen.body().1);
    }
    let named = ask_open(&mock, "m@error_at=0;error_named", true).await.text();
    assert!(named.starts_with("event: error\ndata: {\"error\":"), "{named}");
    let whole = ask(mock.addr(), "m@error_at=0", false).await;
    assert_eq!((whole.status(), whole.json()["error"]["type"].as_str()), (200, Some("server_error")));
}

#[tokio::test]
async fn a_status_comes_with_its_error_or_with_any_body_and_headers() {
    let mock = mock().await;
    for (fault, status, code) in [
        ("status=400", 400, "invalid_value"),
        ("error=context_length", 400, "context_length_exceeded"),
        ("error=content_filter", 400, "content_filter"),
        ("status=401", 401, "invalid_api_key"),
        ("status=403", 403, "insufficient_permissions"),
        ("status=404", 404, "model_not_found"),
        ("status=429", 429, "rate_limit_exceeded"),
        ("error=insufficient_quota", 429, "insufficient_quota"),
        ("error=rate_limit;status=503", 503, "rate_limit_exceeded"),
    ] {
        let seen = ask(mock.addr(), &format!("m@{fault}"), true).await;
        assert_eq!((seen.status(), seen.json()["error"]["code"].as_str()), (status, Some(code)), "{fault}");
    }
    for status in [402, 408, 500, 502, 504, 529] {
        let seen = ask(mock.addr(), &format!("m@status={status}"), false).await;
        assert_eq!(seen.status(), status);
        assert!(seen.json()["error"]["message"].is_string());
    }
    let own = Behaviour {
        status: Some(418),
        body: Some("{\"a\":1.10}".into()),
        headers: [("Content-Type".into(), "text/x".into()), ("X-Own".into(), "1".into())].into(),
        ..Behaviour::default()
    };
    mock.script(Script::always(own));
    let seen = ask(mock.addr(), "m", true).await;
    assert_eq!((seen.status(), seen.text().as_str()), (418, "{\"a\":1.10}"));
    assert_eq!((seen.header("content-type").as_deref(), seen.header("x-own").as_deref()), (Some("text/x"), Some("1")));
    assert_eq!(String::from_utf8_lossy(&seen.raw).to_ascii_lowercase().matches("content-type").count(), 1);
}

#[tokio::test]
async fn when_to_come_back_is_told_in_every_form() {
    let mock = mock().await;
    let seen = ask(mock.addr(), "m@status=429;retry_after=1.5;retry_after_ms=1500;reset_requests=6ms;reset_tokens=1m0.052s", false).await;
    for (name, value) in [
        ("retry-after", "1.5"),
        ("retry-after-ms", "1500"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-tokens", "1m0.052s"),
        ("x-ratelimit-remaining-tokens", "0"),
    ] {
        assert_eq!(seen.header(name).as_deref(), Some(value), "{name}");
    }
    mock.script(Script::always(Behaviour { retry_after_date: Some(Span::from_secs(60)), ..Behaviour::error(Failure::RateLimit) }));
    let seen = ask(mock.addr(), "m", false).await;
    let date = httpdate::parse_http_date(&seen.header("retry-after").unwrap()).unwrap();
    let left = date.duration_since(SystemTime::now()).unwrap();
    assert!((Duration::from_secs(50)..=Duration::from_secs(60)).contains(&left), "{left:?}");
    mock.script(Script::always(Behaviour::rate_limited(2)));
    assert_eq!(ask(mock.addr(), "m", false).await.header("retry-after").as_deref(), Some("2"));
}

#[tokio::test]
async fn what_is_no_answer_takes_the_place_of_one() {
    let mock = mock().await;
    let garbage = ask_open(&mock, "m@garbage", true).await;
    assert!(garbage.raw.starts_with(b"\x00\xff") && !garbage.raw.starts_with(b"HTTP"));
    assert_eq!(garbage.end, Some(End::Closed));
    let empty = ask(mock.addr(), "m@empty", true).await;
    assert_eq!((empty.status(), empty.header("content-length").as_deref(), empty.body().0.len()), (200, Some("0"), 0));
    let html = ask(mock.addr(), "m@html", true).await;
    assert_eq!((html.status(), html.header("content-type").as_deref()), (502, Some("text/html")));
    assert!(html.text().starts_with("<html>"));
    assert_eq!(ask(mock.addr(), "m@html;status=200", true).await.status(), 200);
}

#[tokio::test]
async fn a_body_may_end_with_the_connection_and_its_length_may_be_a_lie() {
    let mock = mock().await;
    let whole = ask(mock.addr(), "m", true).await.text();
    let close = ask_open(&mock, "m@framing=close", true).await;
    assert_eq!((close.header("transfer-encoding"), close.header("content-length"), close.end), (None, None, Some(End::Closed)));
    assert_eq!(close.text().len(), whole.len());
    let cut = ask_open(&mock, "m@framing=close;cut_at=event:2", true).await;
    assert_eq!((cut.text().matches("\n\n").count(), cut.end), (2, Some(End::Closed)), "a cut that looks like an end");
    let length = ask(mock.addr(), "m@framing=length", true).await;
    assert!(length.body().1 && length.text().ends_with("[DONE]\n\n"));
    let lie = ask_open(&mock, "m@content_length=100000", false).await;
    assert_eq!((lie.header("content-length").as_deref(), lie.end), (Some("100000"), Some(End::Closed)));
    assert!(serde_json::from_slice::<serde_json::Value>(&lie.body().0).is_ok(), "the body is whole, only its length is wrong");
    let chunked = ask(mock.addr(), "m@framing=chunked", false).await;
    assert!(chunked.body().1 && chunked.json()["object"] == "chat.completion");
    mock.script(Script::always(Behaviour { framing: Some(Framing::Close), ..Behaviour::default() }));
    assert_eq!(ask_open(&mock, "m", false).await.json()["model"], "m");
}

#[tokio::test]
async fn a_connection_may_close_after_an_answer_that_did_not_say_so() {
    let mock = mock().await;
    let seen = ask_open(&mock, "m@close", false).await;
    assert_eq!((seen.header("connection"), seen.end, seen.body().1), (None, Some(End::Closed), true));
    assert_eq!(last_ending(&mock).await.0, Ending::Completed);
}

#[tokio::test]
async fn comments_may_come_before_the_first_event() {
    let mock = mock().await;
    let text = ask(mock.addr(), "m@pings=2", true).await.text();
    assert!(text.starts_with(": keep-alive\n\n: keep-alive\n\ndata: {"));
}

#[tokio::test]
async fn the_header_wins_over_the_model_and_the_model_over_the_script() {
    let mock = scripted(Script::always(Behaviour::status(500))).await;
    assert_eq!(ask(mock.addr(), "m", false).await.status(), 500);
    assert_eq!(ask(mock.addr(), "m@status=503", false).await.status(), 503);
    let bytes = request(CHAT, &["Connection: close", "X-Mock-Fault: status=504"], &chat("m@status=503", false));
    assert_eq!(exchange(mock.addr(), &bytes).await.status(), 504);
    let bytes = request(CHAT, &["Connection: close", "X-Mock-Fault: statsu=504"], &chat("m", false));
    assert_eq!(exchange(mock.addr(), &bytes).await.json()["error"]["code"], "mock_fault");
}

#[tokio::test]
async fn a_script_plays_over_real_requests_and_starts_anew_when_replaced() {
    let mock = scripted(Script::sequence([Behaviour::status(503), Behaviour::status(429)])).await;
    let statuses = async |count: usize| {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(ask(mock.addr(), "m", false).await.status());
        }
        all
    };
    assert_eq!(statuses(3).await, [503, 429, 200]);
    mock.script(Script::default().rule(Rule::credential("k1").then(Behaviour::status(401))));
    let with_key = async |key: &str| {
        let header = format!("Authorization: Bearer {key}");
        exchange(mock.addr(), &request(CHAT, &["Connection: close", &header], &chat("m", false))).await.status()
    };
    assert_eq!((with_key("k1").await, with_key("k2").await), (401, 200));
}
