//! What a reviewer reads: the words, the risks, the places of typical edits.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bifrostctl::plan::diff::render::{self, nowhere};
use bifrostctl::plan::diff::{Change, Diff, Impact, RESTART_ONLY, Risk, diff};
use bifrostctl::plan::{Plan, compile};
use bifrostctl::spec::{Inputs, Loaded, Memory, Spec, load};
use serde_json::Value;

use super::support::plan;

pub(super) const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(super) const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
pub(super) const C: &str = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

/// A gateway in use.
pub(super) fn base_yaml() -> String {
    format!(
        r#"
version: 1
gateway: {{listen: "127.0.0.1:8080", auth: required, drain: 120s}}
providers:
  openai: {{credentials: {{default: {{secret: {{env: OPENAI_API_KEY}}}}}}, headers: {{x-team: "{{{{ key.team }}}}"}}}}
  groq: {{credentials: {{default: {{secret: {{env: GROQ_API_KEY}}}}, backup: {{secret: {{env: GROQ_2}}, weight: 3}}}}}}
  legacy: {{api: openai-chat, base_url: "https://old.example/v1", credentials: {{default: {{secret: {{cred: legacy}}}}}}}}
models:
  fast:
    description: Anything interactive
    targets: [{{provider: openai, model: gpt-4o-mini, weight: 1}}, {{provider: groq, model: llama-3.3-70b, weight: 1}}]
    fallbacks: [smart, groq/qwen3]
    prompt: {{system: {{text: "You are helpful.\nBe brief.\nAnswer in English.\n"}}}}
    defaults: {{temperature: 0.2}}
  smart: {{targets: [openai/gpt-4o]}}
  cheap: {{targets: [legacy/old-model]}}
rules:
  - {{name: big, when: "tokens.input > 8000", use: smart}}
  - {{name: no-tools, when: "tools", deny: {{message: "no tools"}}}}
teams: {{growth: {{models: [fast, smart, cheap]}}}}
virtual_keys:
  web-app: {{hashes: [{{sha256: {A}}}], team: growth, models: [fast, cheap], labels: {{env: prod}}}}
  ci: {{hashes: [{{sha256: {B}}}], models: [smart]}}
"#
    )
}

/// The same gateway after one replacement in its file.
pub(super) fn edited(replace: &str, by: &str) -> Plan {
    let base = base_yaml();
    assert_eq!(base.matches(replace).count(), 1, "{replace}");
    plan(&base.replace(replace, by))
}

/// Finds the one change that an edit makes.
pub(super) fn only(found: &Diff) -> &Change {
    assert_eq!(found.changes.len(), 1, "{:#?}", found.changes);
    &found.changes[0]
}

/// Everything at once.
fn both() -> (Plan, Plan) {
    let new = base_yaml()
        .replace("\"127.0.0.1:8080\"", "\"0.0.0.0:8080\"")
        .replace("model: gpt-4o-mini, weight: 1", "model: gpt-4o-mini, weight: 3")
        .replace("[smart, groq/qwen3]", "[groq/qwen3]")
        .replace("Be brief.\\n", "Be brief, and kind.\\nNever guess.\\n")
        .replace("Anything interactive", "Whatever a person waits for")
        .replace(
            "  legacy: {api: openai-chat, base_url: \"https://old.example/v1\", credentials: {default: {secret: {cred: legacy}}}}\n",
            "",
        )
        .replace("  cheap: {targets: [legacy/old-model]}\n", "")
        .replace("secret: {env: OPENAI_API_KEY}", "secret: {file: /run/secrets/openai}")
        .replace("models: [fast, cheap]", "models: [fast]")
        .replace(
            "  - {name: big, when: \"tokens.input > 8000\", use: smart}\n  - {name: no-tools",
            "  - {name: night, when: \"hour_utc < 6\", use: fast}\n  - {name: no-tools",
        )
        .replace(&format!("hashes: [{{sha256: {A}}}]"), &format!("hashes: [{{sha256: {A}, not_after: 2026-12-01}}, {{sha256: {C}}}]"));
    (plan(&base_yaml()), plan(&new))
}

