//! Many connections that do nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use bifrostctl::server::{Config, Stop};

use super::support::{Running, read_response, start, status};

/// Opens connections that have served one request (`used`), or none, and now idle. The client side costs one descriptor each.
async fn open(server: &Running, count: usize, used: bool) -> Vec<TcpStream> {
    let address: SocketAddr = server.address;
    tokio::task::spawn_blocking(move || {
        let one = |_| {
            let mut stream = TcpStream::connect(address).unwrap();
            if used {
                stream.write_all(b"GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
                let mut answer = [0; 512];
                let length = stream.read(&mut answer).unwrap();
                assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
            }
            stream
        };
        (0..count).map(one).collect()
    })
    .await
    .unwrap()
}

async fn wait_until_open(server: &Running, count: usize) {
    let wait = async {
        while server.stats.open() < count as u64 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("all connections are accepted");
}

fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_idle_connections_leave_room_for_work_and_drain_at_once() {
    let server = start(Config::default()).await;
    let silent = open(&server, 250, false).await;
    let used = open(&server, 250, true).await;
    wait_until_open(&server, 500).await;
    let mut stream = server.connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(status(&read_response(&mut stream).await), 200);
    let stats = server.stats.clone();
    assert_eq!(server.end(Stop::Drain).await.aborted, 0);
    assert_eq!(stats.open(), 0);
    drop((silent, used, stream));
}

/// Run by hand: `cargo test --release --test it ten_thousand -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs two file descriptors per connection (`ulimit -Hn` 20,100 for all 10,000) and prints a measurement"]
async fn ten_thousand_idle_connections_stay_small() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // Both ends are in this process.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let count = limit.maximum.map_or(10_000, |most| (usize::try_from(most).unwrap() / 2).saturating_sub(50)).min(10_000);
    for used in [false, true] {
        let server = start(Config { head_timeout: std::time::Duration::from_secs(600), ..Config::default() }).await;
        drop(open(&server, 10, used).await);
        let before = resident_bytes();
        let connections = open(&server, count, used).await;
        wait_until_open(&server, count).await;
        let each = (resident_bytes() - before) / count as u64;
        println!("{count} connections, used: {used}: {each} bytes resident per idle connection, both ends' user memory included");
        assert!(each < 30 * 1024, "10,000 idle connections must fit into 300 MB");
        assert_eq!(server.end(Stop::Drain).await.aborted, 0);
        drop(connections);
    }
}
