//! `key rotate`: the spec gets a digest more, and nothing else changes.

use bifrostctl::base::Digest;
use serde_json::Value;

use super::{Place, answer};

const HEAD: &str = "version: 1\n\nproviders: {mock: {}}\n\nvirtual_keys:   # who may call\n  web:\n";
const TAIL: &str = "    models: [\"*\"]     # all\n";

fn digest(number: u8) -> String {
    Digest::of(&[number]).to_string()
}

fn place(hashes: &str) -> Place {
    Place::new().file("gateway.yaml", &format!("{HEAD}{hashes}{TAIL}"))
}

/// The test's clock stands at 2027-01-15T08:00:00Z.
const UNTIL: &str = "2027-01-22T08:00:00Z";

fn rotate(place: &Place, more: &[&str]) -> super::Done {
    let path = place.path().join("gateway.yaml");
    place.inside(&[&["key", "rotate", "web", "--yes", "-f", path.to_str().unwrap()], more].concat(), "")
}

#[test]
fn a_digest_is_added_and_the_older_one_gets_its_end_in_every_style() {
    let old = digest(1);
    for (before, after) in [
        ("    hashes: [{sha256: \"OLD\"}]\n", "    hashes: [{sha256: \"OLD\", not_after: \"UNTIL\"}, {sha256: \"NEW\"}]\n"),
        (
            "    hashes:           # two at most\n      - {sha256: OLD}   # first\n",
            "    hashes:           # two at most\n      - {sha256: OLD, not_after: \"UNTIL\"}   # first\n      - {sha256: \"NEW\"}\n",
        ),
        (
            "    hashes:\n    - sha256: \"OLD\"   # first\n      # its end\n      not_after: 2030-01-01T00:00:00Z\n",
            "    hashes:\n    - sha256: \"OLD\"   # first\n      # its end\n      not_after: \"UNTIL\"\n    - sha256: \"NEW\"\n",
        ),
    ] {
        let place = place(&before.replace("OLD", &old));
        let done = rotate(&place, &[]);
        assert_eq!(done.code, 0, "{done:?}");
        let secret = done.stdout.trim();
        assert_eq!(secret.len(), 44);
        assert!(!done.stderr.contains(secret), "messages never hold the secret");
        let new = Digest::of(secret.as_bytes()).to_string();
        let after = after.replace("OLD", &old).replace("NEW", &new).replace("UNTIL", UNTIL);
        assert_eq!(place.read("gateway.yaml"), format!("{HEAD}{after}{TAIL}"));
        assert!(done.stderr.contains(&format!("1 digest added, 1 older one until {UNTIL}")), "{}", done.stderr);
        assert!(done.stderr.contains("\n+") && done.stderr.contains(&new), "the difference is shown: {}", done.stderr);
        assert_eq!(place.run(&["validate"]).code, 0);
    }
}

#[test]
fn what_is_over_goes_and_an_earlier_end_stays() {
    let (a, b, c) = (digest(1), digest(2), digest(3));
    let hashes = format!(
        "    hashes:\n      - {{sha256: \"{a}\", not_after: \"2027-01-01T00:00:00Z\"}}   # gone\n      - {{sha256: \"{b}\", not_after: \"2027-01-20T00:00:00Z\"}}\n      - {{sha256: \"{c}\"}}\n"
    );
    let place = place(&hashes);
    let done = rotate(&place, &["--overlap", "30d", "-o", "json"]);
    let envelope = done.json();
    let new = envelope["result"]["sha256"].as_str().unwrap();
    assert_eq!(envelope["command"], "key rotate");
    assert_eq!(Digest::of(envelope["result"]["secret"].as_str().unwrap().as_bytes()).to_string(), new);
    assert_eq!(
        (&envelope["result"]["removed"], &envelope["result"]["kept"], &envelope["result"]["ended"]),
        (&1.into(), &1.into(), &1.into())
    );
    let expected = format!(
        "    hashes:\n      - {{sha256: \"{b}\", not_after: \"2027-01-20T00:00:00Z\"}}\n      - {{sha256: \"{c}\", not_after: \"2027-02-14T08:00:00Z\"}}\n      - {{sha256: \"{new}\"}}\n"
    );
    assert_eq!(place.read("gateway.yaml"), format!("{HEAD}{expected}{TAIL}"));
}

