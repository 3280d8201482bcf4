//! Three gateways as processes, on one PostgreSQL that is stopped in the middle, and one of them killed: a budget is one budget.
//!
//! `REPLICA_CLIENTS=256 REPLICA_REQUESTS=100000 ci/servers cargo test --release --test it replicas -- --ignored --nocapture` runs the long
//! form.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bifrostctl::base::Digest;
use bifrostctl::mock::{Config, Mock, Script};
use postgres::NoTls;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::Place;
use super::serve::Serving;

const KEY: &str = "sk-bf-a-key-for-one-test";
/// Of somebody whose budget is served on what is known while the book cannot be asked.
const LENIENT: &str = "sk-bf-another-key-for-one-test";

/// A PostgreSQL of this test's own, for it is stopped.
struct Database {
    servers: Child,
    url: String,
    again: Option<Child>,
    directory: String,
    program: Vec<String>,
    user: (u32, u32),
}

impl Database {
    fn start() -> Option<Self> {
        // Whoever runs the tests without servers wants none to be installed.
        std::env::var_os("DATABASE_URL")?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ci/servers");
        let mut servers = Command::new(script).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(servers.stdout.take().unwrap()).lines().map(Result::unwrap);
        let url = lines.find_map(|line| line.strip_prefix("DATABASE_URL=").map(str::to_owned)).unwrap();
        let mut database = Self { servers, url, again: None, directory: String::new(), program: Vec::new(), user: (0, 0) };
        database.directory = database.ask("SHOW data_directory");
        let pid = database.process();
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        database.program = words.split(|byte| *byte == 0).map(|word| String::from_utf8(word.to_vec()).unwrap()).collect();
        database.program.retain(|word| !word.is_empty());
        // What names its sockets is empty, and is to stay.
        let at = database.program.iter().position(|word| word.starts_with("unix_socket_directories")).unwrap();
        assert_eq!(database.program[at], "unix_socket_directories=");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let id = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)).unwrap().split_whitespace().next().unwrap().parse().unwrap()
        };
        database.user = (id("Uid:"), id("Gid:"));
        Some(database)
    }

    /// Asks for one text. On a thread of its own: this client brings its own runtime.
    fn ask(&self, text: &str) -> String {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let mut client = postgres::Client::connect(&self.url, NoTls).unwrap();
                client.simple_query(text).unwrap().iter().find_map(|message| match message {
                    postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                    _ => None,
                })
            });
            asked.join().unwrap().unwrap_or_default()
        })
    }

    fn process(&self) -> i32 {
        let text = std::fs::read_to_string(format!("{}/postmaster.pid", self.directory)).unwrap();
        text.lines().next().unwrap().trim().parse().unwrap()
    }

    fn is_up(&self) -> bool {
        let host = self.url.split_once('@').unwrap().1.split_once('/').unwrap().0;
        TcpStream::connect(host).is_ok()
    }

    async fn until_up(&self, up: bool) {
        let began = Instant::now();
        while self.is_up() != up {
            assert!(began.elapsed() < Duration::from_secs(20), "the server is still {}", if up { "down" } else { "up" });
            tokio::task::yield_now().await;
        }
    }

    async fn stop(&mut self) {
        kill_process(Pid::from_raw(self.process()).unwrap(), Signal::INT).unwrap();
        self.until_up(false).await;
    }

    async fn start_again(&mut self) {
        // The old one may still be on its way out, and then this one ends at once.
        let began = Instant::now();
        while std::path::Path::new(&format!("{}/postmaster.pid", self.directory)).exists() {
            assert!(began.elapsed() < Duration::from_secs(20), "the server does not end");
            tokio::task::yield_now().await;
        }
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]).current_dir(&self.directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if rustix::process::geteuid().is_root() {
            command.gid(self.user.1).uid(self.user.0);
        }
        self.again = Some(command.spawn().unwrap());
        self.until_up(true).await;
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(again) = &mut self.again {
            let _ = kill_process(Pid::from_child(again), Signal::INT);
            let _ = again.wait();
        }
        let _ = kill_process(Pid::from_child(&self.servers), Signal::TERM);
        let _ = self.servers.wait();
    }
}

