//! Files swapped again and again under load, some of them bad, with one of two providers failing by turns: no request notices, and the money is exact.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bifrostctl::mock::{Behaviour, Mock, Rule, Script};
use rustix::process::Signal;
use serde_json::Value;
use tokio::task::JoinSet;

use super::client::{Connection, Dialect, End};
use super::gateway::{self, Gateway, booked};
use super::{knob, say, upstream};

/// Three files in ten are refused, each for another reason.
fn text(good: &str, swap: u64) -> (String, bool) {
    let described = good.replace("fast: {targets", &format!("fast: {{description: swap {swap}, targets"));
    match swap % 10 {
        2 => (described.replace("one: {api", "nowhere: {}, one: {api"), false),
        5 => (described.replace("version: 1", "version: [1"), false),
        8 => (described.replace("127.0.0.1:0", "127.0.0.1:1"), false),
        _ => (described, true),
    }
}

/// Writes the next file and waits until it runs, or was refused.
async fn swap(gateway: &Gateway, good: &str, (number, revision): (u64, u64)) -> u64 {
    let (text, is_good) = text(good, number);
    let (temporary, path) = (gateway.place.path().join(".swap"), gateway.place.path().join("gateway.yaml"));
    std::fs::write(&temporary, text).unwrap();
    std::fs::rename(temporary, path).unwrap();
    gateway.signal(Signal::HUP);
    let revision = revision + u64::from(is_good);
    gateway
        .until("what comes of a file", async |gateway| {
            let status = gateway.status().await;
            // No two bad ones follow each other.
            status["revision"] == revision && (is_good || status["sync"] == "out_of_sync")
        })
        .await;
    revision
}

/// Lets one of the targets fail by turns.
async fn flap(mock: Arc<Mock>) {
    let (mut ticks, well) = (tokio::time::interval(Duration::from_millis(400)), "chunks=20;chunk_delay=5ms".parse::<Behaviour>().unwrap());
    let ill = Script::default().rule(Rule::model("m1").then(Behaviour::status(503))).rule(Rule::default().then(well.clone()));
    loop {
        ticks.tick().await;
        mock.script(ill.clone());
        ticks.tick().await;
        mock.script(Script::always(well.clone()));
    }
}

/// What one client saw.
#[derive(Debug, Default)]
struct Seen {
    answers: u64,
    nano: i64,
    failures: Vec<String>,
}

/// Asks again and again until told to stop.
async fn client(address: SocketAddr, is_stream: bool, stop: Arc<AtomicBool>) -> Seen {
    let request = Dialect::Openai.request("fast", is_stream, 40);
    let (mut seen, mut connection) = (Seen::default(), Connection::open(address).await.unwrap());
    while !stop.load(Ordering::Relaxed) {
        match connection.ask(&request).await {
            Ok(answer) if Dialect::Openai.judge(is_stream, &answer) == End::Whole => {
                seen.answers += 1;
                seen.nano += cost(&answer.text);
            }
            failed => seen.failures.push(format!("{failed:?}")),
        }
        // Load, not a flood: what is measured is what is lost.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    seen
}

/// What an answer says that it used, at the price of the spec.
fn cost(text: &str) -> i64 {
    let usage = text.rsplit_once("\"usage\":").unwrap().1;
    let usage: Value = serde_json::Deserializer::from_str(usage).into_iter().next().unwrap().unwrap();
    usage["prompt_tokens"].as_i64().unwrap() * 1_000 + usage["completion_tokens"].as_i64().unwrap() * 10_000
}

/// Swaps so often, at a rate, beside clients. Returns by how much memory grew since a tenth of it.
async fn reloads(swaps: u64, rate: u64, clients: usize) -> u64 {
    let mock = Arc::new(upstream("chunks=20;chunk_delay=5ms").await);
    let good = gateway::usual(&mock.base_url());
    let gateway = Gateway::start(&good);
    gateway.warm().await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut asking = JoinSet::new();
    for number in 0..clients {
        asking.spawn(client(gateway.address, number.is_multiple_of(2), Arc::clone(&stop)));
    }
    let flapping = tokio::spawn(flap(Arc::clone(&mock)));
    let (mut revision, mut early, began) = (1, 0, Instant::now());
    let mut ticks = tokio::time::interval(Duration::from_millis(1_000 / rate));
    for number in 0..swaps {
        ticks.tick().await;
        revision = swap(&gateway, &good, (number, revision)).await;
        if number == swaps / 10 {
            early = gateway.uses().resident;
        }
    }
    let took = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let seen = asking.join_all().await;
    flapping.abort();
    gateway.until_idle().await;
    gateway.until("one table", async |gateway| gateway.status().await["tables_alive"] == 1).await;
    let late = gateway.uses().resident;
    let (answers, nano) = (seen.iter().map(|seen| seen.answers).sum::<u64>(), seen.iter().map(|seen| seen.nano).sum::<i64>());
    let failures: Vec<_> = seen.iter().flat_map(|seen| &seen.failures).collect();
    say(format_args!(
        "reloads: {swaps} files in {took:.1?}, {revision} revisions; {answers} answers, {} failed; {} MiB after a tenth, {} MiB at the end",
        failures.len(),
        early >> 20,
        late >> 20
    ));
    assert!(failures.is_empty(), "{} failed: {:?}", failures.len(), failures.first());
    check_money(gateway, nano).await;
    late.saturating_sub(early)
}

/// Asserts that memory, the book and the clients agree on what was spent.
async fn check_money(gateway: Gateway, nano: i64) {
    let warm = 8 * cost_of_warm();
    let place = gateway.end().await;
    let totals = booked(&place);
    assert_eq!((totals.cost.nano(), totals.expired), (nano + warm, 0), "{totals:?}");
}

/// What one request of the warming costs.
fn cost_of_warm() -> i64 {
    9 * 10_000 + 8 * 1_000
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_swapped_under_load_cost_no_request_and_no_money() {
    reloads(20, 20, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute; wants the machine to itself"]
async fn a_thousand_files_that_are_swapped_under_load_cost_no_request_no_money_and_no_memory() {
    let grown = reloads(knob("LOAD_RELOADS", 1_000), knob("LOAD_RELOADS_RATE", 20), knob("LOAD_RELOADS_CLIENTS", 32)).await;
    assert!(grown <= 16 << 20, "{} MiB", grown >> 20);
}
