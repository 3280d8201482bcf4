//! Whether a schema is one that OpenAI's formats take with `strict`: every object closed, and every property required. Others are refused
//! there. Not a validator of schemas.

use std::collections::BTreeSet;

use super::json::{Document, Json, Node};

/// Returns whether a schema may be sent as strict.
pub fn can_be_strict(schema: &Json<'_>) -> bool {
    Document::parse(schema.as_str().as_bytes()).is_ok_and(|document| is_closed(document.root()))
}

fn is_closed(schema: Node<'_, '_>) -> bool {
    let by_name = ["properties", "$defs", "definitions"].into_iter().filter_map(|name| schema.get(name)).flat_map(Node::members);
    let mut inner =
        by_name.map(|(_, value)| value).chain(schema.get("items")).chain(schema.get("anyOf").into_iter().flat_map(Node::elements));
    let properties = schema.get("properties");
    if properties.is_some() || schema.get("type").is_some_and(|kind| kind.is("object")) {
        let required: BTreeSet<_> = schema.get("required").into_iter().flat_map(Node::elements).filter_map(Node::text).collect();
        let mut names = properties.into_iter().flat_map(Node::members).filter_map(|(key, _)| key.text());
        let is_shut = schema.get("additionalProperties").and_then(Node::bool) == Some(false);
        if !is_shut || !names.all(|name| required.contains(&name)) {
            return false;
        }
    }
    inner.all(is_closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_closed_objects_with_every_property_required_are_strict() {
        for (schema, expected) in [
            (r#"{"type":"object","properties":{"type":{"type":"string"}},"required":["type"],"additionalProperties":false}"#, true),
            (r#"{"type":"object","properties":{"a":{"type":"string"}},"required":[],"additionalProperties":false}"#, false),
            (r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#, false),
            (r#"{"type":"array","items":{"anyOf":[{"type":"object"},{"type":"null"}]}}"#, false),
            (r#"{"type":"array","items":{"type":"string"}}"#, true),
        ] {
            assert_eq!(can_be_strict(&Json::new(schema)), expected, "{schema}");
        }
    }
}
