//! The reference part of `docs/spec.md`, written from the schema.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use bifrostctl::spec::{Draft, schema};
use serde_json::{Map, Value};

#[test]
fn every_definition_has_a_section_and_every_link_leads_to_one() {
    let text = reference();
    let titles: BTreeSet<String> = text.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_lowercase).collect();
    let defined = schema(Draft::Latest)["$defs"].as_object().unwrap().len();
    assert_eq!(titles.len(), defined + 1, "the root and each definition once");
    for link in text.split("](#").skip(1) {
        let anchor = link.split(')').next().unwrap();
        assert!(titles.contains(anchor), "{anchor}");
    }
}

/// Writes a section for the whole file and one for each definition, in the order in which they are first mentioned.
pub(crate) fn reference() -> String {
    reference_of(&schema(Draft::Latest))
}

/// Writes a section for a whole file and one for each definition of its schema.
pub(crate) fn reference_of(root: &Value) -> String {
    let definitions = root["$defs"].as_object().unwrap();
    let mut out = String::new();
    section(&mut out, "File", root);
    let mut waiting: Vec<String> = references(&without_definitions(root));
    let mut seen = BTreeSet::new();
    while !waiting.is_empty() {
        let name = waiting.remove(0);
        if seen.insert(name.clone()) {
            section(&mut out, &name, &definitions[&name]);
            // Depth first, so that a field's type stands near it.
            let inner = references(&definitions[&name]);
            waiting.splice(0..0, inner);
        }
    }
    out
}

fn without_definitions(root: &Value) -> Value {
    let mut root = root.clone();
    root.as_object_mut().unwrap().remove("$defs");
    root
}

/// Lists the definitions that a schema mentions, in order.
fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(target) if name == "$ref" => vec![definition(target).to_owned()],
                inner => references(inner),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn definition(target: &str) -> &str {
    target.strip_prefix("#/$defs/").unwrap()
}

fn section(out: &mut String, title: &str, schema: &Value) {
    let _ = write!(out, "\n## {title}\n\n{}\n", text(schema, "description"));
    for (at, form) in forms(schema).into_iter().enumerate() {
        if let Some(properties) = form.get("properties").and_then(Value::as_object) {
            if form.get("maxProperties") == Some(&Value::from(1)) {
                out.push_str(if at == 0 { "\nA map with exactly one of:\n" } else { "\nOr a map with exactly one of:\n" });
            }
            table(out, properties, form);
        } else if let Some(words) = form.get("enum").and_then(Value::as_array) {
            let about = form.get("enumDescriptions").and_then(Value::as_array);
            out.push('\n');
            for (at, word) in words.iter().enumerate() {
                let about = about.and_then(|about| about[at].as_str()).unwrap_or_default();
                let _ = writeln!(out, "- `{}`: {about}", word.as_str().unwrap());
            }
        } else if let Some(pattern) = form.get("pattern").and_then(Value::as_str) {
            let about = form.get("description").filter(|about| Some(*about) != schema.get("description"));
            let about = about.and_then(Value::as_str).map(|about| format!("{about} ")).unwrap_or_default();
            let _ = write!(out, "\n{about}As a regular expression: `{pattern}`\n");
        } else if let Some(target) = form.get("$ref").and_then(Value::as_str) {
            let name = definition(target);
            let _ = write!(out, "\nOr a map: [{name}](#{}).\n", name.to_lowercase());
        }
    }
}

/// Returns the forms that a value may have: one, or a text and a map.
fn forms(schema: &Value) -> Vec<&Value> {
    match schema.get("allOf").and_then(Value::as_array) {
        Some(branches) => branches.iter().map(|branch| &branch["then"]).collect(),
        None => vec![schema],
    }
}

fn table(out: &mut String, properties: &Map<String, Value>, schema: &Value) {
    let required: Vec<&str> = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    out.push_str("\n| field | value | |\n|---|---|---|\n");
    for (name, field) in properties {
        let mut notes = Vec::new();
        if required.contains(&name.as_str()) {
            notes.push("*Required.* ".to_owned());
        }
        notes.push(text(field, "description").replace('|', "\\|").replace('\n', " "));
        if field.get("x-hot") == Some(&Value::Bool(false)) {
            notes.push(" *Restart.*".to_owned());
        }
        let _ = writeln!(out, "| `{name}` | {} | {} |", kind(field), notes.concat());
    }
}

fn text<'a>(schema: &'a Value, member: &str) -> &'a str {
    schema.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// Says in a few words what a value is.
fn kind(schema: &Value) -> String {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let name = definition(target);
        return format!("[{name}](#{})", name.to_lowercase());
    }
    let range = match (schema.get("minimum"), schema.get("maximum")) {
        (Some(least), Some(most)) if most != &Value::from(u32::MAX) => format!(", {least} to {most}"),
        (Some(least), _) if least != &Value::from(0) => format!(", at least {least}"),
        _ => String::new(),
    };
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => format!("list of {}", kind(&schema["items"])),
        Some("object") => format!("map of name to {}", kind(&schema["additionalProperties"])),
        Some("integer") => match schema.get("const") {
            Some(only) => format!("`{only}`"),
            None => format!("integer{range}"),
        },
        Some("string") => "text".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some(other) => other.to_owned(),
        None => "any JSON".to_owned(),
    }
}
