//! Clients that leave at any moment of a stream: the upstream is closed, and what came is paid.
//!
//! `GONE=10000 cargo test --release --test it pipeline::gone -- --ignored --nocapture` runs the long form.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bifrostctl::mock::{Ending, Script};
use bifrostctl::store::book::{Dimension, Question};
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use jiff::tz::TimeZone;
use serde_json::json;

use super::money::{Paid, budget};

/// Clients at once.
const ROUND: u64 = 50;

/// Lets clients leave streams of a chunk every so often. Returns the longest time until an upstream knew.
#[expect(clippy::print_stdout, reason = "the long form is run for its figures")]
async fn leave(clients: u64, chunk_delay: &str) -> Duration {
    let paid = Paid::start(json!([budget("$1000", "strict")]), |plan| plan["virtual_keys"]["web"]["models"] = json!(["*"])).await;
    paid.rig.mock.script(Script::always(format!("chunks=30;chunk_delay={chunk_delay}").parse().unwrap()));
    let (mut longest, mut seen) = (Duration::ZERO, BTreeMap::new());
    for round in 0..clients.div_ceil(ROUND) {
        paid.rig.mock.clear();
        let one = async |at: u64| {
            let model = format!("one/m{round}-{at}");
            let ask = json!({"model": model, "stream": true, "max_tokens": 40, "messages": [{"role": "user", "content": "Hi"}]});
            let mut body = paid.open(ask).await.into_body();
            // At another byte each time: so many frames, some of none.
            let frames = (round.wrapping_mul(7_919) ^ at.wrapping_mul(104_729)) % 28;
            for _ in 0..frames {
                body.frame().await.unwrap().unwrap();
            }
        };
        join_all((0..ROUND).map(one)).await;
        let left = Instant::now();
        let records = paid.rig.mock.wait_ended(ROUND as usize).await;
        longest = longest.max(left.elapsed());
        for record in records {
            assert!(matches!(record.ending, Ending::ClientClosed | Ending::Completed), "{:?}", record.ending);
            seen.insert(record.json()["model"].as_str().unwrap().to_owned(), record.contents);
        }
    }
    let question = Question { admitted_ms: 0..u64::MAX, by: vec![Dimension::Model], only: Vec::new(), account: None, zone: TimeZone::UTC };
    let billed = paid.billed(&question).await;
    assert_eq!(billed.len(), seen.len());
    let worst = billed.iter().map(|(model, output)| output.abs_diff(seen[model])).max().unwrap_or(0);
    println!("{} clients left: upstreams knew after at most {longest:?}, bills differ by at most {worst} chunks", seen.len());
    assert!(worst <= 1, "{worst}");
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_pays_for_what_came_wherever_it_leaves() {
    // Slow enough that a machine with other work to do sends no second one between our last look and the end of the connection.
    leave(200, "10ms").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute"]
async fn many_clients_that_leave_pay_for_what_came_and_their_upstreams_know_soon() {
    let clients = std::env::var("GONE").map_or(10_000, |clients| clients.parse().unwrap());
    assert!(leave(clients, "2ms").await <= Duration::from_millis(100));
}