fn spec(upstream: &str, limit: &str) -> String {
    let [digest, lenient] = [KEY, LENIENT].map(|key| Digest::of(key.as_bytes()));
    format!(
        "version: 1\ngateway:\n  listen: 127.0.0.1:0\n  replicas: 3\n  state: {{postgres: {{env: DATABASE_URL}}, lease: 3s}}\n\
         providers: {{up: {{api: openai-chat, base_url: \"{upstream}\", credentials: {{d: {{secret: none}}}}}}}}\n\
         models: {{fast: {{targets: [up/m]}}}}\nprices: {{up/m: {{input: $1/Mtok, output: $10/Mtok}}}}\ntelemetry: {{access_log: off, metrics: gateway}}\n\
         virtual_keys:\n  web: {{hashes: [{{sha256: {digest}}}], models: [fast], budgets: [shared]}}\n  \
         lenient: {{hashes: [{{sha256: {lenient}}}], models: [fast], budgets: [{{limit: $1, period: day, on_store_error: allow}}]}}\n\
         budgets: {{shared: {{limit: {limit}, period: total}}}}\n"
    )
}

/// What the clients saw.
#[derive(Debug, Default)]
struct Seen {
    served: AtomicU64,
    /// How many answers are enough; whoever has them asks no more.
    enough: AtomicU64,
    refused: AtomicU64,
    /// While the book could not be written.
    unavailable: AtomicU64,
    /// What an answer costs, in nano-USD; all are alike.
    cost: AtomicU64,
}

enum Asked {
    Served,
    Refused,
    Unavailable,
    Gone,
}

struct Client {
    http: reqwest::Client,
    seen: Arc<Seen>,
}

impl Client {
    fn new(seen: &Arc<Seen>) -> Self {
        Self { http: reqwest::Client::builder().no_proxy().build().unwrap(), seen: Arc::clone(seen) }
    }

    async fn ask(&self, url: &str) -> Asked {
        self.ask_as(url, KEY).await
    }

    async fn ask_as(&self, url: &str, key: &str) -> Asked {
        let body = r#"{"model":"fast","max_tokens":40,"messages":[{"role":"user","content":"Hi"}]}"#;
        let sent = self.http.post(format!("{url}/chat/completions")).header("authorization", format!("Bearer {key}")).body(body).send();
        let Ok(answer) = sent.await else { return Asked::Gone };
        let status = answer.status().as_u16();
        let Ok(text) = answer.text().await else { return Asked::Gone };
        let answer: Value = serde_json::from_str(&text).unwrap();
        match status {
            200 => {
                let count = |name: &str| answer["usage"][name].as_u64().unwrap();
                self.seen.cost.store(count("prompt_tokens") * 1_000 + count("completion_tokens") * 10_000, Ordering::Relaxed);
                self.seen.served.fetch_add(1, Ordering::Relaxed);
                Asked::Served
            }
            402 => {
                self.seen.refused.fetch_add(1, Ordering::Relaxed);
                Asked::Refused
            }
            503 => {
                assert_eq!(answer["error"]["code"], "ledger_unavailable", "{text}");
                self.seen.unavailable.fetch_add(1, Ordering::Relaxed);
                Asked::Unavailable
            }
            other => panic!("{other}: {text}"),
        }
    }

    /// Asks until enough answers were served to all, or the budget is used up, or the gateway is gone.
    async fn work(&self, url: &str) {
        while self.seen.served.load(Ordering::Relaxed) < self.seen.enough.load(Ordering::Relaxed) {
            match self.ask(url).await {
                Asked::Served | Asked::Unavailable => {}
                Asked::Refused | Asked::Gone => return,
            }
        }
    }
}

/// Lets clients ask all gateways, until told that it is enough.
fn work(serving: &[Serving], clients: usize, seen: &Arc<Seen>) -> Vec<tokio::task::JoinHandle<()>> {
    seen.enough.store(u64::MAX, Ordering::Relaxed);
    let urls = serving.iter().map(Serving::url).cycle().take(clients);
    let start = |url: String| {
        let client = Client::new(seen);
        tokio::spawn(async move { client.work(&url).await })
    };
    urls.map(start).collect()
}

async fn all(tasks: Vec<tokio::task::JoinHandle<()>>) {
    for task in tasks {
        task.await.unwrap();
    }
}

