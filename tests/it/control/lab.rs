//! A whole gateway in this process, on ports and in directories of its own.
//!
//! Waiting is always for something that can be seen, with a deadline far beyond what it takes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bifrostctl::base::{Digest, SystemClock};
use bifrostctl::control::watch::{self, Mode};
use bifrostctl::control::{OnInvalid, Options, Running, StartError, start};
use serde_json::{Value, json};

pub(super) const KEY: &str = "sk-bf-lab-web";
pub(super) const OTHER_KEY: &str = "sk-bf-lab-other";
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A directory with a spec.
pub(super) struct Place {
    _guard: tempfile::TempDir,
    pub(super) root: PathBuf,
}

/// A running gateway in its place.
pub(super) struct Lab {
    pub(super) place: Place,
    pub(super) gateway: Running,
    pub(super) http: reqwest::Client,
    admin: reqwest::Client,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) headers: http::HeaderMap,
    pub(super) text: String,
}

impl Seen {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }
}

/// The spec with one alias, and a text that its answers are made of.
pub(super) fn spec(root: &Path, says: &str) -> String {
    spec_with(root, says, "")
}

/// The same, with more sections.
pub(super) fn spec_with(root: &Path, says: &str, more: &str) -> String {
    let (key, other) = (Digest::of(KEY.as_bytes()), Digest::of(OTHER_KEY.as_bytes()));
    let root = root.display();
    format!(
        "version: 1\n\
         gateway: {{listen: \"127.0.0.1:0\", admin: \"unix:{root}/a/admin.sock\", state: \"{root}/state\", drain: 10s}}\n\
         providers: {{mock: {{}}}}\n\
         models: {{fast: {{targets: [\"mock/mock-small@text={says}\"]}}}}\n\
         virtual_keys:\n  web: {{hashes: [{{sha256: {key}}}], models: [\"*\"], routing_headers: true}}\n  \
         other: {{hashes: [{{sha256: {other}}}], models: [\"*\"]}}\n\
         telemetry: {{access_log: \"off\"}}\n{more}"
    )
}

impl Place {
    pub(super) fn new() -> Self {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        Self { _guard: guard, root }
    }

    pub(super) fn with(text: impl Fn(&Path) -> String) -> Self {
        let place = Self::new();
        place.write("gateway.yaml", &text(&place.root));
        place
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn rename_over(&self, name: &str, text: &str) {
        let temporary = self.path(&format!(".{name}.swp"));
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, self.path(name)).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(super) fn options(&self) -> Options {
        let quiet = Duration::from_millis(20);
        Options {
            paths: vec![self.path("gateway.yaml")],
            env: Arc::new(BTreeMap::<String, String>::new()),
            clock: Arc::new(SystemClock::default()),
            watch: watch::Options { mode: Mode::Auto, quiet, cap: quiet * 5, poll: quiet * 2, net: Duration::from_secs(1) },
            on_invalid: OnInvalid::Fail,
            signals: false,
            workers: 2,
            take_over: false,
            program: None,
        }
    }

    pub(super) async fn start(self) -> Lab {
        let options = self.options();
        self.start_with(options).await
    }

    pub(super) async fn start_with(self, options: Options) -> Lab {
        // Fails only when one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let gateway = start(options).await.unwrap_or_else(|error| panic!("{}", said(&error)));
        let admin = reqwest::Client::builder().no_proxy().unix_socket(self.path("a/admin.sock")).build().unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Lab { place: self, gateway, http, admin }
    }
}

/// All that an error says, for the message of a test.
pub(super) fn said(error: &StartError) -> String {
    match error {
        StartError::Invalid(rejected) | StartError::NoLastGood { rejected, .. } => format!("{error}: {:#?}", rejected.diagnostics),
        StartError::Store(_) | StartError::Listen(_) | StartError::Succession(_) | StartError::System(_) => error.to_string(),
    }
}

impl Lab {
    pub(super) async fn new() -> Self {
        Place::with(|root| spec(root, "one")).start().await
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway.address())
    }

    pub(super) async fn post(&self, key: &str, body: &Value) -> reqwest::Response {
        let request = self.http.post(self.url("/v1/chat/completions")).bearer_auth(key).header("content-type", "application/json");
        request.body(body.to_string()).send().await.unwrap()
    }

    /// Says what the alias says now.
    pub(super) async fn says(&self) -> String {
        let seen = Seen::read(self.post(KEY, &ask("fast", false)).await).await;
        assert_eq!(seen.status, 200, "{seen:?}");
        seen.json().pointer("/choices/0/message/content").unwrap().as_str().unwrap().to_owned()
    }

    pub(super) async fn chat(&self, key: &str, model: &str) -> Seen {
        Seen::read(self.post(key, &ask(model, false)).await).await
    }

    pub(super) async fn get(&self, path: &str) -> Seen {
        Seen::read(self.admin.get(format!("http://admin{path}")).send().await.unwrap()).await
    }

    pub(super) async fn send(&self, path: &str, base: Option<&str>, body: &Value) -> Seen {
        let mut request = self.admin.post(format!("http://admin{path}")).header("content-type", "application/json").body(body.to_string());
        if let Some(base) = base {
            request = request.header("if-match", base);
        }
        Seen::read(request.send().await.unwrap()).await
    }

    /// Posts one file as the whole spec, onto the running revision.
    pub(super) async fn apply(&self, text: &str) -> Seen {
        let base = format!("\"{}\"", self.gateway.revision());
        self.send("/v1/apply", Some(&base), &json!({"files": {"gateway.yaml": text}, "paths": ["gateway.yaml"]})).await
    }

    pub(super) async fn status(&self) -> Value {
        self.get("/v1/status").await.json()
    }

    pub(super) async fn metric(&self, name: &str) -> f64 {
        let seen = self.get("/metrics").await;
        let line = seen.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{}", seen.text)).parse().unwrap()
    }

    /// Waits until status is as wanted.
    pub(super) async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let status = self.status().await;
            if wanted(&status) {
                return status;
            }
            assert!(tokio::time::Instant::now() < deadline, "never {what}: {status:#}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) async fn until_revision(&self, revision: u64) -> Value {
        self.until(&format!("revision {revision}"), |status| status["revision"] == revision).await
    }

    /// Waits for a reload with this outcome.
    pub(super) async fn until_outcome(&self, outcome: &str) -> Value {
        self.until(outcome, |status| {
            let last = &status["last_reload"];
            last["outcome"] == outcome && last["trigger"] != "start"
        })
        .await
    }

    /// Ends the gateway in order and gives its place back.
    pub(super) async fn end(self) -> Place {
        self.gateway.drain();
        let ended = tokio::time::timeout(PATIENCE, self.gateway.ended()).await.expect("an end in time");
        assert!(!ended.failed, "{ended:?}");
        self.place
    }
}

pub(super) fn ask(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
}
