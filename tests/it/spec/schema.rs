//! The JSON schema: fresh, valid, and of one mind with the parsers.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bifrostctl::base::{ByteSize, Digest, Span};
use bifrostctl::spec::{Draft, FallbackRef, Spec, TargetRef, schema, test_schema};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

const DRAFTS: [(Draft, &str); 2] =
    [(Draft::Latest, "schemas/gateway.v1.schema.json"), (Draft::Seven, "schemas/gateway.v1.draft-07.schema.json")];

/// A spec in which every kind of value stands at least once.
const FULL: &str = include_str!("full.yaml");

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn validator(draft: Draft) -> Validator {
    jsonschema::validator_for(&schema(draft)).unwrap()
}

/// Returns `pointer: message` of everything that the schema refuses.
fn refusals(validator: &Validator, instance: &Value) -> Vec<String> {
    validator.iter_errors(instance).map(|error| format!("{}: {}", error.instance_path(), error.masked())).collect()
}

fn full() -> Value {
    serde_yaml::from_str(FULL).unwrap()
}

/// Returns the full spec with the value at `pointer` replaced.
fn with(pointer: &str, value: Value) -> Value {
    let mut spec = full();
    *spec.pointer_mut(pointer).unwrap() = value;
    spec
}

#[test]
fn the_committed_schemas_are_fresh() {
    for (draft, file) in DRAFTS {
        let fresh = serde_json::to_string_pretty(&schema(draft)).unwrap() + "\n";
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path(file), &fresh).unwrap();
        }
        let committed = std::fs::read_to_string(path(file)).unwrap_or_default();
        let command = match draft {
            Draft::Latest => "cargo run -- schema",
            Draft::Seven => "cargo run -- schema --draft 7",
        };
        assert!(committed == fresh, "{file} is stale; refresh it with:\n  {command} > {file}");
    }
}

#[test]
fn the_committed_schemas_of_tests_are_fresh() {
    for (draft, file) in [(Draft::Latest, "schemas/test.v1.schema.json"), (Draft::Seven, "schemas/test.v1.draft-07.schema.json")] {
        let fresh = serde_json::to_string_pretty(&test_schema(draft)).unwrap() + "\n";
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path(file), &fresh).unwrap();
        }
        assert!(std::fs::read_to_string(path(file)).unwrap_or_default() == fresh, "{file} is stale: BLESS=1 writes it anew");
    }
    assert!(jsonschema::draft202012::meta::validate(&test_schema(Draft::Latest)).is_ok());
    assert!(jsonschema::draft7::meta::validate(&test_schema(Draft::Seven)).is_ok());
}

#[test]
fn both_drafts_satisfy_their_metaschemas() {
    assert!(jsonschema::draft202012::meta::validate(&schema(Draft::Latest)).is_ok());
    assert!(jsonschema::draft7::meta::validate(&schema(Draft::Seven)).is_ok());
    let older = schema(Draft::Seven).to_string();
    for keyword in ["$defs", "prefixItems", "unevaluatedProperties", "dependentRequired", "2020-12"] {
        assert!(!older.contains(keyword), "{keyword}");
    }
}

