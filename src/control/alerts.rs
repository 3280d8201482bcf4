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
/// Pauses before further tries: a receiver that is being replaced is back within some minutes.
const PAUSES: [Duration; 4] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];
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
    while let Some(alert) = alerts.recv().await {
        let Some(now_ms) = shared.upgrade().map(|shared| shared.clock.unix_ms()) else { return };
        let body = Bytes::from(message(&alert, now_ms));
        // Asked before each try: whoever corrects the address while a receiver is down means this alert, too.
        let webhook = || shared.upgrade().and_then(|shared| shared.current().plan.telemetry.alert_webhook.clone());
        let via = (&*services.env, services.base_dir.as_path(), &*services.clients);
        if let Err(why) = persist(webhook, body, via, &PAUSES).await {
            tracing::error!(budget = %alert.budget, percent = alert.percent, why, "an alert was not delivered");
        }
    }
}

/// Why an alert was not taken. Holds nothing of the address, which is a secret.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    /// A later try may succeed.
    Now(String),
    /// The receiver does not want it as it is.
    Ever(String),
}

/// What a delivery needs beside the address.
type Via<'v> = (&'v (dyn Environment + Send + Sync), &'v Path, &'v Clients);

/// Posts until it is taken, with a pause before each further try.
///
/// # Errors
/// Why the last try failed.
async fn persist(webhook: impl Fn() -> Option<SecretRef>, body: Bytes, via: Via<'_>, pauses: &[Duration]) -> Result<(), String> {
    let mut pauses = pauses.iter();
    loop {
        let Some(address) = webhook() else { return Ok(()) };
        let why = match post(&address, body.clone(), via).await {
            Ok(()) => return Ok(()),
            Err(Refused::Ever(why)) => return Err(why),
            Err(Refused::Now(why)) => why,
        };
        let Some(pause) = pauses.next() else { return Err(why) };
        tokio::time::sleep(*pause).await;
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

/// Posts once.
async fn post(webhook: &SecretRef, body: Bytes, (env, base, clients): Via<'_>) -> Result<(), Refused> {
    let now = |why: &str| Refused::Now(why.to_owned());
    let secret = resolve(webhook, env, base).map_err(|error| Refused::Now(error.to_string()))?;
    let secret = secret.ok_or_else(|| now("there is no address"))?;
    let url = url::Url::parse(secret.expose()).map_err(|_| now("the address is not a URL"))?;
    let root = url.origin().ascii_serialization();
    let destination = Destination::parse(&root, None).map_err(|_| now("the address cannot be dialled"))?;
    let path = destination.endpoint(url.path(), url.query()).map_err(|_| now("the address has a path that is not allowed"))?;
    let client = clients.get(&ClientOptions::new(&destination, PATIENCE)).map_err(|_| now("no client can be made"))?;
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let outbound = Outbound { method: Method::POST, path, headers, body: Pieces::from(body) };
    let answer = client.send(outbound, Waits { first_byte: PATIENCE, idle: PATIENCE }).await.map_err(|error| now(error.kind.code()))?;
    let (status, why) = (answer.status, format!("it answered {}", answer.status.as_u16()));
    match status.as_u16() {
        200..=299 => Ok(()),
        // It was too slow, too busy, or is being set up.
        404 | 408 | 425 | 429 | 500.. => Err(Refused::Now(why)),
        _ => Err(Refused::Ever(why)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::base::Usd;
    use crate::provider::{Proxies, SystemLookup};

    /// A receiver that answers with these statuses, one after the other, and gives what it heard.
    async fn receiver(statuses: &'static [&'static str]) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/hooks/canary?token=canary", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let mut heard = Vec::new();
            for status in statuses {
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
        (address, server)
    }

    fn body() -> Bytes {
        let alert = Alert { budget: "growth".into(), percent: 80, spent: Usd::from_nano(1), limit: Usd::from_nano(2) };
        Bytes::from(message(&alert, 1_000))
    }

    const QUICK: [Duration; 3] = [Duration::from_millis(1); 3];

    /// Delivers to these addresses, each for one try, the last for all further ones.
    async fn persist_to(addresses: &[&str]) -> Result<(), String> {
        let named = |place: usize| format!("HOOK{place}");
        let env: BTreeMap<String, String> = addresses.iter().enumerate().map(|(place, it)| (named(place), (*it).to_owned())).collect();
        let clients = Clients::new(Proxies::default(), Arc::new(SystemLookup));
        let tries = std::cell::Cell::new(0);
        let webhook = || Some(SecretRef::Env(named(tries.replace(tries.get() + 1).min(addresses.len() - 1))));
        persist(webhook, body(), (&env, Path::new("."), &clients), &QUICK).await
    }

    #[tokio::test]
    async fn a_receiver_that_fails_and_then_is_gone_gets_the_alert_once_it_is_back() {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = format!("http://{}/canary", gone.local_addr().unwrap());
        drop(gone);
        let (address, server) = receiver(&["500 No", "204 Good"]).await;
        assert_eq!(persist_to(&[&address, &closed, &address]).await, Ok(()));
        let heard = server.await.unwrap();
        assert!(heard[0].starts_with("POST /hooks/canary?token=canary HTTP/1.1"), "{}", heard[0]);
        assert!(heard[0].contains("\"budget\":\"growth\"") && heard[0].contains("\"time\":\"1970-01-01T00:00:01Z\""), "{}", heard[0]);
        let of = |text: &str| text.split_once("\r\n\r\n").unwrap().1.to_owned();
        assert_eq!(of(&heard[0]), of(&heard[1]));
    }

    #[tokio::test]
    async fn what_is_given_up_says_nothing_of_the_address() {
        let (address, server) = receiver(&["500 No", "503 No", "429 Slow", "500 No"]).await;
        assert_eq!(persist_to(&[&address]).await, Err("it answered 500".to_owned()));
        assert_eq!(server.await.unwrap().len(), 1 + QUICK.len());
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = format!("http://{}/canary", gone.local_addr().unwrap());
        drop(gone);
        for wrong in [closed.as_str(), "canary", "http://canary canary/", "ftp://canary/canary"] {
            let why = persist_to(&[wrong]).await.unwrap_err();
            assert!(!why.contains("canary") && !why.contains("127."), "{why}");
        }
    }

    #[tokio::test]
    async fn what_the_receiver_does_not_want_is_not_sent_again() {
        let (address, server) = receiver(&["401 Who"]).await;
        assert_eq!(persist_to(&[&address]).await, Err("it answered 401".to_owned()));
        assert_eq!(server.await.unwrap().len(), 1);
    }

    #[test]
    fn what_nobody_takes_waits_up_to_a_number_and_nobody_waits_for_it() {
        let ledger = Ledger::new(Arc::new(crate::base::SystemClock::default()));
        let (alerts, mut received) = listen(&ledger);
        let alert = Alert { budget: "growth".into(), percent: 80, spent: Usd::from_nano(1), limit: Usd::from_nano(2) };
        for _ in 0..WAITING + 5 {
            alerts.hear(&alert);
        }
        let mut kept = 0;
        while received.try_recv().is_ok() {
            kept += 1;
        }
        assert_eq!(kept, WAITING);
    }
}
