//! Completion as a shell asks for it: the words so far, and which of them the cursor stands in.

use std::time::Instant;

use serde_json::json;

use super::fake::Fake;
use super::{Place, run};

const SPEC: &str = "version: 1\nproviders: {mock: {}, openai: {credentials: {default: {secret: {env: K}}}}}\n\
models: {fast: {targets: [mock/small, {provider: openai, model: gpt}]}, fine: {targets: [mock/small]}}\n\
teams: {growth: {}}\nbudgets: {monthly: {limit: $5, period: month}}\n\
virtual_keys:\n  web-app: {hashes: [{sha256: \"0000000000000000000000000000000000000000000000000000000000000001\"}], models: [\"*\"]}\n  \
worker: {hashes: [{sha256: \"0000000000000000000000000000000000000000000000000000000000000002\"}], models: [\"*\"], budgets: [monthly]}\n";

/// Asks as bash does; the cursor stands at the end of the last word.
fn ask(place: &Place, words: &[&str]) -> Vec<String> {
    let line = [&["--", "bifrostctl"] as &[&str], words].concat();
    let index = words.len().to_string();
    let output = place
        .command(&line)
        .env("BIFROST_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", index)
        .env("_CLAP_IFS", "\n")
        .env("_CLAP_COMPLETE_COMP_TYPE", "9")
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{words:?}: completion says nothing else");
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn names_of_the_spec_complete_where_they_belong() {
    let place = Place::new().file("gateway.yaml", SPEC).file("env/prod.yaml", "gateway: {drain: 5s}\n");
    for (words, names) in [
        (&["explain", "--key", ""] as &[&str], &["web-app", "worker"] as &[&str]),
        (&["explain", "--key", "wo"], &["worker"]),
        (&["explain", "--key", "web-app", "--model", "f"], &["fast", "fine"]),
        (&["chat", "--model", "mock"], &["mock/small"]),
        (&["chat", "-m", "openai/"], &["openai/gpt"]),
        (&["key", "rotate", "w"], &["web-app", "worker"]),
        (&["key", "new", "--models", "fast,fi"], &["fast,fine"]),
        (&["key", "new", "--team", ""], &["growth"]),
        (&["spend", "--provider", "o"], &["openai"]),
        (&["spend", "--alias", "fa"], &["fast"]),
        (&["budget", "reset", "m"], &["monthly"]),
        (&["budget", "reset", "team:"], &["team:growth"]),
        (&["validate", "--explain", "BF0610"], &["BF0610"]),
        (&["--env", ""], &["prod"]),
        (&["key", "rot"], &["rotate"]),
    ] {
        assert_eq!(ask(&place, words), names, "{words:?}");
    }
}

#[test]
fn the_spec_that_the_line_names_is_the_one_that_is_read() {
    let place = Place::new().file("gateway.yaml", SPEC).file("other.yaml", &SPEC.replace("web-app", "other"));
    for file in [&["-f", "other.yaml"] as &[&str], &["--file", "other.yaml"], &["--file=other.yaml"], &["-fother.yaml"]] {
        let words = [file, &["key", "rotate", "o"]].concat();
        assert_eq!(ask(&place, &words), ["other"], "{words:?}");
    }
    assert_eq!(ask(&place, &["explain", "-f", "other.yaml", "--key", "o"]), ["other"]);
}

#[test]
fn a_spec_that_is_wrong_still_has_names_and_one_that_is_not_there_has_none() {
    let wrong = Place::new().file("gateway.yaml", &format!("{SPEC}nonsense: 1\n"));
    assert_eq!(ask(&wrong, &["key", "rotate", "w"]), ["web-app", "worker"]);
    let broken = Place::new().file("gateway.yaml", "a: [\n");
    assert_eq!(ask(&broken, &["key", "rotate", "w"]), [""; 0]);
    let empty = Place::new();
    assert_eq!(ask(&empty, &["key", "rotate", "w"]), [""; 0]);
    assert_eq!(ask(&empty, &["explain", "-f", "-", "--key", ""]), [""; 0]);
    assert_eq!(ask(&empty, &["explain", "-f", "/dev/zero", "--key", ""]), [""; 0]);
}

#[test]
fn the_running_gateway_is_asked_for_what_only_it_knows() {
    let place = Place::new().file("gateway.yaml", &format!("{SPEC}gateway: {{admin: \"unix:admin.sock\"}}\n"));
    let _fake = Fake::start(place.path(), |_, asked| {
        if asked.line.starts_with("GET /v1/revisions ") {
            (200, json!({"revisions": [{"number": 7}, {"number": 41}]}))
        } else if asked.line.starts_with("GET /v1/budgets ") {
            (200, json!({"budgets": [{"budget": "key:web-app/1"}], "accounts": []}))
        } else {
            (404, json!({}))
        }
    });
    // A machine that is busy for longer than completion waits is asked again.
    let told = |words: &[&str], names: &[&str]| (0..20).any(|_| ask(&place, words).iter().take(names.len()).eq(names));
    assert!(told(&["rollback", "--to", ""], &["41", "7"]));
    assert!(told(&["budget", "reset", ""], &["key:web-app/1"]));
}

#[test]
fn a_gateway_that_does_not_answer_holds_nobody_up() {
    let place = Place::new().file("gateway.yaml", &format!("{SPEC}gateway: {{admin: \"unix:admin.sock\"}}\n"));
    let _silent = std::os::unix::net::UnixListener::bind(place.path().join("admin.sock")).unwrap();
    let start = Instant::now();
    assert_eq!(ask(&place, &["rollback", "--to", ""]), [""; 0]);
    assert_eq!(ask(&place, &["budget", "reset", "m"]), ["monthly"]);
    // Twice a tenth of a second, and what a busy machine adds.
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    let tcp = place.file("gateway.yaml", SPEC);
    assert_eq!(ask(&tcp, &["--endpoint", "http://127.0.0.1:1", "rollback", "--to", ""]), [""; 0]);
}

#[test]
fn what_no_shell_would_ask_prints_nothing() {
    let place = Place::new().file("gateway.yaml", SPEC);
    for (shell, args) in
        [("nosuchshell", &["--", "bifrostctl", "val"] as &[&str]), ("bash", &[]), ("bash", &["--"]), ("bash", &["validate"])]
    {
        let output = place.command(args).env("BIFROST_COMPLETE", shell).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len(), output.stderr.len()), (Some(0), 0, 0), "{shell} {args:?}");
    }
}

#[test]
fn every_shell_has_a_script_that_asks_and_one_that_does_not() {
    for (shell, asks, knows) in [
        ("bash", "BIFROST_COMPLETE=\"bash\"", "complete -F"),
        ("zsh", "BIFROST_COMPLETE=\"zsh\"", "#compdef bifrostctl"),
        ("fish", "BIFROST_COMPLETE=fish", "complete -c bifrostctl"),
        ("elvish", "BIFROST_COMPLETE", "edit:completion"),
        ("powershell", "BIFROST_COMPLETE", "Register-ArgumentCompleter"),
    ] {
        let done = run(&["completion", shell]);
        assert_eq!(done.code, 0);
        assert!(done.stdout.contains(asks) && !done.stdout.contains("/bifrostctl"), "{shell}: {}", done.stdout);
        let done = run(&["completion", shell, "--static"]);
        assert!(done.stdout.contains(knows), "{shell}");
    }
    assert_eq!(run(&["completion", "tcsh"]).code, 64);
}
