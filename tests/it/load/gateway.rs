//! The gateway that is loaded: a process, its spec, and what the system and its admin API tell of it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bifrostctl::base::Digest;
use bifrostctl::store::book::{self, Question, Report, Totals};
use jiff::tz::TimeZone;
use rustix::process::Signal;
use serde_json::Value;

use super::client::{Connection, Dialect};
use crate::cli::Place;
use crate::cli::serve::Serving;

pub(super) const KEY: &str = "sk-bf-a-key-for-one-test";
/// Far beyond what anything takes that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Writes a spec in which everything is counted: a strict budget, limits of the key, breakers, the book. Providers and models are members of YAML's maps.
pub(super) fn spec(providers: &[String], models: &str) -> String {
    let digest = Digest::of(KEY.as_bytes());
    let price = |provider: &String| format!("{}/*: {{input: $1/Mtok, output: $10/Mtok}}", provider.split(':').next().unwrap());
    let prices = providers.iter().map(price).collect::<Vec<_>>().join(", ");
    let providers = providers.join(", ");
    format!(
        "version: 1\ngateway: {{listen: \"127.0.0.1:0\", drain: 10s, limits: {{in_flight: 100000, connections: 100000}}}}\n\
         providers: {{{providers}}}\nmodels: {{{models}}}\nprices: {{{prices}}}\n\
         telemetry: {{access_log: \"off\"}}\nvirtual_keys:\n  web:\n    hashes: [{{sha256: {digest}}}]\n    models: [\"*\"]\n    \
         budgets: [{{limit: $100000000, period: total}}]\n    \
         limits: {{requests: {{rate: 60M/min, burst: 1000000}}, tokens: 900M/min, concurrency: 100000}}\n"
    )
}

/// Writes a provider like OpenAI, named `name`, at this base URL.
pub(super) fn provider(name: &str, url: &str) -> String {
    format!("{name}: {{api: openai-chat, base_url: \"{url}\", credentials: {{d: {{secret: none}}}}}}")
}

/// Writes the usual spec: two targets of one upstream.
pub(super) fn usual(url: &str) -> String {
    spec(&[provider("one", url), provider("two", url)], "fast: {targets: [one/m1, two/m2]}")
}

/// What the system says of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Uses {
    /// Resident memory in bytes.
    pub(super) resident: u64,
    pub(super) threads: u64,
    pub(super) descriptors: u64,
}

/// A gateway; killed with the test.
pub(super) struct Gateway {
    pub(super) place: Place,
    pub(super) address: SocketAddr,
    serving: Serving,
    admin: reqwest::Client,
}

impl Gateway {
    pub(super) fn start(spec: &str) -> Self {
        let place = Place::new().file("gateway.yaml", spec);
        let log = std::fs::File::create(place.path().join("log")).unwrap();
        let mut command = place.command(&["serve", "--watch", "off"]);
        command.stderr(Stdio::from(log));
        let serving = Serving::of(command);
        let address = serving.url().trim_start_matches("http://").trim_end_matches("/v1").parse().unwrap();
        let admin = reqwest::Client::builder().no_proxy().unix_socket(place.path().join(".bifrost/admin.sock")).build().unwrap();
        Self { place, address, serving, admin }
    }

    pub(super) fn uses(&self) -> Uses {
        let folder = format!("/proc/{}", self.serving.pid());
        let status = std::fs::read_to_string(format!("{folder}/status")).unwrap();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        let descriptors = std::fs::read_dir(format!("{folder}/fd")).unwrap().count() as u64;
        Uses { resident: number("VmRSS:") * 1024, threads: number("Threads:"), descriptors }
    }

    /// Serves some requests, so that what is needed once is there; returns what is in use then.
    pub(super) async fn warm(&self) -> Uses {
        let (request, mut connections) = (Dialect::Openai.request("fast", false, 9), Vec::new());
        for _ in 0..8 {
            let mut connection = Connection::open(self.address).await.unwrap();
            assert_eq!(connection.ask(&request).await.unwrap().status, 200);
            connections.push(connection);
        }
        drop(connections);
        self.until_idle().await;
        self.uses()
    }

    async fn get(&self, path: &str) -> String {
        let answer = self.admin.get(format!("http://admin{path}")).send().await.unwrap();
        answer.text().await.unwrap()
    }

    pub(super) async fn status(&self) -> Value {
        serde_json::from_str(&self.get("/v1/status").await).unwrap()
    }

    /// Sums up the series of a metric.
    pub(super) async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await;
        let of_name = text.lines().filter_map(|line| line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' '])));
        of_name.map(|rest| rest.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).fold(0.0, |sum, value| sum + value)
    }

    /// Waits until something holds.
    pub(super) async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self).await {
            assert!(Instant::now() < deadline, "never {what}: {:?}\n{:#}\n{}", self.uses(), self.status().await, self.place.read("log"));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until no request runs and no client is connected.
    pub(super) async fn until_idle(&self) {
        self.until("idle", async |gateway| {
            gateway.metric("bifrost_in_flight").await == 0.0
                && gateway.metric("bifrost_streams_open").await == 0.0
                && gateway.clients().await == 0.0
        })
        .await;
    }

    /// Connections of clients that are open.
    pub(super) async fn clients(&self) -> f64 {
        let series = "bifrost_connections_open{listener=\"client\"}";
        assert!(self.get("/metrics").await.contains(series), "it would be 0 for ever");
        self.metric(series).await
    }

    /// Waits until there are no more descriptors and threads than before, but for so many connections to upstreams that are kept.
    pub(super) async fn until_back_at(&self, before: Uses, kept: u64) {
        self.until("back", async |gateway| {
            let now = gateway.uses();
            now.descriptors <= before.descriptors + kept && now.threads <= before.threads
        })
        .await;
    }

    /// Asserts that nothing is held of a budget and that the book adds up, and ends in order.
    pub(super) async fn end(self) -> Place {
        let Self { place, serving, .. } = self;
        tokio::task::block_in_place(|| {
            let status = place.run(&["budget", "status", "-o", "json"]).json();
            let budgets = status["result"]["budgets"].as_array().unwrap();
            assert!(!budgets.is_empty() && budgets.iter().all(|budget| budget["held"] == "$0"), "{status:#}");
            let audit = place.run(&["budget", "audit"]);
            assert_eq!(audit.code, 0, "{audit:?}");
            serving.signal(Signal::TERM);
            assert_eq!(serving.end().0, 0, "{}", place.read("log"));
        });
        assert!(!place.read("log").contains("panic"), "{}", place.read("log"));
        place
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.serving.signal(signal);
    }
}

/// What the book of a gateway that has ended says of its key.
pub(super) fn booked(place: &Place) -> Totals {
    let report = Report::open(&place.path().join(".bifrost").join(book::FILE)).unwrap();
    let account = Some("key:web".to_owned());
    let question = Question { admitted_ms: 0..u64::MAX, by: Vec::new(), only: Vec::new(), account, zone: TimeZone::UTC };
    report.spend(&question).unwrap().first().map(|group| group.totals).unwrap_or_default()
}
