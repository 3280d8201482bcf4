//! `import`, and `init --from` another gateway.

use serde_json::{Value, json};

use super::Place;

const LITELLM: &str = "\
model_list:
  - model_name: fast
    litellm_params: {model: openai/gpt-4o-mini, api_key: CANARY-provider-key, made_up: 1}
general_settings:
  master_key: sk-CANARY-0123456789abcdef
";
/// Of which nothing is left to do.
const PLAIN: &str = "model_list:\n  - {model_name: fast, litellm_params: {model: groq/llama-3.1-8b-instant}}\n";

#[test]
fn the_spec_is_data_and_the_findings_are_messages() {
    let place = Place::new().file("config.yaml", LITELLM);
    let done = place.run(&["import", "litellm", "config.yaml"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.starts_with("# From LiteLLM's config.yaml: 2 exact, 1 approximate, 1 manual, 1 unsupported.\n"), "{}", done.stdout);
    assert!(done.stdout.contains("{secret: {env: OPENAI_API_KEY}}"), "{}", done.stdout);
    assert!(
        done.stderr
            .contains("manual (1)\n  config.yaml:3:49  model_list[0].litellm_params.api_key → providers.openai.credentials.default\n")
    );
    assert!(done.stderr.ends_with("5 findings: 2 exact, 1 approximate, 1 manual, 1 unsupported\n"), "{}", done.stderr);
    assert!(!done.stdout.contains("CANARY") && !done.stderr.contains("CANARY"));

    let piped = place.feed(&["import", "litellm", "-", "-q"], PLAIN);
    assert_eq!((piped.code, piped.stderr.as_str()), (0, ""));
    assert!(piped.stdout.contains("targets: [groq/llama-3.1-8b-instant]"), "{}", piped.stdout);
}

#[test]
fn each_value_that_is_lost_is_named_with_its_place() {
    let made_up: Vec<String> = (0..9).map(|number| format!("made_up_{number}: 1")).collect();
    let text = format!("model_list:\n  - {{model_name: fast, litellm_params: {{model: groq/llama, {}}}}}\n", made_up.join(", "));
    let done = Place::new().file("config.yaml", &text).run(&["import", "litellm", "config.yaml"]);
    for number in 0..9 {
        let path = format!("model_list[0].litellm_params.made_up_{number}\n");
        let line = done.stderr.split_inclusive('\n').find(|line| line.ends_with(&path));
        assert!(line.is_some_and(|line| line.starts_with("  config.yaml:2:")), "{path}{}", done.stderr);
    }
}

#[test]
fn what_is_written_validates_and_nothing_is_overwritten() {
    let place = Place::new().file("config.yaml", LITELLM);
    let done = place.run(&["import", "litellm", "config.yaml", "--out", "gateway.yaml"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("unsupported (1)") && done.stderr.contains("bifrostctl validate -f gateway.yaml"), "{done:?}");
    assert_eq!(place.run(&["validate"]).code, 0);
    let written = place.read("gateway.yaml");

    let again = place.run(&["import", "litellm", "config.yaml", "--out", "gateway.yaml"]);
    assert_eq!(again.code, 64, "{again:?}");
    assert!(again.stderr.contains("gateway.yaml exists already"), "{}", again.stderr);
    assert_eq!(place.run(&["import", "litellm", "config.yaml", "--out", "gateway.yaml", "--force"]).code, 0);
    assert_eq!(place.read("gateway.yaml"), written);
    assert_eq!(place.run(&["import", "litellm", "config.yaml", "--force"]).code, 64, "there is nothing to force");
}

#[test]
fn each_format_says_the_same_and_ends_with_the_same_code() {
    let place = Place::new().file("config.yaml", LITELLM).file("plain.yaml", PLAIN);
    let envelope = place.run(&["import", "litellm", "config.yaml", "-o", "json"]).json();
    let result = &envelope["result"];
    assert_eq!(result["counts"], json!({"exact": 2, "approximate": 1, "manual": 1, "unsupported": 1}));
    assert_eq!(result["spec"]["models"]["fast"]["targets"], json!(["openai/gpt-4o-mini"]));
    let manual = result["findings"].as_array().unwrap().iter().find(|it| it["class"] == "manual").unwrap();
    assert_eq!(
        (&manual["file"], &manual["line"], &manual["column"], &manual["became"]),
        (&json!("config.yaml"), &json!(3), &json!(49), &json!("/providers/openai/credentials/default"))
    );
    assert_eq!(result["yaml"], Value::String(place.run(&["import", "litellm", "config.yaml"]).stdout));
    let markdown = place.run(&["import", "litellm", "config.yaml", "-o", "markdown"]).stdout;
    assert!(markdown.contains("| manual | <code>config.yaml:3:49</code> |"), "{markdown}");
    for format in ["human", "json", "markdown"] {
        for (file, code) in [("config.yaml", 3), ("plain.yaml", 0)] {
            let done = place.run(&["import", "litellm", file, "--strict", "-o", format]);
            assert_eq!(done.code, code, "{file} as {format}: {done:?}");
            assert!(!done.stdout.contains("CANARY") && !done.stderr.contains("CANARY"), "{file} as {format}: {done:?}");
        }
    }
}

#[test]
fn what_is_no_such_configuration_is_refused_with_its_place_or_its_kind() {
    let place = Place::new().file("cut.yaml", "model_list: [{api_key: CANARY-x\n").file("other.yaml", "a: 1\n").file("list.yaml", "- 1\n");
    for (args, code, said) in [
        (&["import", "litellm", "cut.yaml"] as &[&str], 3, "cut.yaml:1:"),
        (&["import", "litellm", "other.yaml"], 3, "it has none of `model_list`"),
        (&["import", "litellm", "list.yaml"], 3, "is no configuration of LiteLLM's"),
        (&["import", "litellm", "missing.yaml"], 1, "missing.yaml"),
        (&["import", "litellm"], 64, "required arguments were not provided"),
        (&["import", "nobody", "cut.yaml"], 64, "invalid value 'nobody'"),
        (&["import", "litellm", "other.yaml", "-o", "sarif"], 64, "has no output format `sarif`"),
    ] {
        let done = place.run(args);
        assert_eq!(done.code, code, "{args:?}: {done:?}");
        assert!(done.stderr.contains(said) && !done.stderr.contains("CANARY"), "{args:?}: {}", done.stderr);
        assert_eq!(done.stdout, "", "{args:?}");
    }
}

#[test]
fn init_takes_over_what_another_gateway_has() {
    let place = Place::new().file("config.yaml", LITELLM).file("plain.yaml", PLAIN);
    let done = place.run(&["init", "new", "--from", "litellm", "config.yaml"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.stdout, "", "clients keep their key, so none is made");
    assert!(done.stderr.contains("5 findings") && !done.stderr.contains("CANARY"), "{}", done.stderr);
    assert_eq!(place.run(&["validate", "-f", "new/gateway.yaml"]).code, 0);
    assert!(place.path().join("new/.github/workflows/gateway.yaml").exists());

    let done = place.run(&["init", "fresh", "--from", "litellm", "plain.yaml"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.starts_with("sk-bf-"), "a file without keys gets one: {}", done.stdout);
    assert_eq!(place.run(&["validate", "-f", "fresh/gateway.yaml", "--deny-warnings"]).code, 0);

    for (args, said) in [
        (&["init", "x", "--from", "nobody"] as &[&str], "expected one of env, litellm"),
        (&["init", "x", "--from", "env", "y"], "takes no file"),
    ] {
        let done = place.run(args);
        assert_eq!(done.code, 64, "{done:?}");
        assert!(done.stderr.contains(said), "{}", done.stderr);
    }
    assert!(!place.path().join("x").exists());
}

const BIFROST: &str = r#"{
  "providers": {"openai": {"keys": [{"name": "main", "value": "env.OPENAI_API_KEY", "models": ["*"], "weight": 1}]}},
  "governance": {"virtual_keys": [{"id": "1", "name": "app", "value": "sk-bf-CANARY-0123456789abcdef", "provider_configs": [{"provider": "openai", "allowed_models": ["*"]}]}]}
}"#;
const PORTKEY: &str = r#"{"provider": "groq", "api_key": "CANARY-key", "override_params": {"model": "llama-3.1-8b-instant"}}"#;

#[test]
fn clients_of_bifrost_keep_their_keys() {
    let place = Place::new().file("config.json", BIFROST);
    assert_eq!(place.run(&["import", "bifrost", "config.json", "--out", "gateway.yaml", "--strict"]).code, 0);
    assert!(!place.read("gateway.yaml").contains("CANARY"));
    let checked = place.feed(&["key", "check"], "sk-bf-CANARY-0123456789abcdef");
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(checked.stdout.contains("app") || checked.stderr.contains("app"), "{checked:?}");
    assert_eq!(place.run(&["fmt", "--check"]).code, 0, "it is in its canonical form");
}

#[test]
fn a_config_of_portkeys_is_an_alias_called_as_its_file_is() {
    let place = Place::new().file("support.json", PORTKEY);
    let envelope = place.run(&["import", "portkey", "support.json", "-o", "json"]).json();
    assert_eq!(envelope["result"]["spec"]["models"]["support"]["targets"], json!(["groq/llama-3.1-8b-instant"]));
}

#[test]
fn a_file_of_another_gateways_is_told_apart() {
    let place = Place::new().file("config.json", BIFROST).file("support.json", PORTKEY).file("config.yaml", LITELLM);
    for (args, said) in [
        (&["import", "litellm", "config.json"] as &[&str], "it looks like Bifrost's: bifrostctl import bifrost config.json"),
        (&["import", "bifrost", "config.yaml"], "it looks like LiteLLM's: bifrostctl import litellm config.yaml"),
        (&["import", "bifrost", "support.json"], "it looks like Portkey's: bifrostctl import portkey support.json"),
    ] {
        let done = place.run(args);
        assert_eq!(done.code, 3, "{done:?}");
        assert!(done.stderr.contains(said), "{args:?}: {}", done.stderr);
    }
}
