//! Values that fit a JSON schema, for tool arguments and structured outputs.

use serde_json::{Map, Value, json};

/// Deeper schemas, recursive ones among them, end in null.
const DEPTH: usize = 16;

/// Makes a value that fits a schema as far as types, enums and required members go; strings are `text`.
pub(super) fn fit(schema: &Value, text: &str) -> Value {
    Sampler { root: schema, text }.value(schema, DEPTH)
}

struct Sampler<'s> {
    /// What references lead into.
    root: &'s Value,
    text: &'s str,
}

impl Sampler<'_> {
    fn value(&self, schema: &Value, depth: usize) -> Value {
        if depth == 0 {
            return Value::Null;
        }
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        if let Some(target) = target.and_then(|pointer| self.root.pointer(pointer)) {
            return self.value(target, depth - 1);
        }
        if let Some(constant) = schema.get("const").or_else(|| schema.get("enum").and_then(|choices| choices.get(0))) {
            return constant.clone();
        }
        for any in ["anyOf", "oneOf", "allOf"] {
            if let Some(first) = schema.get(any).and_then(|choices| choices.get(0)) {
                return self.value(first, depth - 1);
            }
        }
        let kind = schema.get("type").and_then(|kind| kind.as_str().or_else(|| kind.get(0).and_then(Value::as_str)));
        match kind {
            Some("string") => Value::from(self.text),
            Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
            Some("boolean") => json!(true),
            Some("null") => Value::Null,
            Some("array") => {
                let count = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(16);
                let item = self.value(schema.get("items").unwrap_or(&Value::Null), depth - 1);
                (0..count).map(|_| item.clone()).collect()
            }
            _ => self.object(schema, depth),
        }
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| required.is_none_or(|names| names.iter().any(|have| have == name));
        let properties = schema.get("properties").and_then(Value::as_object);
        let members = properties.into_iter().flatten().filter(|(name, _)| is_required(name));
        Value::Object(members.map(|(name, schema)| (name.clone(), self.value(schema, depth - 1))).collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_fits_its_schema() {
        let schema = json!({"type": "object", "required": ["city", "unit", "days", "tags", "deep"], "properties": {
            "city": {"type": "string"}, "unit": {"enum": ["celsius", "f"]}, "days": {"type": "integer", "minimum": 3},
            "tags": {"type": "array", "minItems": 1, "items": {"type": ["string", "null"]}}, "skipped": {"type": "string"},
            "deep": {"anyOf": [{"type": "object", "properties": {"on": {"type": "boolean"}}}]}}});
        let sample = fit(&schema, "mock");
        assert_eq!(sample, json!({"city": "mock", "unit": "celsius", "days": 3, "tags": ["mock"], "deep": {"on": true}}));
        assert!(jsonschema::is_valid(&schema, &sample));
        assert_eq!(fit(&Value::Null, "x"), json!({}));
    }

    #[test]
    fn references_are_followed_and_circles_end() {
        let schema = json!({"$defs": {"place": {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["town"]}}},
            "chain": {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/$defs/chain"}}}},
            "type": "object", "required": ["place", "none"], "properties": {"place": {"$ref": "#/$defs/place"},
            "none": {"$ref": "#/$defs/missing", "type": "string"}, "chain": {"$ref": "#/$defs/chain"}}});
        assert_eq!(fit(&schema, "mock"), json!({"place": {"kind": "town"}, "none": "mock"}));
        let chain = json!({"$ref": "#/$defs/chain", "$defs": {"chain": {"properties": {"next": {"$ref": "#/$defs/chain"}}}}});
        assert!(fit(&chain, "mock").to_string().contains("null}}}"));
    }
}
