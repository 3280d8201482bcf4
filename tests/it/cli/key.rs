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
