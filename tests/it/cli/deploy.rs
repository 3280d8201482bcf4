//! `apply`, `rollback` and `diff` against a running gateway, which a stand-in plays here; the real one is in `whole_loop`.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::fake::{Asked, Fake};
use super::validate::{BAD, GOOD};
use super::{Done, Place, answer};

/// A diff as the gateway sends it.
fn diff(changes: &[(&str, &str)]) -> Value {
    let changes: Vec<Value> = changes
        .iter()
        .map(|(pointer, action)| {
            json!({"pointer": pointer, "path": pointer[1..].replace('/', "."), "action": action, "before": 1, "after": 3, "summary": "1 → 3",
                "impact": "live", "risk": "low"})
        })
        .collect();
    json!({"version": 1, "changes": changes, "risk": "low", "summary": "x"})
}

/// What a stand-in answers, by what it is asked.
#[derive(Clone)]
struct Gateway {
    plan: Value,
    dry: (u16, Value),
    real: (u16, Value),
    serving: u64,
}

impl Gateway {
    fn new() -> Self {
        let weight = diff(&[("/models/fast/targets/0/weight", "changed")]);
        Self {
            plan: json!({"providers": {"mock": {}}, "models": {"fast": {}}, "virtual_keys": {"web": {}}}),
            dry: (200, json!({"outcome": "dry_run", "revision": 41, "diff": weight, "warnings": []})),
            real: (200, json!({"outcome": "applied", "revision": 42, "diff": weight, "warnings": []})),
            serving: 42,
        }
    }

    fn answer(&self, asked: &Asked) -> (u16, Value) {
        let line = asked.line.strip_suffix(" HTTP/1.1").unwrap();
        match line {
            "GET /v1/spec" => (200, json!({"revision": 41, "files": {"gateway.yaml": GOOD}, "paths": ["gateway.yaml"], "plan": self.plan})),
            "GET /v1/status" => (200, json!({"revision": self.serving})),
            "POST /v1/rollback?dry_run=true" if asked.body["to"] == 39 => {
                (404, json!({"error": {"code": "not_found", "message": "there is no revision 39"}}))
            }
            "POST /v1/apply?dry_run=true" | "POST /v1/rollback?dry_run=true" => self.dry.clone(),
            "POST /v1/apply" | "POST /v1/rollback" => self.real.clone(),
            _ => (404, json!({"error": {"code": "not_found", "message": "not found"}})),
        }
    }

    fn start(self, place: &Place) -> Fake {
        Fake::start(place.path(), move |_, asked| self.answer(asked))
    }
}

fn place() -> Place {
    Place::new().file("gateway.yaml", GOOD)
}

fn lines(fake: &Fake) -> Vec<String> {
    fake.asked().iter().map(|asked| asked.line.strip_suffix(" HTTP/1.1").unwrap().to_owned()).collect()
}

#[test]
fn apply_shows_what_changes_applies_it_and_waits_until_it_serves() {
    let place = place().env("USER", "ana");
    let fake = Gateway::new().start(&place);
    let done = place.run(&["apply", "--yes", "--reason", "more groq"]);
    assert_eq!(done.code, 0, "{done:?}");
    insta::assert_snapshot!("apply_stdout", done.stdout);
    assert_eq!(done.stderr, "revision 42 serves\n");
    assert_eq!(lines(&fake), ["GET /v1/spec", "POST /v1/apply?dry_run=true", "POST /v1/apply", "GET /v1/status"]);
    let post = &fake.asked()[2];
    assert!(post.headers.contains(&"if-match: \"41\"".to_owned()), "{:?}", post.headers);
    assert_eq!(post.body, json!({"actor": "ana", "reason": "more groq", "files": {"gateway.yaml": GOOD}, "paths": ["gateway.yaml"]}));

    let envelope = place.run(&["apply", "--yes", "-o", "json"]).json();
    assert_eq!(envelope["result"]["outcome"], "applied");
    assert_eq!((&envelope["result"]["revision"], &envelope["risk"]), (&json!(42), &json!("low")));
    assert_eq!(envelope["changes"].as_array().unwrap().len(), 1);
}

