//! Clouds as upstreams: what is signed, where it goes, and what happens when signing in fails.

mod azure;
mod bedrock;
mod relayed;
mod signature;
mod vertex;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bifrostctl::base::ManualClock;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::harness::{KEY, Rig, Seen};
use crate::provider::peer::{Peer, read_request};

/// 2025-01-01T00:00:00Z.
const NOW_MS: u64 = 1_735_689_600_000;

/// A service that gives its answers in order, the last one for ever, and keeps what it was asked.
struct Service {
    peer: Peer,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service {
    async fn start(answers: Vec<Vec<u8>>) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        let answers = Arc::new(answers);
        let peer = Peer::serve(move |mut stream| {
            let (kept, answers) = (Arc::clone(&kept), Arc::clone(&answers));
            async move {
                while let Some(request) = read_request(&mut stream).await {
                    let answer = {
                        let mut kept = kept.lock().unwrap();
                        kept.push(request);
                        answers[(kept.len() - 1).min(answers.len() - 1)].clone()
                    };
                    if stream.write_all(&answer).await.is_err() || answer.is_empty() {
                        return;
                    }
                }
            }
        })
        .await;
        Self { peer, asked }
    }

    fn url(&self) -> String {
        format!("http://{}", self.peer.address)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The request lines so far, without the protocol.
    fn lines(&self) -> Vec<String> {
        self.asked().iter().map(|request| request.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned()).collect()
    }

    /// The values of a header so far; empty where a request had none.
    fn headers(&self, name: &str) -> Vec<String> {
        let value = |request: &String| header(request, name).unwrap_or_default().to_owned();
        self.asked().iter().map(value).collect()
    }

    fn bodies(&self) -> Vec<Value> {
        self.asked().iter().map(|request| serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()).collect()
    }
}

fn header<'r>(request: &'r str, name: &str) -> Option<&'r str> {
    let head = request.split_once("\r\n\r\n").unwrap().0;
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn answer(status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

const JSON: &str = "application/json";

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let always = [("A", "secret-A"), ("B", "secret-B"), ("C", "secret-C")];
    always.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A gateway at a time of the test's own, whose provider `one` is changed.
async fn rig(env: BTreeMap<String, String>, one: impl FnOnce(&mut Value)) -> (Rig, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let rig = Rig::start_in(env, Arc::clone(&clock) as _, |plan| one(&mut plan["providers"]["one"])).await;
    (rig, clock)
}

/// A credential that proves itself in some way.
fn credential(member: &str, value: &Value) -> Value {
    json!({member: value, "weight": 1, "models": ["*"], "optional": false})
}

async fn chat(rig: &Rig, stream: bool) -> Seen {
    let body = json!({"model": "fast", "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
    rig.chat(body.to_string()).await
}

async fn messages(rig: &Rig, body: &Value) -> Seen {
    rig.call("POST", "/v1/messages", &[("x-api-key", KEY)], Bytes::from(body.to_string())).await
}
