//! `serve`, as a process: what it prints, which signals it knows, how it ends.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command};

use bifrostctl::base::Digest;
use rustix::process::{Pid, Signal, kill_process};

use super::Place;

const KEY: &str = "sk-bf-a-key-that-the-file-shows";

/// A running gateway; killed with the test.
pub(crate) struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    greeting: String,
}

impl Serving {
    /// Starts it and reads what it prints up to the line to paste.
    pub(super) fn start(place: &Place, args: &[&str]) -> Self {
        Self::of(place.command(&[&["serve"], args].concat()))
    }

    /// The same for a command that becomes it, and may write what it logs elsewhere than here.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        while !greeting.contains("curl ") {
            if stdout.read_line(&mut greeting).unwrap() == 0 {
                let said = rest(&mut child);
                panic!("it ended after\n{greeting}\nand said\n{said}");
            }
        }
        Self { child, stdout, greeting }
    }

    pub(crate) fn url(&self) -> String {
        let line = self.greeting.lines().find(|line| line.contains("clients")).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn end(mut self) -> (i32, String) {
        let said = rest(&mut self.child);
        self.stdout.read_to_string(&mut self.greeting).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), said)
    }
}

/// What it has still to say here.
fn rest(child: &mut Child) -> String {
    let mut said = String::new();
    if let Some(stderr) = &mut child.stderr {
        stderr.read_to_string(&mut said).unwrap();
    }
    said
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already in a test that passes.
        let _ = self.child.kill();
    }
}

fn spec(more: &str) -> String {
    let digest = Digest::of(KEY.as_bytes());
    format!(
        "version: 1\ngateway: {{listen: \"127.0.0.1:0\"}}\nproviders: {{mock: {{}}}}\nmodels: {{fast: {{targets: [\"mock/m@text=hello\"]}}}}\n\
         virtual_keys: {{web: {{hashes: [{{sha256: {digest}}}], models: [\"*\"]}}}}\n{more}"
    )
}

#[test]
fn it_says_where_it_is_and_how_to_try_it_and_ends_on_sigterm() {
    let place = Place::new().file("gateway.yaml", &spec(&format!("# try it with '{KEY}'\n"))).file("web.key", KEY);
    let serving = Serving::start(&place, &[]);
    let url = serving.url();
    let line = serving.greeting.lines().last().unwrap().trim();
    let expected = format!(
        "curl {url}/chat/completions -H 'authorization: Bearer {KEY}' -H 'content-type: application/json' \
         -d '{{\"model\":\"fast\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'"
    );
    assert_eq!(line, expected);
    assert!(serving.greeting.contains("revision  1 (digest "), "{}", serving.greeting);
    assert!(serving.greeting.contains("unix:.bifrost/admin.sock"), "{}", serving.greeting);
    let done = place.run(&["chat", "--url", &url, "--key-file", "web.key", "--model", "fast", "hi"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "hello\n"), "{done:?}");
    let done = place.run(&["status"]);
    assert!(done.code == 0 && done.stdout.contains("synced"), "{done:?}");
    let done = place.run(&["history"]);
    assert!(done.code == 0 && done.stdout.contains("first revision"), "{done:?}");

    serving.signal(Signal::TERM);
    let (code, said) = serving.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the gateway has ended") && said.contains("\"status\":200"), "logs are written to the end: {said}");
    assert!(!place.path().join(".bifrost/admin.sock").exists());
}

#[test]
fn a_key_that_nobody_can_know_is_asked_for_by_name() {
    let place = Place::new().file("gateway.yaml", &spec(""));
    let serving = Serving::start(&place, &["--watch", "off"]);
    assert!(serving.greeting.contains("Set BIFROST_KEY to a virtual key"), "{}", serving.greeting);
    assert!(serving.greeting.contains("-H \"authorization: Bearer $BIFROST_KEY\""), "{}", serving.greeting);

    // SIGHUP loads what nobody watches.
    std::fs::write(place.path().join("gateway.yaml"), spec("teams: {t: {}}\n")).unwrap();
    serving.signal(Signal::HUP);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !place.run(&["status"]).stdout.contains("Revision  2") {
        assert!(std::time::Instant::now() < deadline, "never reloaded");
    }
    serving.signal(Signal::INT);
    assert_eq!(serving.end().0, 0);
}

#[test]
fn a_bad_spec_is_shown_with_its_places_and_ends_with_3() {
    let place = Place::new().file("gateway.yaml", &spec("").replace("mock: {}", "mock: {}, nowhere: {}"));
    let done = place.run(&["serve"]);
    assert_eq!((done.code, done.stdout.as_str()), (3, ""), "{done:?}");
    assert!(done.stderr.contains("error[BF0202]") && done.stderr.contains("gateway.yaml:3:"), "{}", done.stderr);
    assert!(done.stderr.contains("the gateway did not start"), "{}", done.stderr);
    let done = place.run(&["serve", "--on-invalid-start", "last-good"]);
    assert_eq!(done.code, 3, "there is none yet: {done:?}");

    let place =
        Place::new().file("gateway.yaml", &spec("").replace("mock: {}", "mock: {}, groq: {credentials: {k: {secret: {env: GROQ_KEY}}}}"));
    let done = place.run(&["serve"]);
    assert_eq!(done.code, 3);
    assert!(done.stderr.contains("error[BF0501]") && done.stderr.contains("`GROQ_KEY` is not set"), "{}", done.stderr);
}

#[test]
fn what_it_cannot_read_or_listen_on_is_a_failure_with_a_remedy() {
    let done = Place::new().run(&["serve"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("`bifrostctl init` writes one"), "{}", done.stderr);
    let done = Place::new().run(&["serve", "-f", "-"]);
    assert_eq!(done.code, 64, "{done:?}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new().file("gateway.yaml", &spec("").replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string()));
    let done = place.run(&["serve"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("cannot listen on 127.0.0.1:"), "{}", done.stderr);
    let done = place.env("BIFROST_LOG", "=,=nonsense=").run(&["serve"]);
    assert_eq!(done.code, 64, "{done:?}");
}
