//! The whole loop against a real gateway: init, serve, validate, diff, edit, apply, chat, status, history, explain, rollback.
//!
//! The gateway runs in this process from a directory of its own; the commands are the real binary in a checkout beside it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bifrostctl::base::SystemClock;
use bifrostctl::control::watch::{self, Mode};
use bifrostctl::control::{OnInvalid, Options, Running, start};
use serde_json::{Value, json};

use super::{Done, Place};

/// Starts a gateway that notices nothing by itself, so that only `apply` changes it.
pub(crate) async fn serve(spec: &Path) -> Running {
    // Fails only when one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = Options {
        paths: vec![spec.to_owned()],
        env: Arc::new(BTreeMap::<String, String>::new()),
        clock: Arc::new(SystemClock::default()),
        watch: watch::Options { mode: Mode::Off, ..watch::Options::default() },
        on_invalid: OnInvalid::Fail,
        signals: false,
        workers: 2,
        take_over: false,
        program: None,
    };
    start(options).await.unwrap()
}

pub(super) struct Loop {
    pub(super) place: Place,
    pub(super) gateway: Running,
    pub(super) key: String,
}

impl Loop {
    pub(super) async fn new() -> Self {
        let place = Place::new().env("USER", "ana");
        let done = place.run(&["init", "checkout"]);
        assert_eq!(done.code, 0, "{done:?}");
        let key = done.stdout.trim().to_owned();
        let root = place.path().canonicalize().unwrap();
        let text = place
            .read("checkout/gateway.yaml")
            .replace("127.0.0.1:8080", "127.0.0.1:0")
            .replace("unix:.bifrost/admin.sock", &format!("unix:{}/admin.sock", root.display()))
            .replace("state: .bifrost", &format!("state: {}/state", root.display()));
        let text = format!("{text}\ntelemetry: {{access_log: \"off\"}}\n");
        let place = place.file("checkout/gateway.yaml", &text).file("live/gateway.yaml", &text);
        let gateway = serve(&place.path().join("live/gateway.yaml")).await;
        Self { place: place.repository(), gateway, key }
    }

