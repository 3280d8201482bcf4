//! Many streams at once: none stalls, and one that waits costs little memory.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bifrostctl::mock::Script;
use tokio::task::JoinSet;

use super::client::{Connection, Dialect};
use super::gateway::{self, Gateway};
use super::{Times, knob, say, upstream};

/// Pieces of a stream that wait for the rest: the first content has come.
const WAITS: &str = "chunks=9;stall_at=event:3";

/// A prompt that does not fit the first buffer of a connection, in bytes.
const LONG: usize = 200_000;

/// How many streams, and how they go.
struct Load {
    streams: u64,
    /// Content of each.
    chunks: u64,
    pace: Duration,
    /// Over how long they begin.
    ramp: Duration,
    /// What counts as a stall beyond what the machine may be late.
    bound: Duration,
}

/// What one stream's client saw.
struct Seen {
    first: Duration,
    longest_gap: Duration,
    stalls: u64,
    is_whole: bool,
}

async fn follow(address: SocketAddr, load: &Load) -> Seen {
    let request = Dialect::Openai.request("fast", true, load.chunks * 2);
    let mut connection = Connection::open(address).await.unwrap();
    let began = Instant::now();
    assert_eq!(connection.begin(&request).await.unwrap(), 200);
    let mut seen = Seen { first: Duration::ZERO, longest_gap: Duration::ZERO, stalls: 0, is_whole: false };
    let (mut text, mut last) = (Vec::new(), None::<Instant>);
    while let Some(bytes) = connection.next().await.unwrap() {
        let now = Instant::now();
        match last {
            None => seen.first = now - began,
            Some(last) => {
                seen.longest_gap = seen.longest_gap.max(now - last);
                seen.stalls += u64::from(now - last > load.pace * 5 + load.bound);
            }
        }
        last = Some(now);
        text.extend_from_slice(&bytes);
    }
    let text = String::from_utf8(text).unwrap();
    let contents = text.matches("\"delta\":{\"content\":").count() as u64;
    seen.is_whole = text.ends_with("data: [DONE]\n\n") && !text.contains("\"error\"") && contents == load.chunks;
    assert!(seen.is_whole, "{contents} of {}: {text}", load.chunks);
    seen
}

/// How late this process itself is woken, at most, until it is aborted: what of a gap may be ours.
async fn watch_lateness(longest: Arc<Mutex<Duration>>) {
    let every = Duration::from_millis(10);
    loop {
        let began = Instant::now();
        tokio::time::sleep(every).await;
        let late = began.elapsed().saturating_sub(every);
        let mut longest = longest.lock().unwrap();
        *longest = late.max(*longest);
    }
}

async fn streams(load: Load) {
    let load = Arc::new(load);
    let mock = upstream(&format!("chunks={};chunk_delay={}ms", load.chunks, load.pace.as_millis())).await;
    let gateway = Gateway::start(&gateway::usual(&mock.base_url()));
    let before = gateway.warm().await;
    let late = Arc::new(Mutex::default());
    let watch = tokio::spawn(watch_lateness(Arc::clone(&late)));
    let (address, mut clients) = (gateway.address, JoinSet::new());
    for number in 0..load.streams {
        let (load, begins) = (Arc::clone(&load), load.ramp.mul_f64(number as f64 / load.streams as f64));
        clients.spawn(async move {
            tokio::time::sleep(begins).await;
            follow(address, &load).await
        });
    }
    let seen = clients.join_all().await;
    watch.abort();
    let after = gateway.uses();
    let mut first = Times(seen.iter().map(|seen| seen.first).collect());
    let mut gaps = Times(seen.iter().map(|seen| seen.longest_gap).collect());
    let stalls: u64 = seen.iter().map(|seen| seen.stalls).sum();
    say(format_args!(
        "streams: {} at a chunk every {:?}: {stalls} stalls; first token {}; longest gap of each: {}; this process was late by up to {:.2?}; {} MiB",
        seen.len(),
        load.pace,
        first.told(),
        gaps.told(),
        late.lock().unwrap(),
        after.resident >> 20
    ));
    assert_eq!(stalls, 0);
    gateway.until_idle().await;
    gateway.until_back_at(before, load.streams).await;
    gateway.end().await;
}

/// Opens so many connections with an answer each, whole or only begun, to a prompt of so many bytes; returns the memory for each.
async fn memory_of(count: u64, is_stream: bool, prompt: usize) -> u64 {
    let mock = upstream("chunks=9").await;
    let gateway = Gateway::start(&gateway::usual(&mock.base_url()));
    let before = gateway.warm().await;
    if is_stream {
        mock.script(Script::always(WAITS.parse().unwrap()));
    }
    let (request, mut held) = (Dialect::Openai.asks(&"x".repeat(prompt), "fast", (is_stream, 40)), Vec::new());
    for _ in 0..count {
        let mut connection = Connection::open(gateway.address).await.unwrap();
        assert_eq!(connection.begin(&request).await.unwrap(), 200);
        let mut text = String::new();
        while !text.contains("content") {
            text.push_str(std::str::from_utf8(&connection.next().await.unwrap().unwrap()).unwrap());
        }
        if !is_stream {
            while connection.next().await.unwrap().is_some() {}
        }
        held.push(connection);
    }
    let (kind, streams) = if is_stream { ("stream", count as f64) } else { ("kept connection", 0.0) };
    gateway.until("all there", async |gateway| gateway.metric("bifrost_streams_open").await == streams).await;
    let after = gateway.uses();
    let each = after.resident.saturating_sub(before.resident) / count;
    say(format_args!(
        "memory: {:.1} KiB for each idle {kind} of {count} after {prompt} bytes of prompt, {} MiB before",
        each as f64 / 1024.0,
        before.resident >> 20
    ));
    drop(held);
    gateway.until_idle().await;
    gateway.until_back_at(before, 16).await;
    gateway.end().await;
    each
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_run_at_once_and_each_is_whole() {
    let (pace, ramp) = (Duration::from_millis(50), Duration::from_millis(100));
    streams(Load { streams: 100, chunks: 10, pace, ramp, bound: Duration::from_secs(20) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "wants the machine to itself"]
async fn thousands_of_streams_run_at_once_and_none_stalls() {
    let pace = Duration::from_millis(knob("LOAD_STREAM_PACE_MS", 50));
    let (streams_at_once, chunks) = (knob("LOAD_STREAMS", 2_000), knob("LOAD_STREAM_CHUNKS", 200));
    let bound = Duration::from_millis(250);
    streams(Load { streams: streams_at_once, chunks, pace, ramp: Duration::from_secs(2), bound }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_or_a_connection_that_waits_holds_little_memory() {
    // Twice what an optimized build needs: this one may not be, and so few streams share what is allocated once.
    assert!(memory_of(100, true, 9).await <= 96 << 10);
    assert!(memory_of(100, true, LONG).await <= 192 << 10);
    assert!(memory_of(100, false, 9).await <= 48 << 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "wants the machine to itself, and an optimized build"]
async fn thousands_of_streams_that_wait_hold_little_memory_each() {
    let count = knob("LOAD_STREAMS", 2_000);
    // Most of it are the first buffers of both connections, of which there is one for each direction, of 8 KiB.
    assert!(memory_of(count, true, 9).await <= 48 << 10);
    assert!(memory_of(count, true, LONG).await <= 128 << 10);
    assert!(memory_of(count, false, 9).await <= 24 << 10);
}
