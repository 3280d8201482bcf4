//! A constant rate of arrivals, whatever becomes of those before: times count from when a request was meant to start.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::client::{Answer, Connection, Dialect, End};
use super::gateway::{self, Gateway};
use super::{Times, knob, say, upstream};

/// Starts that may wait to be taken.
const AHEAD: usize = 1 << 20;

/// Says when each of the requests of a rate is meant to start, at that time. A thread of its own keeps the time, to a tenth of a millisecond.
pub(super) fn pace(rate: u64, span: Duration) -> mpsc::Receiver<Instant> {
    let (tell, told) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        let began = Instant::now();
        let mut number = 0;
        loop {
            // All that are due in a millisecond start together.
            let due = Duration::from_millis(number * 1_000 / rate);
            if due >= span {
                return;
            }
            let meant = began + due;
            while let Some(left) = meant.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                std::thread::park_timeout(left);
            }
            if tell.try_send(meant).is_err() {
                return;
            }
            number += 1;
        }
    });
    told
}

/// How long a connection may lie unused.
const FRESH: Duration = Duration::from_secs(30);

/// Connections of clients that ask now and then; there are as many as requests run.
#[derive(Clone)]
pub(super) struct Crowd {
    pub(super) address: SocketAddr,
    free: Arc<Mutex<Vec<(Connection, Instant)>>>,
}

impl Crowd {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, free: Arc::default() }
    }

    pub(super) async fn ask(&self, request: &[u8]) -> std::io::Result<Answer> {
        let free = self.free.lock().unwrap().pop();
        let mut connection = match free {
            Some((connection, used)) if used.elapsed() < FRESH => connection,
            // The gateway closes what is not used, and may be about to.
            Some(_) | None => Connection::open(self.address).await?,
        };
        let answer = connection.ask(request).await?;
        if !connection.is_last {
            self.free.lock().unwrap().push((connection, Instant::now()));
        }
        Ok(answer)
    }
}

/// What came of a rate.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) asked: u64,
    pub(super) failed: u64,
    /// The first of the failures.
    pub(super) failure: Option<String>,
    pub(super) times: Times,
}

/// Asks at a rate; all that does not end whole has failed.
pub(super) async fn at_rate(address: SocketAddr, request: Bytes, (rate, span): (u64, Duration)) -> Kept {
    let (crowd, mut starts, mut running, mut kept) = (Crowd::new(address), pace(rate, span), JoinSet::new(), Kept::default());
    let note = |kept: &mut Kept, (meant, failure): (Duration, Option<String>)| {
        kept.times.0.push(meant);
        kept.failed += u64::from(failure.is_some());
        kept.failure = kept.failure.take().or(failure);
    };
    while let Some(meant) = starts.recv().await {
        kept.asked += 1;
        let (crowd, request) = (crowd.clone(), request.clone());
        running.spawn(async move {
            let answer = crowd.ask(&request).await;
            let took = meant.elapsed();
            let is_whole = answer.as_ref().is_ok_and(|answer| Dialect::Openai.judge(false, answer) == End::Whole);
            (took, (!is_whole).then(|| format!("{answer:?}")))
        });
        while let Some(ended) = running.try_join_next() {
            note(&mut kept, ended.unwrap());
        }
    }
    while let Some(ended) = running.join_next().await {
        note(&mut kept, ended.unwrap());
    }
    kept
}

async fn constant_rate(rate: u64, span: Duration) {
    let mock = upstream("chunks=20").await;
    let gateway = Gateway::start(&gateway::usual(&mock.base_url()));
    let request = Dialect::Openai.request("fast", false, 40);
    at_rate(gateway.address, request.clone(), (rate.min(200), span.min(Duration::from_secs(1)))).await;
    let mut kept = at_rate(gateway.address, request, (rate, span)).await;
    say(format_args!("rate: {} requests at {rate}/s, {} failed, {}", kept.asked, kept.failed, kept.times.told()));
    assert_eq!((kept.failed, kept.failure), (0, None));
    assert_eq!(kept.asked, rate * span.as_millis() as u64 / 1_000);
    gateway.until_idle().await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_constant_rate_is_served_without_a_failure() {
    constant_rate(200, Duration::from_millis(500)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "wants the machine to itself"]
async fn a_high_constant_rate_is_served_without_a_failure() {
    constant_rate(knob("LOAD_RATE", 5_000), Duration::from_secs(knob("LOAD_RATE_SECONDS", 10))).await;
}
