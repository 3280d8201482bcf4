//! `fmt`: which files it writes, and when it writes none.

use std::os::unix::fs::PermissionsExt;

use super::Place;

const SPEC: &str = "include: [teams/*.yaml]\nversion: 1   # ours\nproviders:\n    mock:   {}\n";
const CANONICAL: &str = "version: 1   # ours\n\ninclude: [teams/*.yaml]\n\nproviders:\n  mock: {}\n";
const TEAM: &str = "teams:\n   a:\n     models: [\"*\"]  \n";
const CANONICAL_TEAM: &str = "teams:\n  a:\n    models: [\"*\"]\n";

fn place() -> Place {
    Place::new().file("gateway.yaml", SPEC).file("teams/a.yaml", TEAM).file("env/prod.yaml", "gateway: {drain:  5s}\n")
}

#[test]
fn the_spec_its_overlay_and_what_it_includes_are_written() {
    let place = place();
    let done = place.run(&["fmt", "--env", "prod"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.stdout, "gateway.yaml\nteams/a.yaml\nenv/prod.yaml\n");
    assert!(done.stderr.contains("3 files formatted"), "{done:?}");
    assert_eq!((place.read("gateway.yaml").as_str(), place.read("teams/a.yaml").as_str()), (CANONICAL, CANONICAL_TEAM));
    assert_eq!(place.read("env/prod.yaml"), "gateway: {drain: 5s}\n");
    let done = place.run(&["fmt", "--env", "prod"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""));
    assert!(done.stderr.contains("3 files canonical"), "{done:?}");
}

#[test]
fn check_names_what_would_change_shows_it_and_writes_nothing() {
    let place = place();
    let done = place.run(&["fmt", "--check"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.stdout.contains("--- gateway.yaml\n+++ gateway.yaml (canonical)\n"), "{}", done.stdout);
    assert!(done.stdout.contains("-    mock:   {}\n") && done.stdout.contains("+  mock: {}\n"), "{}", done.stdout);
    assert!(done.stderr.contains("2 files not canonical") && done.stderr.contains("hint: `bifrostctl fmt` writes them"), "{done:?}");
    assert_eq!((place.read("gateway.yaml").as_str(), place.read("teams/a.yaml").as_str()), (SPEC, TEAM));

    let done = place.run(&["fmt", "--check", "-o", "github"]);
    assert_eq!(done.code, 2);
    assert!(done.stdout.starts_with("::error file=gateway.yaml,line=1,title=bifrostctl fmt::not canonical"), "{}", done.stdout);
    let envelope = place.run(&["fmt", "--check", "-o", "json"]).json();
    assert_eq!(envelope["result"]["files"][0], serde_json::json!({"file": "gateway.yaml", "changed": true}));
    assert_eq!(envelope["command"], "fmt");

    place.run(&["fmt"]);
    assert_eq!(place.run(&["fmt", "--check"]).code, 0);
}

#[test]
fn a_long_difference_is_cut_and_holds_no_secret() {
    let lines: String = (0..60).map(|number| format!("    k{number}:   {{api_key:  hunter2-{number}}}\n")).collect();
    let place = Place::new().file("a.yaml", &format!("models:\n{lines}"));
    let done = place.run(&["fmt", "--check", "a.yaml"]);
    assert_eq!(done.code, 2);
    assert!(done.stdout.lines().count() <= 41 && done.stdout.contains(" more\n"), "{}", done.stdout);
    assert!(!done.stdout.contains("hunter2"), "{}", done.stdout);
}

#[test]
fn when_one_file_does_not_parse_none_is_written() {
    let place = place().file("teams/b.yaml", "teams:\n  b: {models: [\n");
    for args in [&["fmt"] as &[&str], &["fmt", "gateway.yaml", "teams/b.yaml"], &["fmt", "--check"]] {
        let done = place.run(args);
        assert_eq!(done.code, 3, "{done:?}");
        assert!(done.stderr.contains("teams/b.yaml:2:"), "{done:?}");
        assert!(done.stderr.contains("does not parse: 1 error"), "{done:?}");
    }
    assert_eq!(place.read("gateway.yaml"), SPEC);
}

#[test]
fn a_spec_that_parses_is_formatted_however_wrong_it_is() {
    let place = Place::new().file("gateway.yaml", "nonsense:   yes\n");
    assert_eq!(place.run(&["fmt"]).code, 0);
    assert_eq!(place.read("gateway.yaml"), "nonsense: yes\n");
}

#[test]
fn named_files_are_written_without_what_they_include_and_keep_their_mode() {
    let place = place();
    std::fs::set_permissions(place.path().join("gateway.yaml"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let done = place.run(&["fmt", "gateway.yaml"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "gateway.yaml\n"));
    assert_eq!(place.read("teams/a.yaml"), TEAM);
    assert_eq!(std::fs::metadata(place.path().join("gateway.yaml")).unwrap().permissions().mode() & 0o777, 0o640);
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "nothing temporary is left: {left:?}");
}

#[test]
fn standard_input_goes_to_standard_output() {
    let place = Place::new();
    let done = place.feed(&["fmt", "-"], TEAM);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, CANONICAL_TEAM, ""));
    let done = place.feed(&["fmt", "-"], CANONICAL_TEAM);
    assert_eq!((done.code, done.stdout.as_str()), (0, CANONICAL_TEAM));
    let done = place.feed(&["fmt", "--check", "-"], TEAM);
    assert_eq!(done.code, 2);
    assert!(done.stdout.contains("--- <stdin>\n"), "{done:?}");
    let done = place.feed(&["fmt", "-"], "a: [\n");
    assert_eq!((done.code, done.stdout.as_str()), (3, ""));
    assert!(done.stderr.contains("<stdin>:"), "{done:?}");
    assert_eq!(place.feed(&["fmt", "-", "-o", "json"], TEAM).json()["result"]["text"], CANONICAL_TEAM);
}

#[test]
fn wrong_command_lines_and_missing_files_are_told() {
    let place = place();
    for (args, code, said) in [
        (&["fmt", "-", "gateway.yaml"] as &[&str], 64, "standard input is formatted alone"),
        (&["fmt", "-f", "-"], 64, "`bifrostctl fmt -`"),
        (&["fmt", "-f", "gateway.yaml", "teams/a.yaml"], 64, "cannot be used with"),
        (&["fmt", "nope.yaml"], 1, "cannot read nope.yaml"),
        (&["fmt", "teams"], 1, "teams is a directory"),
    ] {
        let done = place.run(args);
        assert_eq!(done.code, code, "{args:?}: {done:?}");
        assert!(done.stderr.contains(said), "{args:?}: {}", done.stderr);
    }
}