/// What a budget of so many requests comes to: served by three gateways to its end, through an outage and a kill.
#[expect(clippy::print_stdout, reason = "the long form is run for its figures")]
async fn spend_to_the_end(clients: usize, requests: u64) {
    let Some(mut database) = Database::start() else { return };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mock = Mock::start(Config::long_running()).await.unwrap();
    mock.script(Script::always("chunks=20".parse().unwrap()));
    // About as much as so many answers cost.
    let limit = requests * 210_000;
    let spec = spec(&mock.base_url(), &format!("${}.{:09}", limit / 1_000_000_000, limit % 1_000_000_000));
    let places: Vec<Place> = (0..3).map(|_| Place::new().file("gateway.yaml", &spec).env("DATABASE_URL", &database.url)).collect();
    let mut serving: Vec<Serving> = places.iter().map(|place| Serving::start(place, &["--watch", "off"])).collect();
    let seen = Arc::new(Seen::default());
    let began = Instant::now();

    // The server goes away under load, and comes back. Who asks meanwhile is told so.
    let load = work(&serving, clients, &seen);
    until(&seen, |seen| seen.served.load(Ordering::Relaxed) >= requests / 8).await;
    go_away(&mut database, &serving[0], &seen).await;
    // Not before: the load shall not end while the server is still on its way out.
    seen.enough.store(requests / 2, Ordering::Relaxed);
    all(load).await;
    until_booked(&database, mock.arrived()).await;
    let booked = booked(&database, &places[0]);
    let (cost, served) = (seen.cost.load(Ordering::Relaxed), seen.served.load(Ordering::Relaxed));
    // Whatever the upstream answered is booked, also what came while nothing could be written.
    let others = database.ask("SELECT count(*) FROM bifrost.lines WHERE NOT 'budget:shared' = ANY(accounts)");
    assert_eq!((booked, others.as_str()), ((mock.arrived() - 1) * cost, "1"), "{served} served");
    let half = began.elapsed();
    let asks = asks(&serving).await;
    // While much is left, few requests have to ask.
    assert!(asks < served / 2, "{asks} asks for {served}");

    // One is killed. Its part comes back with its lease, and what it ran is charged.
    let load = work(&serving, clients, &seen);
    until(&seen, |seen| seen.served.load(Ordering::Relaxed) >= served + requests / 8).await;
    serving.remove(2).signal(Signal::KILL);
    all(load).await;
    spend_the_rest(&database, &places[0], (&serving, &seen), limit).await;
    let booked = self::booked(&database, &places[0]);
    let arrived = mock.arrived() - 1;
    let expired: u64 = database.ask("SELECT count(*) FROM bifrost.lines WHERE expired").parse().unwrap();
    println!(
        "{clients} clients, {} served in {:?} ({half:?} to the middle), {} refused, {} unavailable; {booked} of {limit} nano-USD booked, \
         {arrived} billed at {cost}, {expired} expired; asked {asks} times for the first {served}, {} times in all by those that live",
        seen.served.load(Ordering::Relaxed),
        began.elapsed(),
        seen.refused.load(Ordering::Relaxed),
        seen.unavailable.load(Ordering::Relaxed),
        self::asks(&serving).await,
    );
    assert!(booked <= limit, "{booked} of {limit}");
    // Of what ran where it was killed, the input at least is charged.
    let lost = arrived * cost - booked;
    assert!(lost <= clients as u64 * cost && expired <= clients as u64, "{lost} nano-USD of {cost} each are not booked");
    let audit = places[0].run(&["budget", "audit"]);
    assert_eq!(audit.code, 0, "{audit:?}");
    for gateway in serving {
        gateway.signal(Signal::TERM);
        assert_eq!(gateway.end().0, 0);
    }
    let open = database.ask("SELECT (SELECT count(*) FROM bifrost.open) + (SELECT count(*) FROM bifrost.grants)");
    assert_eq!(open, "0", "an orderly end leaves nothing");
}

