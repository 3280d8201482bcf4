//! The schema as the loader walks it: what may stand at a place, beside the validator that judges the whole.

use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Map, Value};

use crate::spec::{Draft, schema, test_schema};

type Members = Map<String, Value>;

/// The schema of this build, and its validator.
pub(super) struct Shape {
    root: Value,
    validator: Option<Validator>,
    /// What the whole is called in messages.
    pub(super) whole: &'static str,
}

/// Returns the schema of the spec, made once.
pub(super) fn shape() -> &'static Shape {
    static SHAPE: OnceLock<Shape> = OnceLock::new();
    SHAPE.get_or_init(|| Shape::new(schema(Draft::Latest), "the spec"))
}

/// Returns the schema of files of tests, made once.
pub(super) fn test_shape() -> &'static Shape {
    static SHAPE: OnceLock<Shape> = OnceLock::new();
    SHAPE.get_or_init(|| Shape::new(test_schema(Draft::Latest), "the file"))
}

impl Shape {
    fn new(root: Value, whole: &'static str) -> Self {
        let validator = jsonschema::validator_for(&root).ok();
        Self { root, validator, whole }
    }

    /// Returns the validator; nothing when this build's schema is not one, which a test rules out.
    pub(super) const fn validator(&self) -> Option<&Validator> {
        self.validator.as_ref()
    }

    /// Returns what may stand at the top.
    pub(super) fn top(&self) -> Spot<'_> {
        Spot::new(self, &[&self.root], false)
    }

    /// Returns what may stand at `pointer`.
    pub(super) fn at(&self, pointer: &str) -> Spot<'_> {
        super::node::members(pointer).fold(self.top(), |spot, member| spot.member(&member))
    }
}

/// What may stand at one place: every schema that speaks about it.
#[derive(Clone)]
pub(super) struct Spot<'s> {
    shape: &'s Shape,
    schemas: Vec<&'s Members>,
    /// The definition that the place refers to.
    name: Option<&'s str>,
    sensitive: bool,
}

