//! Which stream gets what, and streams that end early or fail.

use std::process::Stdio;

use super::{Place, run};

#[test]
fn a_reader_that_has_gone_gives_no_panic_and_no_noise() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = place.command(&["completion", "zsh"]).stdout(writer).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_full_disk_is_a_failure() {
    let place = Place::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = place.command(&["version"]).stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write to standard output"));
}

#[test]
fn several_outputs_at_once_each_get_their_own() {
    let place = Place::new();
    let done = place.run(&["version", "-o", "human", "-o", "json=out.json"]);
    assert!(done.stdout.starts_with("bifrostctl "));
    assert!(place.read("out.json").contains("\"command\": \"version\""));

    let done = run(&["version", "-o", "human", "-o", "json"]);
    assert!(done.stdout.starts_with('{'), "data is what the machine reads");
    assert!(done.stderr.starts_with("bifrostctl "), "and the person's text is a message");
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure() {
    let done = run(&["version", "-o", "json=/nonexistent/out.json"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("cannot write /nonexistent/out.json"), "{}", done.stderr);
}

#[test]
fn an_error_is_an_envelope_too() {
    let done = run(&["status", "--endpoint", "unix:/nonexistent.sock", "-o", "json"]);
    let envelope = done.json();
    assert_eq!(envelope["ok"], false);
    assert_eq!(envelope["exit_code"], 1);
    assert!(envelope["summary"].as_str().unwrap().contains("cannot reach the gateway at unix:/nonexistent.sock"));
    assert!(done.stderr.starts_with("error: cannot reach"), "and a message");
}

#[test]
fn colour_is_for_terminals_unless_it_is_demanded() {
    let args = ["status", "--endpoint", "unix:/nonexistent.sock"];
    assert!(!run(&args).stderr.contains('\u{1b}'));
    assert!(run(&[&args as &[&str], &["--color", "always"]].concat()).stderr.contains("\u{1b}[1;31merror:"));
}