    /// Runs a command in the checkout.
    pub(super) fn run(&self, args: &[&str]) -> Done {
        let mut command = self.place.command(args);
        command.current_dir(self.place.path().join("checkout")).env("BIFROST_KEY", &self.key);
        let output = command.output().unwrap();
        Done {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(super) fn ok(&self, args: &[&str]) -> Done {
        self.exits(args, 0)
    }

    #[track_caller]
    pub(super) fn exits(&self, args: &[&str], code: i32) -> Done {
        let done = self.run(args);
        assert_eq!(done.code, code, "{args:?}: {done:?}");
        assert!(!done.stdout.contains(&self.key) && !done.stderr.contains(&self.key), "{args:?} shows the key");
        done
    }

    pub(super) fn result(&self, args: &[&str]) -> Value {
        self.ok(&[args, &["-o", "json"]].concat()).json()["result"].take()
    }

    pub(super) fn edit(&self, from: &str, to: &str) {
        let path = self.place.path().join("checkout/gateway.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Has a chat and returns the target that served it.
    pub(super) fn chat(&self) -> Value {
        let url = format!("http://{}", self.gateway.address());
        let answer = self.result(&["chat", "--model", "fast", "--url", &url, "hi"]);
        assert_ne!(answer["content"], "", "{answer}");
        answer["model"].clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_loop_from_init_to_rollback() {
    let it = Loop::new().await;
    it.ok(&["validate", "--level", "live"]);
    it.ok(&["diff", "--exit-code"]);
    assert_eq!(it.ok(&["apply"]).stdout, "", "there is nothing to apply, so nobody is asked");
    assert_eq!((it.result(&["status"])["sync"].clone(), it.gateway.revision()), (json!("synced"), 1));
    let before = it.chat();

    // An edit in the checkout changes nothing until it is applied.
    it.edit("targets: [mock/mock-small]", "targets: [mock/mock-large]");
    let shown = it.exits(&["diff", "--exit-code"], 2).stdout;
    assert!(shown.contains("Plan for live revision 1 → gateway.yaml") && shown.contains("mock/mock-large"), "{shown}");
    assert_eq!(it.exits(&["diff", "--against", "git:HEAD", "--exit-code"], 2).stdout.lines().count(), shown.lines().count());
    it.exits(&["diff", "--fail-on-risk", "low"], 7);
    it.exits(&["apply"], 64);
    it.ok(&["apply", "--dry-run"]);
    assert_eq!(it.chat(), before);

    it.place.git(&["commit", "--quiet", "--all", "--message=larger"]);
    let done = it.ok(&["apply", "--yes", "--reason", "larger answers"]);
    assert!(done.stderr.contains("revision 2 serves"), "{done:?}");
    assert_ne!(it.chat(), before);
    it.ok(&["diff", "--exit-code"]);
    assert!(it.place.read("live/gateway.yaml").contains("mock/mock-large"), "the gateway's own file has it, too");
    assert_eq!(it.result(&["status"])["sync"], "synced");

    let newest = it.result(&["history"])["revisions"][0].clone();
    assert_eq!((&newest["number"], &newest["reason"]), (&json!(2), &json!("larger answers")), "{newest}");
    assert_eq!(newest["git_commit"], json!(it.place.git(&["rev-parse", "HEAD"])));
    assert!(newest["actor"].as_str().unwrap().contains("ana"), "{newest}");

    let question = ["explain", "--key", "default", "--model", "fast"];
    let (offline, live) = (it.result(&question), it.result(&[&question as &[&str], &["--live"]].concat()));
    assert_eq!(offline["candidates"], live["candidates"]);
    assert_eq!((&live["candidates"][0]["target"], &live["revision"]), (&json!("mock/mock-large"), &json!(2)));

    it.exits(&["rollback", "--to", "9", "--yes"], 1);
    let done = it.ok(&["rollback", "--to", "1", "--yes"]);
    assert!(done.stderr.contains("revision 3 serves"), "{done:?}");
    assert_eq!(it.chat(), before);
    it.exits(&["diff", "--exit-code"], 2);
    it.ok(&["diff", "--against", "revision:2", "--exit-code"]);
    it.ok(&["rollback", "--to", "1", "--yes"]);
    assert_eq!(it.gateway.revision(), 3, "what means the same already is no new revision");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_gateway_cannot_take_changes_nothing() {
    let it = Loop::new().await;
    let text = it.place.read("checkout/gateway.yaml");
    let restore = || std::fs::write(it.place.path().join("checkout/gateway.yaml"), &text).unwrap();

    it.edit("listen: 127.0.0.1:0", "listen: 127.0.0.1:1");
    let done = it.exits(&["diff", "--exit-code"], 2);
    assert!(done.stdout.contains("gateway.listen"), "{done:?}");
    let done = it.exits(&["apply", "--yes"], 6);
    assert!(done.stderr.contains("gateway.listen") && done.stderr.contains("start the gateway anew"), "{}", done.stderr);
    let done = it.ok(&["validate", "--level", "live"]);
    assert!(done.stdout.contains("BF0502"), "{done:?}");

    restore();
    it.edit("OPENAI_API_KEY}, optional: true", "OPENAI_API_KEY}, optional: false");
    it.ok(&["validate"]);
    for args in [&["apply", "--yes"] as &[&str], &["diff"]] {
        let done = it.exits(args, 6);
        assert!(done.stderr.contains("OPENAI_API_KEY") && done.stderr.contains("gateway.yaml:"), "{}", done.stderr);
    }
    it.exits(&["validate", "--level", "live"], 3);

    restore();
    it.edit("mock/mock-small", "moc/mock-small");
    it.exits(&["apply", "--yes"], 3);
    restore();
    it.edit("  default:\n    hashes", "  other:\n    hashes");
    it.exits(&["apply", "--yes", "--max-deletes", "0"], 7);
    assert_eq!(it.gateway.revision(), 1);

    restore();
    it.gateway.drain();
    it.gateway.ended().await;
    let done = it.place.run(&["status", "-f", "checkout/gateway.yaml"]);
    assert_eq!(done.code, 1, "{done:?}");
}