#[test]
fn apply_sends_overlays_includes_and_the_commit() {
    let place = Place::new()
        .file(
            "infra/gateway.yaml",
            &GOOD.replace("version: 1", "version: 1\ninclude: [teams/*.yaml]").replace("unix:admin.sock", "unix:../admin.sock"),
        )
        .file("infra/teams/a.yaml", "teams: {a: {}}\n")
        .file("infra/env/prod.yaml", "gateway: {drain: 5s}\n")
        .env("GITHUB_ACTOR", "ana")
        .repository();
    let commit = place.git(&["rev-parse", "HEAD"]);
    let fake = Gateway::new().start(&place);
    let args = ["apply", "--yes", "-f", "infra/gateway.yaml", "--env", "prod", "--endpoint", "unix:admin.sock"];
    assert_eq!(place.run(&args).code, 0);
    let body = &fake.asked()[2].body;
    assert_eq!(body["paths"], json!(["gateway.yaml", "env/prod.yaml"]));
    assert_eq!(body["files"]["teams/a.yaml"], "teams: {a: {}}\n");
    assert_eq!((&body["git_commit"], &body["actor"]), (&json!(commit), &json!("ana")));

    let place = place.file("infra/unrelated.txt", "").file("infra/env/prod.yaml", "gateway: {drain: 6s}\n");
    assert_eq!(place.run(&args).code, 0);
    assert_eq!(fake.asked()[6].body["git_commit"], json!(format!("{commit}-dirty")));
}

#[test]
fn nothing_is_applied_without_a_yes() {
    let place = place();
    let fake = Gateway::new().start(&place);
    let done = place.run(&["apply"]);
    assert_eq!(done.code, 64);
    assert!(done.stderr.contains("agree to it with --yes"), "{}", done.stderr);
    let done = place.run(&["apply", "--dry-run"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, "dry run: nothing was applied\n"));
    assert!(done.stdout.contains("models.fast.targets.0.weight"), "{}", done.stdout);
    assert!(!lines(&fake).contains(&"POST /v1/apply".to_owned()));
}

fn asked(place: &Place, stdin: &str, extra: &[&str]) -> Done {
    let spec = place.path().join("gateway.yaml");
    let socket = format!("unix:{}", place.path().join("admin.sock").display());
    answer(&[&["apply", "-f", spec.to_str().unwrap(), "--endpoint", &socket] as &[&str], extra].concat(), stdin)
}

#[test]
fn on_a_terminal_a_person_is_asked() {
    let place = place();
    let fake = Gateway::new().start(&place);
    let done = asked(&place, "y\n", &[]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("Apply this to revision 41? [y/N] "), "{}", done.stderr);
    let done = asked(&place, "\n", &[]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("nothing was applied"), "{}", done.stderr);
    assert_eq!(asked(&place, "y\n", &["--no-input"]).code, 64);
    assert_eq!(lines(&fake).iter().filter(|line| *line == "POST /v1/apply").count(), 1);
    let done = asked(&place, "yes\n", &["-o", "json"]);
    assert!(done.stderr.contains("models.fast"), "what is asked about is shown, though standard output is JSON: {}", done.stderr);
    assert_eq!(done.json()["result"]["outcome"], "applied");
}

#[test]
fn what_is_live_already_is_not_applied_again() {
    let place = place();
    let gateway = Gateway { dry: (200, json!({"outcome": "unchanged", "revision": 41})), ..Gateway::new() };
    let fake = gateway.start(&place);
    let done = place.run(&["apply"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""));
    assert_eq!(done.stderr, "nothing to apply: revision 41 means what gateway.yaml means\n");
    assert_eq!(place.run(&["diff", "--exit-code"]).code, 0);
    assert_eq!(lines(&fake).len(), 4);
}

#[test]
fn a_base_that_is_no_longer_live_is_a_conflict_with_the_new_difference() {
    let place = place();
    let stale =
        json!({"error": {"code": "conflict", "message": "stale"}, "revision": 43, "diff": diff(&[("/models/fast/balance", "changed")])});
    let _fake = Gateway { real: (412, stale), ..Gateway::new() }.start(&place);
    let done = place.run(&["apply", "--yes"]);
    assert_eq!(done.code, 5);
    assert!(done.stderr.contains("models.fast.balance"), "{}", done.stderr);
    assert!(done.stderr.contains("error: the live revision is now 43; the proposal was made for 41"), "{}", done.stderr);
    let envelope = place.run(&["apply", "--yes", "-o", "json"]).json();
    assert_eq!(envelope["changes"][0]["path"], "models.fast.balance");
}

#[test]
fn what_clients_got_before_somebody_agreed_is_not_counted_against_the_new_revision() {
    let place = place();
    let gateway = Gateway::new();
    let fake = Fake::start(place.path(), move |_, asked| match asked.line.as_str() {
        "GET /metrics HTTP/1.1" => (200, json!("bifrost_")),
        _ => gateway.answer(asked),
    });
    let done = place.run(&["apply", "--yes", "--auto-rollback", "errors>5%/200ms"]);
    assert_eq!(done.code, 0, "{done:?}");
    let asked = lines(&fake);
    let posted = asked.iter().position(|line| line == "POST /v1/apply").unwrap();
    assert_eq!(asked[posted - 1], "GET /metrics", "counted after the agreement: {asked:?}");
}