impl<'s> Spot<'s> {
    fn new(shape: &'s Shape, roots: &[&'s Value], sensitive: bool) -> Self {
        let mut spot = Self { shape, schemas: Vec::new(), name: None, sensitive };
        for root in roots {
            spot.gather(root);
        }
        spot.sensitive |= spot.schemas.iter().any(|schema| schema.get("x-sensitive") == Some(&Value::Bool(true)));
        spot
    }

    /// Adds a schema and those it is made of. Definitions of ours do not refer to themselves without a member in between.
    fn gather(&mut self, schema: &'s Value) {
        let Some(members) = schema.as_object() else { return };
        self.schemas.push(members);
        if let Some(reference) = members.get("$ref").and_then(Value::as_str)
            && let Some(pointer) = reference.strip_prefix('#')
            && let Some(target) = self.shape.root.pointer(pointer)
        {
            self.name = pointer.rsplit('/').next().or(self.name);
            self.gather(target);
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for branch in members.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                self.gather(branch);
            }
        }
        for keyword in ["then", "else"] {
            if let Some(branch) = members.get(keyword) {
                self.gather(branch);
            }
        }
    }

    /// Returns what may stand in a member, or in an item of a list.
    pub(super) fn member(&self, name: &str) -> Self {
        let mut found = Vec::new();
        for schema in &self.schemas {
            let property = schema.get("properties").and_then(|properties| properties.get(name));
            let inner = property.or_else(|| schema.get("additionalProperties"));
            found.extend(inner.filter(|inner| inner.is_object()));
            if name.bytes().all(|byte| byte.is_ascii_digit()) {
                found.extend(schema.get("items"));
            }
        }
        Self::new(self.shape, &found, self.sensitive)
    }

    /// Whether a secret may stand here.
    pub(super) const fn is_sensitive(&self) -> bool {
        self.sensitive
    }

    /// Whether a map belongs here that holds a secret, such as a credential, or a map of such.
    pub(super) fn holds_secrets(&self) -> bool {
        let holds = |spot: &Self| spot.fields().into_iter().any(|field| spot.member(field).is_sensitive());
        holds(self) || (self.is_named() && holds(&self.member("")))
    }

    /// Whether nothing is said about the place: it takes anything.
    pub(super) fn is_free(&self) -> bool {
        self.schemas.iter().all(|schema| !["type", "enum", "const"].iter().any(|keyword| schema.contains_key(*keyword)))
    }

    pub(super) fn takes(&self, kind: &str) -> bool {
        self.types().any(|known| known == kind)
    }

    /// Whether a map here says by its one key which of several kinds is meant.
    pub(super) fn is_choice(&self) -> bool {
        self.schemas.iter().any(|schema| schema.get("maxProperties") == Some(&Value::from(1)) && schema.contains_key("properties"))
    }

    /// Whether a map here is keyed by names that the user chooses.
    pub(super) fn is_named(&self) -> bool {
        self.schemas
            .iter()
            .any(|schema| !schema.contains_key("properties") && schema.get("additionalProperties").is_some_and(Value::is_object))
    }

    /// Lists the fields that a map here may have.
    pub(super) fn fields(&self) -> Vec<&'s str> {
        let maps = self.schemas.iter().filter_map(|schema| schema.get("properties").and_then(Value::as_object));
        maps.flat_map(|properties| properties.keys().map(String::as_str)).collect()
    }

    /// Lists the words that may stand here.
    pub(super) fn words(&self) -> Vec<&'s str> {
        let mut words: Vec<&'s str> = Vec::new();
        for schema in &self.schemas {
            words.extend(schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str));
            words.extend(schema.get("const").and_then(Value::as_str));
        }
        words
    }

    /// Returns the name of the definition that the place refers to, such as `Duration`.
    pub(super) const fn name(&self) -> Option<&'s str> {
        self.name
    }

    /// Returns what the place is for.
    pub(super) fn description(&self) -> Option<&'s str> {
        self.schemas.iter().find_map(|schema| schema.get("description")?.as_str())
    }

    /// Returns the description of the form that `pattern` checks.
    pub(super) fn description_of(&self, pattern: &str) -> Option<&'s str> {
        let own = self.schemas.iter().filter(|schema| schema.get("pattern").is_some_and(|known| known == pattern));
        own.chain(&self.schemas).find_map(|schema| schema.get("description")?.as_str())
    }

    /// Says what may stand here.
    pub(super) fn expected(&self) -> String {
        match self.name {
            Some("Duration") => return "a duration such as `30s`".to_owned(),
            Some("Size") => return "a size such as `32MiB`".to_owned(),
            _ => {}
        }
        let words = self.words();
        let mut parts: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        for kind in self.types() {
            let part = match kind {
                "string" if !words.is_empty() => continue,
                "object" if self.is_choice() => {
                    for field in self.fields() {
                        say(&mut parts, format!("`{{{field}: …}}`"));
                    }
                    continue;
                }
                "string" => "a text",
                "integer" => "a whole number",
                "number" => "a number",
                "boolean" => "`true` or `false`",
                "array" => "a list",
                "object" => "a map",
                _ => continue,
            };
            say(&mut parts, part.to_owned());
        }
        match parts.split_last() {
            None => "something else".to_owned(),
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
        }
    }

    fn types(&self) -> impl Iterator<Item = &'s str> + '_ {
        self.schemas.iter().flat_map(|schema| types_of(schema))
    }

    /// Returns a value that fits here, for a leaf whose own is not known: `text` itself if it fits.
    pub(super) fn stand_in(&self, text: &str) -> Option<Value> {
        if self.is_free() {
            return Some(text.into());
        }
        let mut candidates: Vec<Value> = vec![text.into(), 1.into(), false.into()];
        for schema in &self.schemas {
            candidates.extend(schema.get("const").cloned());
            candidates.extend(schema.get("minimum").cloned());
            candidates.extend(schema.get("enum").and_then(Value::as_array).into_iter().flatten().cloned());
        }
        let digest = "0".repeat(64);
        candidates.extend(["1s", "1B", "a/b", "unix:a", "a", digest.as_str()].map(Value::from));
        candidates.into_iter().find(|candidate| self.fits(candidate))
    }

    /// Whether a leaf satisfies every schema that speaks about values of its kind.
    fn fits(&self, leaf: &Value) -> bool {
        let kinds: &[&str] = match leaf {
            Value::String(_) => &["string"],
            Value::Number(_) => &["integer", "number"],
            Value::Bool(_) => &["boolean"],
            Value::Null | Value::Array(_) | Value::Object(_) => &[],
        };
        let mut speaks = self.schemas.iter().filter(|schema| types_of(schema).any(|known| kinds.contains(&known))).peekable();
        let valid = |schema: &&Members| jsonschema::validator_for(&bare(schema)).is_ok_and(|validator| validator.is_valid(leaf));
        speaks.peek().is_some() && speaks.all(valid)
    }
}

