//! `diff` against Git, files and revisions. Against the running gateway: see `deploy`.

use serde_json::{Value, json};

use super::Place;
use super::fake::Fake;
use super::validate::{BAD, GOOD};

fn weights(weight: u32) -> String {
    GOOD.replace("[mock/mock-small]", &format!("[mock/mock-large, {{provider: mock, model: mock-small, weight: {weight}}}]"))
}

fn paths(envelope: &Value) -> Vec<&str> {
    envelope["changes"].as_array().unwrap().iter().map(|change| change["path"].as_str().unwrap()).collect()
}

#[test]
fn a_file_is_compared_by_its_meaning() {
    let place = Place::new()
        .file("gateway.yaml", GOOD)
        .file("old.yaml", &GOOD.replace("{targets: [mock/mock-small]}", "{targets: [{provider: mock, model: mock-small, weight: 1}]}"));
    let done = place.run(&["diff", "--against", "old.yaml", "--exit-code"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""), "{done:?}");
    assert_eq!(done.stderr, "no differences: gateway.yaml means what old.yaml means\n");
}

#[test]
fn differences_are_shown_with_their_places_and_fail_only_when_asked() {
    let place = Place::new().file("gateway.yaml", &weights(3)).file("old.yaml", &weights(1).replace("[fast]", "[fast, \"mock/*\"]"));
    let done = place.run(&["diff", "--against", "old.yaml"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
    insta::assert_snapshot!("diff_human", done.stdout);
    assert_eq!(place.run(&["diff", "--against", "old.yaml", "--exit-code"]).code, 2);
    let done = place.run(&["diff", "--against", "old.yaml", "--exit-code", "--fail-on-risk", "high"]);
    assert_eq!(done.code, 7);
    assert!(done.stderr.contains("risk high is not below --fail-on-risk high"), "{}", done.stderr);
}

#[test]
fn machines_get_changes_risk_and_annotations() {
    let place = Place::new().file("gateway.yaml", &weights(3)).file("old.yaml", &weights(1).replace("[fast]", "[fast, \"mock/*\"]"));
    let done = place.run(&["diff", "--against", "old.yaml", "-o", "json", "-o", "markdown=d.md", "-o", "github=gh.txt"]);
    let envelope = done.json();
    assert_eq!(envelope["risk"], "high");
    assert_eq!(envelope["result"]["different"], true);
    let operations = envelope["result"]["patch"].as_array().unwrap();
    assert!(
        operations.iter().any(|operation| operation["path"] == "/models/fast/targets/1/weight" && operation["value"] == 3),
        "{envelope:#}"
    );
    assert!(paths(&envelope).iter().any(|path| path.contains("models.fast.targets")), "{envelope:#}");
    insta::assert_snapshot!("diff_markdown", place.read("d.md"));
    insta::assert_snapshot!("diff_github", place.read("gh.txt"));
}

#[test]
fn an_annotation_names_its_file_whatever_that_is_called() {
    let place = Place::new().file("a,b.yaml", &weights(3)).file("old.yaml", &weights(1));
    let done = place.run(&["diff", "-f", "a,b.yaml", "--against", "old.yaml", "-o", "github"]);
    assert!(done.stdout.starts_with("::notice file=a%2Cb.yaml,line="), "{done:?}");
}

#[test]
fn a_commit_is_compared_with_everything_it_holds() {
    let spec = GOOD
        .replace("version: 1", "version: 1\ninclude: [teams/*.yaml]")
        .replace("fast: {targets: [mock/mock-small]}", "fast: {targets: [mock/mock-small], prompt: {system: {file: prompts/fast.md}}}");
    let place = Place::new()
        .file("infra/gateway.yaml", &spec)
        .file("infra/teams/a.yaml", "teams: {a: {description: first}}\n")
        .file("infra/prompts/fast.md", "Be brief.\n")
        .file("infra/env/prod.yaml", "gateway: {drain: 5s}\n")
        .file("README", "")
        .repository();
    let against = ["diff", "-f", "infra/gateway.yaml", "--env", "prod", "--against", "git:main", "-o", "json"];
    assert_eq!(place.run(&against).json()["changes"], json!([]));

    let place = place
        .file("infra/teams/b.yaml", "teams: {b: {}}\n")
        .file("infra/prompts/fast.md", "Be very brief.\n")
        .file("infra/env/prod.yaml", "gateway: {drain: 9s}\n");
    let envelope = place.run(&against).json();
    let changed = paths(&envelope);
    for expected in ["gateway.drain", "models.fast.prompt", "teams.b"] {
        assert!(changed.iter().any(|path| path.starts_with(expected)), "{expected} in {changed:?}");
    }
    assert_eq!(changed.len(), 3, "{changed:?}");
    assert_eq!(envelope["result"]["against"], "git:main");

    let mut command = place.command(&["diff", "--env", "prod", "--against", "git:HEAD", "-o", "json"]);
    let output = command.current_dir(place.path().join("infra")).output().unwrap();
    let below: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(paths(&below), changed, "the same from within");
}

#[test]
fn what_a_commit_does_not_have_is_new() {
    let place = Place::new().file("README", "").repository().file("gateway.yaml", GOOD);
    let envelope = place.run(&["diff", "--against", "git:HEAD", "-o", "json"]).json();
    let changed = paths(&envelope);
    assert!(
        changed.iter().any(|path| path.starts_with("providers.mock")) && changed.iter().any(|path| path.starts_with("virtual_keys.web"))
    );
    assert!(changed.contains(&"gateway.admin"), "what is not the default shows, too: {changed:?}");
    assert_eq!(envelope["result"]["against"], "nothing (git:HEAD has no gateway.yaml)");

    let place = place.commit().file("env/prod.yaml", "gateway: {drain: 5s}\n");
    let envelope = place.run(&["diff", "--env", "prod", "--against", "git:HEAD", "-o", "json"]).json();
    assert_eq!(paths(&envelope), ["gateway.drain"], "a new overlay is compared with the spec without it");
}

#[test]
fn links_within_a_commit_are_followed() {
    let place = Place::new().file("shared/gateway.yaml", GOOD);
    std::os::unix::fs::symlink("shared/gateway.yaml", place.path().join("gateway.yaml")).unwrap();
    let place = place.repository().file("shared/gateway.yaml", &weights(3));
    let envelope = place.run(&["diff", "--against", "git:HEAD", "-o", "json"]).json();
    assert!(paths(&envelope).iter().all(|path| path.starts_with("models.fast")), "{envelope:#}");
}

#[test]
fn git_errors_say_what_is_missing() {
    let place = Place::new().file("gateway.yaml", GOOD);
    let done = place.run(&["diff", "--against", "git:main"]);
    assert!(done.code == 1 && done.stderr.contains("is in no Git repository"), "{done:?}");
    let place = place.repository();
    let done = place.run(&["diff", "--against", "git:origin/main"]);
    assert!(done.code == 1 && done.stderr.contains("git fetch origin main"), "{done:?}");
    let done = place.run(&["diff", "--against", "git:--output=x"]);
    assert!(done.code == 1 && done.stderr.contains("Git knows no commit `--output=x`"), "{done:?}");
    assert!(!place.path().join("x").exists());
    let done = place.feed(&["diff", "-f", "-", "--against", "git:HEAD"], GOOD);
    assert!(done.code == 64 && done.stderr.contains("standard input stands in no Git commit"), "{done:?}");

    let output = place.command(&["diff", "--against", "git:HEAD"]).env("PATH", "/nonexistent").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && stderr.contains("cannot run `git`"), "{stderr}");
}

#[test]
fn an_invalid_side_is_told_from_the_other() {
    let place = Place::new().file("gateway.yaml", BAD).file("old.yaml", GOOD);
    let done = place.run(&["diff", "--against", "old.yaml"]);
    assert_eq!((done.code, done.stdout.as_str()), (3, ""));
    assert!(done.stderr.contains("BF0202") && done.stderr.contains("error: gateway.yaml is not valid"), "{}", done.stderr);
}

#[test]
fn a_base_that_is_not_valid_is_compared_as_far_as_it_can_be_read() {
    let bad =
        weights(1).replace("[fast]", "[fast, \"mock/*\"]").replace("providers:", "rules: [{name: r, when: stream, use: fats}]\nproviders:");
    let place = Place::new().file("gateway.yaml", &bad).repository().file("gateway.yaml", &weights(3));
    let done = place.run(&["diff", "--against", "git:HEAD", "--exit-code"]);
    assert_eq!(done.code, 2, "{done:?}");
    insta::assert_snapshot!("diff_of_a_base_that_is_not_valid", format!("{}---\n{}", done.stdout, done.stderr));
    let envelope = place.run(&["diff", "--against", "git:HEAD", "-o", "json", "-o", "github=gh.txt"]).json();
    assert_eq!(envelope["result"]["against"], "git:HEAD (not valid: 1 error)");
    assert_eq!(envelope["result"]["base_diagnostics"][0]["code"], "BF0208");
    assert_eq!(envelope["diagnostics"], json!([]), "they are not of this spec");
    assert!(!place.read("gh.txt").contains("BF0208"));
    assert!(paths(&envelope).contains(&"rules[r]") && paths(&envelope).len() == 3, "{envelope:#}");
    assert_eq!(place.run(&["diff", "--against", "git:HEAD", "--fail-on-risk", "high"]).code, 7, "judged as always");
}

#[test]
fn against_a_base_that_cannot_be_read_everything_is_new_and_nothing_can_be_judged() {
    let key = format!("sk-proj-{}", "a1B2c3D4e5F6g7H8i9J0".repeat(3));
    let leaked = GOOD.replace("mock: {}", &format!("mock: {{headers: {{x-key: {key}}}}}"));
    assert_ne!(leaked, GOOD);
    for (bad, code) in
        [(GOOD.replace("version: 1", "version: 1\nnonsense: 1"), "BF01"), ("models: [\n".to_owned(), "BF0006"), (leaked, "BF0411")]
    {
        let place = Place::new().file("gateway.yaml", GOOD).file("old.yaml", &bad);
        let done = place.run(&["diff", "--against", "old.yaml", "-o", "human", "-o", "json=d.json", "-o", "markdown=d.md"]);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.stdout.starts_with("Plan for nothing (old.yaml is not valid: 1 error) → gateway.yaml\n"), "{}", done.stdout);
        assert!(done.stderr.contains(code), "{}", done.stderr);
        let envelope: Value = serde_json::from_str(&place.read("d.json")).unwrap();
        assert!(paths(&envelope).iter().any(|path| path.starts_with("providers.mock")), "{envelope:#}");
        for shown in [&done.stdout, &done.stderr, &place.read("d.json"), &place.read("d.md")] {
            assert!(!shown.contains("a1B2c3"), "{shown}");
        }
        let done = place.run(&["diff", "--against", "old.yaml", "--fail-on-risk", "high"]);
        assert!(done.code == 7 && done.stderr.contains("cannot be judged for --fail-on-risk"), "{done:?}");
    }
}