/// Stands for the places in the files.
fn somewhere(change: &Change) -> Option<String> {
    (change.action != bifrostctl::plan::diff::Action::Removed).then(|| format!("gateway.yaml:{}:9", change.pointer.len()))
}

#[test]
fn a_terminal_shows_one_line_per_change() {
    let (base, new) = both();
    insta::assert_snapshot!(render::human(&diff(&base, &new), "Plan for live revision 41 → gateway.yaml", &somewhere, false));
}

#[test]
fn a_terminal_without_places_shows_reasons_in_their_stead() {
    let (base, new) = both();
    insta::assert_snapshot!(render::human(&diff(&base, &new), "Plan for main → gateway.yaml", &nowhere, false));
}

#[test]
fn colour_is_on_signs_and_risks() {
    let found = diff(&plan(&base_yaml()), &edited("weight: 3", "weight: 4"));
    insta::assert_snapshot!(render::human(&found, "Plan", &nowhere, true).replace('\u{1b}', "ESC"));
}

#[test]
fn a_comment_has_the_riskiest_first_and_details_folded() {
    let (base, new) = both();
    insta::assert_snapshot!(render::markdown(&diff(&base, &new), "`main` → this branch", &somewhere, render::MARKDOWN_MAX_CHARS));
}

#[test]
fn machines_get_values_and_consequences() {
    let (base, new) = both();
    insta::assert_json_snapshot!(diff(&base, &new).json());
}

#[test]
fn no_difference_says_so() {
    let found = diff(&plan(&base_yaml()), &plan(&base_yaml()));
    assert_eq!(render::human(&found, "Plan", &nowhere, false), "Plan\nno difference\n");
    assert_eq!(render::markdown(&found, "Plan", &nowhere, 60_000), "### Plan\n\nNo difference.\n");
    assert_eq!(found.json()["risk"], Value::Null);
    assert_eq!(found.summary(), "0 to add, 0 to change, 0 to remove");
}

#[test]
fn what_was_inserted_moves_nothing() {
    let found = diff(&plan(&base_yaml()), &edited("rules:\n", "rules:\n  - {name: first, when: stream, use: fast}\n"));
    let change = only(&found);
    assert_eq!((change.path.as_str(), change.summary.as_str()), ("rules[first]", "added"));
    assert_eq!(change.spec_pointer(), "/rules/0");
}

#[test]
fn a_rule_that_moved_says_from_where() {
    let swapped = base_yaml().replace("  - {name: big, when: \"tokens.input > 8000\", use: smart}\n", "").replace(
        "deny: {message: \"no tools\"}}\n",
        "deny: {message: \"no tools\"}}\n  - {name: big, when: \"tokens.input > 8000\", use: smart}\n",
    );
    let found = diff(&plan(&base_yaml()), &plan(&swapped));
    let change = only(&found);
    assert_eq!((change.summary.as_str(), change.risk), ("moved from 2 to 1", Risk::Medium));
}

#[test]
fn a_removed_provider_names_who_used_it() {
    let (base, new) = both();
    let found = diff(&base, &new);
    let change = found.changes.iter().find(|change| change.path == "providers.legacy").unwrap();
    assert_eq!((change.risk, change.reason.as_deref()), (Risk::High, Some("was used by alias `cheap`")));
    assert_eq!(change.before.as_ref().unwrap()["credentials"]["default"]["secret"], serde_json::json!({"cred": "legacy"}));
}

