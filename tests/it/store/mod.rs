//! The revisions on a real disk: order, crashes, foreign files, permissions, and one gateway per directory.

pub(crate) mod book;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use bifrostctl::base::{Digest, ManualClock};
use bifrostctl::store::{NewRevision, Options, Revisions, StoreError};
use serde_json::json;

fn revision(text: &str) -> NewRevision {
    NewRevision {
        digest: Digest::of(text.as_bytes()),
        files: BTreeMap::from([("gateway.yaml".to_owned(), text.to_owned()), ("keys.yaml".to_owned(), "ü\n".to_owned())]),
        paths: vec!["gateway.yaml".to_owned()],
        model: json!({"b": 1, "a": [1.5, null]}),
        actor: "ci@example.org".to_owned(),
        reason: Some("because".to_owned()),
        git_commit: None,
        trigger: "apply".to_owned(),
        summary: "1 change".to_owned(),
    }
}

fn numbers(revisions: &Revisions) -> Vec<u64> {
    revisions.list().iter().map(|info| info.number).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_appended_is_read_back_after_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(1_764_000_000_123));
    let revisions = Revisions::open_with(state.path(), Options { clock, ..Options::default() }).unwrap();
    assert_eq!((revisions.list(), revisions.latest().unwrap()), (vec![], None));
    let first = revisions.append(revision("one")).unwrap();
    let second = revisions.append(revision("two")).unwrap();
    assert_eq!((first.info.number, second.info.number), (1, 2));
    assert_eq!(first.info.created, "2025-11-24T16:00:00.123Z");
    drop(revisions);

    let revisions = Revisions::open(state.path()).unwrap();
    assert_eq!(revisions.list(), [first.info.clone(), second.info.clone()]);
    assert_eq!(revisions.get(1).unwrap().as_ref(), Some(&first));
    assert_eq!(revisions.latest().unwrap().as_ref(), Some(&second));
    assert_eq!(revisions.latest_info(), Some(second.info));
    assert_eq!((first.files["gateway.yaml"].as_str(), &first.model), ("one", &json!({"b": 1, "a": [1.5, null]})));
    assert_eq!(revisions.get(3).unwrap(), None);
    assert_eq!(revisions.append(revision("three")).unwrap().info.number, 3);
    assert!(revisions.skipped().is_empty());
}

#[test]
fn only_the_owner_may_read_it() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("deep/state");
    let revisions = Revisions::open(&path).unwrap();
    revisions.append(revision("one")).unwrap();
    assert_eq!((mode(&path), mode(&path.join("revisions"))), (0o700, 0o700));
    assert_eq!((mode(&path.join("revisions/00000001.json")), mode(&path.join("gateway.lock"))), (0o600, 0o600));
    drop(revisions);
    fs::set_permissions(path.join("revisions"), fs::Permissions::from_mode(0o755)).unwrap();
    Revisions::open(&path).unwrap();
    assert_eq!(mode(&path.join("revisions")), 0o700, "an open directory is closed again");
}

#[test]
fn a_crash_between_write_and_rename_leaves_no_revision_and_no_file() {
    let state = tempfile::tempdir().unwrap();
    Revisions::open(state.path()).unwrap().append(revision("one")).unwrap();
    let directory = state.path().join("revisions");
    let whole = fs::read(directory.join("00000001.json")).unwrap();
    fs::write(directory.join(".00000002.json.tmp"), &whole).unwrap();
    fs::write(directory.join(".00000003.json.tmp"), &whole[..20]).unwrap();

    let revisions = Revisions::open(state.path()).unwrap();
    assert_eq!(numbers(&revisions), [1]);
    assert!(revisions.skipped().is_empty());
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    assert_eq!(revisions.append(revision("two")).unwrap().info.number, 2);
}

#[test]
fn a_failed_write_leaves_nothing_and_the_next_one_succeeds() {
    let state = tempfile::tempdir().unwrap();
    let revisions = Revisions::open(state.path()).unwrap();
    let directory = state.path().join("revisions");
    // A directory at the temporary file's place stands for a disk that refuses.
    fs::create_dir(directory.join(".00000001.json.tmp")).unwrap();
    let error = revisions.append(revision("one")).unwrap_err();
    assert!(matches!(error, StoreError::Io { doing: "write", .. }), "{error}");
    assert_eq!((revisions.list(), revisions.latest().unwrap()), (vec![], None));
    assert_eq!(revisions.append(revision("two")).unwrap().info.number, 2);
    assert_eq!(numbers(&revisions), [2]);
}

