//! Clients that hold connections and give as little as they can, beside others that ask at a steady rate and must not notice.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use super::client::{Connection, Dialect};
use super::gateway::{self, Gateway};
use super::rate::at_rate;
use super::{Times, knob, say, upstream};

/// How a connection is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// Nothing is sent.
    Silent,
    /// A byte of the head now and then.
    Head,
    /// The head, and a byte of the body now and then.
    Body,
    /// Half of a head, and nothing more.
    HalfHead,
    /// One good request, and nothing more.
    Idle,
}

const HOLDS: [Hold; 5] = [Hold::Silent, Hold::Head, Hold::Body, Hold::HalfHead, Hold::Idle];

impl Hold {
    /// How long the gateway stands it, and what its answer and a slow machine may add.
    const fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Silent | Self::Head | Self::Body | Self::HalfHead => 10 + 5,
            Self::Idle => 75 + 5,
        })
    }

    /// Holds a connection until the gateway ends it; returns after how long.
    async fn hold(self, address: SocketAddr) -> Duration {
        let mut connection = Connection::open(address).await.unwrap();
        let request = Dialect::Openai.request("fast", false, 40);
        let head = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let (at_once, drip) = match self {
            Self::Silent | Self::Idle => (0, 0..0),
            Self::Head => (1, 1..head),
            Self::Body => (head, head..request.len()),
            Self::HalfHead => (head / 2, 0..0),
        };
        if self == Self::Idle {
            assert_eq!(connection.ask(&request).await.unwrap().status, 200);
        }
        let began = Instant::now();
        connection.io.write_all(&request[..at_once]).await.unwrap();
        let (mut drip, mut ticks) = (request.slice(drip), tokio::time::interval(Duration::from_millis(500)));
        let mut said = [0; 1024];
        loop {
            tokio::select! {
                // It may say why before it ends.
                read = connection.io.read(&mut said) => match read {
                    Ok(0) | Err(_) => return began.elapsed(),
                    Ok(_) => {}
                },
                _ = ticks.tick() => {
                    // Refused when the gateway has ended it: the next read says so.
                    let _ = connection.io.write_all(&drip.split_to(drip.len().min(1))).await;
                }
            }
        }
    }
}

/// Holds so many connections while others ask at this rate. Returns those that are still held at the end.
async fn slowloris(gateway: &Gateway, held: u64, (rate, span): (u64, Duration)) -> JoinSet<(Hold, Duration)> {
    let before = gateway.warm().await;
    let request = Dialect::Openai.request("fast", false, 40);
    let mut alone = at_rate(gateway.address, request.clone(), (rate, span / 4)).await;
    let (address, mut hostile) = (gateway.address, JoinSet::new());
    for hold in HOLDS.into_iter().cycle().take(usize::try_from(held).unwrap()) {
        hostile.spawn(async move { (hold, hold.hold(address).await) });
    }
    gateway.until("all held", async |gateway| gateway.clients().await >= held as f64).await;
    let mut beside = at_rate(gateway.address, request, (rate, span)).await;
    say(format_args!(
        "slowloris: {held} held connections beside {rate} requests/s: {} of {} failed; alone {}; beside {}; {} KiB for each",
        beside.failed,
        beside.asked,
        alone.times.told(),
        beside.times.told(),
        (gateway.uses().resident.saturating_sub(before.resident) / held) >> 10
    ));
    assert_eq!((alone.failed, beside.failed, beside.failure), (0, 0, None));
    hostile
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hold_connections_are_not_felt_by_others() {
    let mock = upstream("chunks=20").await;
    let gateway = Gateway::start(&gateway::usual(&mock.base_url()));
    let mut hostile = slowloris(&gateway, 100, (50, Duration::from_millis(800))).await;
    hostile.shutdown().await;
    gateway.until_idle().await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute and a half; wants the machine to itself"]
async fn a_thousand_clients_that_hold_connections_are_not_felt_by_others_and_are_cut_in_time() {
    let mock = upstream("chunks=20").await;
    let gateway = Gateway::start(&gateway::usual(&mock.base_url()));
    let before = gateway.warm().await;
    let load = (knob("LOAD_SLOWLORIS_RATE", 1_000), Duration::from_secs(knob("LOAD_SLOWLORIS_SECONDS", 12)));
    let hostile = slowloris(&gateway, knob("LOAD_SLOWLORIS", 1_000), load).await;
    let ended = hostile.join_all().await;
    for hold in HOLDS {
        let mut times = Times(ended.iter().filter(|(how, _)| *how == hold).map(|(_, time)| *time).collect());
        say(format_args!("slowloris: {hold:?}: {} cut after {}", times.0.len(), times.told()));
        assert!(times.at(1_000) <= hold.limit(), "{hold:?}");
    }
    gateway.until_idle().await;
    gateway.until_back_at(before, 64).await;
    gateway.end().await;
}
