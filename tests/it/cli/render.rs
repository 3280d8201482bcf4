//! `render` and `schema`.

use serde_json::{Value, json};

use super::validate::{BAD, GOOD};
use super::{Place, run};

fn place() -> Place {
    let spec = GOOD.replace(
        "mock: {}",
        "mock: {timeouts: {idle: \"${env:IDLE}\", connect: 2s}, headers: {x-zone: \"${env:ZONE:-eu}\"}}\n  openai: {credentials: {a: {secret: {env: UPSTREAM_KEY}}}}",
    );
    let spec = spec.replace("models: [fast]", "models: [fast, \"openai/*\"]");
    Place::new()
        .file("gateway.yaml", &spec)
        .file("env/prod.yaml", "gateway: {drain: 90s}\nmodels: {fast: {balance: round_robin}}\n")
        .env("IDLE", "33s")
        .env("ZONE", "CANARY-zone")
        .env("UPSTREAM_KEY", "CANARY-upstream")
}

#[test]
fn the_whole_model_has_defaults_and_no_value_of_the_environment() {
    let done = place().run(&["render", "--env", "prod"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
    insta::assert_snapshot!("render_whole", done.stdout);
}

#[test]
fn the_merged_spec_is_what_the_files_say_and_a_spec_again() {
    let place = place();
    let done = place.run(&["render", "--merged", "--env", "prod"]);
    insta::assert_snapshot!("render_merged", done.stdout);
    let place = place.file("merged.yaml", &done.stdout);
    assert_eq!(
        place.run(&["diff", "-f", "merged.yaml", "--against", "gateway.yaml", "-o", "json"]).json()["changes"].as_array().unwrap().len(),
        2
    );
    assert_eq!(place.run(&["render", "--merged", "-f", "merged.yaml"]).stdout, done.stdout, "rendering what was rendered changes nothing");
}

#[test]
fn every_value_has_an_origin() {
    let place = place();
    let done = place.run(&["render", "--env", "prod", "--show-origin"]);
    insta::assert_snapshot!("render_origin", done.stdout);
    let envelope = place.run(&["render", "--env", "prod", "--show-origin", "-o", "json"]).json();
    let origins = &envelope["result"]["origins"];
    assert_eq!(origins["/models/fast/balance"], "env/prod.yaml:2:26");
    assert_eq!(origins["/gateway/limits/body"], Value::Null);
    assert_eq!(envelope["result"]["spec"]["providers"]["mock"]["timeouts"]["idle"], "${env:IDLE}");
}

#[test]
fn the_environment_is_put_in_only_when_asked() {
    let place = place();
    let rendered = place.run(&["render", "--with-env", "-o", "json"]).json();
    let mock = &rendered["result"]["spec"]["providers"]["mock"];
    assert_eq!((&mock["timeouts"]["idle"], &mock["headers"]["x-zone"]), (&json!("33s"), &json!("CANARY-zone")));
    assert_eq!(rendered["result"]["spec"]["providers"]["openai"]["credentials"]["a"]["secret"], json!({"env": "UPSTREAM_KEY"}));
    let without = Place::new().file("gateway.yaml", &place.read("gateway.yaml"));
    let done = without.run(&["render", "--with-env"]);
    assert!(done.code == 3 && done.stderr.contains("IDLE"), "{done:?}");
    assert_eq!(without.run(&["render"]).code, 0);
}

#[test]
fn what_is_invalid_is_not_rendered() {
    let done = Place::new().file("gateway.yaml", BAD).run(&["render"]);
    assert_eq!((done.code, done.stdout.as_str()), (3, ""));
}

#[test]
fn the_schema_is_the_committed_one() {
    let committed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let done = run(&["schema"]);
    let latest = committed(include_str!("../../../schemas/gateway.v1.schema.json"));
    // Too long to be printed where they differ; the test of the schema in `spec` shows where.
    assert!(done.code == 0 && committed(&done.stdout) == latest, "not the committed one");
    let done = run(&["schema", "--draft", "7"]);
    let older = committed(include_str!("../../../schemas/gateway.v1.draft-07.schema.json"));
    assert!(committed(&done.stdout) == older, "not the committed one of draft 7");
    assert!(run(&["schema", "-o", "json"]).json()["result"] == latest, "another one as JSON");
    assert_eq!(run(&["schema", "--draft", "4"]).code, 64);
}
