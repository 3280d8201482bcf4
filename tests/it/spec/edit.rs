//! Editing one place: the rest of the text stays, byte for byte.

use bifrostctl::spec::edit::{EditError, insert, remove, replace};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::nasty;

fn value(text: &str) -> Option<Value> {
    serde_yaml::from_str_with_options(text, serde_yaml::options! { strict_booleans: true }).ok()
}

#[test]
fn an_item_is_put_in_as_its_neighbours_are_written() {
    for (before, pointer, after) in [
        ("k: [a]\n", "/k/1", "k: [a, {\"s\": 1}]\n"),
        ("k: [a]\n", "/k/0", "k: [{\"s\": 1}, a]\n"),
        ("k: []\n", "/k/0", "k: [{\"s\": 1}]\n"),
        ("k: [a, ]  # c\n", "/k/1", "k: [a, {\"s\": 1}, ]  # c\n"),
        ("k: [\n  a,  # one\n  b  # two\n]\n", "/k/2", "k: [\n  a,  # one\n  b,  # two\n  {\"s\": 1}\n]\n"),
        ("k: [\n  a,\n  b,\n]\n", "/k/2", "k: [\n  a,\n  b,\n  {\"s\": 1},\n]\n"),
        ("k: [\n  a,\n  b]\n", "/k/0", "k: [\n  {\"s\": 1},\n  a,\n  b]\n"),
        ("k:\n  - a  # one\n  # two\n", "/k/1", "k:\n  - a  # one\n  - {\"s\": 1}\n  # two\n"),
        ("k:\n- a", "/k/1", "k:\n- a\n- {\"s\": 1}\n"),
        ("k:\n  - a\n  - b\n", "/k/1", "k:\n  - a\n  - {\"s\": 1}\n  - b\n"),
        ("k:\n  - x: 1\n    y: 2\nl: 1\n", "/k/1", "k:\n  - x: 1\n    y: 2\n  - \"s\": 1\nl: 1\n"),
        ("k:\r\n  - a\r\n", "/k/1", "k:\r\n  - a\r\n  - {\"s\": 1}\r\n"),
    ] {
        // Whether a name needs quotes is not what this is about.
        let done = insert(before, pointer, &json!({"s": 1}));
        assert_eq!(done.as_deref().map(|text| text.replace("s:", "\"s\":")), Ok(after.to_owned()), "{before:?}");
    }
}

#[test]
fn a_member_is_put_in_changed_and_taken_out() {
    let flow = "k:\n  - {a: \"1\", b: 2}  # c\n";
    assert_eq!(insert(flow, "/k/0/end", &json!("x")).unwrap(), "k:\n  - {a: \"1\", b: 2, end: \"x\"}  # c\n");
    assert_eq!(replace(flow, "/k/0/a", &json!("2: #")).unwrap(), "k:\n  - {a: \"2: #\", b: 2}  # c\n");
    assert_eq!(remove(flow, "/k/0/a").unwrap(), "k:\n  - {b: 2}  # c\n");
    assert_eq!(remove(flow, "/k/0/b").unwrap(), "k:\n  - {a: \"1\"}  # c\n");
    let block = "k:\n  - a: 1  # one\n    # own\n    b: 2  # two\n";
    assert_eq!(insert(block, "/k/0/end", &json!(true)).unwrap(), "k:\n  - a: 1  # one\n    # own\n    b: 2  # two\n    end: true\n");
    assert_eq!(remove(block, "/k/0/b").unwrap(), "k:\n  - a: 1  # one\n    # own\n");
    assert_eq!(insert("a: 1\n", "/b", &json!([1])).unwrap(), "a: 1\nb: [1]\n");
    assert_eq!(replace("a: [1, 2]\n", "/a", &json!({"x/y": null})).unwrap(), "a: {x/y: null}\n");
}

#[test]
fn an_item_goes_with_the_comments_beside_it_and_no_others() {
    let list = "k:\n  # all\n  - a  # one\n  # next\n  - b  # two\n";
    assert_eq!(remove(list, "/k/0").unwrap(), "k:\n  # all\n  # next\n  - b  # two\n");
    let flow = "k: [\n  a,  # one\n  b,  # two\n]\n";
    assert_eq!(remove(flow, "/k/0").unwrap(), "k: [\n  b,  # two\n]\n");
    assert_eq!(remove("k: [a, b, c]\n", "/k/1").unwrap(), "k: [a, c]\n");
    assert_eq!(remove("k: [a, b, c]\n", "/k/2").unwrap(), "k: [a, b]\n");
}

