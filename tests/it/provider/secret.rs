//! Secrets from the environment, files and systemd credentials.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bifrostctl::base::{Digest, Secret};
use bifrostctl::plan::SecretRef;
use bifrostctl::provider::{SecretError, fingerprint, resolve, resolve_document};

const CANARY: &str = "canary-0123456789";

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(reference: &SecretRef, env: &BTreeMap<String, String>, base: &Path) -> Result<Option<String>, SecretError> {
    resolve(reference, env, base).map(|secret| secret.map(|secret| secret.expose().clone()))
}

#[test]
fn each_reference_leads_to_its_secret() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("key"), format!("{CANARY}\n")).unwrap();
    fs::write(dir.path().join("crlf"), format!("{CANARY}\r\n")).unwrap();
    let env = env(&[("KEY", CANARY), ("CREDENTIALS_DIRECTORY", dir.path().to_str().unwrap())]);
    let absolute = dir.path().join("key").to_str().unwrap().to_owned();
    for reference in [
        SecretRef::Env("KEY".to_owned()),
        SecretRef::File("key".to_owned()),
        SecretRef::File("crlf".to_owned()),
        SecretRef::File(absolute),
        SecretRef::Cred("key".to_owned()),
    ] {
        assert_eq!(read(&reference, &env, dir.path()), Ok(Some(CANARY.to_owned())), "{reference}");
    }
    assert_eq!(read(&SecretRef::None, &env, dir.path()), Ok(None));
}

#[test]
fn what_is_simply_not_there_is_told_apart_from_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("dir")).unwrap();
    fs::write(dir.path().join("blank"), " \n").unwrap();
    fs::write(dir.path().join("large"), CANARY.repeat(4_000)).unwrap();
    fs::write(dir.path().join("two-lines"), format!("{CANARY}\nsecond\n")).unwrap();
    fs::write(dir.path().join("two-newlines"), format!("{CANARY}\n\n")).unwrap();
    fs::write(dir.path().join("trailing-blank"), format!("{CANARY} \n")).unwrap();
    fs::write(dir.path().join("latin1"), [b'k', 0xe9]).unwrap();
    fs::write(dir.path().join("umlaut"), format!("{CANARY}ü")).unwrap();
    let vars = env(&[("EMPTY", ""), ("BROKEN", "canary-0123456789\n")]);
    let file = |name: &str| SecretRef::File(name.to_owned());
    for (reference, absent, says) in [
        (SecretRef::Env("UNSET_KEY".to_owned()), true, "`UNSET_KEY` is not set"),
        (SecretRef::Env("EMPTY".to_owned()), true, "env EMPTY is empty"),
        (SecretRef::Env("BROKEN".to_owned()), false, "env BROKEN holds something other than visible ASCII"),
        (file("nowhere"), true, "does not exist"),
        (file("blank"), true, "file blank is empty"),
        (file("dir"), false, "not a regular file"),
        (file("large"), false, "over 64 KiB"),
        (file("two-lines"), false, "visible ASCII"),
        (file("two-newlines"), false, "visible ASCII"),
        (file("trailing-blank"), false, "visible ASCII"),
        (file("latin1"), false, "visible ASCII"),
        (file("umlaut"), false, "visible ASCII"),
        (SecretRef::Cred("key".to_owned()), true, "$CREDENTIALS_DIRECTORY"),
        (SecretRef::Cred("../key".to_owned()), false, "not a plain name"),
        (SecretRef::Cred("..".to_owned()), false, "not a plain name"),
    ] {
        let error = read(&reference, &vars, dir.path()).unwrap_err();
        assert_eq!(error.is_absent(), absent, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn a_fingerprint_changes_with_the_secret_and_is_not_its_plain_digest() {
    let secret = |text: &str| Secret::new(text.to_owned());
    assert_eq!(fingerprint(&secret(CANARY)), fingerprint(&secret(CANARY)));
    assert_ne!(fingerprint(&secret(CANARY)), fingerprint(&secret("canary-other")));
    assert_ne!(fingerprint(&secret(CANARY)), Digest::of(CANARY.as_bytes()));
}

#[test]
fn a_document_may_have_lines_where_a_key_may_not() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("key.json"), "{\n  \"a\": 1\n}\n").unwrap();
    let reference = SecretRef::File("key.json".to_owned());
    assert!(matches!(read(&reference, &env(&[]), dir.path()), Err(SecretError::NotVisible(_))));
    let document = resolve_document(&reference, &env(&[]), dir.path()).unwrap().unwrap();
    assert_eq!(document.expose(), "{\n  \"a\": 1\n}");
}