#[test]
fn a_gateway_that_tells_nothing_while_it_is_watched_has_taken_the_revision_all_the_same() {
    // How often it tells nothing after the change.
    for (silent, code) in [(1, 0), (usize::MAX, 1)] {
        let place = place();
        let gateway = Gateway::new();
        let (mut is_applied, mut silence) = (false, 0);
        let _fake = Fake::start(place.path(), move |_, asked| match asked.line.as_str() {
            "GET /metrics HTTP/1.1" if is_applied && silence < silent => {
                silence += 1;
                (503, json!({}))
            }
            "GET /metrics HTTP/1.1" => (200, json!("bifrost_")),
            line => {
                is_applied |= line == "POST /v1/apply HTTP/1.1";
                gateway.answer(asked)
            }
        });
        let done = place.run(&["apply", "--yes", "--auto-rollback", "errors>5%/200ms"]);
        assert_eq!(done.code, code, "{done:?}");
        if code == 0 {
            assert!(done.stderr.contains("it holds: 0 of 0 answers"), "{done:?}");
        } else {
            assert!(done.stderr.contains("revision 42 was applied, and could not be watched to the end: the gateway tells no"), "{done:?}");
            assert!(done.stderr.contains("hint: `bifrostctl rollback --to 41` takes it back"), "{done:?}");
        }
    }
}

#[test]
fn a_dry_run_onto_a_moving_base_is_tried_again() {
    let place = place();
    let count = AtomicUsize::new(0);
    let gateway = Gateway::new();
    let fake = Fake::start(place.path(), move |_, asked| {
        if asked.line.contains("dry_run") && count.fetch_add(1, Ordering::Relaxed) == 0 {
            return (412, json!({"error": {"code": "conflict", "message": "stale"}, "revision": 42, "diff": diff(&[])}));
        }
        gateway.answer(asked)
    });
    assert_eq!(place.run(&["diff", "--exit-code"]).code, 2);
    assert_eq!(lines(&fake), ["GET /v1/spec", "POST /v1/apply?dry_run=true", "GET /v1/spec", "POST /v1/apply?dry_run=true"]);
}

#[test]
fn what_the_gateway_finds_wrong_is_shown_at_its_place() {
    let place = place();
    let wrong = json!({"error": {"code": "invalid", "message": "1 error"}, "diagnostics": [{
        "code": "BF0501", "severity": "error", "message": "environment variable `X` is not set", "file": "gateway.yaml", "help": "set it",
        "line": 4, "column": 3, "end_line": 4, "end_column": 7, "pointer": "/providers/mock", "related": []}]});
    let _fake = Gateway { dry: (422, wrong), ..Gateway::new() }.start(&place);
    for args in [&["apply", "--yes"] as &[&str], &["diff"]] {
        let done = place.run(args);
        assert_eq!((done.code, done.stdout.as_str()), (6, ""), "{done:?}");
        assert!(done.stderr.contains("gateway.yaml:4:3") && done.stderr.contains("`X` is not set"), "{}", done.stderr);
        assert!(done.stderr.contains("error: the gateway refuses it: 1 error"), "{}", done.stderr);
    }
    let envelope = place.run(&["apply", "--yes", "-o", "json"]).json();
    assert_eq!(envelope["diagnostics"][0]["code"], "BF0501");
}

#[test]
fn a_change_that_needs_a_restart_is_refused_by_apply_and_shown_by_diff() {
    let place = place();
    let changes = json!([{"pointer": "/gateway/listen", "path": "gateway.listen", "summary": "a → b"}]);
    let refused = json!({"error": {"code": "needs_restart", "message": "1 change needs a restart"}, "changes": changes});
    let gateway = Gateway { dry: (409, refused), ..Gateway::new() };
    let _fake = gateway.start(&place);
    let done = place.run(&["apply", "--yes"]);
    assert_eq!(done.code, 6);
    assert!(done.stderr.contains("  gateway.listen a → b\nerror: the gateway refuses it: 1 change needs a restart"), "{}", done.stderr);

    let place = place.file("gateway.yaml", &GOOD.replace("gateway: {", "gateway: {listen: \"127.0.0.1:1\", "));
    let done = place.run(&["diff", "--exit-code"]);
    assert_eq!(done.code, 2);
    assert!(done.stdout.contains("gateway.listen") && done.stderr.contains("1 change needs a restart"), "{done:?}");
}

