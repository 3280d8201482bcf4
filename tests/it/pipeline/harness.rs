//! A gateway built from a plan, with a mock upstream behind it, called without a socket in front.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bifrostctl::base::{Clock, Digest, SystemClock};
use bifrostctl::limit::budget::Ledger;
use bifrostctl::mock::{Config, Mock};
use bifrostctl::pipeline::{Affinity, Gateway, Reply};
use bifrostctl::plan::{AccessLog as Destination, Plan};
use bifrostctl::provider::{Clients, Health, Proxies, Signers, SystemLookup};
use bifrostctl::server::{Handler, Peer, RequestBody};
use bifrostctl::table::{Live, Services, prepare};
use bifrostctl::telemetry::{AccessLog, Metrics, RequestIds};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

pub(super) const KEY: &str = "sk-bf-test-key";

pub(super) struct Rig {
    pub(super) gateway: Gateway,
    pub(super) mock: Mock,
}

pub(super) struct Seen {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Seen {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }
}

fn provider(credentials: &[&str]) -> Value {
    let credentials: serde_json::Map<_, _> = credentials
        .iter()
        .map(|name| ((*name).to_owned(), json!({"secret": {"env": name.to_uppercase()}, "weight": 1, "models": ["*"], "optional": false})))
        .collect();
    json!({
        "preset": null, "api": "openai-chat", "base_url": "mock:", "auth": "bearer", "credentials": credentials,
        "quirks": {"max_tokens_field": null, "stream_options": true, "done_marker": true},
        "timeouts": {"connect": "5s", "first_byte": "2s", "first_content": "2s", "idle": "2s", "total": "10s"},
        "retries": {"max": 1, "only_if_failed_within": "5s", "backoff": "2ms"}, "headers": {}
    })
}

/// Alias `fast`: target `one/m`, then the chain `two/m`. Provider `one` has credentials `a` and `b`.
fn model() -> Value {
    let on = ["rate_limit", "quota", "auth", "overload", "server_error", "timeout", "connect", "context_window", "malformed"];
    json!({
        "gateway": {"listen": "127.0.0.1:0", "admin": {"unix": "admin.sock"}, "state": "state", "auth": "required", "tls": null,
            "limits": {"body": "1MiB", "in_flight": 100, "connections": 100}, "drain": "1s"},
        "providers": {"one": provider(&["a", "b"]), "two": provider(&["c"])},
        "models": {"fast": {"description": null, "targets": [{"provider": "one", "model": "m", "weight": 1}], "balance": "weighted",
            "fallbacks": ["two/m"], "fallback_on": on, "prompt": null, "defaults": {}, "overrides": {}}},
        "rules": [], "teams": {},
        "virtual_keys": {"web": {"hashes": [{"sha256": Digest::of(KEY.as_bytes()), "not_after": null}], "team": null,
            "models": ["fast", "two/*"], "expires": null, "disabled": false, "routing_headers": true, "labels": {}}},
        "telemetry": {"access_log": "off", "metrics": "admin"}
    })
}

/// The plan, changed in its own form.
pub(super) fn plan(change: impl FnOnce(&mut Value)) -> Plan {
    let mut model = model();
    change(&mut model);
    serde_json::from_value(model).expect("the plan's own form")
}

impl Rig {
    pub(super) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(super) async fn start_with(change: impl FnOnce(&mut Value)) -> Self {
        let env = ["A", "B", "C"].iter().map(|name| ((*name).to_owned(), format!("secret-{name}"))).collect();
        Self::start_in(env, Arc::new(SystemClock::default()), change).await
    }

    /// Starts a gateway in an environment and a time of the test's own.
    pub(super) async fn start_in(env: BTreeMap<String, String>, clock: Arc<dyn Clock>, change: impl FnOnce(&mut Value)) -> Self {
        let mock = Mock::start(Config::default()).await.unwrap();
        let metrics = Metrics::new();
        let services = Services {
            clients: Arc::new(Clients::new(Proxies::default(), Arc::new(SystemLookup))),
            health: Arc::new(Health::default()),
            signers: Arc::new(Signers::default()),
            ledger: Arc::new(Ledger::new(Arc::clone(&clock))),
            counters: Arc::default(),
            metrics: Arc::clone(&metrics),
            env: Arc::new(env),
            base_dir: PathBuf::from("."),
            mock_url: Some(mock.base_url()),
        };
        let table = prepare(Arc::new(plan(change)), 1, &services).unwrap();
        let gateway = Gateway {
            ending: Arc::default(),
            affinity: Affinity::default(),
            live: Arc::new(Live::new(table)),
            services,
            clock,
            log: AccessLog::open(&Destination::Off, metrics.access_log_dropped()).unwrap(),
            ids: RequestIds::new(1),
            seed: AtomicU64::new(1),
        };
        Self { gateway, mock }
    }

    pub(super) async fn chat(&self, body: impl Into<Bytes>) -> Seen {
        self.call("POST", "/v1/chat/completions", &[("authorization", &format!("Bearer {KEY}"))], body.into()).await
    }

    pub(super) async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Bytes) -> Seen {
        let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.gateway.handle(request.body(RequestBody::from(body)).unwrap(), Peer::default()).await;
        Self::read(response).await
    }

    pub(super) async fn read(response: http::Response<Reply>) -> Seen {
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole answer").to_bytes();
        Seen { status: head.status, headers: head.headers, body }
    }

    /// The credentials that the mock was called with, in order.
    pub(super) fn tried(&self) -> Vec<String> {
        let bearer = |value: &str| value.trim_start_matches("Bearer secret-").to_owned();
        self.mock.requests().iter().map(|request| request.header("authorization").map(bearer).unwrap_or_default()).collect()
    }
}
