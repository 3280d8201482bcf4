//! Values as they stand in the files: `${env:NAME}` and not what it stands for.
//!
//! Rule: what is shown or compared in review holds no value of the environment, so that it is the same on every machine and can be
//! shown to everybody.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::findings::pointer;
use crate::plan::diff::{Action, Change, Diff, Impact, RESTART_ONLY, Risk};
use crate::spec::{Loaded, Location};

/// Finds every value that holds an interpolation, by its pointer in the spec, with its text.
pub(crate) fn interpolated(loaded: &Loaded) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (pointer, _) in leaves(&loaded.value) {
        let Some(text) = loaded.spans.own(&pointer).and_then(|location| text_at(loaded, location)) else { continue };
        if text.contains("${") {
            found.insert(pointer, text);
        }
    }
    found
}

/// Returns a scalar's text without its quotes.
fn text_at(loaded: &Loaded, location: Location) -> Option<String> {
    let written = loaded.sources.0.get(location.file)?.text.get(location.start..location.end)?;
    match serde_yaml::from_str::<Value>(written) {
        Ok(Value::String(text)) => Some(text),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) | Err(_) => Some(written.to_owned()),
    }
}

/// Lists the leaves of a value with their pointers, in order. Empty lists and maps are leaves.
pub(crate) fn leaves(value: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    collect(value, String::new(), &mut found);
    found
}

fn collect<'v>(value: &'v Value, at: String, found: &mut Vec<(String, &'v Value)>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                collect(member, format!("{at}{}", pointer(&[name])), found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                collect(item, format!("{at}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => found.push((at, value)),
    }
}

/// Writes a pointer as people do: `models.fast.targets[0]`.
pub(crate) fn dotted(pointer: &str) -> String {
    let mut out = String::new();
    for member in pointer.split('/').skip(1).map(|member| member.replace("~1", "/").replace("~0", "~")) {
        if !out.is_empty() && member.bytes().all(|byte| byte.is_ascii_digit()) {
            out.push_str(&format!("[{member}]"));
        } else {
            out.push_str(if out.is_empty() { "" } else { "." });
            out.push_str(&member);
        }
    }
    out
}

/// Adds the changes that only the text shows: another variable, another default, where the field takes no text.
pub(crate) fn compare(base: &Loaded, new: &Loaded, diff: &mut Diff) {
    let (before, after) = (interpolated(base), interpolated(new));
    let told: Vec<String> = diff.changes.iter().map(Change::spec_pointer).collect();
    let is_told = |pointer: &str| told.iter().any(|told| covers(told, pointer) || covers(pointer, told));
    let pointers: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for pointer in pointers {
        let (old, new_text) = (shown(base, &before, pointer), shown(new, &after, pointer));
        if old == new_text || old.is_none() || new_text.is_none() || is_told(pointer) {
            continue;
        }
        let restart = RESTART_ONLY.iter().any(|fixed| covers(fixed, pointer));
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        diff.changes.push(Change {
            pointer: pointer.clone(),
            path: dotted(pointer),
            action: Action::Changed,
            summary: format!("{} → {}", text(&old), text(&new_text)),
            before: old.map(Value::String),
            after: new_text.map(Value::String),
            impact: if restart { Impact::NeedsRestart } else { Impact::Live },
            risk: Risk::Medium,
            reason: Some("what it becomes depends on the gateway's environment".to_owned()),
        });
    }
}

/// Returns whether `inner` is the place `outer` or lies in it.
fn covers(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn shown(loaded: &Loaded, interpolated: &BTreeMap<String, String>, pointer: &str) -> Option<String> {
    match interpolated.get(pointer) {
        Some(text) => Some(text.clone()),
        None => match loaded.value.pointer(pointer)? {
            Value::String(text) => Some(text.clone()),
            value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Some(value.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn leaves_have_pointers_that_find_them_again() {
        let value = json!({"a": {"b/c": [1, {"d~": null}], "e": []}, "f": {}});
        let leaves = leaves(&value);
        let pointers: Vec<&str> = leaves.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/a/b~1c/0", "/a/b~1c/1/d~0", "/a/e", "/f"]);
        assert!(leaves.iter().all(|(pointer, leaf)| value.pointer(pointer) == Some(*leaf)));
        assert_eq!(dotted("/a/b~1c/1/d~0"), "a.b/c[1].d~");
    }

    #[test]
    fn a_place_covers_itself_and_what_is_inside() {
        assert!(covers("/a/b", "/a/b") && covers("/a/b", "/a/b/c") && covers("", "/a"));
        assert!(!covers("/a/b", "/a/bc") && !covers("/a/b", "/a"));
    }
}