#[test]
fn what_cannot_be_done_safely_is_refused_with_its_reason() {
    let one = json!(1);
    let shared = "a: &x [1]\nb: *x\nc: {<<: {d: [2]}}\n";
    assert_eq!(insert(shared, "/b/0", &one), Err(EditError::Shared));
    assert_eq!(insert(shared, "/a/0", &one), Err(EditError::Shared), "the alias would change, too");
    assert_eq!(insert("x: &m {l: [1]}\ny:\n  <<: *m\n", "/y/l/0", &one), Err(EditError::Shared));
    assert_eq!(insert("k:\n  -\n    - a\n", "/k/1", &one), Err(EditError::Form));
    assert_eq!(remove("k: [a]\n", "/k/0"), Err(EditError::Form), "the last one");
    assert_eq!(replace("k:\n  a: 1\n", "/k", &one), Err(EditError::Form));
    for (text, pointer) in
        [("k: 1\n", "/k/0"), ("k: [1]\n", "/k/2"), ("k: [1]\n", "/k/x"), ("k: {a: 1}\n", "/k/a"), ("k: 1\n", "/l/m"), ("k: 1\n", "k")]
    {
        assert_eq!(insert(text, pointer, &one), Err(EditError::Place), "{text:?} {pointer}");
    }
    assert_eq!(insert("k: [\n", "/k/0", &one), Err(EditError::Syntax));
}

/// Every pointer of a value.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (format!("{at}/{index}"), item)).collect(),
        Value::Object(members) => members.iter().map(|(name, member)| (format!("{at}/{name}"), member)).collect(),
        _ => Vec::new(),
    };
    for (pointer, inner) in inner {
        pointers(inner, &pointer, found);
        found.push(pointer);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_means_what_it_says_or_is_refused(text in nasty::texts(), pick in any::<prop::sample::Index>(), kind in 0..3) {
        let Some(before) = value(&text).filter(Value::is_object) else { return Ok(()) };
        let mut all = Vec::new();
        pointers(&before, "", &mut all);
        if all.is_empty() {
            return Ok(());
        }
        let pointer = all[pick.index(all.len())].clone();
        let new = json!({"n": "x"});
        let mut expected = before;
        let (parent, last) = pointer.rsplit_once('/').unwrap();
        let (done, is_list) = match kind {
            0 => {
                let container = expected.pointer_mut(parent).unwrap();
                let is_list = container.is_array();
                let target = if is_list { pointer.clone() } else { format!("{parent}/new") };
                match container {
                    Value::Array(items) => items.insert(last.parse().unwrap(), new.clone()),
                    Value::Object(members) => drop(members.insert("new".to_owned(), new.clone())),
                    _ => unreachable!(),
                }
                (insert(&text, &target, &new), is_list)
            }
            1 => {
                *expected.pointer_mut(&pointer).unwrap() = new.clone();
                (replace(&text, &pointer, &new), false)
            }
            _ => {
                match expected.pointer_mut(parent).unwrap() {
                    Value::Array(items) => drop(items.remove(last.parse().unwrap())),
                    Value::Object(members) => drop(members.shift_remove(last)),
                    _ => unreachable!(),
                }
                (remove(&text, &pointer), false)
            }
        };
        if let Ok(after) = done {
            prop_assert_eq!(value(&after), Some(expected), "{}\n->\n{} {}", text, after, is_list);
        }
    }
}

#[test]
fn a_file_of_json_stays_json() {
    let text = r#"{"version": 1, "virtual_keys": {"web": {"hashes": [{"sha256": "a"}]}}}"#;
    let added = insert(text, "/virtual_keys/web/hashes/1", &json!({"sha256": "b"})).unwrap();
    let ended = insert(&added, "/virtual_keys/web/hashes/0/not_after", &json!("2027-01-01T00:00:00Z")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&ended).unwrap_or_else(|error| panic!("{error}: {ended}"));
    assert_eq!(value["virtual_keys"]["web"]["hashes"], json!([{"sha256": "a", "not_after": "2027-01-01T00:00:00Z"}, {"sha256": "b"}]));
}
