//! Clients that leave at any moment, politely or not: nothing of them stays.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::client::{Connection, Dialect};
use super::gateway::{self, Gateway};
use super::{knob, say, upstream};

/// When a client leaves.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Connected,
    WithinTheHead,
    WithinTheBody,
    BeforeTheAnswer,
    /// After so many reads of a stream.
    WithinTheStream(u64),
    AtTheEnd,
}

/// Picks moments that are the same in every run.
fn moment(number: u64) -> (Moment, bool) {
    let mixed = (number ^ 0x9e37_79b9).wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
    let moment = match mixed % 8 {
        0 => Moment::Connected,
        1 => Moment::WithinTheHead,
        2 => Moment::WithinTheBody,
        3 => Moment::BeforeTheAnswer,
        4 => Moment::AtTheEnd,
        _ => Moment::WithinTheStream(mixed / 16 % 6),
    };
    (moment, (mixed / 8).is_multiple_of(2))
}

async fn leave(address: SocketAddr, number: u64) -> std::io::Result<()> {
    let (moment, is_reset) = moment(number);
    let mut connection = Connection::of(connect(address).await)?;
    let request = Dialect::Openai.request("fast", true, 40);
    let body = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    match moment {
        Moment::Connected => {}
        Moment::WithinTheHead => connection.io.write_all(&request[..body / 2]).await?,
        Moment::WithinTheBody => connection.io.write_all(&request[..body + 10]).await?,
        Moment::BeforeTheAnswer => connection.io.write_all(&request).await?,
        Moment::WithinTheStream(reads) => {
            assert_eq!(connection.begin(&request).await?, 200);
            for _ in 0..reads {
                connection.next().await?;
            }
        }
        Moment::AtTheEnd => assert!(connection.ask(&request).await?.text.ends_with("data: [DONE]\n\n")),
    }
    if is_reset {
        connection.io.set_zero_linger()?;
    } else {
        connection.io.shutdown().await?;
        if number.is_multiple_of(3) {
            // Half closed: it still reads for as long as the gateway writes.
            while connection.io.read(&mut [0; 4096]).await? > 0 {}
        }
    }
    Ok(())
}

/// Connects, however many connections of before still use up ports.
async fn connect(address: SocketAddr) -> TcpStream {
    loop {
        match TcpStream::connect(address).await {
            Ok(io) => return io,
            Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn storm(gateway: &Gateway, numbers: std::ops::Range<u64>) {
    let (room, mut clients) = (Arc::new(Semaphore::new(100)), JoinSet::new());
    for number in numbers {
        let permit = Arc::clone(&room).acquire_owned().await.unwrap();
        let address = gateway.address;
        clients.spawn(async move {
            leave(address, number).await.unwrap_or_else(|error| panic!("client {number}, {:?}: {error}", moment(number)));
            drop(permit);
        });
        while let Some(ended) = clients.try_join_next() {
            ended.unwrap();
        }
    }
    clients.join_all().await;
}

/// Lets so many leave. Returns by how much memory grew in the second half.
async fn gone(clients: u64) -> u64 {
    let mock = upstream("chunks=8;delay=2ms;chunk_delay=2ms").await;
    let gateway = Gateway::start(&gateway::usual(&mock.base_url()));
    let before = gateway.warm().await;
    let mut after = [before; 2];
    for half in [0, 1] {
        storm(&gateway, half * clients / 2..(half + 1) * clients / 2).await;
        gateway.until_idle().await;
        gateway.until_back_at(before, 128).await;
        after[half as usize] = gateway.uses();
    }
    let [half, all] = after;
    say(format_args!(
        "gone: {clients} clients left; {} MiB before, {} MiB after half of them, {} MiB after all; {} and {} descriptors, {} and {} threads",
        before.resident >> 20,
        half.resident >> 20,
        all.resident >> 20,
        before.descriptors,
        all.descriptors,
        before.threads,
        all.threads
    ));
    let request = Dialect::Openai.request("fast", false, 40);
    assert_eq!(Connection::open(gateway.address).await.unwrap().ask(&request).await.unwrap().status, 200);
    gateway.until_idle().await;
    gateway.end().await;
    all.resident.saturating_sub(half.resident)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_leave_at_any_moment_leave_nothing_behind() {
    let grown = gone(500).await;
    assert!(grown <= 16 << 20, "{} MiB", grown >> 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; wants the machine to itself"]
async fn a_storm_of_clients_that_leave_at_any_moment_leaves_nothing_behind() {
    let grown = gone(knob("LOAD_GONE", 100_000)).await;
    // The book's cache of pages may still be filling, up to 16 MiB.
    assert!(grown <= 8 << 20, "{} MiB", grown >> 20);
}
