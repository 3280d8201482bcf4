//! One gateway process after another, under load: no request fails, and the money is exact.
//!
//! `UPGRADES=100 cargo test --release --test it upgrade -- --ignored --nocapture` runs the long form.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bifrostctl::base::{Digest, Usd};
use bifrostctl::mock::{Config, Mock, Script};
use bifrostctl::store::book::{self, Question, Report, Totals};
use jiff::tz::TimeZone;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use super::{Done, Place};

const KEY: &str = "sk-bf-a-key-for-one-test";
const TIGHT: &str = "sk-bf-a-key-with-little";
const PATIENCE: Duration = Duration::from_secs(60);
/// What the tight key may spend, in nano-USD.
const LIMIT: i64 = 40_000_000;

fn place(upstream: &str) -> Place {
    place_with(upstream, ".bifrost")
}

fn place_with(upstream: &str, state: &str) -> Place {
    let (key, tight) = (Digest::of(KEY.as_bytes()), Digest::of(TIGHT.as_bytes()));
    let spec = format!(
        "version: 1\ngateway: {{listen: \"127.0.0.1:0\", drain: 60s, state: {state}}}\nproviders: {{up: {{api: openai-chat, base_url: \"{upstream}\", credentials: {{d: {{secret: none}}}}}}}}\n\
         models: {{fast: {{targets: [up/m]}}}}\nprices: {{up/m: {{input: $1/Mtok, output: $10/Mtok}}}}\ntelemetry: {{access_log: off}}\n\
         virtual_keys:\n  web: {{hashes: [{{sha256: {key}}}], models: [fast], budgets: [{{limit: $1000, period: total}}]}}\n  \
         tight: {{hashes: [{{sha256: {tight}}}], models: [fast], budgets: [{{limit: $0.04, period: total}}]}}\n"
    );
    Place::new().file("gateway.yaml", &spec)
}

/// A gateway, whichever process it is.
struct Line {
    place: Place,
    url: String,
    pid: i32,
}

impl Line {
    fn start(place: Place) -> Self {
        let (out, log) = (place.path().join("out"), place.path().join("log"));
        let mut command = place.command(&["serve", "--watch", "off"]);
        command.stdout(Stdio::from(std::fs::File::create(&out).unwrap())).stderr(Stdio::from(std::fs::File::create(log).unwrap()));
        let mut child = command.spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let url = loop {
            assert!(child.try_wait().unwrap().is_none(), "{}", std::fs::read_to_string(place.path().join("log")).unwrap());
            let said = std::fs::read_to_string(&out).unwrap();
            if let Some(line) = said.lines().find(|line| line.contains("clients")).filter(|_| said.contains("curl ")) {
                break line.split_whitespace().last().unwrap().to_owned();
            }
            std::thread::yield_now();
        };
        // Somebody must hear of its end, or it would seem to live on.
        std::thread::spawn(move || child.wait());
        Self { place, url, pid }
    }

    fn upgrade(&mut self) -> Value {
        let done = self.place.run(&["upgrade", "-o", "json", "--timeout", "60s"]);
        assert_eq!(done.code, 0, "{done:?}\n{}", self.log());
        let result = json(&done)["result"].clone();
        assert_eq!((result["old"]["pid"].as_i64(), &result["outcome"]), (Some(i64::from(self.pid)), &"upgraded".into()));
        self.pid = i32::try_from(result["new"]["pid"].as_i64().unwrap()).unwrap();
        result
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid).unwrap(), signal).unwrap();
    }

    fn end(&self) {
        self.signal(Signal::TERM);
        until("the end", || test_kill_process(Pid::from_raw(self.pid).unwrap()).is_err());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.place.path().join("log")).unwrap()
    }

    fn totals(&self, account: &str) -> Totals {
        let report = Report::open(&self.place.path().join(".bifrost").join(book::FILE)).unwrap();
        let account = Some(account.to_owned());
        let question = Question { admitted_ms: 0..u64::MAX, by: Vec::new(), only: Vec::new(), account, zone: TimeZone::UTC };
        report.spend(&question).unwrap().first().map(|group| group.totals).unwrap_or_default()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // It has ended already in a test that passes.
        let _ = kill_process(Pid::from_raw(self.pid).unwrap(), Signal::KILL);
    }
}

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never {what}");
        // Not a spin: the processes that are waited for need the machine.
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// What the clients of one key saw.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    whole: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    failures: Mutex<Vec<String>>,
    nano: AtomicI64,
}

