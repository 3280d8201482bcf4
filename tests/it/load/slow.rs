//! Readers that take a kilobyte a second, or nothing, of a provider that never stops: each costs a bounded buffer, and nobody else anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::client::{Connection, Dialect};
use super::gateway::{self, Gateway, provider};
use super::rate::at_rate;
use super::{knob, say, upstream};

/// What a slow reader takes each time, four times a second.
const SIP: usize = 256;
/// What the kernel of each side may keep for a reader, so that what is measured comes soon.
const NARROW: u32 = 4 << 10;

/// An upstream that answers everything with a stream without an end, as fast as it is read.
struct Flood {
    address: SocketAddr,
    /// Bytes that it got rid of.
    sent: Arc<AtomicU64>,
    #[expect(dead_code, reason = "a guard: all ends with it")]
    task: JoinSet<()>,
}

async fn pour(mut io: TcpStream, sent: Arc<AtomicU64>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        if io.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let said = "much ".repeat(200);
    let event = format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{said}\"}},\"finish_reason\":null}}]}}\n\n"
    );
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    io.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    loop {
        io.write_all(chunk.as_bytes()).await?;
        sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
    }
}

impl Flood {
    fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(NARROW).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener: TcpListener = socket.listen(1024).unwrap();
        let (address, sent) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
        let (mut task, counter) = (JoinSet::new(), Arc::clone(&sent));
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (io, _) = listener.accept().await.unwrap();
                let counter = Arc::clone(&counter);
                // Its reader may leave at any time.
                connections.spawn(async move { drop(pour(io, counter).await) });
            }
        });
        Self { address, sent, task }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// Reads slowly until the time is over.
async fn sip(address: SocketAddr, span: Duration) {
    let mut connection = Connection::narrow(address, NARROW).await.unwrap();
    assert_eq!(connection.begin(&Dialect::Openai.request("flood", true, 1_000_000)).await.unwrap(), 200);
    let (began, mut ticks) = (Instant::now(), tokio::time::interval(Duration::from_millis(250)));
    while began.elapsed() < span {
        ticks.tick().await;
        let mut sip = [0; SIP];
        assert!(connection.io.read(&mut sip).await.unwrap() > 0);
    }
}

/// How many the gateway has cut. They cannot know: what the kernel has for them comes first.
async fn cut(gateway: &Gateway) -> f64 {
    gateway.metric("bifrost_connections_refused_total{listener=\"client\",reason=\"write_stall\"}").await
}

/// How many read slowly, for how long, beside how many good requests a second.
struct Load {
    readers: u64,
    span: Duration,
    rate: u64,
}

async fn slow(load: Load) -> u64 {
    let (mock, flood) = (upstream("chunks=20").await, Flood::start());
    let providers = [provider("one", &mock.base_url()), provider("flood", &format!("http://{}/v1", flood.address))];
    let gateway = Gateway::start(&gateway::spec(&providers, "fast: {targets: [one/m]}, flood: {targets: [flood/m]}"));
    let before = gateway.warm().await;
    let request = Dialect::Openai.request("fast", false, 40);
    let mut alone = at_rate(gateway.address, request.clone(), (load.rate, load.span / 4)).await;

    let mut readers = JoinSet::new();
    for _ in 0..load.readers {
        readers.spawn(sip(gateway.address, load.span));
    }
    let mut beside = at_rate(gateway.address, request, (load.rate, load.span / 2)).await;
    let (during, early) = (gateway.uses(), flood.sent());
    let measured = Instant::now();
    readers.join_all().await;
    let cut = cut(&gateway).await;
    let a_second = (flood.sent() - early) as f64 / measured.elapsed().as_secs_f64() / load.readers as f64;
    let each = during.resident.saturating_sub(before.resident) / load.readers;
    say(format_args!(
        "slow: {} readers at 1 KiB/s cost {:.1} KiB each, {cut} were cut; the upstream sent {} KiB for each, then {a_second:.0} bytes/s; \
         good clients {} failed; alone {}; beside {}",
        load.readers,
        each as f64 / 1024.0,
        (early / load.readers) >> 10,
        alone.failed + beside.failed,
        alone.times.told(),
        beside.times.told(),
    ));
    assert_eq!((beside.failed, beside.failure, cut), (0, None, 0.0));
    gateway.until_idle().await;
    gateway.until_back_at(before, 64).await;
    gateway.end().await;
    each
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_cost_a_bounded_buffer_each_and_nobody_else_notices() {
    // Few share what is allocated once, in a build that may not be optimized.
    let each = slow(Load { readers: 40, span: Duration::from_secs(2), rate: 50 }).await;
    assert!(each <= 192 << 10, "{each} bytes for each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute; wants the machine to itself"]
async fn hundreds_of_slow_readers_cost_a_bounded_buffer_each_and_nobody_else_notices() {
    // Longer than the time after which a reader that takes nothing is cut: these take little, and must not be.
    let span = Duration::from_secs(knob("LOAD_SLOW_SECONDS", 60));
    let each = slow(Load { readers: knob("LOAD_SLOW_READERS", 500), span, rate: knob("LOAD_SLOW_RATE", 200) }).await;
    assert!(each <= 96 << 10, "{each} bytes for each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "half a minute"]
async fn readers_that_take_nothing_are_cut_after_the_time_for_it() {
    let flood = Flood::start();
    let gateway =
        Gateway::start(&gateway::spec(&[provider("flood", &format!("http://{}/v1", flood.address))], "flood: {targets: [flood/m]}"));
    let count = knob("LOAD_DEAF_READERS", 50);
    let (request, mut deaf) = (Dialect::Openai.request("flood", true, 1_000_000), Vec::new());
    for _ in 0..count {
        let mut connection = Connection::narrow(gateway.address, NARROW).await.unwrap();
        assert_eq!(connection.begin(&request).await.unwrap(), 200);
        deaf.push(connection);
    }
    let began = Instant::now();
    gateway.until_idle().await;
    let took = began.elapsed();
    let cut = cut(&gateway).await;
    say(format_args!("deaf: {cut} of {count} readers that take nothing were cut, the last after {took:.1?}"));
    assert!(cut == f64::from(count) && took >= Duration::from_secs(25) && took <= Duration::from_secs(45), "{cut} after {took:?}");
    drop(deaf);
    gateway.end().await;
}
