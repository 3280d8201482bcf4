//! The hand-over, from the socket in the state directory.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bifrostctl::control::{StartError, SuccessionError, start};
use bifrostctl::store::book::TABLES;
use serde_json::{Value, json};

use super::lab::{KEY, Lab, PATIENCE, Place, ask, said, spec, spec_with};

/// Somebody who says that it wants to take over.
struct Pretender(UnixStream);

impl Pretender {
    fn new(lab: &Lab, form: u32, tables: u32) -> Self {
        let stream = UnixStream::connect(lab.place.path("state/upgrade.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut pretender = Self(stream);
        pretender.say(&json!({"Hello": {"form": form, "tables": tables, "version": "9", "pid": 1}}));
        pretender
    }

    fn say(&mut self, message: &Value) {
        let body = message.to_string();
        self.0.write_all(&u32::try_from(body.len()).unwrap().to_be_bytes()).unwrap();
        self.0.write_all(body.as_bytes()).unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut body = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        self.0.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}

async fn with_budget() -> Lab {
    let place = Place::with(|root| {
        let more = "prices: {mock/*: {input: $1/Mtok, output: $10/Mtok}}\n";
        spec_with(root, "one", more).replace("routing_headers: true", "budgets: [{limit: $5, period: total, mode: soft}]")
    });
    place.start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_breaks_off_at_any_moment_changes_nothing() {
    let lab = with_budget().await;
    let mut pretender = Pretender::new(&lab, 1, TABLES + 1);
    assert!(pretender.hear()["Refused"]["why"].as_str().unwrap().contains("restart it instead"));
    let mut pretender = Pretender::new(&lab, 2, TABLES);
    assert!(pretender.hear()["Refused"]["why"].as_str().unwrap().contains("restart it instead"));
    let mut says = "one".to_owned();
    for steps in 0..3 {
        let mut pretender = Pretender::new(&lab, 1, TABLES);
        assert_eq!(pretender.hear()["Welcome"]["pid"], std::process::id());
        if steps > 0 {
            pretender.say(&json!("Ready"));
            assert_eq!(pretender.hear()["Estate"]["held"], json!([]));
        }
        if steps > 1 {
            pretender.say(&json!({"Answer": {"Store": "nonsense"}}));
        }
        drop(pretender);
        assert_eq!(lab.chat(KEY, "fast").await.status, 200, "{steps}");
        let (before, after) = (format!("text={says}"), format!("text=after{steps}"));
        assert_eq!(lab.apply(&lab.place.read("gateway.yaml").replace(&before, &after)).await.status, 200);
        says = format!("after{steps}");
    }
    assert_eq!(lab.gateway.revision(), 4);
    lab.end().await;
}

#[tokio::test]
async fn a_successor_serves_on_the_same_sockets_and_answers_for_what_still_runs() {
    let lab = with_budget().await;
    let mut stream = lab.post(KEY, &ask("mock/mock-small@chunks=40;chunk_delay=25ms;text=word", true)).await;
    assert!(stream.chunk().await.unwrap().is_some());
    let mut options = lab.place.options();
    options.take_over = true;
    lab.place.write("gateway.yaml", &lab.place.read("gateway.yaml").replace("text=one", "text=two"));
    lab.until_revision(2).await;
    let next = start(options).await.unwrap_or_else(|error| panic!("{}", said(&error)));
    assert_eq!((next.address(), next.revision()), (lab.gateway.address(), 2));
    let Lab { place, gateway, http, .. } = lab;
    let admin = reqwest::Client::builder().no_proxy().unix_socket(place.path("a/admin.sock")).build().unwrap();
    let status = async || -> Value {
        serde_json::from_str(&admin.get("http://admin/v1/status").send().await.unwrap().text().await.unwrap()).unwrap()
    };
    assert_eq!(status().await["predecessor_runs"], true);
    let answer = http.post(format!("http://{}/v1/chat/completions", next.address())).bearer_auth(KEY);
    let answer: Value =
        serde_json::from_str(&answer.body(ask("fast", false).to_string()).send().await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "two");
    let mut text = String::new();
    while let Some(piece) = stream.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let ended = tokio::time::timeout(PATIENCE, gateway.ended()).await.unwrap();
    assert_eq!((ended.drained.aborted, ended.failed), (0, false));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while status().await["predecessor_runs"] == true {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(place.path("a/admin.sock").exists() && place.path("state/upgrade.sock").exists(), "the sockets are the successor's now");
    let seen = admin.get("http://admin/v1/budgets").send().await.unwrap().text().await.unwrap();
    let seen: Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen["budgets"][0]["spent"], seen["accounts"][0]["spent"], "{seen}");
    next.drain();
    assert!(!tokio::time::timeout(PATIENCE, next.ended()).await.unwrap().failed);
    assert!(!place.path("a/admin.sock").exists() && !place.path("state/upgrade.sock").exists());
    let (book, recovered) = bifrostctl::store::book::Book::open(&place.path("state/book.sqlite3"), 1, std::sync::Arc::new(|_| {})).unwrap();
    assert_eq!((recovered.expired, book.report().unwrap().audit().unwrap().lines), (0, 2));
}

#[tokio::test]
async fn nobody_takes_over_where_nobody_is_or_the_spec_moves_the_sockets() {
    let place = Place::with(|root| spec(root, "one"));
    let mut options = place.options();
    options.take_over = true;
    let error = start(options.clone()).await.unwrap_err();
    assert!(matches!(error, StartError::Succession(SuccessionError::Nobody { .. })), "{}", said(&error));
    let lab = place.start().await;
    lab.place.write("gateway.yaml", &spec(&lab.place.root, "one").replace("/a/admin.sock", "/b/admin.sock"));
    let error = start(options).await.unwrap_err();
    assert!(said(&error).contains("`gateway.admin` is another place"), "{}", said(&error));
    assert_eq!(lab.says().await, "one");
    assert!(lab.place.path("a/admin.sock").exists() && lab.place.path("state/upgrade.sock").exists());
    lab.end().await;
}
