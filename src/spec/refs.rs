//! References as the spec writes them: to secrets, to targets, to links of a fallback chain.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::balance::TrafficShare;

/// Where a secret is kept. The secret itself never stands in the spec.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretRef {
    /// An environment variable of the gateway process.
    Env(String),
    /// A file; one trailing newline is trimmed; re-read on change.
    File(String),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Cred(String),
    /// No secret.
    None,
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env {name}"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Cred(name) => write!(f, "credential {name}"),
            Self::None => f.write_str("none"),
        }
    }
}

impl JsonSchema for SecretRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where a secret is kept; never the secret itself.",
            "x-sensitive": true,
            "oneOf": [
                {"const": "none", "description": "No secret."},
                {"type": "object", "properties": {"env": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
                    "description": "An environment variable of the gateway process."}}, "required": ["env"], "additionalProperties": false},
                {"type": "object", "properties": {"file": {"type": "string", "minLength": 1,
                    "description": "A file; one trailing newline is trimmed; re-read on change."}}, "required": ["file"], "additionalProperties": false},
                {"type": "object", "properties": {"cred": {"type": "string", "pattern": "^[A-Za-z0-9_.-]+$",
                    "description": "A systemd credential."}}, "required": ["cred"], "additionalProperties": false}
            ]
        })
    }
}

/// An upstream model: `provider/model`, or the long form with a weight or a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRef {
    /// The provider's name.
    pub provider: String,
    /// The model's name as the provider knows it; may hold slashes.
    pub model: String,
    /// Share of the traffic among the alias's targets; 1 when absent.
    pub weight: Option<u32>,
    /// A fixed share of the traffic, in place of a weight.
    pub share: Option<TrafficShare>,
}

/// The long form of a target.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LongTarget {
    /// The provider's name.
    provider: String,
    /// The model's name as the provider knows it.
    model: String,
    /// Share of the traffic among the alias's targets. Default: 1.
    #[schemars(range(max = 1_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
    /// In place of a weight: so much of the traffic tries this target first, whatever the balance among the others. For a new model or
    /// provider that is to be tried on a part of the requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<TrafficShare>,
}

impl FromStr for TargetRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
                Ok(Self { provider: provider.to_owned(), model: model.to_owned(), weight: None, share: None })
            }
            _ => Err("expected `provider/model`"),
        }
    }
}

impl fmt::Display for TargetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl Serialize for TargetRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.weight, self.share) {
            (None, None) => serializer.collect_str(self),
            (weight, share) => {
                LongTarget { provider: self.provider.clone(), model: self.model.clone(), weight, share }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for TargetRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = TargetRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`provider/model` or {provider, model, weight, share}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TargetRef, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<TargetRef, A::Error> {
                let long = LongTarget::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(TargetRef { provider: long.provider, model: long.model, weight: long.weight, share: long.share })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for TargetRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<LongTarget>();
        json_schema!({
            "description": "An upstream model: `provider/model`, or {provider, model, weight, share}.",
            "oneOf": [{"type": "string", "pattern": "^[^/]+/[\\s\\S]+$"}, long]
        })
    }
}

/// A link of a fallback chain: an alias, or `provider/model`.
///
/// Names of aliases hold no slash, so the two cannot be mistaken for each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FallbackRef {
    /// An alias of this spec.
    Alias(String),
    /// An upstream model.
    Target {
        /// The provider's name.
        provider: String,
        /// The model's name as the provider knows it.
        model: String,
    },
}

impl FromStr for FallbackRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<TargetRef>() {
            Ok(target) => Ok(Self::Target { provider: target.provider, model: target.model }),
            Err(_) if !text.is_empty() && !text.contains('/') => Ok(Self::Alias(text.to_owned())),
            Err(_) => Err("expected an alias or `provider/model`"),
        }
    }
}

impl fmt::Display for FallbackRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alias(name) => f.write_str(name),
            Self::Target { provider, model } => write!(f, "{provider}/{model}"),
        }
    }
}

impl Serialize for FallbackRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FallbackRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for FallbackRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fallback".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[^/]+(/[\\s\\S]+)?$", "description": "An alias, or `provider/model`."})
    }
}
