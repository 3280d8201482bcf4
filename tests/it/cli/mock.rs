//! `mock`, stand-alone, and how a running command ends on Ctrl-C.

use std::io::{BufRead, BufReader};

use rustix::process::{Pid, Signal, kill_process};

use super::{Place, run};

#[test]
fn the_mock_says_where_it_is_answers_there_and_ends_on_ctrl_c() {
    let place = Place::new().file("faults.yaml", "rules: [{when: {model: broken}, then: [{status: 503}]}]\n");
    let mut child = place.command(&["mock", "--listen", "127.0.0.1:0", "--script", "faults.yaml"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim();
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/v1"), "{url}");
    let done = place.run(&["chat", "--url", url, "--model", "m@text=hello", "hi"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "hello\n"), "{done:?}");
    let done = place.run(&["chat", "--url", url, "--model", "broken", "hi"]);
    assert_eq!(done.code, 1, "the script is played: {done:?}");

    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"));
}

#[test]
fn a_script_that_is_wrong_or_missing_is_named() {
    let place = Place::new().file("faults.yaml", "rules: [{then: [{statsu: 503}]}]\n");
    let done = place.run(&["mock", "--listen", "127.0.0.1:0", "--script", "faults.yaml"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("faults.yaml") && done.stderr.contains("statsu"), "{}", done.stderr);
    assert!(run(&["mock", "--script", "/nonexistent.yaml"]).stderr.contains("cannot read /nonexistent.yaml"));
}
