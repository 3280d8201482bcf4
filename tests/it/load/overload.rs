//! Providers that are all overloaded: whoever is refused is told soon, and they are not asked much more than clients ask.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::client::{Connection, Dialect, End};
use super::gateway::{self, Gateway, provider};
use super::{Times, knob, say, upstream};

/// How all providers of an alias fail: its name, and what the mock does.
const WAYS: [(&str, &str); 4] = [
    ("overloaded", "status=529"),
    ("unavailable", "status=503"),
    ("limited", "status=429;retry_after=60"),
    // Accepted, and never answered.
    ("silent", "stall_at=start"),
];

/// How many clients ask one after another, and for how long.
#[derive(Debug, Clone, Copy)]
struct Load {
    clients: u64,
    span: Duration,
}

/// What became of the requests.
#[derive(Default)]
struct Seen {
    asked: u64,
    served: u64,
    /// Times of those that were told that it is too much now: 429, 503, 529.
    refused: Times,
    /// Times of those that were told that their provider failed.
    failed: Times,
    broken: Vec<String>,
}

async fn client(address: SocketAddr, alias: &'static str, load: Load) -> Seen {
    let request = Dialect::Openai.request(alias, false, 40);
    let mut connection = Connection::open(address).await.unwrap();
    let (mut seen, began) = (Seen::default(), Instant::now());
    while began.elapsed() < load.span {
        let start = Instant::now();
        let answer = connection.ask(&request).await.unwrap();
        let took = start.elapsed();
        seen.asked += 1;
        match Dialect::Openai.judge(false, &answer) {
            // What is measured is how it goes once the gateway knows.
            End::Told if began.elapsed() < load.span / 2 => {}
            End::Told if matches!(answer.status, 429 | 503 | 529) => seen.refused.0.push(took),
            End::Told => seen.failed.0.push(took),
            End::Whole => seen.served += 1,
            End::Broken => seen.broken.push(format!("{answer:?}")),
        }
        if connection.is_last {
            connection = Connection::open(address).await.unwrap();
        }
        // A client that is refused does not ask again at once.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    seen
}

fn spec(url: &str) -> String {
    let mut providers = vec![provider("one", url)];
    let mut models = vec!["fast: {targets: [one/m]}".to_owned()];
    for (name, _) in WAYS {
        let limits = "timeouts: {first_byte: 250ms, first_content: 250ms}, limits: {concurrency: 20}, credentials";
        providers.extend(["a", "b"].map(|side| provider(&format!("{name}-{side}"), url).replacen("credentials", limits, 1)));
        models.push(format!("{name}: {{targets: [{name}-a/{name}, {name}-b/{name}]}}"));
    }
    gateway::spec(&providers, &models.join(", "))
}

async fn overload(load: Load) -> Vec<(Times, f64)> {
    let mock = upstream("chunks=9").await;
    let gateway = Gateway::start(&spec(&mock.base_url()));
    let before = gateway.warm().await;
    let mut figures = Vec::new();
    for (alias, behaviour) in WAYS {
        mock.script(bifrostctl::mock::Script::always(behaviour.parse().unwrap()));
        let (arrived, mut clients) = (mock.arrived(), JoinSet::new());
        for _ in 0..load.clients {
            clients.spawn(client(gateway.address, alias, load));
        }
        let mut all = Seen::default();
        for seen in clients.join_all().await {
            all.refused.0.extend(seen.refused.0);
            all.failed.0.extend(seen.failed.0);
            (all.asked, all.served) = (all.asked + seen.asked, all.served + seen.served);
            all.broken.extend(seen.broken);
        }
        let sent = (mock.arrived() - arrived) as f64 / all.asked as f64;
        say(format_args!(
            "overload: {alias}: {} requests, {sent:.2} attempts for each; later {} refused: {}; {} failed: {}",
            all.asked,
            all.refused.0.len(),
            all.refused.told(),
            all.failed.0.len(),
            all.failed.told()
        ));
        assert!(all.broken.is_empty() && all.served == 0, "{} served; {:?}", all.served, all.broken.first());
        figures.push((all.refused, sent));
    }
    gateway.until_idle().await;
    gateway.until_back_at(before, 64).await;
    gateway.end().await;
    figures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_providers_are_overloaded_they_are_not_asked_much_more_than_clients_ask() {
    for (_, sent) in overload(Load { clients: 30, span: Duration::from_millis(500) }).await {
        // Ten further tries are free, of each target.
        assert!(sent <= 2.0, "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "wants the machine to itself"]
async fn when_all_providers_are_overloaded_clients_are_told_at_once() {
    let load = Load { clients: knob("LOAD_OVERLOAD_CLIENTS", 50), span: Duration::from_secs(knob("LOAD_OVERLOAD_SECONDS", 10)) };
    for (mut times, sent) in overload(load).await {
        assert!(sent <= 1.2, "{sent}");
        assert!(times.at(990) <= Duration::from_millis(5), "{}", times.told());
    }
}
