//! Alerts of budgets: to the log, to the metrics, and to the webhook that the spec names.
//!
//! Rule: whoever sets one off never waits; an alert that cannot be delivered is logged, with nothing of the address.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method};
use serde_json::json;
use tokio::sync::mpsc;

use super::shared::Shared;
use crate::limit::budget::{Alert, Ledger};
use crate::plan::SecretRef;
use crate::provider::{ClientOptions, Clients, Destination, Outbound, Pieces, Waits, resolve};
use crate::spec::Environment;
use crate::table::Services;
use crate::telemetry::{Samples, names};

/// Alerts that may wait for the webhook.
const WAITING: usize = 1_024;
/// Pauses before further tries.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
/// How long the webhook may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hears alerts, and counts them.
#[derive(Debug)]
pub(super) struct Alerts {
    counts: Mutex<BTreeMap<Arc<str>, u64>>,
    waiting: mpsc::Sender<Alert>,
}

/// Listens to a ledger. What is to be delivered comes out of the channel.
pub(super) fn listen(ledger: &Ledger) -> (Arc<Alerts>, mpsc::Receiver<Alert>) {
    let (waiting, received) = mpsc::channel(WAITING);
    let alerts = Arc::new(Alerts { counts: Mutex::default(), waiting });
    let ears = Arc::clone(&alerts);
    ledger.listen(Box::new(move |alert| ears.hear(alert)));
    (alerts, received)
}

impl Alerts {
    fn hear(&self, alert: &Alert) {
        let Alert { budget, percent, spent, limit } = alert;
        tracing::warn!(%budget, percent, %spent, %limit, "a budget has reached a share of its limit");
        // Names hold no blanks; a budget of a key's or a team's own is called after its account and window, and no label tells who asks.
        let label = if budget.contains(' ') { Arc::from("own") } else { Arc::clone(budget) };
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(label).or_default() += 1;
        if self.waiting.try_send(alert.clone()).is_err() {
            tracing::error!(%budget, percent, "an alert was not delivered: too many wait");
        }
    }

    /// Counts at a scrape.
    pub(super) fn sample(&self, samples: &mut Samples) {
        for (budget, count) in self.counts.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            samples.add(&names::BUDGET_ALERTS, &[budget], *count);
        }
    }
}

/// Delivers alerts, one after the other, to the webhook of the plan that runs.
pub(super) async fn deliver(mut alerts: mpsc::Receiver<Alert>, shared: Weak<Shared>, services: Services) {
    while let (Some(alert), Some(shared)) = (alerts.recv().await, shared.upgrade()) {
        let Some(webhook) = shared.current().plan.telemetry.alert_webhook.clone() else { continue };
        let body = Bytes::from(message(&alert, shared.clock.unix_ms()));
        let mut tries = PAUSES.iter();
        while let Err(why) = post(&webhook, body.clone(), (&*services.env, &services.base_dir, &services.clients)).await {
            let Some(pause) = tries.next() else {
                tracing::error!(budget = %alert.budget, percent = alert.percent, why, "an alert was not delivered");
                break;
            };
            tokio::time::sleep(*pause).await;
        }
    }
}

/// Writes what the webhook gets. `text` is what chat programs show.
fn message(alert: &Alert, unix_ms: u64) -> Vec<u8> {
    let Alert { budget, percent, spent, limit } = alert;
    let time = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).map(|time| time.to_string());
    let text = format!("Budget `{budget}` has reached {percent}%: {spent} of {limit} is spent.");
    json!({"type": "budget_alert", "budget": &**budget, "percent": percent, "spent": spent, "limit": limit, "time": time, "text": text})
        .to_string()
        .into_bytes()
}

/// Posts once. Errors hold nothing of the address, which is a secret.
async fn post(
    webhook: &SecretRef,
    body: Bytes,
    (env, base, clients): (&(dyn Environment + Send + Sync), &Path, &Clients),
) -> Result<(), String> {
    let secret = resolve(webhook, env, base).map_err(|error| error.to_string())?;
    let secret = secret.ok_or("there is no address")?;
    let url = url::Url::parse(secret.expose()).map_err(|_| "the address is not a URL")?;
    let root = url.origin().ascii_serialization();
    let destination = Destination::parse(&root, None).map_err(|_| "the address cannot be dialled")?;
    let path = destination.endpoint(url.path(), url.query()).map_err(|_| "the address has a path that is not allowed")?;
    let client = clients.get(&ClientOptions::new(&destination, PATIENCE)).map_err(|_| "no client can be made")?;
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let outbound = Outbound { method: Method::POST, path, headers, body: Pieces::from(body) };
    let answer =
        client.send(outbound, Waits { first_byte: PATIENCE, idle: PATIENCE }).await.map_err(|error| error.kind.code().to_owned())?;
    if answer.status.is_success() { Ok(()) } else { Err(format!("it answered {}", answer.status.as_u16())) }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::base::Usd;
    use crate::provider::{Proxies, SystemLookup};

    #[tokio::test]
    async fn a_webhook_gets_the_alert_and_its_refusal_says_nothing_of_the_address() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/hooks/canary?token=canary", listener.local_addr().unwrap());
        let env = BTreeMap::from([("HOOK".to_owned(), address)]);
        let clients = Clients::new(Proxies::default(), Arc::new(SystemLookup));
        let alert = Alert { budget: "growth".into(), percent: 80, spent: Usd::from_nano(1), limit: Usd::from_nano(2) };
        let server = tokio::spawn(async move {
            let mut heard = Vec::new();
            for status in ["200 OK", "500 No"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = vec![0; 4096];
                let mut length = 0;
                while !bytes[..length].ends_with(b"}") {
                    length += stream.read(&mut bytes[length..]).await.unwrap();
                }
                heard.push(String::from_utf8(bytes[..length].to_vec()).unwrap());
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            heard
        });
        let webhook = SecretRef::Env("HOOK".to_owned());
        let send = async || post(&webhook, Bytes::from(message(&alert, 1_000)), (&env, Path::new("."), &clients)).await;
        assert_eq!(send().await, Ok(()));
        let refused = send().await.unwrap_err();
        assert!(refused.contains("500") && !refused.contains("canary"), "{refused}");
        let heard = server.await.unwrap();
        assert!(heard[0].starts_with("POST /hooks/canary?token=canary HTTP/1.1"), "{}", heard[0]);
        assert!(heard[0].contains("\"budget\":\"growth\"") && heard[0].contains("\"time\":\"1970-01-01T00:00:01Z\""), "{}", heard[0]);
    }
}
