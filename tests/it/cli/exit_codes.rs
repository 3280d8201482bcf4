//! The exit codes are a public contract: each of them is reached by a command line here.

use std::io::{BufRead, BufReader};

use serde_json::json;

use super::Place;
use super::fake::Fake;
use super::validate::{BAD, GOOD};

/// A gateway that answers everything with one status but the question for its spec.
fn gateway(place: &Place, status: u16) -> Fake {
    Fake::start(place.path(), move |_, asked| {
        if asked.line.starts_with("GET /v1/spec ") {
            (200, json!({"revision": 1, "files": {}, "paths": [], "plan": {}}))
        } else {
            (status, json!({"error": {"code": "some_code", "message": "no"}, "revision": 2}))
        }
    })
}

#[test]
fn every_exit_code_is_reached_and_means_what_it_says() {
    let place = Place::new().file("gateway.yaml", GOOD).file("bad.yaml", BAD).file("other.yaml", &GOOD.replace("fast", "quick"));
    let place = place.file("ugly.yaml", "a:   1\n").file("broken.yaml", "a: [\n");
    let place = place.file("key.txt", "sk-bf-abcdefghijklmnopqrstuvwxyz0123451nc0VA\n");
    for (args, code) in [
        (&["validate"] as &[&str], 0),
        (&["diff", "--against", "other.yaml"], 0),
        (&["status"], 1),
        (&["validate", "-f", "missing.yaml"], 1),
        (&["diff", "--against", "other.yaml", "--exit-code"], 2),
        (&["fmt", "--check", "ugly.yaml"], 2),
        (&["key", "scan", "key.txt"], 2),
        (&["fmt", "--check", "broken.yaml"], 3),
        (&["validate", "-f", "bad.yaml"], 3),
        (&["apply", "-f", "bad.yaml", "--yes"], 3),
        (&["render", "-f", "bad.yaml"], 3),
        (&["diff", "--against", "other.yaml", "--exit-code", "--fail-on-risk", "low"], 7),
        (&["diff", "--against", "git:"], 64),
        (&["rollback"], 64),
    ] {
        let done = place.run(args);
        assert_eq!(done.code, code, "{args:?}: {done:?}");
    }
    for (status, code) in [(401, 4), (403, 4), (409, 6), (412, 5), (422, 6), (500, 1)] {
        let place = Place::new().file("gateway.yaml", GOOD);
        let _fake = gateway(&place, status);
        let done = place.run(&["apply", "--yes"]);
        assert_eq!(done.code, code, "HTTP {status}: {done:?}");
    }
    let place = Place::new().file("gateway.yaml", GOOD);
    let _silent = std::os::unix::net::UnixListener::bind(place.path().join("admin.sock")).unwrap();
    assert_eq!(place.run(&["diff", "--timeout", "200ms"]).code, 8);
}

/// Every format that `-o` takes.
const FORMATS: [&str; 7] = ["human", "json", "github", "sarif", "markdown", "csv", "junit"];

/// Runs a command line in every format that its command has: the code is the same in each, and what is written is of the format.
fn in_every_format(place: &Place, args: &[&str], code: i32) -> usize {
    let plain = place.run(args);
    assert_eq!(plain.code, code, "{args:?}: {plain:?}");
    let mut had = 0;
    for format in FORMATS {
        let done = place.run(&[args, &["-o", format]].concat());
        if done.code == 64 && done.stderr.contains("has no output format") {
            continue;
        }
        had += 1;
        assert_eq!(done.code, code, "{args:?} -o {format}: {done:?}");
        match format {
            "json" => assert_eq!(done.json()["ok"], code == 0, "{done:?}"),
            "sarif" => {
                let log: serde_json::Value = serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
                assert_eq!(log["version"], "2.1.0", "{done:?}");
            }
            "junit" => assert!(done.stdout.starts_with("<?xml ") && done.stdout.trim_end().ends_with("</testsuites>"), "{done:?}"),
            "github" => assert!(done.stdout.lines().all(|line| line.starts_with("::")), "{done:?}"),
            "human" | "markdown" | "csv" => {}
            other => panic!("{other}"),
        }
    }
    had
}

#[test]
fn no_format_changes_a_code() {
    let tests = "version: 1\ntests: [{name: it, request: {key: web, model: fast}, expect: {status: 200}}]\n";
    let place = Place::new()
        .file("gateway.yaml", GOOD)
        .file("bad.yaml", BAD)
        .file("other.yaml", &GOOD.replace("fast", "quick"))
        .file("good.test.yaml", tests)
        .file("wrong.test.yaml", &tests.replace("200", "500"))
        .file("broken.test.yaml", &tests.replace("expect", "expects"))
        .file("ugly.yaml", &GOOD.replace("  mock: {}", "  mock:   {}"))
        .file("canonical.yaml", "version: 1\n\nproviders:\n  mock: {}\n")
        .file("key.txt", "sk-bf-abcdefghijklmnopqrstuvwxyz0123451nc0VA\n")
        .file("empty.jsonl", "\n");
    let mut had = 0;
    for (args, code) in [
        (&["validate"] as &[&str], 0),
        (&["validate", "-f", "absent.yaml"], 1),
        (&["validate", "-f", "bad.yaml"], 3),
        (&["render"], 0),
        (&["render", "-f", "bad.yaml"], 3),
        (&["fmt", "--check", "ugly.yaml"], 2),
        (&["fmt", "--check", "canonical.yaml"], 0),
        (&["diff", "--against", "gateway.yaml"], 0),
        (&["diff", "--against", "other.yaml", "--exit-code"], 2),
        (&["diff", "-f", "bad.yaml", "--against", "other.yaml"], 3),
        (&["diff", "--against", "other.yaml", "--fail-on-risk", "low"], 7),
        (&["diff"], 1),
        (&["apply", "--yes"], 1),
        (&["drift"], 1),
        (&["explain", "--key", "web", "--model", "fast"], 0),
        (&["explain", "--key", "nobody", "--model", "fast"], 1),
        (&["explain", "--key", "web"], 64),
        (&["test", "good.test.yaml"], 0),
        (&["test", "wrong.test.yaml"], 2),
        (&["test", "broken.test.yaml"], 3),
        (&["test", "absent.test.yaml"], 3),
        (&["simulate", "empty.jsonl"], 1),
        (&["simulate"], 64),
        (&["catalog", "list"], 0),
        (&["key", "hash"], 64),
        (&["key", "scan", "key.txt"], 2),
        (&["key", "scan", "gateway.yaml"], 0),
        (&["key", "scan", "absent"], 1),
        (&["key", "rotate", "web", "--dry-run"], 0),
        (&["key", "rotate", "nobody", "--dry-run"], 1),
        (&["key", "rotate", "web"], 64),
        (&["key", "rotate", "web", "-f", "bad.yaml"], 3),
        (&["man", "nothing"], 64),
        (&["history"], 1),
        (&["status"], 1),
    ] {
        had += in_every_format(&place, args, code);
    }
    assert!(had > 80, "{had} formats");
    // What a gateway answers, with every code that it leads to.
    for (status, code) in [(401, 4), (409, 6), (412, 5), (422, 6), (500, 1)] {
        let place = Place::new().file("gateway.yaml", GOOD);
        let _fake = gateway(&place, status);
        in_every_format(&place, &["apply", "--yes"], code);
        in_every_format(&place, &["diff"], code);
    }
}

#[test]
fn ctrl_c_is_130() {
    let place = Place::new();
    let mut child = place.command(&["mock", "--listen", "127.0.0.1:0"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
