//! Written YAML reads back equal, whatever the JSON was.

use bifrostctl::spec::to_yaml;
use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};

fn text() -> impl Strategy<Value = String> {
    let words = [
        "a", " ", "\n", "\n\n", ":", "#", "-", "?", "'", "\"", "\\", "null", "yes", "0", "1", ".", "e", "x", "_", "<<", "|", ">", "~",
        "\t", "\r", "\u{85}", "\u{a0}", "\u{2028}", "\u{feff}", "\u{1b}", "é", "🦀", "{", "[", ",", "&", "*", "!", "%", "@", "`", "---",
        "...", "${",
    ];
    prop_oneof![
        6 => prop::collection::vec(prop::sample::select(words.to_vec()), 0..8).prop_map(|parts| parts.concat()),
        2 => "[ -~\n]{0,20}",
        1 => ".{0,12}",
        1 => (900_usize..1_100).prop_map(|count| "k".repeat(count)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)),
        (-10_i32..10).prop_map(|number| json!(f64::from(number))),
        text().prop_map(Value::String),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((text(), inner), 0..5).prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn what_is_written_reads_back_equal_and_in_order(value in value()) {
        let written = to_yaml(&value);
        let read: Value = serde_yaml::from_str(&written).map_err(|error| TestCaseError::fail(format!("{error}\n{written}")))?;
        prop_assert_eq!(read.to_string(), value.to_string(), "{}", written);
        prop_assert!(written.ends_with('\n'));
        let raw = written.contains(['\t', '\r', '\u{1b}', '\u{85}', '\u{2028}', '\u{feff}']);
        prop_assert!(!raw, "{:?}", written);
    }
}
