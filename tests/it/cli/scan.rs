//! `key scan`: what is found, what is left out, and that no key is shown.

use std::process::Command;

use super::{Done, Place};

const MIXED: &str = "Qb7xK2mW9rTz4LpV8nHc3JyF1aDs6GuE0oXi5kNw";

fn openai() -> String {
    format!("sk-proj-{MIXED}")
}

/// A key of ours with a sound checksum.
const OURS: &str = "sk-bf-abcdefghijklmnopqrstuvwxyz0123451nc0VA";

fn is_silent_about(done: &Done, secret: &str) -> bool {
    !done.stdout.contains(secret) && !done.stderr.contains(secret) && !done.stdout.contains(&secret[8..24])
}

#[test]
fn keys_are_found_with_their_places_and_never_shown() {
    let place = Place::new()
        .file("src/app.py", &format!("import os\nkey = \"{}\"  # {OURS}\n", openai()))
        .file(".env", &format!("A=AKIA{}\n", &MIXED[..16].to_uppercase()))
        .file("clean.txt", "sk-your-key-here\nsk-bf-not-a-real-one\n");
    let done = place.run(&["key", "scan"]);
    assert_eq!(done.code, 2, "{done:?}");
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{done:?}");
    assert!(lines[0].starts_with(".env:1:3: an AWS access key, fingerprint "), "{}", lines[0]);
    assert!(lines[1].starts_with("src/app.py:2:8: a key of OpenAI's form, fingerprint "), "{}", lines[1]);
    assert!(lines[2].starts_with("src/app.py:2:61: a virtual key, fingerprint "), "{}", lines[2]);
    assert!(done.stderr.contains("3 keys in 3 files") && done.stderr.contains("hint: revoke"), "{done:?}");
    assert!(is_silent_about(&done, &openai()) && is_silent_about(&done, OURS));
    // The fingerprint of a virtual key begins the digest that the spec holds.
    let digest = bifrostctl::base::Digest::of(OURS.as_bytes()).to_string();
    assert!(lines[2].ends_with(&digest[..16]));
}

#[test]
fn every_format_tells_the_same_and_no_key() {
    let place = Place::new().file("a b.txt", &format!("x\n  {}\n", openai()));
    for (format, said) in [
        ("human", "a b.txt:2:3: a key of OpenAI's form"),
        ("github", "::error file=a b.txt,line=2,col=3"),
        ("sarif", "\"uri\": \"a%20b.txt\""),
        ("json", "\"fingerprint\""),
    ] {
        let done = place.run(&["key", "scan", "-o", format]);
        assert_eq!(done.code, 2, "{format}");
        assert!(done.stdout.contains(said), "{format}: {}", done.stdout);
        assert!(is_silent_about(&done, &openai()), "{format}: {}", done.stdout);
    }
    let envelope = place.run(&["key", "scan", "-o", "json"]).json();
    let found = &envelope["result"]["findings"][0];
    assert_eq!((found["file"].as_str(), found["line"].as_u64(), found["column"].as_u64()), (Some("a b.txt"), Some(2), Some(3)));
    assert_eq!(envelope["diagnostics"][0]["code"], "BF0610");
}

#[test]
fn what_git_ignores_binaries_and_large_files_are_left_out_and_counted() {
    let key = openai();
    let place = Place::new()
        .file(".gitignore", "ignored/\n*.key\n")
        .file("ignored/a.txt", &key)
        .file("web.key", &key)
        .file(".git/config", &key)
        .file("data.bin", &format!("\0{key}"))
        .file("large.txt", &format!("{key}\n{}", "x".repeat(2 << 20)));
    let done = place.run(&["key", "scan"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("no keys in 1 file, 1 binary skipped, 1 over 2 MiB skipped"), "{done:?}");
    assert_eq!(place.run(&["key", "scan", "web.key"]).code, 2, "what is named is searched");
    assert_eq!(place.run(&["key", "scan", "nope"]).code, 1);
}

#[test]
fn a_fingerprint_lets_one_key_pass_and_no_other() {
    let place = Place::new().file("a.txt", &format!("{}\n{OURS}\n", openai()));
    let done = place.run(&["key", "scan", "-o", "json"]).json();
    let print = done["result"]["findings"][0]["fingerprint"].as_str().unwrap().to_owned();
    let done = place.run(&["key", "scan", "--allow", &print]);
    assert_eq!(done.code, 2);
    assert!(done.stdout.contains("a virtual key") && done.stdout.lines().count() == 1, "{done:?}");
    assert!(done.stderr.contains("1 key in 1 file, 1 allowed"), "{done:?}");
    assert_eq!(place.run(&["key", "scan", "--allow", "abc"]).code, 64);
}

fn git(place: &Place, args: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false"]);
    let output = command.args(args).current_dir(place.path()).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn staged_looks_at_what_would_be_committed() {
    let place = Place::new().file("old.txt", &openai());
    git(&place, &["init", "-q"]);
    git(&place, &["add", "."]);
    git(&place, &["commit", "-qm", "one"]);
    let place = place.file("staged ä.txt", OURS).file("sub/clean.txt", "nothing\n").file("loose.txt", &openai());
    git(&place, &["add", "staged ä.txt", "sub"]);
    // What the working copy says now is not what would be committed.
    let place = place.file("staged ä.txt", "gone\n");
    let done = place.run(&["key", "scan", "--staged"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.stdout.starts_with("staged ä.txt:1:1: a virtual key") && done.stdout.lines().count() == 1, "{done:?}");
    assert!(done.stderr.contains("1 key in 2 files"), "{done:?}");
    assert_eq!(place.run(&["key", "scan", "--staged", "sub"]).code, 0);
    git(&place, &["rm", "-qf", "old.txt"]);
    git(&place, &["commit", "-qm", "two"]);
    assert_eq!(place.run(&["key", "scan", "--staged"]).code, 0, "nothing is staged");
    let done = Place::new().run(&["key", "scan", "--staged"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("no Git repository"), "{done:?}");
}

#[test]
fn a_private_key_is_found_line_by_line() {
    let begin = ["-----BEGIN RSA", "PRIVATE KEY-----"].join(" ");
    let place = Place::new().file("a.pem", &format!("text\n{begin}\nMIIE\n"));
    let done = place.run(&["key", "scan"]);
    assert_eq!(done.code, 2);
    assert!(done.stdout.starts_with("a.pem:2:1: a private key"), "{done:?}");
}
