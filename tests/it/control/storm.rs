//! A storm of swaps under load: nothing fails, nothing is dropped, nothing invalid is ever served, nothing piles up.
//!
//! The long one is run by hand, alone on the machine:
//! `STORM_SWAPS=1000 STORM_RATE=20 cargo test --release --test it storm -- --ignored --nocapture`

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::lab::{KEY, Lab, Place, ask, spec};

/// What the clients saw.
#[derive(Default)]
struct Tally {
    stop: AtomicBool,
    whole: AtomicU64,
    streams: AtomicU64,
}

/// Asks in a loop; every answer must be complete, and must be one that a valid file says.
async fn ask_on(lab: Arc<Lab>, tally: Arc<Tally>) {
    while !tally.stop.load(Ordering::Relaxed) {
        let text = lab.says().await;
        assert!(text.starts_with("good"), "a file that was refused answers: {text}");
        tally.whole.fetch_add(1, Ordering::Relaxed);
        // Load, not a flood: what is measured is what is lost, not how much goes through.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Streams in a loop; each stream lives through several swaps.
async fn stream_on(lab: Arc<Lab>, tally: Arc<Tally>) {
    let body = ask("mock/mock-small@chunks=20;chunk_delay=20ms;text=word", true);
    while !tally.stop.load(Ordering::Relaxed) {
        let response = lab.post(KEY, &body).await;
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        assert!(text.ends_with("data: [DONE]\n\n") && !text.contains("\"error\""), "a stream was dropped: {text}");
        assert!(text.matches("word").count() >= 20, "{text}");
        tally.streams.fetch_add(1, Ordering::Relaxed);
    }
}

/// Three files in ten are refused, each for another reason.
fn text(place: &Place, swap: u64) -> String {
    let good = spec(&place.root, &format!("good{swap}"));
    match swap % 10 {
        2 => good.replace("good", "bad").replace("mock: {}", "mock: {}, nowhere: {}"),
        5 => good.replace("good", "bad").replace("version: 1", "version: [1"),
        8 => good.replace("good", "bad").replace("127.0.0.1:0", "127.0.0.1:1"),
        _ => good,
    }
}

/// Writes as people and programs do: by renaming over, in place, and in place with a moment of emptiness.
async fn save(place: &Place, swap: u64) {
    let text = text(place, swap);
    match swap % 3 {
        0 => place.rename_over("gateway.yaml", &text),
        1 => place.write("gateway.yaml", &text),
        _ => {
            place.write("gateway.yaml", "");
            tokio::task::yield_now().await;
            place.write("gateway.yaml", &text);
        }
    }
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

// Whoever runs the long one wants to see its figures.
#[allow(clippy::print_stdout)]
async fn storm(swaps: u64, rate: u64, clients: usize) -> u64 {
    let place = Place::with(|root| spec(root, "good"));
    let mut options = place.options();
    options.watch.quiet = Duration::from_millis(10);
    options.watch.cap = Duration::from_millis(40);
    let lab = Arc::new(place.start_with(options).await);
    let tally = Arc::new(Tally::default());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..clients {
        tasks.spawn(ask_on(Arc::clone(&lab), Arc::clone(&tally)));
        tasks.spawn(stream_on(Arc::clone(&lab), Arc::clone(&tally)));
    }
    let mut ticks = tokio::time::interval(Duration::from_millis(1000 / rate));
    let mut early = 0;
    for swap in 0..swaps {
        ticks.tick().await;
        save(&lab.place, swap).await;
        if swap == swaps / 10 {
            early = resident_bytes();
        }
    }
    lab.place.rename_over("gateway.yaml", &spec(&lab.place.root, "good-at-last"));
    lab.until("the last file", |status| status["sync"] == "synced" && status["last_reload"]["trigger"] == "file").await;
    while lab.says().await != "good-at-last" {
        tokio::task::yield_now().await;
    }
    tally.stop.store(true, Ordering::Relaxed);
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    lab.until("one table", |status| status["tables_alive"] == 1).await;
    let revision = lab.gateway.revision();
    let late = resident_bytes();
    println!(
        "{swaps} swaps, {revision} revisions, {} answers, {} streams, {} MiB at a tenth, {} MiB at the end",
        tally.whole.load(Ordering::Relaxed),
        tally.streams.load(Ordering::Relaxed),
        early >> 20,
        late >> 20,
    );
    assert!(tally.streams.load(Ordering::Relaxed) > 0);
    late.saturating_sub(early)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_storm_of_swaps_under_load_loses_nothing() {
    storm(60, 20, 2).await;
}

#[ignore = "takes a minute and wants the machine to itself"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_storm_of_swaps_under_load_loses_nothing_and_stays_flat() {
    let knob = |name: &str, otherwise: u64| std::env::var(name).map_or(otherwise, |value| value.parse().unwrap());
    let grown = storm(knob("STORM_SWAPS", 1_000), knob("STORM_RATE", 20), 8).await;
    assert!(grown < 16 << 20, "memory grew by {} MiB", grown >> 20);
}
