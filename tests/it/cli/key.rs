//! `key new` and `key hash`.

use std::os::unix::fs::PermissionsExt;

use bifrostctl::base::Digest;
use serde_json::Value;

use super::{Place, run};

#[test]
fn a_new_key_is_printed_once_and_only_as_data() {
    let done = run(&["key", "new", "--name", "web-app", "--team", "growth", "--models", "fast,openai/*"]);
    assert_eq!(done.code, 0);
    let secret = done.stdout.trim();
    assert_eq!(secret.len(), 44);
    assert!(!done.stderr.contains(secret), "messages never hold the secret");
    let stanza = &done.stderr[done.stderr.find("virtual_keys:").unwrap()..];
    let spec: Value = serde_yaml::from_str(stanza).unwrap();
    let key = &spec["virtual_keys"]["web-app"];
    assert_eq!(key["hashes"][0]["sha256"], Digest::of(secret.as_bytes()).to_string(), "the digest is the secret's own");
    assert_eq!(key["team"], "growth");
    assert_eq!(key["models"], serde_json::json!(["fast", "openai/*"]));
}

#[test]
fn a_secret_file_is_private_new_and_the_stanza_is_then_the_data() {
    let place = Place::new();
    let done = place.run(&["key", "new", "--name", "ci", "--models", "fast", "--out-secret", "ci.key"]);
    assert_eq!(done.code, 0, "{done:?}");
    let secret = place.read("ci.key");
    assert_eq!(std::fs::metadata(place.path().join("ci.key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!done.stdout.contains(secret.trim()) && !done.stderr.contains(secret.trim()));
    let spec: Value = serde_yaml::from_str(&done.stdout).unwrap();
    assert_eq!(spec["virtual_keys"]["ci"]["hashes"][0]["sha256"], Digest::of(secret.trim().as_bytes()).to_string());

    let again = place.run(&["key", "new", "--name", "ci", "--out-secret", "ci.key"]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("never overwritten"), "{}", again.stderr);
    assert_eq!(place.read("ci.key"), secret);
}

#[test]
fn a_new_key_as_json_has_its_secret_only_where_it_was_asked_for() {
    let envelope = run(&["key", "new", "--name", "ci", "-o", "json"]).json();
    assert_eq!(envelope["command"], "key new");
    let secret = envelope["result"]["secret"].as_str().unwrap();
    assert_eq!(envelope["result"]["sha256"], Digest::of(secret.as_bytes()).to_string());
    assert!(envelope["hints"][0].as_str().unwrap().contains("no model yet"));

    let place = Place::new();
    let envelope = place.run(&["key", "new", "--name", "ci", "-o", "json", "--out-secret", "k"]).json();
    assert_eq!(envelope["result"]["secret"], Value::Null);
}

#[test]
fn hash_reads_standard_input_and_prints_the_digest_alone() {
    let place = Place::new();
    let done = place.feed(&["key", "hash"], "sk-imported\n");
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, format!("{}\n", Digest::of(b"sk-imported")).as_str(), ""));

    let done = place.feed(&["key", "hash", "-o", "json"], "sk-bf-abcdefghijklmnopqrstuvwxyz0123451nc0VA");
    assert_eq!(done.json()["result"]["spelling"], "sound");
}

#[test]
fn hash_warns_of_a_typo_without_showing_the_key() {
    let place = Place::new();
    for (key, said) in [
        ("sk-bf-abcdefghijklmnopqrstuvwxyz0123451nc0VB", "checksum does not match"),
        ("sk-bf-abcdefghijklmnopqrstuvwxyz", "part of it may be missing"),
    ] {
        let done = place.feed(&["key", "hash"], key);
        assert_eq!(done.code, 0);
        assert!(done.stderr.contains(said), "{}", done.stderr);
        assert!(!done.stderr.contains(key) && !done.stdout.contains(key));
    }
}

#[test]
fn hash_of_nothing_is_a_usage_error() {
    let done = Place::new().feed(&["key", "hash"], "\n");
    assert_eq!(done.code, 64);
    assert!(done.stderr.contains("no key on standard input"), "{}", done.stderr);
}

const SOUND: &str = "sk-bf-abcdefghijklmnopqrstuvwxyz0123451nc0VA";

fn with_key(members: &str) -> Place {
    let digest = Digest::of(SOUND.as_bytes());
    let text = format!(
        "version: 1\nproviders: {{mock: {{}}}}\nvirtual_keys:\n  web:\n    hashes: [{{sha256: \"{digest}\"}}]\n    models: [\"*\"]\n{members}"
    );
    Place::new().file("gateway.yaml", &text)
}

#[test]
fn check_knows_whose_key_it_is_and_whether_it_is_valid() {
    for (members, code, said, state) in [
        ("", 0, "gateway.yaml: `web`, valid\n", "valid"),
        ("    expires: 2999-01-01\n", 0, "`web`, valid (expires 2999-01-01", "valid"),
        ("    expires: 2020-01-01\n", 1, "`web`, which expired 2020-01-01", "expired"),
        ("    disabled: true\n", 1, "`web`, which is disabled", "disabled"),
    ] {
        let place = with_key(members);
        let done = place.feed(&["key", "check"], SOUND);
        assert_eq!(done.code, code, "{members}: {done:?}");
        assert!(done.stdout.contains(said), "{members}: {}", done.stdout);
        assert!(!format!("{done:?}").contains(SOUND), "it is never echoed");
        let envelope = place.feed(&["key", "check", "-o", "json"], SOUND).json();
        assert_eq!((&envelope["result"]["state"], &envelope["result"]["key"]["name"]), (&Value::from(state), &Value::from("web")));
    }
}

#[test]
fn check_tells_a_digest_that_was_rotated_out_from_the_key() {
    let digest = Digest::of(SOUND.as_bytes());
    let place = with_key("").file(
        "gateway.yaml",
        &format!("version: 1\nproviders: {{mock: {{}}}}\nvirtual_keys:\n  web:\n    hashes: [{{sha256: \"{digest}\", not_after: \"2020-01-01T00:00:00Z\"}}]\n    models: [\"*\"]\n"),
    );
    let done = place.file("web.key", SOUND).run(&["key", "check", "--key-file", "web.key"]);
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("`web`, but this one of its keys ended 2020-01-01"), "{done:?}");
}

#[test]
fn check_of_a_key_that_the_spec_does_not_know_says_what_to_do() {
    let place = with_key("");
    let done = place.feed(&["key", "check"], "sk-imported-from-elsewhere");
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("no key of the spec has this digest") && done.stderr.contains("add its digest"), "{done:?}");
    let done = place.feed(&["key", "check"], "sk-bf-abcdefghijklmnopqrstuvwxyz0123451nc0VB");
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("a character may be mistyped") && !done.stderr.contains("add its digest"), "{done:?}");
}

#[test]
fn check_without_a_spec_looks_at_the_spelling_alone() {
    let place = Place::new();
    let done = place.feed(&["key", "check"], SOUND);
    assert_eq!(done.code, 0);
    assert!(done.stdout.contains("its checksum agrees") && done.stdout.contains("there is no gateway.yaml here"), "{done:?}");
    assert_eq!(place.feed(&["key", "check"], "sk-bf-abc").code, 1);
    assert_eq!(place.feed(&["key", "check", "-f", "nope.yaml"], SOUND).code, 1);
    assert_eq!(place.feed(&["key", "check", "-f", "-"], SOUND).code, 64);
}
