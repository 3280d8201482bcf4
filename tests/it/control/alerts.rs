//! Alerts of budgets, from the request that sets one off to the program that hears of it.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::lab::{KEY, Lab, PATIENCE, Place, spec_with};

/// A program that hears alerts. It answers the first one with a failure of its own.
struct Receiver {
    listener: TcpListener,
    has_failed: bool,
}

impl Receiver {
    async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), has_failed: false }
    }

    fn address(&self) -> String {
        format!("http://{}/hook?token=canary", self.listener.local_addr().unwrap())
    }

    /// Takes the next request and answers it.
    async fn hear(&mut self) -> Value {
        let (mut stream, _) = tokio::time::timeout(PATIENCE, self.listener.accept()).await.expect("an alert in time").unwrap();
        let (mut bytes, mut length) = (vec![0; 4096], 0);
        while !bytes[..length].ends_with(b"}") {
            length += stream.read(&mut bytes[length..]).await.unwrap();
        }
        let status = if std::mem::replace(&mut self.has_failed, true) { "200 OK" } else { "503 Wait" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        let text = std::str::from_utf8(&bytes[..length]).unwrap();
        assert!(text.starts_with("POST /hook?token=canary HTTP/1.1"), "{text}");
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

fn place(address: &str) -> Place {
    let place = Place::with(|root| {
        let hook = root.join("hook").display().to_string();
        let alerts = format!("telemetry: {{access_log: \"off\", alerts: {{webhook: {{file: \"{hook}\"}}}}}}");
        spec_with(root, "one", "prices: {mock/*: {request: $1/request, input: $0/Mtok, output: $0/Mtok}}\n")
            .replace("telemetry: {access_log: \"off\"}", &alerts)
            .replace("routing_headers: true", "budgets: [{limit: $4, period: total, mode: soft, alerts: [50%, 100%]}]")
    });
    place.write("hook", address);
    place
}

async fn spend(lab: &Lab, requests: usize) {
    for _ in 0..requests {
        assert_eq!(lab.chat(KEY, "fast").await.status, 200);
    }
}

/// The share and what was spent, of an alert.
fn told(alert: &Value) -> (u64, &str) {
    assert_eq!((&alert["type"], &alert["budget"], &alert["limit"]), (&json!("budget_alert"), &json!("key:web per total"), &json!("$4")));
    (alert["percent"].as_u64().unwrap(), alert["spent"].as_str().unwrap())
}

#[tokio::test]
async fn each_share_is_told_once_in_a_window_whatever_the_receiver_and_the_gateway_go_through() {
    let mut receiver = Receiver::start().await;
    let lab = place(&receiver.address()).start().await;
    spend(&lab, 3).await;
    // The receiver fails, and hears the same again.
    let first = receiver.hear().await;
    assert_eq!((told(&first), &first), ((50, "$2"), &receiver.hear().await));
    let place = lab.end().await;
    // After a new start: what was told stays told, and what is reached anew is not.
    let lab = place.start().await;
    spend(&lab, 1).await;
    assert_eq!(told(&receiver.hear().await), (100, "$4"));
    assert_eq!(lab.chat(KEY, "fast").await.status, 402);
    // After it was set back, it begins anew.
    let reset = lab.send("/v1/budgets/reset", None, &json!({"budget": "key:web", "reason": "test"})).await;
    assert_eq!(reset.status, 200, "{reset:?}");
    spend(&lab, 2).await;
    assert_eq!(told(&receiver.hear().await), (50, "$2"));
    let text = lab.get("/metrics").await.text;
    assert!(text.contains("bifrost_budget_alerts_total{budget=\"own\"} 2"), "{text}");
    assert!(!text.contains("canary"));
}