impl Seen {
    /// Whole answers, refusals, failures.
    fn counts(&self) -> [u64; 3] {
        [&self.whole, &self.refused, &self.failed].map(|count| count.load(Ordering::Relaxed))
    }
}

/// Asks again and again, on connections of its own or on one that it keeps.
async fn client((url, key): (String, &'static str), (is_stream, keeps): (bool, bool), seen: Arc<Seen>) {
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(usize::from(keeps)).build().unwrap();
    let body = format!(
        r#"{{"model":"fast","stream":{is_stream},"max_tokens":60,{}"messages":[{{"role":"user","content":"Hi"}}]}}"#,
        if is_stream { r#""stream_options":{"include_usage":true},"# } else { "" }
    );
    while !seen.stop.load(Ordering::Relaxed) {
        let sent = http.post(format!("{url}/chat/completions")).header("authorization", format!("Bearer {key}")).body(body.clone()).send();
        let answer = match sent.await {
            Ok(answer) => (answer.status().as_u16(), answer.text().await),
            Err(error) => (0, Err(error)),
        };
        match answer {
            (200, Ok(text)) if !text.contains("\"error\"") && (!is_stream || text.ends_with("data: [DONE]\n\n")) => {
                seen.nano.fetch_add(cost(&text), Ordering::Relaxed);
                seen.whole.fetch_add(1, Ordering::Relaxed);
            }
            (402, Ok(_)) => {
                seen.refused.fetch_add(1, Ordering::Relaxed);
            }
            failed => {
                seen.failed.fetch_add(1, Ordering::Relaxed);
                seen.failures.lock().unwrap().push(format!("{failed:?}"));
            }
        }
    }
}

/// What an answer says that it used, at the price of the spec.
fn cost(text: &str) -> i64 {
    let usage = text.rsplit_once("\"usage\":").unwrap().1;
    let usage: Value = serde_json::Deserializer::from_str(usage).into_iter().next().unwrap().unwrap();
    usage["prompt_tokens"].as_i64().unwrap() * 1_000 + usage["completion_tokens"].as_i64().unwrap() * 10_000
}

/// Upgrades so many times under load.
#[expect(clippy::print_stdout, reason = "the long form is run for its figures")]
async fn upgrade_again_and_again((upgrades, requests): (u64, u64), shared: Option<String>) {
    // Whoever comes first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mock = Mock::start(Config::long_running()).await.unwrap();
    mock.script(Script::always("chunks=20;chunk_delay=2ms".parse().unwrap()));
    let state = if shared.is_some() {
        format!("{{postgres: {{file: url}}, schema: upgrade_{}}}", std::process::id())
    } else {
        ".bifrost".to_owned()
    };
    let is_shared = shared.is_some();
    let mut line = Line::start(place_with(&mock.base_url(), &state).file("url", &shared.unwrap_or_default()));
    let (web, tight) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
    let spawn = |key, seen: &Arc<Seen>, count: usize| -> Vec<_> {
        let one = |at: usize| tokio::spawn(client((line.url.clone(), key), (at.is_multiple_of(3), at.is_multiple_of(2)), Arc::clone(seen)));
        (0..count).map(one).collect()
    };
    let clients: Vec<_> = spawn(KEY, &web, 12).into_iter().chain(spawn(TIGHT, &tight, 4)).collect();
    let began = Instant::now();
    let mut frozen = Vec::new();
    let each = requests / upgrades;
    for turn in 1..=upgrades {
        let (next, seen) = (each * turn, Arc::clone(&web));
        tokio::task::block_in_place(|| {
            until("more answers", || seen.whole.load(Ordering::Relaxed) + seen.failed.load(Ordering::Relaxed) >= next);
            frozen.push(line.upgrade()["frozen_us"].as_u64().unwrap());
        });
    }
    let standing = tokio::task::block_in_place(|| {
        until("the last predecessor's end", || json(&line.place.run(&["status", "-o", "json"]))["result"]["predecessor_runs"] == false);
        [&web, &tight].iter().for_each(|seen| seen.stop.store(true, Ordering::Relaxed));
        line.place.run(&["budget", "status", "-o", "json"])
    });
    for client in clients {
        client.await.unwrap();
    }
    let took = began.elapsed();
    let (standing, audit) = tokio::task::block_in_place(|| {
        let again = line.place.run(&["budget", "status", "-o", "json"]);
        let audit = line.place.run(&["budget", "audit"]);
        line.end();
        (if again.code == 0 { again } else { standing }, audit)
    });
    assert_eq!(audit.code, 0, "{audit:?}");
    frozen.sort_unstable();
    let all: u64 = [&web, &tight].iter().flat_map(|seen| seen.counts()).sum();
    println!(
        "{upgrades} upgrades, {all} requests in {took:?}; web and tight, answered, refused, failed: {:?} {:?}; frozen {} µs at the median, {} at most",
        web.counts(),
        tight.counts(),
        frozen[frozen.len() / 2],
        frozen[frozen.len() - 1]
    );
    check(&line, (&web, &tight), (&json(&standing), is_shared));
    assert_eq!(mock.arrived(), web.counts()[0] + tight.counts()[0]);
}

/// No request failed, and what clients saw, the book and the last process's memory agree.
fn check(line: &Line, (web, tight): (&Seen, &Seen), (standing, is_shared): (&Value, bool)) {
    let told = |budget: &str| {
        let budgets = standing["result"]["budgets"].as_array().unwrap();
        let found = budgets.iter().find(|told| told["budget"] == format!("{budget} per total")).unwrap_or_else(|| panic!("{standing:#}"));
        found["spent"].as_str().unwrap().to_owned()
    };
    for (account, seen) in [("key:web", web), ("key:tight", tight)] {
        let [answered, _, failed] = seen.counts();
        assert_eq!(failed, 0, "{account}: {:?}\n{}", seen.failures.lock().unwrap(), line.log());
        if is_shared {
            assert_eq!(told(account), Usd::from_nano(seen.nano.load(Ordering::Relaxed)).to_string(), "{account}: of all nodes");
            continue;
        }
        let totals = line.totals(account);
        assert_eq!((totals.attempts, totals.expired), (answered, 0), "{account}: {totals:?}\n{}", line.log());
        assert_eq!(totals.cost.nano(), seen.nano.load(Ordering::Relaxed), "{account}: {totals:?}");
        assert_eq!(told(account), totals.cost.to_string(), "{account}: in memory and in the book");
    }
    let (spent, refused) = (tight.nano.load(Ordering::Relaxed), tight.counts()[1]);
    assert!(spent <= LIMIT && refused > 0 && web.counts()[1] == 0, "{spent} of {LIMIT}, {refused} refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrades_under_load_lose_no_request_and_no_money() {
    upgrade_again_and_again((5, 500), None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrades_with_a_book_on_postgresql_lose_no_request_and_no_money() {
    // Whoever runs the tests without servers wants none.
    let Ok(url) = std::env::var("DATABASE_URL") else { return };
    upgrade_again_and_again((3, 900), Some(url)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes"]
async fn many_upgrades_under_load_lose_no_request_and_no_money() {
    let upgrades = std::env::var("UPGRADES").map_or(100, |upgrades| upgrades.parse().unwrap());
    upgrade_again_and_again((upgrades, 100_000), None).await;
}

/// A stream that goes on for as long as the test wants.
async fn endless(line: &Line) -> reqwest::Response {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = r#"{"model":"fast","stream":true,"max_tokens":2000,"messages":[{"role":"user","content":"Hi"}]}"#;
    let sent = http.post(format!("{}/chat/completions", line.url)).header("authorization", format!("Bearer {KEY}")).body(body).send();
    let mut stream = sent.await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_predecessor_that_is_killed_is_settled_by_its_successor() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mock = Mock::start(Config::long_running()).await.unwrap();
    mock.script(Script::always("chunks=9;stall_at=event:5".parse().unwrap()));
    let mut line = Line::start(place(&mock.base_url()));
    let first = Pid::from_raw(line.pid).unwrap();
    let mut stream = endless(&line).await;
    tokio::task::block_in_place(|| {
        line.upgrade();
        let held = || json(&line.place.run(&["budget", "status", "-o", "json"]))["result"]["budgets"].to_string();
        assert!(held().contains("\"held\":\"$0.02"), "the successor holds what runs elsewhere: {}", held());
        // Nobody follows while the first still runs.
        let done = line.place.run(&["upgrade", "--timeout", "2s"]);
        assert_eq!(done.code, 8, "{done:?}");
        kill_process(first, Signal::KILL).unwrap();
        until("the settling", || line.log().contains("ended early"));
        assert!(!held().contains("\"held\":\"$0.02"), "{}", held());
    });
    assert!(
        loop {
            if let Err(error) = stream.chunk().await.map(|_| ()) {
                break error.to_string();
            }
        }
        .contains("body")
    );
    let totals = line.totals("key:web");
    assert_eq!((totals.attempts, totals.expired), (1, 1), "{totals:?}");
    assert!(totals.cost.nano() > 0);
    tokio::task::block_in_place(|| line.end());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_is_killed_does_not_take_running_streams_along() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mock = Mock::start(Config::long_running()).await.unwrap();
    mock.script(Script::always("chunks=150;chunk_delay=10ms".parse().unwrap()));
    let mut line = Line::start(place(&mock.base_url()));
    let mut stream = endless(&line).await;
    let first = Pid::from_raw(line.pid).unwrap();
    tokio::task::block_in_place(|| {
        line.upgrade();
        line.signal(Signal::KILL);
    });
    let mut text = String::new();
    while let Some(piece) = stream.chunk().await.unwrap() {
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    tokio::task::block_in_place(|| until("the predecessor's end", || test_kill_process(first).is_err()));
    let totals = line.totals("key:web");
    assert_eq!((totals.attempts, totals.expired), (1, 0), "its line was written where it ran: {totals:?}");
    // A new one finds all in order.
    let line = Line::start(std::mem::replace(&mut line.place, Place::new()));
    assert_eq!(line.place.run(&["budget", "audit"]).code, 0);
    tokio::task::block_in_place(|| line.end());
}

#[test]
fn a_successor_that_cannot_start_leaves_the_gateway_as_it_is() {
    let mut line = Line::start(place("http://127.0.0.1:9/v1"));
    let spec = std::fs::read_to_string(line.place.path().join("gateway.yaml")).unwrap();
    let write = |text: &str| std::fs::write(line.place.path().join("gateway.yaml"), text).unwrap();
    write("version: 1\nnonsense: 1\n");
    let done = line.place.run(&["upgrade", "--endpoint", "unix:.bifrost/admin.sock"]);
    assert!(done.code == 6 && done.stderr.contains("ended without taking over"), "{done:?}");
    write(&spec.replace("127.0.0.1:0", "127.0.0.1:1"));
    let done = line.place.run(&["upgrade"]);
    assert!(done.code == 6 && line.log().contains("that needs a restart"), "{done:?}");
    write(&spec);
    let done = line.place.run(&["upgrade", "--binary", "/bin/false"]);
    assert_eq!(done.code, 6, "{done:?}");
    let sleeper = line.place.path().join("sleeper");
    std::fs::write(&sleeper, "#!/bin/sh\nexec sleep 600\n").unwrap();
    std::fs::set_permissions(&sleeper, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let done = line.place.run(&["upgrade", "--binary", "sleeper", "--timeout", "2s"]);
    assert!(done.code == 8 && done.stderr.contains("goes on"), "{done:?}");
    let done = line.place.run(&["upgrade", "--binary", "nothing"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert_eq!(line.place.run(&["status"]).code, 0);
    line.upgrade();
    line.end();
    let log = line.log();
    assert_eq!(log.matches("has taken over").count(), 2, "the one that has, and the one that was: {log}");
    let done = line.place.run(&["serve", "--take-over"]);
    assert!(done.code == 1 && done.stderr.contains("no gateway answers"), "{done:?}");
}
