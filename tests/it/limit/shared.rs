//! Limits that gateways count together, on a real Redis: `ci/test` starts one. Without `REDIS_URL` these tests are skipped, and say so.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bifrostctl::base::{Clock, Secret, SystemClock};
use bifrostctl::limit::{Counters, Grant, Identity, Limiter, Measure, Refused, Scope, Sharing, enter};
use bifrostctl::store::rates::SharedRates;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Where the server is; none, and a word about it, where there is none to be had.
fn server() -> Option<String> {
    let url = std::env::var("REDIS_URL").unwrap_or_default();
    if !url.starts_with("redis://127.0.0.1:") {
        std::io::stderr().write_all(b"skipped: REDIS_URL names no Redis on 127.0.0.1; ci/servers starts one\n").unwrap();
        return None;
    }
    Some(url)
}

/// A name that no other test has used on this server.
fn name(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let started = SystemClock::default().unix_ms();
    format!("{what}-{started}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// One of several gateways that count together.
struct Gateway {
    counters: Counters,
    clock: Arc<SystemClock>,
}

impl Gateway {
    fn of(gateways: u32, address: &str) -> Self {
        let clock = Arc::new(SystemClock::default());
        let rates = SharedRates::new(&Secret::new(address.to_owned()), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let counters = Counters::default();
        counters.share(Sharing { gateways, rates: Some(Arc::new(rates)) });
        Self { counters, clock }
    }

    fn limiter(&self, scope: Scope, name: &str, limits: Value) -> Arc<Limiter> {
        let limits = serde_json::from_value(limits).unwrap();
        Arc::new(Limiter::new(Identity::new(scope, name), &limits, &self.counters).unwrap())
    }

    fn now_ns(&self) -> u64 {
        self.clock.monotonic_us() * 1_000
    }

    async fn ask(&self, limiters: &[Arc<Limiter>], tokens: Option<u64>) -> Result<Grant, Refused> {
        enter(limiters, tokens, self.now_ns()).await
    }
}

#[tokio::test]
async fn together_gateways_let_in_the_burst_and_what_the_rate_adds() {
    let Some(address) = server() else { return };
    let (key, began) = (name("web"), Instant::now());
    let gateways: Vec<_> = (0..3).map(|_| Gateway::of(3, &address)).collect();
    let client = async |gateway: &Gateway| {
        let limiter = gateway.limiter(Scope::Key, &key, json!({"requests": {"rate": "600/min", "burst": 60}}));
        let asked = join_all((0..100).map(|_| gateway.ask(std::slice::from_ref(&limiter), None))).await;
        asked.into_iter().filter(Result::is_ok).count() as u64
    };
    let admitted: u64 = join_all(gateways.iter().map(client)).await.into_iter().sum();
    // Ten a second come to it, while this runs.
    let added = began.elapsed().as_millis() as u64 / 100 + 1;
    assert!((60..=60 + added).contains(&admitted), "{admitted} of 60 and {added}");
}

#[tokio::test]
async fn a_refusal_takes_nothing_and_names_the_limit_that_takes_longest() {
    let Some(address) = server() else { return };
    let gateway = Gateway::of(2, &address);
    let (key, team) = (name("web"), name("all"));
    let limits = json!({"requests": {"rate": "60/h", "burst": 5}, "tokens": {"rate": "3600/h", "burst": 100}});
    let both = [gateway.limiter(Scope::Key, &key, limits), gateway.limiter(Scope::Team, &team, json!({"requests": "1/h"}))];
    let _first = gateway.ask(&both, Some(40)).await.unwrap();
    let refused = gateway.ask(&both, Some(70)).await.unwrap_err();
    assert_eq!((refused.scope, refused.measure), (Scope::Team, Measure::Requests));
    assert!((3_599_000_000_000..=3_600_000_000_000).contains(&refused.wait_ns), "{}", refused.wait_ns);
    // Another gateway finds four requests and sixty tokens, which the refusal did not touch.
    let other = Gateway::of(2, &address);
    let limits = json!({"requests": {"rate": "60/h", "burst": 5}, "tokens": {"rate": "3600/h", "burst": 100}});
    let one = [other.limiter(Scope::Key, &key, limits)];
    assert_eq!(one[0].level(Measure::Tokens, other.now_ns()).unwrap().remaining, 100, "it has not heard of it yet");
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(other.ask(&one, Some(15)).await.unwrap());
    }
    let refused = other.ask(&one, Some(15)).await.unwrap_err();
    assert_eq!((refused.measure, refused.remaining), (Measure::Requests, 0));
    assert!(one[0].level(Measure::Tokens, other.now_ns()).unwrap().remaining <= 1, "what clients are told is what all have used");
}

#[tokio::test]
async fn tokens_that_were_not_used_come_back_to_every_gateway_and_those_used_beyond_are_charged() {
    let Some(address) = server() else { return };
    let (here, there, key) = (Gateway::of(2, &address), Gateway::of(2, &address), name("web"));
    let limits = || json!({"tokens": {"rate": "3600/h", "burst": 1000}});
    let (mine, other) = ([here.limiter(Scope::Key, &key, limits())], [there.limiter(Scope::Key, &key, limits())]);
    let whole = here.ask(&mine, Some(1000)).await.unwrap();
    assert_eq!(there.ask(&other, Some(500)).await.unwrap_err().measure, Measure::Tokens);
    whole.settle(100, here.now_ns());
    // It is corrected in a task of its own, so it is asked for until it is there.
    let until = Instant::now() + Duration::from_secs(5);
    let half = loop {
        match there.ask(&other, Some(500)).await {
            Ok(grant) => break grant,
            Err(refused) => assert!(Instant::now() < until, "{refused:?}"),
        }
    };
    // 400 are left; 1,500 were used where 500 had been taken.
    half.settle(1_500, there.now_ns());
    let refused = loop {
        match here.ask(&mine, Some(1)).await {
            Ok(grant) => grant.settle(0, here.now_ns()),
            Err(refused) => break refused,
        }
        assert!(Instant::now() < until);
    };
    assert!((500..=700).contains(&(refused.wait_ns / 1_000_000_000)), "600 over: {}", refused.wait_ns);
}

/// A way to the server that can be cut.
struct Wire {
    address: String,
    task: JoinHandle<()>,
}

impl Wire {
    async fn lay(port: u16, server: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let address = format!("redis://{}", listener.local_addr().unwrap());
        let server = server.trim_start_matches("redis://").to_owned();
        let task = tokio::spawn(async move {
            let mut running = tokio::task::JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let mut far = TcpStream::connect(&server).await.unwrap();
                running.spawn(async move { copy_bidirectional(&mut near, &mut far).await.ok() });
            }
        });
        Self { address, task }
    }

    async fn cut(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    fn port(&self) -> u16 {
        self.address.rsplit(':').next().unwrap().parse().unwrap()
    }
}

#[tokio::test]
async fn without_an_answer_each_gateway_keeps_to_its_part_and_with_one_they_count_together_again() {
    let Some(address) = server() else { return };
    let wire = Wire::lay(0, &address).await;
    let port = wire.port();
    let (gateway, key) = (Gateway::of(4, &wire.address), name("web"));
    let one = [gateway.limiter(Scope::Key, &key, json!({"requests": {"rate": "100/h", "burst": 40}}))];
    for _ in 0..8 {
        drop(gateway.ask(&one, None).await.unwrap());
    }
    wire.cut().await;
    // Eight of forty are a fifth; of this gateway's own ten, eight are left.
    let began = Instant::now();
    let mut alone = 0;
    while gateway.ask(&one, None).await.is_ok() {
        alone += 1;
    }
    assert!((7..=8).contains(&alone), "{alone}");
    assert!(began.elapsed() < Duration::from_secs(2), "nobody waits for what does not answer: {:?}", began.elapsed());
    let _wire = Wire::lay(port, &address).await;
    let until = Instant::now() + Duration::from_secs(10);
    let mut together = 0;
    while together < 32 && Instant::now() < until {
        together += u32::from(gateway.ask(&one, None).await.is_ok());
        tokio::task::yield_now().await;
    }
    assert_eq!(together, 32, "what was let in meanwhile is not known to the shared count");
    assert!(gateway.ask(&one, None).await.is_err());
}

#[tokio::test]
async fn a_server_that_takes_and_says_nothing_is_waited_for_once() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Gateway::of(2, &format!("redis://{}", silent.local_addr().unwrap()));
    let one = [gateway.limiter(Scope::Key, "web", json!({"requests": {"rate": "100/h", "burst": 40}, "concurrency": 9}))];
    let began = Instant::now();
    let held: Vec<_> = join_all((0..4).map(|_| gateway.ask(&one, None))).await.into_iter().map(Result::unwrap).collect();
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    assert_eq!(gateway.ask(&one, None).await.unwrap_err().measure, Measure::Concurrency, "nine at once are four for each of two");
    drop(held);
    let began = Instant::now();
    assert!(gateway.ask(&one, None).await.is_ok() && began.elapsed() < Duration::from_millis(100));
}

#[test]
fn gateways_that_share_nothing_keep_to_their_parts() {
    let gateways: Vec<_> = (0..3).map(|_| Counters::default()).collect();
    let limits = serde_json::from_value(json!({"requests": {"rate": "600/min", "burst": 60}})).unwrap();
    let mut admitted = 0;
    for counters in &gateways {
        let one = [Arc::new(Limiter::new(Identity::new(Scope::Key, "web"), &limits, counters).unwrap())];
        // Known after the table was built, as at a gateway's start.
        counters.share(Sharing { gateways: 3, rates: None });
        admitted += (0..100).filter(|_| bifrostctl::limit::admit(&one, None, 0).is_ok()).count();
        let in_a_second = (0..100).filter(|_| bifrostctl::limit::admit(&one, None, 1_000_000_000).is_ok()).count();
        assert_eq!(in_a_second, 3, "a third of ten a second");
    }
    assert_eq!(admitted, 60);
}
