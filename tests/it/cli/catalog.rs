//! `catalog …`.

use serde_json::{Value, json};

use super::{Place, run};

const SPEC: &str = "\
version: 1
providers:
  openai: {credentials: {default: {secret: {env: OPENAI_API_KEY}}}}
  box: {preset: vllm, base_url: http://127.0.0.1:8000/v1}
models:
  fast: {targets: [openai/gpt-4o, openai/gpt-4o-mini]}
  own: {targets: [box/qwen3, box/llama]}
virtual_keys:
  web: {hashes: [{sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b}], models: [fast, own]}
";

/// A file as genai-prices publishes it, with one model, whose input costs this many dollars per million tokens.
fn published(input: f64) -> String {
    let model = json!({"id": "gpt-4o", "match": {"equals": "gpt-4o"}, "prices": {"input_mtok": input, "output_mtok": 10, "cache_read_mtok": 1.25},
        "price_variants": [{"when": {"processing": "batch"}, "prices": {"input_mtok": 1}}]});
    json!([{"id": "openai", "name": "OpenAI", "models": [model]}]).to_string()
}

#[test]
fn a_list_names_models_with_what_they_cost() {
    let done = run(&["catalog", "list", "--provider", "openai", "--model", "gpt-4o-mini"]);
    assert_eq!(done.code, 0);
    let lines: Vec<Vec<&str>> = done.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..6], ["openai/gpt-4o-mini", "0.15", "0.6", "0.075", "128000", "16384"]);
    let envelope = run(&["catalog", "list", "--provider", "xai", "-o", "json"]).json();
    let models = envelope["result"]["models"].as_array().unwrap();
    assert!(models.len() > 20 && models.iter().all(|model| model["vendor"] == "x-ai"), "{models:?}");
    for (args, words) in [
        (["--provider", "nobody"], "it has: ai21, anthropic"),
        (["--provider", "zhipu"], "`prices:` in the spec"),
        (["--model", "nothing-like-it"], "lists all of them"),
    ] {
        let done = run(&[&["catalog", "list"], &args[..]].concat());
        assert!(done.code == 1 && done.stderr.contains(words), "{done:?}");
    }
}

#[test]
fn a_model_is_shown_as_it_was_on_a_day() {
    let rate = |day: &str| {
        let envelope = run(&["catalog", "show", "anthropic/claude-opus-4-6", "--at", day, "-o", "json"]).json();
        (envelope["result"]["above"].as_array().unwrap().len(), envelope["result"]["rates"]["input"].clone())
    };
    assert_eq!(rate("2026-03-12"), (1, json!("$5/Mtok")));
    assert_eq!(rate("2026-03-13"), (0, json!("$5/Mtok")));
    let done = run(&["catalog", "show", "anthropic/claude-opus-4-6", "--at", "2026-03-12"]);
    assert!(done.stdout.contains("$10/Mtok above 200000 input tokens") && done.stdout.contains("by genai-prices"), "{}", done.stdout);
    assert_eq!(run(&["catalog", "show", "openai"]).code, 64);
    assert_eq!(run(&["catalog", "show", "openai/gpt-4o", "--at", "soon"]).code, 64);
    assert_eq!(run(&["catalog", "show", "moonshot/gpt-44"]).code, 1);
}

#[test]
fn a_price_of_the_spec_is_shown_with_the_key_that_holds() {
    let spec = format!("{SPEC}prices: {{box/*: {{input: $0.10/Mtok, output: $0.40/Mtok}}}}\n");
    let place = Place::new().file("gateway.yaml", &spec);
    let done = place.run(&["catalog", "show", "box/qwen3"]);
    assert!(done.stdout.contains("$0.40/Mtok") && done.stdout.contains("`prices` of gateway.yaml: `box/*`"), "{done:?}");
    let place = Place::new().file("gateway.yaml", SPEC);
    assert!(place.run(&["catalog", "show", "box/qwen3"]).stdout.contains("unpriced"));
}

#[test]
fn what_deserves_a_look_is_said_and_changes_the_code_only_where_asked() {
    let prices = "prices: {openai/gpt-4o: {input: $2/Mtok, output: $10/Mtok}, openai/gpt-4o-mini: {as: openai/gpt-4o-mini}, box/qwen3: {free: true}}\n";
    let place = Place::new().file("gateway.yaml", &format!("{SPEC}{prices}"));
    let done = place.run(&["catalog", "verify"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("box/llama") && done.stdout.contains("input $2.50/Mtok → $2/Mtok"), "{}", done.stdout);
    let done = place.run(&["catalog", "verify", "--exit-code", "-o", "json"]);
    assert_eq!(done.code, 2);
    let notes = done.json()["result"]["notes"].clone();
    let said: Vec<(&str, &str)> =
        notes.as_array().unwrap().iter().map(|note| (note["model"].as_str().unwrap(), note["what"].as_str().unwrap())).collect();
    assert_eq!(said, [("box/llama", "unpriced"), ("openai/gpt-4o", "differs"), ("openai/gpt-4o-mini", "redundant")]);
    let later = format!("{SPEC}prices: {{openai/gpt-4o: {{input: $2/Mtok, output: $10/Mtok, from: 2999-01-01}}}}\n");
    let done = Place::new().file("gateway.yaml", &later).run(&["catalog", "verify"]);
    assert!(done.stdout.contains("later") && done.stdout.contains("2999-01-01"), "{}", done.stdout);
    assert_eq!(Place::new().run(&["catalog", "verify", "--exit-code"]).code, 0);
}

#[test]
fn newer_prices_become_a_part_of_the_spec_that_says_just_them() {
    let place = Place::new().file("gateway.yaml", SPEC).file("new.json", &published(2.0));
    let done = place.run(&["catalog", "diff", "--from", "new.json", "--exit-code"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.stdout.contains("openai/gpt-4o  input"), "{}", done.stdout);
    let done = place.run(&["catalog", "update", "--from", "new.json"]);
    assert_eq!(done.code, 0, "{done:?}");
    let part: Value = serde_yaml::from_str(&done.stdout).unwrap();
    let expected = json!({"input": "$2/Mtok", "output": "$10/Mtok", "cache_read": "$1.25/Mtok", "batch": {"input": "$1/Mtok"}});
    assert_eq!(part["prices"]["openai/gpt-4o"], expected);
    let place = place.file("prices.yaml", &done.stdout).file("gateway.yaml", &format!("{SPEC}include: [prices.yaml]\n"));
    assert_eq!(place.run(&["validate", "--deny-warnings"]).code, 0);
    assert!(place.run(&["catalog", "show", "openai/gpt-4o"]).stdout.contains("$2/Mtok"));
    assert_eq!(Place::new().file("new.json", &published(2.0)).run(&["catalog", "diff", "--from", "new.json"]).code, 64);
    for (text, words) in [("{", "not JSON"), ("{}", "neither")] {
        let done = Place::new().file("x.json", text).run(&["catalog", "diff", "--from", "x.json", "--all"]);
        assert!(done.code == 1 && done.stderr.contains(words), "{done:?}");
    }
}
