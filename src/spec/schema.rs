//! The JSON schema of the spec, derived from its types.
//!
//! It is what editors complete from and what the loader checks first, so it is made to give errors that say what was meant. Not
//! written by hand: schemars derives it from [`Spec`], and this module only rewrites what would make errors or editors worse.
//! Rule: the schema refuses at least what the types refuse.
//!
//! Two members of our own stand in it: `x-sensitive: true` where a value may be a secret and is never shown, and `x-hot: false`
//! where a change needs a restart.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::{Spec, TestFile};

/// Which dialect of JSON schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draft {
    /// 2020-12: what the loader uses.
    Latest,
    /// Draft-07: what editors know best. Means the same.
    Seven,
}

impl Draft {
    /// A name, not an address: nothing is fetched from anywhere.
    fn id(self, name: &str) -> String {
        match self {
            Self::Latest => format!("urn:bifrostctl:{name}:v1"),
            Self::Seven => format!("urn:bifrostctl:{name}:v1:draft-07"),
        }
    }

    fn settings(self) -> SchemaSettings {
        match self {
            Self::Latest => SchemaSettings::draft2020_12(),
            Self::Seven => SchemaSettings::draft07(),
        }
    }
}

/// Makes the schema of the whole spec. About a millisecond; keep the result.
pub fn schema(draft: Draft) -> Value {
    derived::<Spec>(draft, "gateway")
}

/// Makes the schema of files of tests.
pub fn test_schema(draft: Draft) -> Value {
    derived::<TestFile>(draft, "test")
}

fn derived<T: JsonSchema>(draft: Draft, name: &str) -> Value {
    let mut settings = draft.settings();
    // Before the dialect's own rewriting, which wraps every `$ref` that has siblings.
    settings.transforms.insert(0, Box::new(Shape));
    let derived = settings.into_generator().into_root_schema_for::<T>().to_value();
    let mut root = Map::new();
    if let Value::Object(mut members) = derived {
        root.extend(members.shift_remove_entry("$schema"));
        root.insert("$id".to_owned(), draft.id(name).into());
        root.extend(members);
    }
    Value::Object(root)
}

/// Rewrites a derived root schema.
#[derive(Clone)]
struct Shape;

impl Transform for Shape {
    fn transform(&mut self, root: &mut Schema) {
        reshape(root);
        let sensitive = sensitive_definitions(root);
        mark(&sensitive, root);
    }
}

/// Rewrites one schema, those inside it first.
fn reshape(schema: &mut Schema) {
    transform_subschemas(&mut reshape, schema);
    let Some(members) = schema.as_object_mut() else { return };
    forbid_null(members);
    drop_default(members);
    limit_integer(members);
    for keyword in ["oneOf", "anyOf"] {
        if let Some(Value::Array(branches)) = members.get(keyword)
            && let Some(choice) = choice(branches)
        {
            members.shift_remove(keyword);
            for (name, value) in choice {
                members.entry(name).or_insert(value);
            }
        }
    }
}

/// A written `null` is an unfinished line, not the default: `Option` in Rust means that the member may be absent.
fn forbid_null(members: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            members.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(branches)) = members.get_mut("anyOf") else { return };
    branches.retain(|branch| branch != &json!({"type": "null"}));
    if let [Value::Object(only)] = branches.as_slice() {
        let only = only.clone();
        members.shift_remove("anyOf");
        for (name, value) in only {
            members.entry(name).or_insert(value);
        }
    }
}

/// An empty map is no help as a default; the real ones stand in the descriptions.
fn drop_default(members: &mut Map<String, Value>) {
    if members.get("default").is_some_and(|value| value.is_null() || value.is_object() || value.is_array()) {
        members.shift_remove("default");
    }
}

/// Turns Rust's widths, which are no formats that a validator knows, into bounds.
fn limit_integer(members: &mut Map<String, Value>) {
    let most = match members.get("format").and_then(Value::as_str) {
        Some("uint16") => u32::from(u16::MAX),
        Some("uint32") => u32::MAX,
        _ => return,
    };
    members.shift_remove("format");
    members.entry("maximum").or_insert_with(|| most.into());
}

/// Rewrites alternatives so that an error names the branch that was meant, instead of "matches none of four schemas": words
/// become one `enum`, tags become the properties of one object, and `if` picks by the value's type.
///
/// Returns nothing where the alternatives are not of that kind.
fn choice(branches: &[Value]) -> Option<Map<String, Value>> {
    let (texts, objects): (Vec<&Value>, Vec<&Value>) = branches.iter().partition(|branch| is_text(branch));
    match (texts.as_slice(), objects.as_slice()) {
        ([], []) => None,
        (texts, []) => text_branch(texts),
        ([], objects) => object_branch(objects),
        (texts, objects) => {
            let (text, object) = (text_branch(texts)?, object_branch(objects)?);
            let by_type = json!({
                "type": ["string", "object"],
                "allOf": [
                    {"if": {"type": "string"}, "then": text},
                    {"if": {"type": "object"}, "then": object}
                ]
            });
            by_type.as_object().cloned()
        }
    }
}

fn is_text(branch: &Value) -> bool {
    branch.get("type").is_some_and(|name| name == "string") || branch.get("const").is_some_and(Value::is_string)
}

/// Joins words into an `enum`; any other single schema of a text stays as it is.
fn text_branch(branches: &[&Value]) -> Option<Map<String, Value>> {
    let words: Vec<&Value> = branches.iter().filter_map(|branch| branch.get("const")).collect();
    if words.len() == branches.len() {
        let descriptions: Vec<&str> = branches.iter().filter_map(|branch| branch.get("description")?.as_str()).collect();
        let mut members = Map::new();
        members.insert("type".to_owned(), "string".into());
        members.insert("enum".to_owned(), json!(words));
        if descriptions.len() == words.len() {
            members.insert("enumDescriptions".to_owned(), json!(descriptions));
        }
        return Some(members);
    }
    match branches {
        [only] => only.as_object().cloned(),
        _ => None,
    }
}

/// Joins `{tag: value}` objects into one object with exactly one of the tags; a single other object stays as it is.
fn object_branch(branches: &[&Value]) -> Option<Map<String, Value>> {
    if let [only] = branches
        && only.get("$ref").is_some()
    {
        return only.as_object().cloned();
    }
    let mut properties = Map::new();
    for branch in branches {
        let tag = branch.get("required")?.as_array().filter(|required| required.len() == 1)?.first()?.as_str()?;
        let mut value = branch.get("properties")?.get(tag)?.clone();
        if let (Some(value), Some(description)) = (value.as_object_mut(), branch.get("description")) {
            value.entry("description").or_insert_with(|| description.clone());
        }
        properties.insert(tag.to_owned(), value);
    }
    let joined = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1
    });
    joined.as_object().cloned()
}

/// Lists the references to definitions that are sensitive as a whole.
fn sensitive_definitions(root: &Schema) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["$defs", "definitions"] {
        for (name, definition) in root.get(folder).and_then(Value::as_object).into_iter().flatten() {
            if definition.get("x-sensitive") == Some(&Value::Bool(true)) {
                found.push(format!("#/{folder}/{name}"));
            }
        }
    }
    found
}

/// Repeats the mark wherever a sensitive definition is used, for readers that do not follow references.
fn mark(sensitive: &[String], schema: &mut Schema) {
    transform_subschemas(&mut |inner: &mut Schema| mark(sensitive, inner), schema);
    let reference = schema.get("$ref").and_then(Value::as_str);
    if reference.is_some_and(|reference| sensitive.iter().any(|known| known == reference)) {
        schema.insert("x-sensitive".to_owned(), true.into());
    }
}
