//! Schemas. What this API calls `Schema` is a part of OpenAPI's, in words of its own (`OBJECT`, `nullable`); everybody else reads JSON
//! schema, and so do the `…JsonSchema` members of this API, which are what is written.

use std::collections::BTreeMap;

use crate::wire::json::{Json, Kind, Node, Writer};

/// Turns a `Schema` into JSON schema. What is JSON schema already stays as it is.
pub(super) fn to_json_schema<'a>(node: Node<'_, 'a>) -> Json<'a> {
    if is_json_schema(node) {
        return node.json();
    }
    let mut out = Vec::with_capacity(node.raw().len());
    schema(node, &mut Writer::new(&mut out));
    Json::new(String::from_utf8(out).unwrap_or_default())
}

/// Keywords in the spelling of the API's own definition, and as everybody else has them.
const SNAKE: [(&str, &str); 9] = [
    ("any_of", "anyOf"),
    ("min_items", "minItems"),
    ("max_items", "maxItems"),
    ("min_length", "minLength"),
    ("max_length", "maxLength"),
    ("min_properties", "minProperties"),
    ("max_properties", "maxProperties"),
    ("property_ordering", "propertyOrdering"),
    ("additional_properties", "additionalProperties"),
];

/// Returns whether nothing of a schema is in this API's words, here or further inside.
fn is_json_schema(node: Node<'_, '_>) -> bool {
    node.members().all(|(key, value)| {
        let name = key.text().unwrap_or_default();
        let is_snake = SNAKE.iter().any(|(snake, _)| *snake == name);
        let is_ours = is_snake || matches!(&*name, "nullable" | "propertyOrdering" | "example" | "defs" | "ref");
        let has_upper = || value.text().is_some_and(|word| word.bytes().any(|byte| byte.is_ascii_uppercase()));
        let is_bound = || is_count(&name) && value.kind() == Kind::Text;
        if is_ours || (name == "type" && has_upper()) || is_bound() {
            return false;
        }
        match &*name {
            "properties" => value.members().all(|(_, inner)| is_json_schema(inner)),
            "anyOf" => value.elements().all(is_json_schema),
            "items" => is_json_schema(value),
            _ => true,
        }
    })
}

/// Returns whether a keyword's value is a whole number, which this API may write as a string.
fn is_count(name: &str) -> bool {
    matches!(name, "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties")
}

fn schema(node: Node<'_, '_>, writer: &mut Writer<'_>) {
    if node.kind() != Kind::Object {
        return writer.json(&node.json());
    }
    let is_nullable = node.get("nullable").and_then(Node::bool).unwrap_or_default();
    let order = node.get("propertyOrdering").or_else(|| node.get("property_ordering"));
    writer.begin_object();
    for (key, value) in node.members() {
        let name = key.text().unwrap_or_default();
        match camel(&name) {
            "nullable" | "propertyOrdering" => {}
            "type" => kind(value, is_nullable, writer),
            name @ ("items" | "additionalProperties") => schema(value, writer.key(name)),
            "anyOf" => any_of(value, is_nullable, writer),
            "properties" => properties(value, order, writer),
            "defs" | "$defs" => by_name("$defs", value, writer),
            "ref" => writer.key("$ref").text(&value.text().unwrap_or_default().replace("#/defs/", "#/$defs/")),
            "example" => {
                writer.array("examples");
                writer.json(&value.json());
                writer.end_array();
            }
            // A list of words that leaves out null would forbid what `nullable` allows.
            "enum" if is_nullable => {
                writer.array("enum");
                value.elements().for_each(|word| writer.json(&word.json()));
                writer.null();
                writer.end_array();
            }
            name if is_count(name) => match value.text().and_then(|text| text.parse().ok()) {
                Some(count) => writer.key(name).count(count),
                None => writer.key(name).json(&value.json()),
            },
            name => writer.key(name).json(&value.json()),
        }
    }
    writer.end_object();
}

fn kind(value: Node<'_, '_>, is_nullable: bool, writer: &mut Writer<'_>) {
    let Some(word) = value.text() else { return writer.key("type").json(&value.json()) };
    let word = word.to_ascii_lowercase();
    if word == "type_unspecified" {
        return;
    }
    if is_nullable {
        writer.array("type");
        writer.text(&word);
        writer.text("null");
        writer.end_array();
    } else {
        writer.key("type").text(&word);
    }
}

fn any_of(value: Node<'_, '_>, is_nullable: bool, writer: &mut Writer<'_>) {
    writer.array("anyOf");
    value.elements().for_each(|option| schema(option, writer));
    if is_nullable {
        writer.raw(r#"{"type":"null"}"#);
    }
    writer.end_array();
}

/// Writes properties in the order that is asked for: elsewhere, the order in which they stand is the order.
fn properties(value: Node<'_, '_>, order: Option<Node<'_, '_>>, writer: &mut Writer<'_>) {
    let order = order.into_iter().flat_map(Node::elements).filter_map(Node::text).enumerate();
    let places: BTreeMap<_, _> = order.map(|(place, name)| (name, place)).collect();
    let mut members: Vec<_> = value.members().collect();
    members.sort_by_key(|(key, _)| places.get(&key.text().unwrap_or_default()).copied().unwrap_or(usize::MAX));
    writer.object("properties");
    for (key, inner) in members {
        schema(inner, writer.key(&key.text().unwrap_or_default()));
    }
    writer.end_object();
}

fn by_name(name: &str, value: Node<'_, '_>, writer: &mut Writer<'_>) {
    writer.object(name);
    for (key, inner) in value.members() {
        schema(inner, writer.key(&key.text().unwrap_or_default()));
    }
    writer.end_object();
}

/// Spells a keyword as everybody else does.
fn camel(name: &str) -> &str {
    SNAKE.into_iter().find(|(snake, _)| *snake == name).map_or(name, |(_, camel)| camel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Document;

    fn converted(text: &str) -> String {
        let document = Document::parse(text.as_bytes()).unwrap();
        to_json_schema(document.root()).into_text().into_owned()
    }

    #[test]
    fn the_words_of_this_api_become_json_schema_at_every_depth() {
        let ours = r#"{"type":"OBJECT","properties":{"b":{"type":"STRING","nullable":true,"enum":["X"]},"a":{"type":"ARRAY","min_items":"2","items":{"anyOf":[{"type":"INTEGER"}],"nullable":true}},"type":{"type":"NUMBER","example":1.10}},"property_ordering":["a","b"],"required":["a"]}"#;
        let theirs = r#"{"type":"object","properties":{"a":{"type":"array","minItems":2,"items":{"anyOf":[{"type":"integer"},{"type":"null"}]}},"b":{"type":["string","null"],"enum":["X",null]},"type":{"type":"number","examples":[1.10]}},"required":["a"]}"#;
        assert_eq!(converted(ours), theirs);
    }

    #[test]
    fn references_are_spelt_as_json_schema_has_them() {
        let ours = r##"{"defs":{"N":{"type":"STRING"}},"items":{"ref":"#/defs/N"}}"##;
        assert_eq!(converted(ours), r##"{"$defs":{"N":{"type":"string"}},"items":{"$ref":"#/$defs/N"}}"##);
    }

    #[test]
    fn json_schema_keeps_its_bytes() {
        let text = r#"{ "type":"object", "properties": {"nullable":{"type":"string","enum":["A"]}}, "additionalProperties": false }"#;
        assert_eq!(converted(text), text);
    }
}