#[test]
fn another_variable_is_a_difference_and_another_value_is_not() {
    let spec = |zone: &str, drain: &str| {
        format!("{GOOD}    labels: {{zone: \"{zone}\"}}\n").replace("gateway: {", &format!("gateway: {{drain: \"{drain}\", "))
    };
    let place = Place::new()
        .file("gateway.yaml", &spec("${env:ZONE}", "${env:DRAIN:-5s}"))
        .file("old.yaml", &spec("${env:AREA}", "${env:GRACE:-5s}"));
    let place = place.env("ZONE", "CANARY-same").env("AREA", "CANARY-same").env("DRAIN", "7s").env("GRACE", "7s");
    let done = place.run(&["diff", "--against", "old.yaml", "-o", "json"]);
    let mut changed = paths(&done.json()).join(" ");
    assert_eq!(changed, "virtual_keys.web.labels.zone gateway.drain", "{done:?}");
    assert!(!done.stdout.contains("CANARY") && !done.stdout.contains("7s"));
    changed = place.run(&["diff", "--against", "gateway.yaml", "-o", "json"]).json()["changes"].to_string();
    assert_eq!(changed, "[]");
}

#[test]
fn a_kept_revision_is_compared_by_its_text() {
    let place = Place::new().file("gateway.yaml", &weights(3));
    let text = weights(1);
    let fake = Fake::start(place.path(), move |_, asked| {
        if asked.line.starts_with("GET /v1/spec?revision=41 ") {
            (200, json!({"revision": 41, "files": {"gateway.yaml": text}, "paths": ["gateway.yaml"], "plan": {}}))
        } else {
            (404, json!({"error": {"code": "not_found", "message": "no"}}))
        }
    });
    let envelope = place.run(&["diff", "--against", "revision:41", "-o", "json"]).json();
    assert!(paths(&envelope).iter().all(|path| path.starts_with("models.fast")) && envelope["changes"] != json!([]), "{envelope:#}");
    let done = place.run(&["diff", "--against", "revision:40"]);
    assert!(done.code == 1 && done.stderr.contains("has no revision 40"), "{done:?}");
    assert_eq!(fake.asked().len(), 2);
}

#[test]
fn what_becomes_suspicious_with_a_change_is_told_and_what_was_before_is_not() {
    let rules = |first: &str| {
        GOOD.replace(
            "virtual_keys:",
            &format!("rules:\n  - {{name: all, when: {first}, use: fast}}\n  - {{name: some, when: stream, use: fast}}\nvirtual_keys:"),
        )
        .replace("  mock: {}", "  mock: {}\n  groq: {credentials: {default: {secret: {env: G}}}}")
    };
    let place = Place::new().file("gateway.yaml", &rules("\"true\"")).file("old.yaml", &rules("tools"));
    let done = place.run(&["diff", "--against", "old.yaml", "-o", "human", "-o", "json=d.json"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("`some`") && done.stderr.contains("note: 1 new warning with this change"), "{done:?}");
    assert!(!done.stderr.contains("groq"), "nothing led there before, either: {done:?}");
    let envelope: Value = serde_json::from_str(&place.read("d.json")).unwrap();
    assert_eq!(envelope["diagnostics"].as_array().unwrap().len(), 1, "{envelope:#}");
    let back = place.run(&["diff", "-f", "old.yaml", "--against", "gateway.yaml"]);
    assert!(!back.stderr.contains("new warning"), "{back:?}");
}
