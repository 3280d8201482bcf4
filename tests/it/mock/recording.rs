//! What the mock remembers: every byte, in order, and how each exchange ended.

use std::time::Duration;

use bifrostctl::base::Span;
use bifrostctl::mock::{At, Behaviour, Config, Ending, Mock, Rule, Script};
use tokio::time::timeout;

use super::support::{CHAT, Connection, SOON, ask, chat, exchange, mock, request, scripted};

#[tokio::test]
async fn a_request_is_kept_byte_for_byte() {
    let mock = mock().await;
    let body = "{\"model\" : \"m\",\"x\":1.10, \"n\":1,\"messages\":[{\"role\":\"user\",\"content\":\"\\u00e9\"}]}";
    let head = format!(
        "POST /v1/chat/completions?a=b%20c HTTP/1.1\r\nHOST: x\r\nauthorization: Bearer k\r\nX-Twice: 1\r\nx-twice:  2 \r\n\
         Connection: close\r\nContent-LENGTH: {}\r\n\r\n",
        body.len()
    );
    exchange(mock.addr(), format!("{head}{body}").as_bytes()).await;
    let record = &mock.wait_ended(1).await[0];
    assert_eq!((record.head.as_ref(), record.body.as_ref()), (head.as_bytes(), body.as_bytes()));
    assert_eq!((record.method.as_str(), record.target.as_str(), record.path()), ("POST", "/v1/chat/completions?a=b%20c", CHAT));
    let names: Vec<_> = record.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["HOST", "authorization", "X-Twice", "x-twice", "Connection", "Content-LENGTH"]);
    assert_eq!((record.header("AUTHORIZATION"), record.header("x-twice")), (Some("Bearer k"), Some("1")));
    assert_eq!((record.number, record.connection, record.ending), (1, 1, Ending::Completed));
    assert_eq!(record.json()["model"], "m");
}

#[tokio::test]
async fn a_chunked_body_is_kept_without_its_framing_and_100_continue_is_answered() {
    let mock = mock().await;
    let mut connection = Connection::open(mock.addr()).await;
    connection.send(b"POST /v1/x HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let interim = connection.read_until(|raw| raw.ends_with(b"\r\n\r\n")).await;
    assert_eq!(interim.raw, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection.send(b"3;ext=1\r\n{\"a\r\n4\r\n\":1}\r\n0\r\nTrailer: x\r\n\r\n").await;
    assert_eq!(connection.until_end().await.status(), 200);
    assert_eq!(mock.requests()[0].body.as_ref(), b"{\"a\":1}");
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_at_once_and_with_the_bytes_it_got() {
    let mock = scripted(Script::always(Behaviour { chunk_delay: Span::from_secs(3600), ..Behaviour::default() })).await;
    let mut connection = Connection::open(mock.addr()).await;
    connection.send(&request(CHAT, &[], &chat("m", true))).await;
    let seen = connection.read_until(|raw| raw.ends_with(b"\n\n\r\n")).await;
    assert_eq!(mock.requests()[0].ending, Ending::Running);
    drop(connection);
    let record = &timeout(SOON, mock.wait_ended(1)).await.unwrap()[0];
    assert_eq!((record.ending, record.sent), (Ending::ClientClosed, seen.body().0.len() as u64));
    assert!(record.elapsed < Duration::from_secs(3600));
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_or_in_a_flood_is_noticed() {
    let mock = scripted(
        Script::default()
            .rule(Rule::model("slow").then(Behaviour { delay: Span::from_secs(3600), ..Behaviour::default() }))
            .rule(Rule::model("flood").then(Behaviour { chunks: Some(100_000), ..Behaviour::default() })),
    )
    .await;
    for model in ["slow", "flood"] {
        mock.clear();
        let mut connection = Connection::open(mock.addr()).await;
        connection.send(&request(CHAT, &[], &chat(model, true))).await;
        timeout(SOON, mock.wait_for(|records| !records.is_empty())).await.unwrap();
        drop(connection);
        let record = &timeout(SOON, mock.wait_ended(1)).await.unwrap()[0];
        assert_eq!(record.ending, Ending::ClientClosed, "{model}");
    }
}

#[tokio::test]
async fn a_request_that_is_cut_is_kept_as_far_as_it_came() {
    let mock = mock().await;
    let mut connection = Connection::open(mock.addr()).await;
    connection.send(b"POST /v1/x HTTP/1.1\r\nContent-Length: 10\r\n\r\n1234").await;
    drop(connection);
    let record = &timeout(SOON, mock.wait_ended(1)).await.unwrap()[0];
    assert_eq!((record.ending, record.body.as_ref(), record.target.as_str()), (Ending::RequestCut, b"1234".as_slice(), "/v1/x"));
}

#[tokio::test]
async fn only_the_last_records_are_kept() {
    let mock = Mock::start(Config { records: 2, ..Config::default() }).await.unwrap();
    for model in ["a", "b", "c"] {
        ask(mock.addr(), model, false).await;
    }
    let kept: Vec<_> = mock.requests().iter().map(|record| (record.number, record.json()["model"].clone())).collect();
    assert_eq!(kept, [(2, "b".into()), (3, "c".into())]);
    assert_eq!(mock.arrived(), 3);
    mock.clear();
    assert!(mock.requests().is_empty());
    ask(mock.addr(), "d", false).await;
    assert_eq!(mock.requests()[0].number, 4);

    let mock = Mock::start(Config { record_bytes: 1, ..Config::default() }).await.unwrap();
    assert_eq!(ask(mock.addr(), "a", false).await.status(), 200);
    assert!(mock.requests().is_empty(), "bounded in bytes");
}

#[tokio::test]
async fn a_stopped_mock_closes_its_connections_and_refuses_new_ones() {
    let mut mock = scripted(Script::always(Behaviour::stall(At::Start))).await;
    let mut connection = Connection::open(mock.addr()).await;
    connection.send(&request(CHAT, &[], &chat("m", true))).await;
    timeout(SOON, mock.wait_for(|records| !records.is_empty())).await.unwrap();
    mock.stop().await;
    assert!(connection.until_end().await.raw.is_empty());
    assert_eq!(mock.requests()[0].ending, Ending::Stopped);
    assert!(tokio::net::TcpStream::connect(mock.addr()).await.is_err());
}
