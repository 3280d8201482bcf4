//! The access log's promises: whole lines, in order, never in a request's way, and every loss counted.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use bifrostctl::plan;
use bifrostctl::telemetry::{AccessEntry, AccessLog, Destination, Metrics};
use prometheus_client::metrics::counter::Counter;

const PATIENCE: Duration = Duration::from_secs(10);

fn to(path: &Path) -> plan::AccessLog {
    plan::AccessLog::File(path.to_str().unwrap().to_owned())
}

fn entry(id: &str) -> AccessEntry<'_> {
    AccessEntry { request_id: id, method: "POST", path: "/v1/chat/completions", model: Some("fast"), status: 200, ..AccessEntry::default() }
}

fn ids(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["request_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn writers_on_many_threads_give_whole_lines_each_in_its_own_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let dropped = Counter::default();
    let log = AccessLog::open(&to(&path), dropped.clone()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for line in 0..1_500 {
                    log.write(&entry(&format!("{thread}-{line}")));
                }
            });
        }
    });
    assert!(log.close(PATIENCE));
    let seen = ids(&path);
    assert_eq!(seen.len(), 6_000);
    assert_eq!(dropped.get(), 0);
    for thread in 0..4 {
        let mine: Vec<&String> = seen.iter().filter(|id| id.starts_with(&format!("{thread}-"))).collect();
        let expected: Vec<String> = (0..1_500).map(|line| format!("{thread}-{line}")).collect();
        assert_eq!(mine, expected.iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_stuck_output_blocks_nobody_and_every_lost_line_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    // Open for both, so that neither end waits for the other; nobody reads until the end.
    let mut pipe = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let metrics = Metrics::new();
    let dropped = metrics.access_log_dropped();
    let log = AccessLog::open(&to(&path), dropped.clone()).unwrap();
    let mut sent = 0;
    while dropped.get() < 100 {
        log.write(&entry(&sent.to_string()));
        sent += 1;
        assert!(sent < 100_000, "a full buffer must drop");
    }
    assert!(!log.flush(Duration::from_millis(1)), "nothing can have been flushed into a full pipe");
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut chunk = [0; 65_536];
        while !text.ends_with(b"END\n") {
            let count = pipe.read(&mut chunk).unwrap();
            text.extend_from_slice(&chunk[..count]);
        }
        String::from_utf8(text).unwrap()
    });
    assert!(log.close(PATIENCE));
    fs::OpenOptions::new().write(true).open(&path).map(|mut end| std::io::Write::write_all(&mut end, b"END\n")).unwrap().unwrap();
    let text = reader.join().unwrap();
    let written = text.lines().count() - 1;
    assert_eq!(written as u64 + dropped.get(), sent);
    assert!(metrics.encode().contains(&format!("bifrost_access_log_dropped_total {}\n", dropped.get())));
}

#[test]
fn a_full_disk_counts_its_lines_as_lost_and_ends_nothing() {
    let dropped = Counter::default();
    let log = AccessLog::open(&plan::AccessLog::File("/dev/full".to_owned()), dropped.clone()).unwrap();
    for id in ["a", "b", "c"] {
        log.write(&entry(id));
    }
    assert!(log.flush(PATIENCE));
    assert_eq!(dropped.get(), 3);
    // It works again as soon as the output does.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    log.switch(Destination::open(&to(&path)).unwrap());
    log.write(&entry("d"));
    assert!(log.close(PATIENCE));
    assert_eq!(ids(&path), ["d"]);
    assert_eq!(dropped.get(), 3);
}

#[test]
fn a_rotated_file_keeps_what_it_has_and_a_new_one_is_begun() {
    let dir = tempfile::tempdir().unwrap();
    let (path, rotated) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
    let log = AccessLog::open(&to(&path), Counter::default()).unwrap();
    log.write(&entry("before"));
    assert!(log.flush(PATIENCE));
    fs::rename(&path, &rotated).unwrap();
    log.write(&entry("between"));
    assert!(log.reopen(PATIENCE));
    log.write(&entry("after"));
    assert!(log.close(PATIENCE));
    assert_eq!(ids(&rotated), ["before", "between"]);
    assert_eq!(ids(&path), ["after"]);
}

#[test]
fn a_switch_parts_the_lines_at_the_moment_of_the_switch() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let log = AccessLog::open(&to(&first), Counter::default()).unwrap();
    log.write(&entry("1"));
    log.switch(Destination::open(&to(&second)).unwrap());
    log.write(&entry("2"));
    log.switch(Destination::open(&plan::AccessLog::Off).unwrap());
    assert!(!log.enabled());
    log.write(&entry("3"));
    log.switch(Destination::open(&to(&first)).unwrap());
    log.write(&entry("4"));
    assert!(log.close(PATIENCE));
    assert_eq!(ids(&first), ["1", "4"]);
    assert_eq!(ids(&second), ["2"]);
}

#[test]
fn a_file_that_cannot_be_opened_fails_before_anything_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let log = AccessLog::open(&to(&path), Counter::default()).unwrap();
    assert!(Destination::open(&to(&dir.path().join("missing/access.log"))).is_err());
    log.write(&entry("still"));
    assert!(log.close(PATIENCE));
    assert_eq!(ids(&path), ["still"]);
}

#[test]
fn a_line_after_the_close_is_lost_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let dropped = Counter::default();
    let log = AccessLog::open(&to(&path), dropped.clone()).unwrap();
    log.write(&entry("in time"));
    assert!(log.close(PATIENCE));
    log.write(&entry("too late"));
    assert!(log.close(PATIENCE), "closing twice is closing once");
    assert_eq!(ids(&path), ["in time"]);
    assert_eq!(dropped.get(), 1);
}

#[test]
fn a_log_that_is_let_go_still_writes_what_it_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let log = AccessLog::open(&to(&path), Counter::default()).unwrap();
    log.write(&entry("last words"));
    drop(log);
    let deadline = std::time::Instant::now() + PATIENCE;
    while fs::read_to_string(&path).unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline, "the thread never wrote");
        std::thread::yield_now();
    }
    assert_eq!(ids(&path), ["last words"]);
}

#[test]
fn the_file_is_not_for_everyone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let log = AccessLog::open(&to(&path), Counter::default()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0);
    assert!(log.close(PATIENCE));
}
