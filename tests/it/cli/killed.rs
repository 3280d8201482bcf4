//! A gateway that is killed while it serves, again and again: what it had written down stays, and adds up.
//!
//! `KILLS=200 cargo test --release --test it killed -- --ignored --nocapture` runs the long form.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bifrostctl::base::Digest;
use bifrostctl::mock::{Config, Mock, Script};
use bifrostctl::store::book::{self, Question, Report};
use jiff::tz::TimeZone;
use rustix::process::Signal;

use super::Place;
use super::serve::Serving;

const KEY: &str = "sk-bf-a-key-for-one-test";
/// Streams and whole answers at once.
const CLIENTS: usize = 12;

fn spec(upstream: &str) -> String {
    let digest = Digest::of(KEY.as_bytes());
    format!(
        "version: 1\ngateway: {{listen: \"127.0.0.1:0\"}}\nproviders: {{up: {{api: openai-chat, base_url: \"{upstream}\", credentials: {{d: {{secret: none}}}}}}}}\n\
         models: {{fast: {{targets: [up/m]}}}}\nprices: {{up/m: {{input: $1/Mtok, output: $10/Mtok}}}}\ntelemetry: {{access_log: off}}\n\
         virtual_keys: {{web: {{hashes: [{{sha256: {digest}}}], models: [fast], budgets: [{{limit: $1000, period: total}}]}}}}\n"
    )
}

/// What the clients saw.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    /// Answers whose head came: their lines were on the disk by then.
    heads: AtomicU64,
    whole: AtomicU64,
}

async fn client(url: String, is_stream: bool, seen: Arc<Seen>) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = format!(r#"{{"model":"fast","stream":{is_stream},"max_tokens":60,"messages":[{{"role":"user","content":"Hi"}}]}}"#);
    while !seen.stop.load(Ordering::Relaxed) {
        let sent =
            http.post(format!("{url}/chat/completions")).header("authorization", format!("Bearer {KEY}")).body(body.clone()).send().await;
        let Ok(answer) = sent else { return };
        assert_eq!(answer.status(), 200);
        seen.heads.fetch_add(1, Ordering::Relaxed);
        let Ok(text) = answer.text().await else { return };
        assert!(!text.contains("\"error\""), "{text}");
        seen.whole.fetch_add(1, Ordering::Relaxed);
    }
}

/// Kills a gateway so many times under load.
#[expect(clippy::print_stdout, reason = "the long form is run for its figures")]
async fn kill_again_and_again(kills: u64) {
    // Whoever comes first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mock = Mock::start(Config::long_running()).await.unwrap();
    mock.script(Script::always("chunks=40;chunk_delay=1ms".parse().unwrap()));
    let place = Place::new().file("gateway.yaml", &spec(&mock.base_url()));
    let seen = Arc::new(Seen::default());
    let mut longest = Duration::ZERO;
    for turn in 0..kills {
        let began = Instant::now();
        let serving = Serving::start(&place, &["--watch", "off"]);
        longest = longest.max(began.elapsed());
        let url = serving.url();
        let before = seen.heads.load(Ordering::Relaxed);
        let clients: Vec<_> = (0..CLIENTS).map(|at| tokio::spawn(client(url.clone(), at % 3 != 0, Arc::clone(&seen)))).collect();
        // At another moment of the load each time.
        while seen.heads.load(Ordering::Relaxed) < before + 20 + turn % 37 && clients.iter().any(|client| !client.is_finished()) {
            tokio::task::yield_now().await;
        }
        serving.signal(Signal::KILL);
        for client in clients {
            client.await.unwrap();
        }
        drop(serving);
    }
    let serving = Serving::start(&place, &["--watch", "off"]);
    let audit = place.run(&["budget", "audit"]);
    assert_eq!(audit.code, 0, "{audit:?}");
    serving.signal(Signal::TERM);
    assert_eq!(serving.end().0, 0);
    let report = Report::open(&place.path().join(".bifrost").join(book::FILE)).unwrap();
    let question =
        Question { admitted_ms: 0..u64::MAX, by: Vec::new(), only: Vec::new(), account: Some("key:web".to_owned()), zone: TimeZone::UTC };
    let totals = report.spend(&question).unwrap()[0].totals;
    let (heads, whole, asked) = (seen.heads.load(Ordering::Relaxed), seen.whole.load(Ordering::Relaxed), mock.arrived());
    println!(
        "longest start {longest:?}; {kills} kills: {asked} asked of the upstream, {heads} answers begun, {whole} whole; {} lines, {} expired, {}",
        totals.attempts, totals.expired, totals.cost
    );
    // Whoever saw a head has a line. A line is opened while the request leaves, so a kill in between leaves one of which the upstream knows
    // nothing; what has ended was asked.
    let ended = totals.attempts - totals.expired;
    assert!(totals.attempts >= heads && ended <= asked && totals.attempts <= asked + kills * CLIENTS as u64, "{totals:?}");
    assert!(totals.expired > 0 && totals.expired <= kills * CLIENTS as u64, "{totals:?}");
    // Each line costs its input at least, and no more than the whole answer.
    let answer = 400_000 + 2_000;
    let nano = u64::try_from(totals.cost.nano()).unwrap();
    assert!(nano <= totals.attempts * answer * 2 && nano >= ended * 400_000 * 9 / 10, "{totals:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_down_survives_kills_under_load() {
    kill_again_and_again(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes"]
async fn what_was_written_down_survives_many_kills_under_load() {
    let kills = std::env::var("KILLS").map_or(200, |kills| kills.parse().unwrap());
    kill_again_and_again(kills).await;
}