fn types_of(schema: &Members) -> impl Iterator<Item = &str> {
    let (one, several) = match schema.get("type") {
        Some(Value::String(name)) => (Some(name.as_str()), [].as_slice()),
        Some(Value::Array(names)) => (None, names.as_slice()),
        Some(_) | None => (None, [].as_slice()),
    };
    one.into_iter().chain(several.iter().filter_map(Value::as_str))
}

fn say(parts: &mut Vec<String>, part: String) {
    if !parts.contains(&part) {
        parts.push(part);
    }
}

/// A schema by itself, without what refers to definitions elsewhere.
fn bare(schema: &Members) -> Value {
    let kept = ["type", "enum", "const", "minimum", "maximum", "minLength", "maxLength", "pattern"];
    Value::Object(
        schema.iter().filter(|(name, _)| kept.contains(&name.as_str())).map(|(name, value)| (name.clone(), value.clone())).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_of_this_build_is_one() {
        assert!(shape().validator().is_some());
    }

    #[test]
    fn the_walk_knows_what_stands_where() {
        let secret = shape().at("/providers/openai/credentials/default/secret");
        assert!(secret.is_sensitive() && secret.is_choice() && !secret.is_free());
        assert!(shape().at("/providers/openai/credentials/default/secret/env").is_sensitive());
        assert!(shape().top().member("providers").is_named());
        assert!(!shape().top().member("gateway").is_named());
        assert!(shape().at("/models/fast/defaults/temperature").is_free());
        assert_eq!(shape().at("/gateway/drain").expected(), "a duration such as `30s`");
        assert_eq!(shape().at("/gateway/auth").expected(), "`required`, `optional` or `off`");
        assert_eq!(shape().at("/rules").expected(), "a list");
        assert_eq!(shape().at("/models/fast/targets/0").expected(), "a text or a map");
        assert_eq!(shape().at("/gateway/limits/in_flight").expected(), "a whole number");
        assert_eq!(shape().at("/providers/x/auth").expected(), "`bearer`, `none` or `{header: …}`");
    }

    #[test]
    fn a_stand_in_fits_its_place() {
        for pointer in [
            "/gateway/drain",
            "/gateway/limits/body",
            "/gateway/auth",
            "/gateway/limits/in_flight",
            "/models/m/targets/0",
            "/version",
            "/rules/0/deny/status",
        ] {
            let spot = shape().at(pointer);
            assert!(spot.stand_in("${env:X}").is_some_and(|value| value != "${env:X}"), "{pointer}");
        }
        assert_eq!(shape().at("/providers/x/base_url").stand_in("${env:X}"), Some("${env:X}".into()));
    }
}