#[test]
fn a_read_only_gateway_says_that_git_is_the_way() {
    let place = place();
    let refused = json!({"error": {"code": "read_only", "message": "the spec is a read-only file"}});
    let _fake = Gateway { real: (409, refused), ..Gateway::new() }.start(&place);
    let done = place.run(&["apply", "--yes"]);
    assert_eq!(done.code, 6);
    assert!(done.stderr.contains("the spec is a read-only file\nhint: its files are managed elsewhere"), "{}", done.stderr);
}

#[test]
fn a_revision_that_never_serves_is_not_waited_for_for_ever() {
    let place = place();
    let _fake = Gateway { serving: 41, ..Gateway::new() }.start(&place);
    let done = place.run(&["apply", "--yes", "--timeout", "300ms"]);
    assert_eq!(done.code, 8, "{done:?}");
    assert!(done.stderr.contains("revision 42 was accepted but does not serve yet"), "{}", done.stderr);
    drop(place);
    let place = self::place();
    let _fake = Gateway { serving: 44, ..Gateway::new() }.start(&place);
    assert!(place.run(&["apply", "--yes"]).stderr.contains("revision 42 was taken; by now 44 serves"));
}

#[test]
fn an_invalid_spec_never_leaves_the_machine() {
    let place = place().file("gateway.yaml", BAD);
    let fake = Gateway::new().start(&place);
    let done = place.run(&["apply", "--yes", "--endpoint", "unix:admin.sock"]);
    assert_eq!(done.code, 3);
    assert!(fake.asked().is_empty());
}

#[test]
fn removing_much_needs_more_than_a_yes() {
    let place = place();
    let gone = diff(&[("/models/fast", "removed")]);
    let _fake =
        Gateway { dry: (200, json!({"outcome": "dry_run", "revision": 41, "diff": gone, "warnings": []})), ..Gateway::new() }.start(&place);
    let done = place.run(&["apply", "--yes"]);
    assert_eq!(done.code, 7);
    assert!(done.stderr.contains("1 of 1 models would be removed, and none is left"), "{}", done.stderr);
    assert!(done.stdout.contains("models.fast"), "it is shown what would go: {}", done.stdout);
    assert_eq!(place.run(&["apply", "--yes", "--allow-destroy"]).code, 0);
    assert_eq!(place.run(&["apply", "--yes", "--max-deletes", "1"]).code, 0);
    assert_eq!(place.run(&["apply", "--yes", "--max-deletes", "0"]).code, 7);
    assert_eq!(place.run(&["apply", "--yes", "--max-deletes", "some"]).code, 64);
}

#[test]
fn warnings_of_the_gateway_are_told() {
    let place = place();
    let warning = json!({"code": "BF0402", "severity": "warning", "message": "key `web` may use nothing", "file": "gateway.yaml",
        "line": 8, "column": 3, "end_line": 8, "end_column": 6, "pointer": null, "help": null, "related": []});
    let dry = json!({"outcome": "dry_run", "revision": 41, "diff": diff(&[("/models/fast/balance", "changed")]), "warnings": [warning]});
    let _fake = Gateway { dry: (200, dry), ..Gateway::new() }.start(&place);
    let done = place.run(&["apply", "--yes"]);
    assert!(done.stderr.contains("warning[BF0402] gateway.yaml:8:3: key `web` may use nothing"), "{}", done.stderr);
}

#[test]
fn rollback_shows_what_changes_and_goes_back() {
    let place = place().env("USER", "ana");
    let fake = Gateway::new().start(&place);
    let done = place.run(&["rollback", "--to", "40", "--yes", "-m", "42 was dear"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, "revision 42 serves\n"), "{done:?}");
    assert!(done.stdout.contains("live revision 41 → revision 40") && done.stdout.contains("models.fast"), "{}", done.stdout);
    assert_eq!(lines(&fake), ["GET /v1/spec", "POST /v1/rollback?dry_run=true", "POST /v1/rollback", "GET /v1/status"]);
    let asked = fake.asked();
    assert_eq!(asked[2].body, json!({"to": 40, "actor": "ana", "reason": "42 was dear"}));
    assert!(asked[2].headers.contains(&"if-match: \"41\"".to_owned()));

    assert_eq!(place.run(&["rollback", "--to", "40"]).code, 64, "nobody can be asked");
    assert_eq!(place.run(&["rollback", "--to", "40", "--dry-run"]).code, 0);
    let done = place.run(&["rollback", "--to", "39", "--yes"]);
    assert!(done.code == 1 && done.stderr.contains("no revision 39"), "{done:?}");
    assert_eq!(lines(&fake).iter().filter(|line| *line == "POST /v1/rollback").count(), 1);
}
