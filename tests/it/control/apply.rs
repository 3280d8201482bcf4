//! Changes through the admin API: what is judged, what is written, what is served.

use std::fs;

use serde_json::{Value, json};

use super::lab::{KEY, Lab, Place, Seen, spec, spec_with};

fn code(seen: &Seen) -> (u16, String) {
    (seen.status, seen.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn an_apply_is_written_to_the_file_and_served_once() {
    let lab = Lab::new().await;
    let two = spec(&lab.place.root, "two");
    let body = json!({"files": {"gateway.yaml": two}, "paths": ["gateway.yaml"], "reason": "faster\nanswers", "actor": "ana", "git_commit": "abc123"});
    let seen = lab.send("/v1/apply", Some("\"1\""), &body).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    let answer = seen.json();
    assert_eq!((&answer["outcome"], &answer["revision"]), (&json!("applied"), &json!(2)));
    assert!(!answer["diff"]["changes"].as_array().unwrap().is_empty());
    assert_eq!(lab.says().await, "two");
    assert_eq!(lab.place.read("gateway.yaml"), two);
    let listed = lab.get("/v1/revisions").await.json()["revisions"][1].clone();
    let uid = rustix::process::getuid().as_raw();
    assert_eq!(listed["actor"], format!("ana (uid {uid})"));
    assert_eq!((&listed["reason"], &listed["git_commit"]), (&json!("faster answers"), &json!("abc123")));
    assert_eq!(listed["trigger"], "apply");

    // The watcher has seen its own gateway's writing: a later change of the file is the next thing that it reports.
    lab.place.write("gateway.yaml", &spec(&lab.place.root, "three"));
    lab.until_revision(3).await;
    assert_eq!(lab.metric("bifrost_config_reloads_total{outcome=\"applied\",trigger=\"file\"}").await, 1.0);
    assert!(!lab.get("/metrics").await.text.contains("outcome=\"unchanged\",trigger=\"file\""));
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let lab = Lab::new().await;
    let before = lab.place.read("gateway.yaml");
    let body = |text: String| json!({"files": {"gateway.yaml": text}, "paths": ["gateway.yaml"]});
    let seen = lab.send("/v1/apply?dry_run=true", None, &body(spec(&lab.place.root, "two"))).await;
    assert_eq!((seen.status, &seen.json()["outcome"], &seen.json()["revision"]), (200, &json!("dry_run"), &json!(1)));
    let seen = lab.send("/v1/apply?dry_run=true", None, &body(before.clone())).await;
    assert_eq!(seen.json()["outcome"], "unchanged");
    let seen = lab.send("/v1/apply?dry_run=true", None, &body(before.replace("providers:", "provider:"))).await;
    assert_eq!(code(&seen), (422, "invalid".to_owned()));
    assert_eq!((lab.says().await.as_str(), lab.gateway.revision()), ("one", 1));
    assert_eq!(lab.place.read("gateway.yaml"), before);
}

#[tokio::test]
async fn keys_that_are_over_are_told_when_a_spec_is_applied() {
    let lab = Lab::new().await;
    // Over in every year in which this test may run.
    let over = lab.place.read("gateway.yaml").replacen("models: [\"*\"]", "models: [\"*\"], expires: 2020-01-01", 1);
    let seen = lab.apply(&over).await;
    assert_eq!((seen.status, &seen.json()["outcome"]), (200, &json!("applied")), "{seen:?}");
    assert_eq!(seen.json()["warnings"][0]["code"], "BF0404", "{seen:?}");
}

#[tokio::test]
async fn a_change_for_another_revision_is_a_conflict_that_shows_what_it_would_do_now() {
    let lab = Lab::new().await;
    assert_eq!(lab.apply(&spec(&lab.place.root, "two")).await.status, 200);
    let body = json!({"files": {"gateway.yaml": spec(&lab.place.root, "three")}, "paths": ["gateway.yaml"]});
    let seen = lab.send("/v1/apply", Some("\"1\""), &body).await;
    assert_eq!(code(&seen), (412, "conflict".to_owned()));
    assert_eq!(seen.json()["revision"], 2);
    assert!(seen.json()["diff"].to_string().contains("fast"), "{seen:?}");
    assert_eq!(code(&lab.send("/v1/apply", None, &body).await), (428, "precondition_required".to_owned()));
    assert_eq!(lab.says().await, "two");
}

#[tokio::test]
async fn a_wrong_spec_comes_back_with_its_findings_and_the_file_stays() {
    let lab = Lab::new().await;
    let before = lab.place.read("gateway.yaml");
    let seen = lab.apply(&before.replace("providers: {mock: {}}", "providers: {mock: {}, nowhere: {}}")).await;
    assert_eq!(code(&seen), (422, "invalid".to_owned()));
    let found = &seen.json()["diagnostics"][0];
    assert_eq!((&found["code"], &found["file"]), (&json!("BF0202"), &json!("gateway.yaml")));
    assert_eq!(lab.place.read("gateway.yaml"), before);
    let status = lab.status().await;
    assert_eq!(
        (&status["sync"], &status["last_reload"]["outcome"]),
        (&json!("synced"), &json!("unchanged")),
        "the files are as good as before"
    );

    let seen = lab.apply(&before.replace("127.0.0.1:0", "127.0.0.1:1").replace("text=one", "text=two")).await;
    assert_eq!(code(&seen), (409, "needs_restart".to_owned()));
    assert_eq!(seen.json()["changes"].as_array().unwrap().len(), 1);
    assert_eq!(seen.json()["changes"][0]["pointer"], "/gateway/listen");
    assert_eq!(lab.says().await, "one");
    assert_eq!(lab.place.read("gateway.yaml"), before);
}

#[tokio::test]
async fn a_rollback_is_a_new_revision_with_the_old_text() {
    let lab = Lab::new().await;
    let one = lab.place.read("gateway.yaml");
    assert_eq!(lab.apply(&spec(&lab.place.root, "two")).await.status, 200);
    assert_eq!(code(&lab.send("/v1/rollback", Some("\"2\""), &json!({"to": 7})).await), (404, "no_such_revision".to_owned()));
    assert_eq!(code(&lab.send("/v1/rollback", Some("\"1\""), &json!({"to": 1})).await), (412, "conflict".to_owned()));
    let seen = lab.send("/v1/rollback", Some("\"2\""), &json!({"to": 1, "reason": "two was worse"})).await;
    assert_eq!((seen.status, &seen.json()["revision"]), (200, &json!(3)), "{seen:?}");
    assert_eq!(lab.says().await, "one");
    assert_eq!(lab.place.read("gateway.yaml"), one);
    let listed = lab.get("/v1/revisions").await.json()["revisions"][2].clone();
    assert_eq!(listed["trigger"], "rollback");
    assert!(listed["summary"].as_str().unwrap().starts_with("rollback to 1: "), "{listed}");
    let two = lab.get("/v1/spec?revision=2").await;
    assert_eq!((two.headers["etag"].to_str().unwrap(), &two.json()["revision"]), ("\"2\"", &json!(2)));
    assert!(two.json()["files"]["gateway.yaml"].as_str().unwrap().contains("text=two"));
}

#[tokio::test]
async fn several_files_change_together_and_one_that_is_no_longer_included_goes() {
    let place = Place::with(|root| spec_with(root, "one", "include: [teams/*.yaml]\n"));
    place.write("teams/a.yaml", "models: {a: {targets: [mock/a]}}\n");
    let lab = place.start().await;
    let main = lab.place.read("gateway.yaml");
    let files = json!({"gateway.yaml": main, "teams/b.yaml": "models: {b: {targets: [mock/b]}}\n", "notes.md": "not read by the spec"});
    let seen = lab.send("/v1/apply", Some("\"1\""), &json!({"files": files, "paths": ["gateway.yaml"]})).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    assert_eq!((lab.chat(KEY, "a").await.status, lab.chat(KEY, "b").await.status), (404, 200));
    let mut names: Vec<_> = fs::read_dir(lab.place.path("teams")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["b.yaml"]);
    assert!(!lab.place.path("notes.md").exists(), "what the spec does not read is not written");
}

#[tokio::test]
async fn nothing_but_the_specs_own_files_can_be_written() {
    let lab = Lab::new().await;
    lab.place.write("docker-compose.yaml", "models: {}\n");
    let main = lab.place.read("gateway.yaml");
    for name in ["../outside.yaml", ".git/x.yaml", "docker-compose.yaml", "/etc/cron.d/x.yaml"] {
        let text = format!("{main}include: [\"{name}\"]\n");
        let files = json!({"gateway.yaml": text, name: "models: {x: {targets: [mock/x]}}\n"});
        let seen = lab.send("/v1/apply", Some("\"1\""), &json!({"files": files, "paths": ["gateway.yaml"]})).await;
        assert_eq!(code(&seen), (409, "path_refused".to_owned()), "{name}: {seen:?}");
    }
    assert!(!lab.place.root.parent().unwrap().join("outside.yaml").exists());
    assert_eq!(lab.place.read("docker-compose.yaml"), "models: {}\n");
    assert_eq!(lab.place.read("gateway.yaml"), main);
    assert_eq!(lab.gateway.revision(), 1);
}

#[tokio::test]
async fn an_apply_that_would_load_to_something_else_is_taken_back() {
    let lab = Lab::new().await;
    // A file that the gateway does not know, and that the posted pattern takes in.
    lab.place.write("stray.yaml", "models: {stray: {targets: [mock/x]}}\n");
    let main = lab.place.read("gateway.yaml");
    let files = json!({"gateway.yaml": format!("{main}include: [\"s*.yaml\"]\n").replace("text=one", "text=two")});
    let seen = lab.send("/v1/apply", Some("\"1\""), &json!({"files": files, "paths": ["gateway.yaml"]})).await;
    assert_eq!(code(&seen), (409, "files_differ".to_owned()), "{seen:?}");
    assert_eq!(lab.place.read("gateway.yaml"), main);
    assert_eq!((lab.says().await.as_str(), lab.gateway.revision()), ("one", 1));
    assert_eq!(lab.status().await["sync"], "synced");
}

#[tokio::test]
async fn what_is_posted_must_be_what_the_gateway_runs_from() {
    let lab = Lab::new().await;
    let text = spec(&lab.place.root, "two");
    let files = json!({"gateway.yaml": text, "env/prod.yaml": "{}"});
    let seen = lab.send("/v1/apply", Some("\"1\""), &json!({"files": files, "paths": ["gateway.yaml", "env/prod.yaml"]})).await;
    assert_eq!(code(&seen), (409, "paths_differ".to_owned()));
    let seen = lab.send("/v1/apply", Some("\"1\""), &json!({"files": {}, "paths": ["gateway.yaml"]})).await;
    assert_eq!(code(&seen), (400, "bad_request".to_owned()));
    let seen = lab.send("/v1/apply", Some("\"1\""), &json!({"file": {}})).await;
    assert_eq!(code(&seen), (400, "bad_request".to_owned()));
}

#[tokio::test]
async fn a_bad_file_on_the_disk_is_repaired_by_applying_what_runs() {
    let lab = Lab::new().await;
    let good = lab.place.read("gateway.yaml");
    lab.place.write("gateway.yaml", "version: 1\nnonsense\n");
    lab.until_outcome("rejected").await;
    let body = json!({"files": {"gateway.yaml": good}, "paths": ["gateway.yaml"]});
    let seen = lab.send("/v1/apply?dry_run=true", None, &body).await;
    assert_eq!(seen.json()["outcome"], "dry_run", "there is something to do");
    let seen = lab.send("/v1/apply", Some("\"1\""), &body).await;
    assert_eq!((&seen.json()["outcome"], &seen.json()["revision"]), (&json!("unchanged"), &json!(1)));
    assert_eq!(lab.place.read("gateway.yaml"), good);
    let status = lab.status().await;
    assert_eq!(status["sync"], "synced");
    assert_eq!(lab.metric("bifrost_config_last_reload_successful").await, 1.0);
}

#[tokio::test]
async fn of_two_changes_for_one_revision_one_is_served() {
    let lab = Lab::new().await;
    let body = |says: &str| json!({"files": {"gateway.yaml": spec(&lab.place.root, says)}, "paths": ["gateway.yaml"]});
    let (two, three): (Value, Value) = (body("two"), body("three"));
    let (left, right) = tokio::join!(lab.send("/v1/apply", Some("\"1\""), &two), lab.send("/v1/apply", Some("\"1\""), &three));
    let mut statuses = [left.status, right.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    assert_eq!(lab.gateway.revision(), 2);
}

#[tokio::test]
async fn a_revision_that_cannot_be_kept_is_not_served_and_its_files_are_put_back() {
    let lab = Lab::new().await;
    let before = lab.place.read("gateway.yaml");
    fs::remove_dir_all(lab.place.path("state/revisions")).unwrap();
    let seen = lab.apply(&spec(&lab.place.root, "two")).await;
    assert_eq!(code(&seen), (500, "not_kept".to_owned()), "{seen:?}");
    assert_eq!((lab.says().await.as_str(), lab.place.read("gateway.yaml")), ("one", before));

    lab.place.write("gateway.yaml", &spec(&lab.place.root, "three"));
    let status = lab.until_outcome("rejected").await;
    assert_eq!(status["last_reload"]["diagnostics"][0]["code"], "BF0505");
    assert_eq!(lab.says().await, "one");
    fs::create_dir(lab.place.path("state/revisions")).unwrap();
    lab.gateway.hang_up();
    lab.until_outcome("applied").await;
    assert_eq!(lab.says().await, "three");
}

#[tokio::test]
async fn an_overlay_is_part_of_what_is_posted_watched_and_kept() {
    let place = Place::with(|root| spec(root, "one"));
    place.write("env/prod.yaml", "models: {fast: {targets: [\"mock/m@text=prod\"]}}\n");
    let mut options = place.options();
    options.paths.push(place.path("env/prod.yaml"));
    let lab = place.start_with(options).await;
    assert_eq!(lab.says().await, "prod");
    lab.place.write("env/prod.yaml", "models: {fast: {targets: [\"mock/m@text=prod2\"]}}\n");
    lab.until_revision(2).await;
    let kept = lab.get("/v1/spec?revision=1").await.json();
    assert_eq!(kept["paths"], json!(["gateway.yaml", "env/prod.yaml"]));
    let seen = lab.send("/v1/rollback", Some("\"2\""), &json!({"to": 1})).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    assert_eq!(lab.says().await, "prod");
    assert!(lab.place.read("env/prod.yaml").contains("text=prod\""));
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused() {
    let lab = Lab::new().await;
    let seen = lab.apply(&"#".repeat(17 << 20)).await;
    assert_eq!(code(&seen), (413, "request_too_large".to_owned()));
}