#[test]
fn targets_have_an_order_only_where_turns_are_taken() {
    let yaml = |balance: &str, targets: &str| {
        plan(&format!("version: 1\nproviders: {{mock: {{}}}}\nmodels: {{m: {{balance: {balance}, targets: [{targets}]}}}}\n"))
    };
    assert!(diff(&yaml("weighted", "mock/a, mock/b"), &yaml("weighted", "mock/b, mock/a")).is_empty());
    let found = diff(&yaml("round_robin", "mock/a, mock/b, mock/c"), &yaml("round_robin", "mock/b, mock/a, mock/c"));
    assert_eq!((only(&found).path.as_str(), only(&found).summary.as_str()), ("models.m.targets", "reordered"));
    let spare = |model: &str| format!("{{provider: mock, model: {model}, weight: 0}}");
    let [one, two] = [("p", "q"), ("q", "p")].map(|(a, b)| yaml("weighted", &format!("mock/a, {}, {}", spare(a), spare(b))));
    assert_eq!(only(&diff(&one, &two)).reason.as_deref(), Some("targets of weight 0 are tried in another order"));
}

#[test]
fn the_place_of_a_change_is_in_the_new_file() {
    let mut change = only(&diff(&plan(&base_yaml()), &edited("use: smart}", "use: fast}"))).clone();
    assert_eq!((change.pointer.as_str(), change.spec_pointer().as_str()), ("/rules/0/action/use", "/rules/0/use"));
    change.pointer = "/gateway/admin/tcp/tokens/ci".into();
    assert_eq!(change.spec_pointer(), "/gateway/admin/tokens/ci");
}

/// Loads a file with its places.
fn placed(yaml: &str) -> (Plan, Loaded) {
    let files = Memory(BTreeMap::from([("gateway.yaml".into(), yaml.as_bytes().to_vec())]));
    let env = BTreeMap::<String, String>::new();
    let inputs = Inputs { files: &files, paths: &["gateway.yaml".into()], env: &env, strict_env: false };
    let loaded = load(&inputs).unwrap_or_else(|rejected| panic!("{:#?}", rejected.diagnostics));
    (compile(&loaded).unwrap().plan, loaded)
}

#[test]
fn places_are_those_of_the_new_file() {
    let swapped = base_yaml()
        .replace("use: smart}", "use: fast}")
        .replace("model: gpt-4o-mini, weight: 1", "model: gpt-4o-mini, weight: 3")
        .replace("  cheap: {targets: [legacy/old-model]}\n", "")
        .replace("drain: 120s", "admin: {listen: \"127.0.0.1:9\", tokens: {ci: {sha256: REPLACED, scopes: [read]}}}")
        .replace("REPLACED", C);
    let (new, loaded) = placed(&swapped);
    let places = render::places(&loaded.spans, &loaded.sources);
    let found = diff(&plan(&base_yaml()), &new);
    for change in &found.changes {
        let words = match change.path.as_str() {
            "gateway.admin" => Some("{listen: \"127.0.0.1:9\""),
            "models.cheap" => None,
            "models.fast.targets[openai/gpt-4o-mini].weight" => Some("3}"),
            "rules[big].use" => Some("fast}"),
            path => panic!("{path}"),
        };
        let at = places(change).map(|place| {
            let numbers: Vec<usize> = place.strip_prefix("gateway.yaml:").unwrap().split(':').map(|it| it.parse().unwrap()).collect();
            swapped.lines().nth(numbers[0] - 1).unwrap().chars().skip(numbers[1] - 1).collect::<String>()
        });
        assert_eq!(at.is_some(), words.is_some(), "{change:?}");
        assert!(at.unwrap_or_default().starts_with(words.unwrap_or_default()), "{change:?} {:?}", places(change));
    }
    assert_eq!(found.changes.len(), 4);
}

