//! One gateway as a process, one key, one strict budget, many clients: served to its last answer, and not one more.
//!
//! `HAMMER_CLIENTS=256 HAMMER_REQUESTS=1000000 cargo test --release --test it hammer -- --ignored --nocapture` runs the long form.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use bifrostctl::base::{Digest, Usd};
use bifrostctl::mock::{Config, Mock, Script};
use rustix::process::Signal;
use serde_json::Value;

use super::Place;
use super::serve::Serving;

const KEY: &str = "sk-bf-a-key-for-one-test";
/// What each answer may say at most, in tokens of $10 a million.
const MOST: u64 = 40;

fn spec(upstream: &str, nano: u64) -> String {
    let digest = Digest::of(KEY.as_bytes());
    format!(
        "version: 1\ngateway: {{listen: \"127.0.0.1:0\"}}\n\
         providers: {{up: {{api: openai-chat, base_url: \"{upstream}\", credentials: {{d: {{secret: none}}}}}}}}\n\
         models: {{fast: {{targets: [up/m]}}}}\nprices: {{up/m: {{input: $1/Mtok, output: $10/Mtok}}}}\ntelemetry: {{access_log: off}}\n\
         virtual_keys: {{web: {{hashes: [{{sha256: {digest}}}], models: [fast], budgets: [{{limit: ${}.{:09}, period: total}}]}}}}\n",
        nano / 1_000_000_000,
        nano % 1_000_000_000,
    )
}

/// What clients saw, in all.
#[derive(Debug, Default)]
struct Seen {
    left: AtomicI64,
    served: AtomicU64,
    refused: AtomicU64,
    /// By the usage of each answer, in nano-USD.
    billed: AtomicU64,
    /// The dearest answer.
    dearest: AtomicU64,
}

async fn client(http: reqwest::Client, url: String, seen: Arc<Seen>) {
    let body = format!(r#"{{"model":"fast","max_tokens":{MOST},"messages":[{{"role":"user","content":"Hi"}}]}}"#);
    while seen.left.fetch_sub(1, Ordering::Relaxed) > 0 {
        let sent = http.post(&url).header("authorization", format!("Bearer {KEY}")).body(body.clone()).send();
        let answer = sent.await.unwrap();
        match answer.status().as_u16() {
            200 => {
                let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
                let count = |name: &str| answer["usage"][name].as_u64().unwrap();
                let cost = count("prompt_tokens") * 1_000 + count("completion_tokens") * 10_000;
                seen.billed.fetch_add(cost, Ordering::Relaxed);
                seen.dearest.fetch_max(cost, Ordering::Relaxed);
                seen.served.fetch_add(1, Ordering::Relaxed);
            }
            402 => {
                drop(answer.bytes().await.unwrap());
                seen.refused.fetch_add(1, Ordering::Relaxed);
            }
            other => panic!("{other}: {}", answer.text().await.unwrap()),
        }
    }
}

#[expect(clippy::print_stdout, reason = "whoever runs the long form wants the figures")]
async fn hammer(clients: usize, requests: u64) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mock = Mock::start(Config::long_running()).await.unwrap();
    mock.script(Script::always("chunks=20".parse().unwrap()));
    // Enough for about nine of ten.
    let limit = requests * 9 / 10 * 205_000;
    let place = Place::new().file("gateway.yaml", &spec(&mock.base_url(), limit));
    let gateway = Serving::start(&place, &["--watch", "off"]);
    let seen = Arc::new(Seen { left: AtomicI64::new(i64::try_from(requests).unwrap()), ..Seen::default() });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/chat/completions", gateway.url());
    let began = Instant::now();
    let tasks: Vec<_> = (0..clients).map(|_| tokio::spawn(client(http.clone(), url.clone(), Arc::clone(&seen)))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let took = began.elapsed();

    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    // What others held while they ran may be room again. Whoever is alone is refused only where there is none.
    let (mut requests, crowd) = (requests, get(&seen.refused));
    let mut before = u64::MAX;
    while get(&seen.refused) != before.wrapping_add(1) {
        before = get(&seen.refused);
        seen.left.store(1, Ordering::Relaxed);
        client(http.clone(), url.clone(), Arc::clone(&seen)).await;
        requests += 1;
    }
    assert!(crowd > 0, "the budget was for fewer");
    let (served, refused, billed) = (get(&seen.served), get(&seen.refused), get(&seen.billed));
    println!("{served} served, {refused} refused, {billed} of {limit} nano-USD, {:.0} requests/s", requests as f64 / took.as_secs_f64());
    assert_eq!(served + refused, requests);
    assert_eq!(mock.arrived(), served, "what is refused is not sent");
    assert!(billed <= limit, "{} over", billed - limit);
    // Nobody is refused while there is room for what it may cost: its output, and no more input than bytes and what a template adds.
    let bound = MOST * 10_000 + 400 * 1_000;
    assert!(limit - billed < bound, "{} are left", limit - billed);

    // The gateway says the same as the clients' own sum, so do the lines of the book, and they add up.
    let dollars = Usd::from_nano(i64::try_from(billed).unwrap()).to_string();
    let status = place.run(&["budget", "status", "-o", "json"]).json();
    let budget = &status["result"]["budgets"][0];
    assert_eq!((budget["spent"].as_str(), budget["held"].as_str()), (Some(dollars.as_str()), Some("$0")), "{status}");
    assert_eq!(place.run(&["budget", "audit"]).code, 0);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().0, 0);
    let spend = place.run(&["spend", "--state", ".bifrost", "-o", "json"]).json();
    let total = &spend["result"]["total"];
    assert_eq!((total["attempts"].as_u64(), total["cost_nano_usd"].as_u64()), (Some(served), Some(billed)), "{spend}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_budget_is_spent_to_its_last_answer_and_not_beyond() {
    hammer(32, 2_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes"]
async fn a_strict_budget_is_spent_to_its_last_answer_under_long_load() {
    let number = |name: &str, usual: u64| std::env::var(name).map_or(usual, |value| value.parse().unwrap());
    hammer(usize::try_from(number("HAMMER_CLIENTS", 256)).unwrap(), number("HAMMER_REQUESTS", 1_000_000)).await;
}
