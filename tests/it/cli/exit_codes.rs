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
    for (args, code) in [
        (&["validate"] as &[&str], 0),
        (&["diff", "--against", "other.yaml"], 0),
        (&["status"], 1),
        (&["validate", "-f", "missing.yaml"], 1),
        (&["diff", "--against", "other.yaml", "--exit-code"], 2),
        (&["fmt", "--check", "ugly.yaml"], 2),
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
