//! RFC 6902: the operations that turn one JSON value into another.
//!
//! Not minimal: lists are compared between their common ends, which is short for the edits that people make.

use serde_json::{Value, json};

use super::changes::same;
use super::place::Place;

/// Returns the operations, in the order in which they apply.
pub(super) fn patch(base: &Value, new: &Value) -> Value {
    let mut operations = Vec::new();
    let root = Place { pointer: String::new(), path: String::new() };
    compare(&root, base, new, &mut operations);
    Value::Array(operations)
}

fn compare(place: &Place, base: &Value, new: &Value, out: &mut Vec<Value>) {
    match (base, new) {
        (Value::Object(base), Value::Object(new)) => {
            for (name, _) in base.iter().filter(|(name, _)| !new.contains_key(*name)) {
                out.push(json!({"op": "remove", "path": place.member(name).pointer}));
            }
            for (name, value) in new {
                let place = place.member(name);
                match base.get(name) {
                    Some(before) => compare(&place, before, value, out),
                    None => out.push(json!({"op": "add", "path": place.pointer, "value": value})),
                }
            }
        }
        (Value::Array(base), Value::Array(new)) => list(place, base, new, out),
        (base, new) if same(base, new) => {}
        (_, new) => out.push(json!({"op": "replace", "path": place.pointer, "value": new})),
    }
}

fn list(place: &Place, base: &[Value], new: &[Value], out: &mut Vec<Value>) {
    let head = base.iter().zip(new).take_while(|(a, b)| same(a, b)).count();
    let (base, new) = (base.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
    let tail = base.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| same(a, b)).count();
    let base = base.get(..base.len() - tail).unwrap_or_default();
    let new = new.get(..new.len() - tail).unwrap_or_default();
    for (index, (before, after)) in base.iter().zip(new).enumerate() {
        compare(&place.item(head + index, ""), before, after, out);
    }
    // From the back, so that indexes stay right.
    for index in (new.len()..base.len()).rev() {
        out.push(json!({"op": "remove", "path": place.item(head + index, "").pointer}));
    }
    for (index, value) in new.iter().enumerate().skip(base.len()) {
        out.push(json!({"op": "add", "path": place.item(head + index, "").pointer, "value": value}));
    }
}
