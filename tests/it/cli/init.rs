//! `init`.

use bifrostctl::base::Digest;
use serde_json::Value;

use super::Place;

#[test]
fn init_writes_a_spec_with_the_digest_of_the_key_that_it_prints() {
    let place = Place::new();
    let done = place.run(&["init"]);
    assert_eq!(done.code, 0, "{done:?}");
    let secret = done.stdout.trim();
    let spec: Value = serde_yaml::from_str(&place.read("gateway.yaml")).unwrap();
    assert_eq!(spec["virtual_keys"]["default"]["hashes"][0]["sha256"], Digest::of(secret.as_bytes()).to_string());
    assert!(!place.read("gateway.yaml").contains(secret) && !done.stderr.contains(secret));
    assert!(!place.read("gateway.yaml").contains("{{"), "no placeholder is left");
    let workflow: Value = serde_yaml::from_str(&place.read(".github/workflows/gateway.yaml")).unwrap();
    let steps = workflow["jobs"]["check"]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["run"].as_str().is_some_and(|run| run.starts_with("bifrostctl validate"))));
    assert_eq!(place.read(".gitignore"), "/.bifrost/\n*.key\n.env\n");
}

#[test]
fn init_overwrites_nothing_unless_forced_and_keeps_what_git_ignores() {
    let place = Place::new().file("gateway.yaml", "mine").file(".gitignore", "target\n.env");
    let done = place.run(&["init"]);
    assert_eq!(done.code, 64);
    assert!(done.stderr.contains("gateway.yaml exists already"), "{}", done.stderr);
    assert_eq!((done.stdout.as_str(), place.read("gateway.yaml").as_str()), ("", "mine"));
    assert!(!place.path().join(".github").exists(), "nothing is written before everything was checked");

    let envelope = place.run(&["init", "--force", "--out-secret", "default.key", "-o", "json"]).json();
    assert_eq!(envelope["result"]["key"]["secret"], Value::Null);
    assert!(place.read("default.key").starts_with("sk-bf-"));
    assert!(place.read("gateway.yaml").contains("version: 1"));
    assert_eq!(place.read(".gitignore"), "target\n.env\n/.bifrost/\n*.key\n");
}

#[test]
fn init_from_env_takes_the_providers_whose_keys_are_set() {
    let place =
        Place::new().env("GROQ_API_KEY", "CANARY-groq").env("MOONSHOT_API_KEY", "CANARY-moon").env("AZURE_OPENAI_API_KEY", "CANARY-azure");
    let done = place.run(&["init", "--from", "env"]);
    assert_eq!(done.code, 0, "{done:?}");
    let text = place.read("gateway.yaml");
    assert!(!text.contains("CANARY"), "values are not looked at");
    let spec: Value = serde_yaml::from_str(&text).unwrap();
    let names: Vec<&String> = spec["providers"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["mock", "azure", "groq", "moonshot"], "one region of a provider, not all");
    assert_eq!(spec["providers"]["groq"]["credentials"]["default"]["secret"]["env"], "GROQ_API_KEY");
    assert_eq!(spec["virtual_keys"]["default"]["models"], serde_json::json!(["fast", "azure/*", "groq/*", "moonshot/*"]));

    let done = Place::new().run(&["init", "--from", "env"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("no API key of a known provider"), "{}", done.stderr);
}

#[test]
fn what_init_writes_passes_the_checks_of_the_workflow_beside_it() {
    let prices = crate::architecture::root().join("tests/fixtures/import/litellm/prices.yaml");
    let place = Place::new().file("litellm.yaml", &std::fs::read_to_string(prices).unwrap()).env("GROQ_API_KEY", "CANARY-groq");
    for args in [&["init", "a"] as &[&str], &["init", "a", "--from", "env"], &["init", "a", "--from", "litellm", "litellm.yaml"]] {
        let done = place.run(&[args, &["--force"]].concat());
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
        let done = place.run(&["fmt", "--check", "-f", "a/gateway.yaml"]);
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
    }
    let done = place.run(&["validate", "--level", "schema", "-f", "a/gateway.yaml"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(place.read("a/gateway.yaml").contains("virtual_keys:"), "the fixture brings no keys of its own");
}