#[test]
fn the_older_draft_ignores_no_sibling_of_a_reference() {
    fn look(value: &Value) {
        if let Some(members) = value.as_object() {
            assert!(!members.contains_key("$ref") || members.len() == 1, "{value}");
        }
        let inner: Vec<&Value> = match value {
            Value::Object(members) => members.values().collect(),
            Value::Array(items) => items.iter().collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        inner.into_iter().for_each(look);
    }
    look(&schema(Draft::Seven));
}

#[test]
fn a_spec_with_every_kind_of_value_is_accepted() {
    for (draft, _) in DRAFTS {
        assert_eq!(refusals(&validator(draft), &full()), [""; 0]);
    }
    let _: Spec = serde_json::from_value(full()).unwrap();
}

/// Replaces each value of the full spec by each of many others, in turn: whatever the schema lets through must be readable, and
/// the two drafts must agree.
#[test]
fn what_the_schema_accepts_the_types_accept() {
    fn pointers(at: &str, value: &Value, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Object(members) => members.iter().for_each(|(key, value)| {
                pointers(&format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), value, found);
            }),
            Value::Array(items) => items.iter().enumerate().for_each(|(at_item, value)| pointers(&format!("{at}/{at_item}"), value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut places = Vec::new();
    pointers("", &full(), &mut places);
    let base = full();
    let (latest, seven) = (validator(Draft::Latest), validator(Draft::Seven));
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1),
        json!(2.5),
        json!(70_000),
        json!(5_000_000_000_u64),
        json!(""),
        json!("x"),
        json!("none"),
        json!("5s"),
        json!("a/b"),
        json!([]),
        json!([1]),
        json!(["x"]),
        json!({}),
        json!({"x": 1}),
        json!({"file": "x"}),
        json!({"env": "X", "file": "x"}),
    ];
    let (mut accepted, mut refused) = (0, 0);
    for place in &places {
        for other in &others {
            let mut spec = base.clone();
            *spec.pointer_mut(place).unwrap() = other.clone();
            let valid = latest.is_valid(&spec);
            assert_eq!(seven.is_valid(&spec), valid, "the drafts disagree about {place} = {other}");
            if valid {
                let read: Result<Spec, _> = serde_json::from_value(spec);
                assert!(read.is_ok(), "{place} = {other}: {:?}", read.err());
                accepted += 1;
            } else {
                refused += 1;
            }
        }
    }
    assert!(accepted > 200 && refused > 1000, "{accepted} accepted, {refused} refused");
}

#[test]
fn an_error_names_the_branch_that_was_meant() {
    let validator = validator(Draft::Latest);
    for (pointer, value, expected) in [
        ("/providers/openai/credentials/primary/secret", json!({"evn": "X"}), "('evn' was unexpected)"),
        ("/providers/openai/credentials/primary/secret", json!({"env": "1X"}), "primary/secret/env: value does not match"),
        ("/providers/openai/credentials/primary/secret", json!("sk-live-secret"), "primary/secret: value is not"),
        ("/providers/openai/credentials/primary/secret", json!({"env": "A", "file": "b"}), "primary/secret: value has more than 1"),
        ("/models/fast/targets/0", json!("openai"), "targets/0: value does not match"),
        ("/models/fast/targets/0", json!({"provider": "openai", "modle": "x"}), "('modle' was unexpected)"),
        ("/models/fast/balance", json!("roundrobin"), "balance: value is not one of \"weighted\", \"round_robin\""),
        ("/gateway/admin", json!("127.0.0.1:1"), "admin: value does not match"),
        ("/gateway/admin", json!({"listen": "127.0.0.1:1"}), "admin: \"tokens\" is a required property"),
        ("/gateway/admin", json!({"listen": "127.0.0.1:1", "tokens": {}}), "admin/tokens: value has less than 1"),
        ("/telemetry/access_log", json!("stdot"), "access_log: value is not one of \"stdout\", \"stderr\" or \"off\""),
        ("/gateway/drain", json!(30), "drain: value is not of type \"string\""),
        ("/gateway/drain", json!(null), "drain: value is not of type \"string\""),
    ] {
        let found = refusals(&validator, &with(pointer, value.clone()));
        assert!(found.iter().any(|found| found.contains(expected)), "{pointer} = {value}: {found:#?}");
        assert!(found.len() <= 2, "{pointer} = {value}: {found:#?}");
        assert!(!found.iter().any(|found| found.contains("sk-live") || found.contains("schemas listed")), "{found:#?}");
    }
}

#[test]
fn secrets_are_marked_where_they_are_used_and_restarts_where_they_are_needed() {
    let latest = schema(Draft::Latest);
    for (pointer, mark, expected) in [
        ("/$defs/Credential/properties/secret", "x-sensitive", json!(true)),
        ("/$defs/KeyHash/properties/sha256", "x-sensitive", json!(true)),
        ("/$defs/AdminToken/properties/sha256", "x-sensitive", json!(true)),
        ("/$defs/Gateway/properties/listen", "x-hot", json!(false)),
        ("/$defs/Gateway/properties/admin", "x-hot", json!(false)),
        ("/$defs/Limits/properties/connections", "x-hot", json!(false)),
    ] {
        assert_eq!(latest.pointer(pointer).and_then(|field| field.get(mark)), Some(&expected), "{pointer}");
    }
    let seven = schema(Draft::Seven);
    assert_eq!(seven["definitions"]["Credential"]["properties"]["secret"]["x-sensitive"], json!(true));
}

/// Texts near the edge between right and wrong: digits, units, hex, slashes, and noise.
fn near(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        prop::collection::vec(prop::sample::select(pieces), 0..6).prop_map(|parts| parts.concat()),
        ".{0,12}",
        "[0-9]{1,11}(ms|s|m|h|d|B|KB|MB|GB|KiB|MiB|GiB)",
        "[0-9a-fA-F]{63,65}",
    ]
}