#[test]
fn only_a_change_of_a_restart_only_field_needs_a_restart() {
    let tcp = "{listen: \"127.0.0.1:9\", tokens: {ci: {sha256: ".to_owned() + C + ", scopes: [read]}}}";
    for (extra, expected) in [
        ("listen: \"127.0.0.1:9000\"".to_owned(), true),
        (format!("admin: {tcp}"), true),
        ("state: elsewhere".to_owned(), true),
        ("state: {postgres: {env: DATABASE_URL}}".to_owned(), true),
        ("tls: {cert: {file: c}, key: {file: k}}".to_owned(), true),
        ("limits: {connections: 5}".to_owned(), true),
        ("limits: {body: 1MiB}".to_owned(), false),
        ("drain: 5s".to_owned(), false),
        ("retention: 30d".to_owned(), false),
        ("auth: optional".to_owned(), false),
    ] {
        let yaml = |extra: &str| plan(&format!("version: 1\nproviders: {{mock: {{}}}}\ngateway: {{{extra}}}\n"));
        let found = diff(&yaml(""), &yaml(&extra));
        assert_eq!(only(&found).impact == Impact::NeedsRestart, expected, "{extra}");
        assert_eq!(found.needs_restart().len(), usize::from(expected));
    }
}

#[test]
fn the_schema_and_the_plan_mark_the_same_fields_as_restart_only() {
    let listed: BTreeSet<String> = RESTART_ONLY.iter().map(|pointer| (*pointer).to_owned()).collect();
    let schema = serde_json::to_value(schemars::schema_for!(Spec)).unwrap();
    let mut marked = BTreeSet::new();
    cold(&schema, &schema, "", &mut marked);
    assert_eq!(marked, listed, "left: `x-hot: false` in the schema; right: RESTART_ONLY");
    assert_eq!(documented(), listed, "left: `Needs a restart.` in the plan's types; right: RESTART_ONLY");
}

/// Collects what a schema marks with `x-hot: false`.
fn cold(root: &Value, schema: &Value, place: &str, out: &mut BTreeSet<String>) {
    let target = schema["$ref"].as_str().and_then(|reference| root.pointer(reference.trim_start_matches('#')));
    if let Some(target) = target {
        cold(root, target, place, out);
    }
    for branch in ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|name| schema[name].as_array()).flatten() {
        cold(root, branch, place, out);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let place = format!("{place}/{name}");
        if property["x-hot"] == Value::Bool(false) {
            out.insert(place.clone());
        }
        cold(root, property, &place, out);
    }
}

/// Collects the fields of the plan whose documentation says so.
fn documented() -> BTreeSet<String> {
    let source = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan/types.rs")).unwrap();
    let sections = BTreeMap::from([("Gateway", "/gateway"), ("Limits", "/gateway/limits")]);
    let (mut section, mut needs, mut found) = ("", false, BTreeSet::new());
    for line in source.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("pub struct ") {
            section = name.split([' ', '<']).next().unwrap();
        } else if line.starts_with("///") {
            needs |= line.contains("Needs a restart");
        } else if let Some((name, _)) = line.strip_prefix("pub ").and_then(|rest| rest.split_once(':')) {
            if needs {
                found.insert(format!("{}/{name}", sections[section]));
            }
            needs = false;
        }
    }
    found
}

#[test]
fn comparing_ten_thousand_keys_is_quick() {
    use std::fmt::Write as _;
    let mut yaml = String::from("version: 1\nproviders: {mock: {}}\nmodels: {m: {targets: [mock/x]}}\nvirtual_keys:\n");
    for n in 0..10_000 {
        let _ = writeln!(yaml, "  k{n}: {{hashes: [{{sha256: \"{n:064x}\"}}], models: [m]}}");
    }
    let base = plan(&yaml);
    let mut new = base.clone();
    new.virtual_keys.remove("k77");
    new.models.clear();
    let started = std::time::Instant::now();
    let found = diff(&base, &new);
    assert_eq!(found.changes.len(), 2);
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    let all = diff(&base, &plan("version: 1\nproviders: {mock: {}}\n"));
    let text = render::markdown(&all, "t", &nowhere, render::MARKDOWN_MAX_CHARS);
    assert!(text.chars().count() <= render::MARKDOWN_MAX_CHARS && text.contains("more changes do not fit here"), "{text}");
}
