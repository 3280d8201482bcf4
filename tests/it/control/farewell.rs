//! The end of requests that outlive the grace: each is told so in its own words, paid for, and logged, before the process ends.

use std::sync::Arc;
use std::time::Duration;

use bifrostctl::store::book::{Book, FILE, Recovered};
use serde_json::{Value, json};

use super::lab::{KEY, Lab, PATIENCE, Place, ask, spec_with};

/// A model whose answers begin and never end, and one that never begins, with a budget on the key.
async fn lab(drain: &str) -> Lab {
    let place = Place::with(|root| {
        let more = "prices: {mock/*: {input: $1/Mtok, output: $10/Mtok}}\n";
        let text = spec_with(root, "one", more)
            .replace("models: {fast", "models: {slow: {targets: [\"mock/mock-small@chunks=3;stall_at=event:3\"]}, mute: {targets: [\"mock/mock-small@delay=600s\"]}, fast")
            .replace("routing_headers: true", "budgets: [{limit: $5, period: total, mode: soft}]")
            .replace("drain: 10s", &format!("drain: {drain}"));
        text.replace("access_log: \"off\"", &format!("access_log: {{file: \"{}\"}}", root.join("access.log").display()))
    });
    place.start().await
}

/// One request in each dialect: path, headers, body.
fn asks() -> Vec<(&'static str, &'static str, Value)> {
    let messages = json!([{"role": "user", "content": "hi"}]);
    let turns = json!([{"role": "user", "content": [{"text": "hi"}]}]);
    vec![
        ("/v1/chat/completions", "data: {\"error\":{", ask("slow", true)),
        ("/v1/responses", "event: error", json!({"model": "slow", "stream": true, "input": "hi"})),
        ("/v1/messages", "event: error", json!({"model": "slow", "stream": true, "max_tokens": 9, "messages": messages})),
        (
            "/v1beta/models/slow:streamGenerateContent?alt=sse",
            "\"status\":\"UNAVAILABLE\"",
            json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        ),
        ("/v2/chat", "event: message-end", json!({"model": "slow", "stream": true, "messages": messages})),
        ("/bedrock/model/slow/converse-stream", "serviceUnavailableException", json!({"messages": turns})),
    ]
}

fn lines(place: &Place) -> Vec<Value> {
    place.read("access.log").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Opens the book of a gateway that has ended, and says what it had left open.
fn recovered(place: &Place) -> (Book, Recovered) {
    Book::open(&place.path("state").join(FILE), 1, Arc::new(|_| {})).unwrap()
}

#[tokio::test]
async fn streams_that_outlive_the_grace_end_with_an_error_in_their_own_dialect_and_are_paid() {
    let lab = lab("200ms").await;
    let mut streams = Vec::new();
    for (path, end, body) in asks() {
        let request = lab.http.post(lab.url(path)).bearer_auth(KEY).header("content-type", "application/json").body(body.to_string());
        let mut answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let first = answer.chunk().await.unwrap().unwrap();
        streams.push((path, end, answer, first.to_vec()));
    }
    lab.gateway.drain();
    for (path, end, mut answer, mut text) in streams {
        while let Some(piece) = tokio::time::timeout(PATIENCE, answer.chunk()).await.unwrap().unwrap() {
            text.extend(piece);
        }
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(end) && text.contains("The gateway is stopping"), "{path}: {text}");
        assert!(!text.contains("[DONE]") && !text.contains("message_stop"), "{path}: {text}");
    }
    let Lab { place, gateway, .. } = lab;
    let ended = gateway.ended().await;
    assert_eq!((ended.drained.aborted, ended.failed), (0, false));
    let lines = lines(&place);
    assert_eq!(lines.len(), asks().len());
    for line in &lines {
        assert_eq!((&line["error"], &line["status"], &line["client_gone"]), (&json!("draining"), &json!(200), &json!(false)), "{line}");
        assert!(line["cost"].as_str().is_some_and(|cost| cost != "$0"), "{line}");
    }
    let (book, recovered) = recovered(&place);
    assert_eq!(recovered, Recovered::default(), "nothing is left open");
    let spent = book.report().unwrap().accounts(0..u64::MAX).unwrap();
    assert_eq!(book.report().unwrap().audit().unwrap().lines, lines.len() as u64);
    assert!(spent[0].spent.nano() > 0, "{spent:?}");
}

#[tokio::test]
async fn a_second_order_ends_what_runs_at_once_and_whoever_has_no_answer_yet_is_told_to_come_again() {
    let lab = lab("600s").await;
    let waiting = tokio::spawn(
        lab.http
            .post(lab.url("/v1/messages"))
            .bearer_auth(KEY)
            .body(json!({"model": "mute", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}).to_string())
            .send(),
    );
    lab.until("a request that waits", |status| status["in_flight"] == 1).await;
    let mut stream = lab.post(KEY, &ask("slow", true)).await;
    stream.chunk().await.unwrap();
    lab.gateway.drain();
    lab.gateway.drain();
    let ended = tokio::time::timeout(PATIENCE, lab.gateway.ended()).await.unwrap();
    assert_eq!((ended.drained.aborted, ended.failed), (0, false));
    let mut text = String::new();
    while let Some(piece) = stream.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(text.ends_with("\n\n") && text.contains("\"code\":\"draining\"") && !text.contains("[DONE]"), "{text}");
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    assert_eq!(answer.headers()["connection"], "close");
    let told: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(told["error"]["type"], "overloaded_error", "{told}");
    let lines = lines(&lab.place);
    assert_eq!((lines.len(), lines.iter().all(|line| line["error"] == "draining")), (2, true), "{lines:?}");
    assert_eq!(recovered(&lab.place).1, Recovered::default());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_and_its_request_is_paid_before_the_book_closes() {
    let place = Place::with(|root| {
        let more = "prices: {mock/*: {input: $1/Mtok, output: $10/Mtok}}\n";
        spec_with(root, "one", more)
            .replace("models: {fast", "models: {flood: {targets: [\"mock/mock-small@chunks=2000\"]}, fast")
            .replace("routing_headers: true", "budgets: [{limit: $5, period: total, mode: soft}]")
    });
    let lab = place.start().await;
    // Whoever gives no room for more than a line is stuck at once.
    let narrow = reqwest::Client::builder().no_proxy().http2_prior_knowledge().http2_initial_stream_window_size(64).build().unwrap();
    let stream = narrow.post(lab.url("/v1/chat/completions")).bearer_auth(KEY).body(ask("flood", true).to_string()).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    lab.gateway.drain();
    lab.gateway.drain();
    let ended = tokio::time::timeout(PATIENCE + Duration::from_secs(5), lab.gateway.ended()).await.unwrap();
    assert_eq!((ended.drained.aborted, ended.failed), (1, false));
    let (book, recovered) = recovered(&lab.place);
    assert_eq!((recovered, book.report().unwrap().audit().unwrap().lines), (Recovered::default(), 1));
}