/// Compiles the schema at a pointer, which refers to no other.
fn part(pointer: &str) -> Validator {
    jsonschema::validator_for(schema(Draft::Latest).pointer(pointer).unwrap()).unwrap()
}

static DURATION: LazyLock<Validator> = LazyLock::new(|| part("/$defs/Duration"));
static SIZE: LazyLock<Validator> = LazyLock::new(|| part("/$defs/Size"));
static DIGEST: LazyLock<Validator> = LazyLock::new(|| part("/$defs/Digest"));
static FALLBACK: LazyLock<Validator> = LazyLock::new(|| part("/$defs/Fallback"));
static SHORT_TARGET: LazyLock<Validator> = LazyLock::new(|| part("/$defs/Target/allOf/0/then"));

proptest! {
    #[test]
    fn the_duration_pattern_and_the_duration_parser_agree(text in near(&["0", "1", "30", "999999999", "d", "h", "m", "s", "ms", " ", "-", "٣", "\n"])) {
        prop_assert_eq!(DURATION.is_valid(&json!(text)), text.parse::<Span>().is_ok());
    }

    #[test]
    fn the_size_pattern_and_the_size_parser_agree(text in near(&["0", "7", "1234567890", "B", "KB", "KiB", "MB", "MiB", "GB", "GiB", "K", ".", "\n"])) {
        prop_assert_eq!(SIZE.is_valid(&json!(text)), text.parse::<ByteSize>().is_ok());
    }

    #[test]
    fn the_digest_pattern_and_the_digest_parser_agree(text in near(&["00112233445566778899aabbccddeeff", "00112233445566778899AABBCCDDEEFF", "g", "\n"])) {
        prop_assert_eq!(DIGEST.is_valid(&json!(text)), text.parse::<Digest>().is_ok());
    }

    #[test]
    fn the_reference_patterns_and_their_parsers_agree(text in near(&["a", "/", "b", "\n", "\r", "\u{2028}", "é", "*"])) {
        prop_assert_eq!(SHORT_TARGET.is_valid(&json!(text)), text.parse::<TargetRef>().is_ok());
        prop_assert_eq!(FALLBACK.is_valid(&json!(text)), text.parse::<FallbackRef>().is_ok());
    }

    #[test]
    fn a_quantity_that_parses_prints_as_one_that_parses(
        duration in "([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)",
        size in "[0-9]{1,9}(B|KB|MB|GB|KiB|MiB|GiB)",
    ) {
        let duration: Span = duration.parse().unwrap();
        prop_assert_eq!(duration.to_string().parse::<Span>(), Ok(duration));
        let size: ByteSize = size.parse().unwrap();
        prop_assert_eq!(size.to_string().parse::<ByteSize>(), Ok(size));
    }
}