#[test]
fn the_file_that_holds_the_digests_is_written_and_no_other() {
    let spec = "version: 1\ninclude: [keys.yaml]\nproviders: {mock: {}}\n";
    let keys = format!("virtual_keys: {{web: {{hashes: [{{sha256: \"{}\"}}], models: [\"*\"]}}}}\n", digest(1));
    let place = Place::new().file("gateway.yaml", spec).file("keys.yaml", &keys);
    let done = place.run(&["key", "rotate", "web", "--yes", "--out-secret", "web.key"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""), "{done:?}");
    assert_eq!(place.read("gateway.yaml"), spec);
    let value: Value = serde_yaml::from_str(&place.read("keys.yaml")).unwrap();
    let hashes = value["virtual_keys"]["web"]["hashes"].as_array().unwrap();
    assert_eq!(hashes.len(), 2);
    assert_eq!(hashes[1]["sha256"], Digest::of(place.read("web.key").trim().as_bytes()).to_string());
    assert!(done.stderr.contains("keys.yaml: `web`: 1 digest added"), "{done:?}");
}

#[test]
fn a_dry_run_shows_the_change_and_no_secret() {
    let place = place(&format!("    hashes: [{{sha256: \"{}\"}}]\n", digest(1)));
    let before = place.read("gateway.yaml");
    let done = rotate(&place, &["--dry-run"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""));
    assert!(done.stderr.contains("not_after") && done.stderr.contains("thrown away") && !done.stderr.contains("sk-bf-"), "{}", done.stderr);
    assert_eq!(place.read("gateway.yaml"), before);
}

#[test]
fn somebody_is_asked_and_no_leaves_everything_as_it_was() {
    let place = place(&format!("    hashes: [{{sha256: \"{}\"}}]\n", digest(1)));
    let before = place.read("gateway.yaml");
    let path = place.path().join("gateway.yaml");
    let line = ["key", "rotate", "web", "-f", path.to_str().unwrap()];
    let done = answer(&line, "n\n");
    assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{done:?}");
    assert!(done.stderr.contains("[y/N]") && done.stderr.contains("nothing was written"), "{done:?}");
    let done = place.inside(&line, "");
    assert_eq!(done.code, 64);
    assert!(done.stderr.contains("nobody can be asked here"), "{done:?}");
    assert_eq!(place.read("gateway.yaml"), before);
    let done = answer(&line, "y\n");
    assert_eq!((done.code, done.stdout.trim().len()), (0, 44), "{done:?}");
}

#[test]
fn what_cannot_be_rotated_is_told_and_nothing_is_written() {
    let hash = format!("{{sha256: \"{}\"}}", digest(1));
    let good = format!("{HEAD}    hashes: [{hash}]\n{TAIL}");
    let shared = format!("{HEAD}    hashes: &h [{hash}]\n{TAIL}  other:\n    hashes: *h\n    models: [\"*\"]\n");
    for (spec, args, code, said) in [
        (good.as_str(), &["key", "rotate", "wep", "--yes"] as &[&str], 1, "did you mean `web`?"),
        (&good, &["key", "rotate", "nobody", "--yes"], 1, "has no virtual key `nobody`"),
        (&good, &["key", "rotate", "web", "--yes", "--overlap", "7"], 64, "expected a duration"),
        (&good.replace("mock: {}", "mock: {x: 1}"), &["key", "rotate", "web", "--yes"], 3, "is not valid"),
        (&shared, &["key", "rotate", "web", "--yes"], 3, "is not valid"),
    ] {
        let place = Place::new().file("gateway.yaml", spec);
        let done = place.run(args);
        assert_eq!(done.code, code, "{done:?}");
        assert!(done.stderr.contains(said), "{said}: {}", done.stderr);
        assert_eq!((place.read("gateway.yaml").as_str(), done.stdout.as_str()), (spec, ""));
    }
    let shared = shared.replace("  other:\n    hashes: *h\n    models: [\"*\"]\n", "") + "budgets: {}\n";
    let place = Place::new().file("gateway.yaml", &shared);
    assert_eq!(place.run(&["key", "rotate", "web", "--yes"]).code, 0, "an anchor that nobody uses is no obstacle");
    let done = Place::new().feed(&["key", "rotate", "web", "--yes", "-f", "-"], &good);
    assert_eq!(done.code, 64, "{done:?}");
}
