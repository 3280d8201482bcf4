//! Our pass against the crate's own strict deserialiser: whatever both accept is equal, and whatever that refuses as YAML we refuse.

use proptest::prelude::*;
use serde_json::Value;

use super::node::lower;
use super::parse::parse;
use crate::spec::{Severity, to_yaml};

/// Parses as the loader does; nothing when anything is wrong. Checks that every place lies inside the text.
fn ours(text: &str) -> Option<Value> {
    let mut found = Vec::new();
    let root = parse(text, 0, &mut found);
    for place in found.iter().filter_map(|found| found.location).chain(root.iter().map(|root| root.at)) {
        assert!(text.get(place.start..place.end).is_some(), "{place:?} of {text:?}");
    }
    if found.iter().any(|found| found.severity == Severity::Error) {
        return None;
    }
    let lowered = lower(&root?);
    for (pointer, (key, value)) in &lowered.spans.by_pointer {
        for place in key.iter().chain([value]) {
            assert!(text.get(place.start..place.end).is_some(), "{pointer} at {place:?} of {text:?}");
        }
    }
    Some(lowered.value)
}

/// What the crate makes of it, with YAML 1.2's booleans.
fn theirs(text: &str) -> Result<Value, serde_yaml::Error> {
    serde_yaml::from_str_with_options(text, serde_yaml::options! { strict_booleans: true })
}

fn compare(text: &str) -> Result<(), String> {
    match (ours(text), theirs(text)) {
        (Some(ours), Ok(theirs)) if ours != theirs => Err(format!("we read {ours}\nthey {theirs}\nof {text:?}")),
        // A key that is not a text, or a number without JSON, is no matter of syntax.
        (Some(ours), Err(error)) => Err(format!("we read {ours}\nthey refuse: {error}\nof {text:?}")),
        (Some(_) | None, Ok(_)) | (None, Err(_)) => Ok(()),
    }
}

#[test]
fn samples_mean_the_same() {
    let accepted = [
        "a: 1\nb: [x, 'y', \"z\\u00e9\"]\nc: {d: ~, e: null, f: }\n",
        "- a\n- - b\n  - c\n-\n  d: e\n",
        "text: |\n  one\n   two\n\n  three\nfolded: >-\n  one\n  two\n\n  three\nkeep: |+\n  x\n\n",
        "plain: a b\n  c d\nquoted: \"a\n  b\\\n  c\"\nsingle: 'it''s'\n",
        "a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n",
        "? a\n: b\n? 'c d'\n: - e\n",
        "url: http://127.0.0.1:8000/v1#x\ntime: 12:30:45\ndate: 2026-12-01\nver: 1.2.3\n",
        "n: [0, -1, +2, 3.5, .5, 1., 1e3, -1.5E-3, 0x1f, 0o17]\n",
        "b: [true, False, TRUE, yes, No, on, off, y, n]\n",
        "--- # comment\na: 1 # comment\n# comment\n...\n",
        "'quoted key': 1\n\"a\\tb\": 2\n",
        "{a: [1, {b: c}], \"d\":e, f: ,}\n",
        "a:\n- b\n- c\n",
        "\u{FEFF}a: 1\n",
        "a: 1\r\nb:\r\n  - c\r\n",
        "emoji: 🦀\n日本: ü\n",
        "a: '{not: a map}'\nb: \"[not, a, list]\"\nc: a#b\nd: -x\ne: ?x\nf: x:y\n",
    ];
    for text in accepted {
        assert!(ours(text).is_some(), "{text}");
        assert_eq!(compare(text), Ok(()));
    }
}

#[test]
fn what_is_not_yaml_is_refused_as_by_the_crate() {
    for text in [
        "a: [1\n",
        "a: {b: 1\n",
        "a: 'x\n",
        "a: \"x\n",
        "a: b: c\n",
        "a:\n\tb: 1\n",
        "a: 1\na: 2\n",
        "a: *x\n",
        "- a\nb: c\n",
        "a: @x\n",
        "a: `x\n",
        "a: %x\n: b\n",
        "a: \"\\q\"\n",
        "a: 'x' y\n",
        "a: [1] 2\n",
        "a: |x\n",
        "a: 1\n b: 2\n",
        "}\n",
        "]\n",
        "a: &x\n  <<: 1\n",
        "{a: 1]\n",
        "a: 1\n---\nb: 2\n",
    ] {
        assert!(theirs(text).is_err(), "the crate accepts {text:?}");
        assert_eq!(ours(text), None, "{text:?}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        "[ -~é\n]{0,16}".prop_map(Value::from),
        prop::sample::select(vec!["yes", "off", "007", "1_0", "0b1", "0x1F", ".inf", "1e400", "~", "", "<<", "*", "- a", "12:30", "+.5"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("[a-z0-9_ .:#-]{0,8}", inner), 1..5)
                .prop_map(|members| Value::Object(members.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    })
}

/// Lines and scraps as they stand in specs, in any order.
fn soup() -> impl Strategy<Value = String> {
    let scraps = vec![
        "a",
        "b",
        "c",
        ": ",
        ":",
        "- ",
        "-",
        "\n",
        "\n  ",
        "\n    ",
        "  ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "'",
        "\"",
        "#",
        " # x",
        "|",
        ">-",
        "&x ",
        "*x",
        "<<: ",
        "? ",
        "~",
        "true",
        "yes",
        "1",
        "0",
        "1.5",
        "_",
        "0x",
        "e",
        "+",
        ".",
        "\\",
        "%",
        "@",
        "!",
        "!!str ",
        "---",
        "...",
        "\t",
        "\r\n",
        "\u{FEFF}",
        "é",
        "a: ",
        "b: ",
        "a:\n  b: 1\n",
        "- a\n- b\n",
        "{a: 1}",
        "[a, b]",
        "a: 1\n",
        "${env:X}",
    ];
    prop::collection::vec(prop::sample::select(scraps), 1..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_reads_back_equal(value in value().prop_filter("null is no spec", |value| !value.is_null())) {
        let text = to_yaml(&value);
        prop_assert_eq!(ours(&text), Some(value), "{}", &text);
        prop_assert_eq!(compare(&text), Ok(()));
    }

    #[test]
    fn soups_mean_the_same_or_are_refused(text in soup()) {
        prop_assert_eq!(compare(&text), Ok(()));
    }

    #[test]
    fn no_text_makes_the_pass_panic(text in "\\PC{0,40}|[\\x00-\\x7f]{0,40}") {
        prop_assert_eq!(compare(&text), Ok(()));
    }
}