/// Asks until nothing more fits, and those that live have taken the dead one over: until its lease is over, what it held is not to be had.
async fn spend_the_rest(database: &Database, place: &Place, (serving, seen): (&[Serving], &Arc<Seen>), limit: u64) {
    let last = Client::new(seen);
    let deadline = Instant::now() + Duration::from_secs(20);
    let bound = 40 * 10_000 + 200 * 1_000;
    while limit - booked(database, place) >= bound {
        assert!(Instant::now() < deadline, "{} of {limit} are left", limit - booked(database, place));
        for gateway in serving {
            last.ask(&gateway.url()).await;
        }
    }
    while database.ask("SELECT count(*) FROM bifrost.nodes WHERE gone IS NULL") != "2" {
        assert!(Instant::now() < deadline, "nobody has taken the dead one over");
    }
}

/// Stops the server until somebody has been told so, and one has been served nevertheless.
async fn go_away(database: &mut Database, gateway: &Serving, seen: &Seen) {
    database.stop().await;
    until(seen, |seen| seen.unavailable.load(Ordering::Relaxed) > 0).await;
    let lenient = Client::new(&Arc::default()).ask_as(&gateway.url(), LENIENT).await;
    assert!(matches!(lenient, Asked::Served), "`on_store_error: allow` serves while nothing can be asked");
    database.start_again().await;
}

/// How often gateways asked the book for more.
async fn asks(serving: &[Serving]) -> u64 {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut sum = 0;
    for gateway in serving {
        let url = gateway.url().replace("/v1", "/metrics");
        let text = http.get(url).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("bifrost_book_asks_total ")).unwrap();
        sum += line.parse::<u64>().unwrap();
    }
    sum
}

async fn until(seen: &Seen, is_met: impl Fn(&Seen) -> bool) {
    let told = || [&seen.served, &seen.refused, &seen.unavailable].map(|count| count.load(Ordering::Relaxed));
    let (mut last, mut since) = (told(), Instant::now());
    while !is_met(seen) {
        if told() != last {
            (last, since) = (told(), Instant::now());
        }
        assert!(since.elapsed() < Duration::from_secs(60), "nothing comes any more: {seen:?}");
        tokio::task::yield_now().await;
    }
}

/// What the budget's status says is spent, which is what the lines come to: once every gateway has booked what has ended in it.
fn booked(database: &Database, place: &Place) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let status = place.run(&["budget", "status", "-o", "json"]).json();
        let budget = status["result"]["budgets"].as_array().unwrap().iter().find(|budget| budget["budget"] == "shared").unwrap().clone();
        let spent: bifrostctl::base::Usd = serde_json::from_value(budget["spent"].clone()).unwrap();
        let sum = database.ask("SELECT coalesce(sum(cost), 0)::text FROM bifrost.lines WHERE 'budget:shared' = ANY(accounts)");
        if spent.nano().to_string() == sum {
            return sum.parse().unwrap();
        }
        assert!(Instant::now() < deadline, "{spent} is said to be spent, and the lines come to {sum} nano-USD");
    }
}

/// Waits until there are so many lines: what ended while the server was away is booked when a gateway finds it again.
async fn until_booked(database: &Database, lines: u64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let booked = database.ask("SELECT count(*) FROM bifrost.lines");
        if booked == lines.to_string() {
            return;
        }
        assert!(Instant::now() < deadline, "{booked} lines of {lines}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_gateways_spend_one_budget_to_its_end_through_an_outage_and_a_kill() {
    spend_to_the_end(12, 800).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes"]
async fn three_gateways_spend_one_budget_to_its_end_under_long_load() {
    let number = |name: &str, usual: u64| std::env::var(name).map_or(usual, |value| value.parse().unwrap());
    spend_to_the_end(number("REPLICA_CLIENTS", 256) as usize, number("REPLICA_REQUESTS", 100_000)).await;
}

#[test]
fn a_gateway_whose_shared_book_cannot_be_had_says_what_to_do() {
    let spec = spec("http://127.0.0.1:1", "$1");
    let place = Place::new().file("gateway.yaml", &spec);
    let done = place.run(&["serve"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.stderr.contains("gateway.yaml:5:") && done.stderr.contains("DATABASE_URL"), "{}", done.stderr);
    let place = place.env("DATABASE_URL", "postgres://me:canary@127.0.0.1:1/canary");
    let done = place.run(&["serve"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("the shared book cannot be reached") && done.stderr.contains("gateway.state.postgres"), "{}", done.stderr);
    assert!(!format!("{done:?}").contains("canary"), "{done:?}");
}