#[test]
fn broken_and_foreign_files_are_reported_and_never_read() {
    let state = tempfile::tempdir().unwrap();
    let revisions = Revisions::open(state.path()).unwrap();
    for text in ["one", "two", "three"] {
        revisions.append(revision(text)).unwrap();
    }
    drop(revisions);
    let at = |name: &str| state.path().join("revisions").join(name);
    let whole = fs::read_to_string(at("00000002.json")).unwrap();
    fs::write(at("00000003.json"), &whole[..whole.len() / 2]).unwrap();
    fs::write(at("00000004.json"), "").unwrap();
    fs::write(at("00000005.json"), b"\xff\xfe\x00").unwrap();
    fs::write(at("00000006.json"), &whole).unwrap();
    fs::write(at("00000007.json"), whole.replace("\"form\": 1", "\"form\": 2").replace("\"number\": 2", "\"number\": 7")).unwrap();
    fs::write(at("8.json"), &whole).unwrap();
    fs::write(at("notes.txt"), "mine").unwrap();
    fs::write(at("99999999999999999999.json"), "").unwrap();
    fs::create_dir(at("00000009.json")).unwrap();

    let revisions = Revisions::open(state.path()).unwrap();
    assert_eq!(numbers(&revisions), [1, 2]);
    let skipped = revisions.skipped();
    let names: Vec<_> = skipped.iter().map(|skipped| skipped.path.file_name().unwrap().to_str().unwrap()).collect();
    let expected = ["00000003", "00000004", "00000005", "00000006", "00000007", "00000009", "8", "99999999999999999999"];
    assert_eq!(names, [expected.map(|name| format!("{name}.json")).to_vec(), vec!["notes.txt".to_owned()]].concat());
    assert!(skipped[0].why.contains("EOF"), "{}", skipped[0].why);
    assert_eq!(
        (skipped[3].why.as_str(), skipped[4].why.as_str()),
        ("it says that it is revision 2", "its form is 2, and this version knows form 1")
    );
    assert_eq!(revisions.latest().unwrap().unwrap().files["gateway.yaml"], "two", "the newest that can be read");
    assert_eq!(revisions.append(revision("ten")).unwrap().info.number, 10, "no number is used twice");
    assert!(at("notes.txt").exists() && at("00000003.json").exists());
}

#[test]
fn a_file_that_breaks_while_the_gateway_runs_is_an_error_and_no_panic() {
    let state = tempfile::tempdir().unwrap();
    let revisions = Revisions::open(state.path()).unwrap();
    revisions.append(revision("one")).unwrap();
    let path = state.path().join("revisions/00000001.json");
    fs::write(&path, "{").unwrap();
    assert!(matches!(revisions.get(1), Err(StoreError::Corrupt { path: told, .. }) if told == path));
    fs::remove_file(&path).unwrap();
    assert!(matches!(revisions.latest(), Err(StoreError::Io { doing: "read", .. })));
}

#[test]
fn the_oldest_revisions_are_removed() {
    let state = tempfile::tempdir().unwrap();
    let open = |keep| Revisions::open_with(state.path(), Options { keep, ..Options::default() }).unwrap();
    let revisions = open(3);
    for index in 0..5 {
        revisions.append(revision(&index.to_string())).unwrap();
    }
    assert_eq!(numbers(&revisions), [3, 4, 5]);
    assert_eq!(revisions.get(2).unwrap(), None);
    assert_eq!(fs::read_dir(state.path().join("revisions")).unwrap().count(), 3);
    drop(revisions);
    let revisions = open(2);
    assert_eq!(numbers(&revisions), [3, 4, 5], "opening removes nothing");
    assert_eq!(revisions.append(revision("six")).unwrap().info.number, 6);
    assert_eq!(numbers(&revisions), [5, 6]);
}

#[test]
fn two_gateways_do_not_share_a_state_directory() {
    let state = tempfile::tempdir().unwrap();
    let first = Revisions::open(state.path()).unwrap();
    let error = Revisions::open(state.path()).unwrap_err();
    let (text, lock) = (error.to_string(), state.path().join("gateway.lock"));
    assert!(text.contains(&lock.display().to_string()) && text.contains(&format!("process {}", std::process::id())), "{text}");
    assert!(matches!(error, StoreError::Locked { path, .. } if path == lock));
    drop(first);
    Revisions::open(state.path()).unwrap();
}

#[test]
fn a_place_that_is_no_directory_is_named() {
    let state = tempfile::NamedTempFile::new().unwrap();
    let error = Revisions::open(state.path()).unwrap_err().to_string();
    assert!(error.contains(&state.path().display().to_string()), "{error}");
}

#[test]
fn appends_of_many_threads_get_numbers_of_their_own() {
    let state = tempfile::tempdir().unwrap();
    let revisions = Revisions::open(state.path()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let revisions = &revisions;
            scope.spawn(move || {
                for index in 0..10 {
                    let appended = revisions.append(revision(&format!("{thread}/{index}"))).unwrap();
                    assert_eq!(revisions.get(appended.info.number).unwrap(), Some(appended));
                }
            });
        }
    });
    assert_eq!(numbers(&revisions), (1..=80).collect::<Vec<_>>());
    let texts: std::collections::BTreeSet<_> =
        (1..=80).map(|number| revisions.get(number).unwrap().unwrap().files["gateway.yaml"].clone()).collect();
    assert_eq!(texts.len(), 80);
}
