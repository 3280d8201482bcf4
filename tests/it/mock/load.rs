//! The mock under load: it must not be what a test waits for.

use std::time::Instant;

use bifrostctl::base::Span;
use bifrostctl::mock::{Behaviour, Config, Ending, Mock, Script};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::support::{CHAT, Connection, SOON, ask, chat, request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_run_at_once_and_each_is_whole() {
    // Every stream pauses with its head sent, so that all are open before any ends.
    let script = Script::always(Behaviour { first_token_delay: Span::from_secs(1), ..Behaviour::default() });
    let mock = Mock::start(Config { script, ..Config::default() }).await.unwrap();
    let mut clients = JoinSet::new();
    for index in 0..1000 {
        let addr = mock.addr();
        clients.spawn(async move { ask(addr, &format!("model-{index}"), true).await });
    }
    let mut most = 0;
    timeout(
        SOON,
        mock.wait_for(|records| {
            most = most.max(records.iter().filter(|record| record.ending == Ending::Running).count());
            records.len() == 1000
        }),
    )
    .await
    .unwrap();
    while let Some(seen) = clients.join_next().await {
        let seen = seen.unwrap();
        let chunks = seen.chunks();
        let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!((text.as_str(), seen.text().ends_with("[DONE]\n\n")), ("mock: say hello world", true));
    }
    assert!(most > 100, "{most} at once");
    let records = mock.wait_ended(1000).await;
    assert!(records.iter().all(|record| record.ending == Ending::Completed));
    let mut numbers: Vec<_> = records.iter().map(|record| record.number).collect();
    numbers.dedup();
    assert_eq!(numbers, (1..=1000).collect::<Vec<_>>());
}

/// Prints a rate for `--nocapture`; what is asserted is that connections are kept and every answer comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_connections_carry_thousands_of_requests() {
    const CLIENTS: usize = 16;
    const EACH: usize = 200;
    let mock = Mock::start(Config { records: 10, ..Config::default() }).await.unwrap();
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let addr = mock.addr();
        clients.spawn(async move {
            let mut connection = Connection::open(addr).await;
            let bytes = request(CHAT, &[], &chat("m", false));
            for _ in 0..EACH {
                connection.send(&bytes).await;
                let seen = connection.read_until(|raw| raw.ends_with(b"}")).await;
                assert_eq!(seen.status(), 200);
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let rate = (CLIENTS * EACH) as f64 / start.elapsed().as_secs_f64();
    println!("{rate:.0} requests/s");
    assert_eq!(mock.arrived(), (CLIENTS * EACH) as u64);
    assert!(mock.requests().iter().all(|record| record.connection <= CLIENTS as u64));
}
