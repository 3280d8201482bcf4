//! The facts that conditions and templates see, as a table for people and as an object for the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;
use minijinja::Value;
use minijinja::value::{Enumerator, Object};

use crate::plan::finding::nearest;

/// One fact, for documentation and completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    /// Its path in an expression.
    pub path: &'static str,
    /// Its kind: string, bool, int, map or function.
    pub kind: &'static str,
    /// What it is.
    pub about: &'static str,
}

/// Every fact, sorted by path.
pub const FACTS: &[Fact] = &[
    Fact { path: "body_bytes", kind: "int", about: "size of the request's body" },
    Fact { path: "endpoint", kind: "string", about: "chat, completions, embeddings or other" },
    Fact { path: "header", kind: "function", about: "header(name, default): a header of the request, or the default" },
    Fact { path: "headers", kind: "map", about: "headers of the request by lower-case name; without those that carry keys" },
    Fact { path: "hour_utc", kind: "int", about: "hour of the day in UTC, 0 to 23" },
    Fact { path: "json_schema", kind: "bool", about: "whether a JSON schema for the answer is given" },
    Fact { path: "key.labels", kind: "map", about: "labels of the virtual key" },
    Fact { path: "key.name", kind: "string", about: "name of the virtual key; empty without one" },
    Fact { path: "key.team", kind: "string", about: "team of the virtual key; empty without one" },
    Fact { path: "model", kind: "string", about: "model as the client asked for it" },
    Fact { path: "stream", kind: "bool", about: "whether the answer is streamed" },
    Fact {
        path: "tokens.input",
        kind: "int",
        about: "estimated tokens of the prompt and its tools: their bytes / 4; an inline file counts as 1,000",
    },
    Fact { path: "tokens.max_output", kind: "int", about: "the client's limit of output tokens; 0 without one" },
    Fact { path: "tools", kind: "bool", about: "whether tools are offered" },
    Fact { path: "vision", kind: "bool", about: "whether the prompt holds images" },
];

/// Checks a path such as `key.team`, `key.labels.env` or `header`; gives the remedy when there is no such fact.
pub(super) fn resolve(path: &str) -> Result<(), String> {
    let known = |path: &str| FACTS.iter().any(|fact| fact.path == path);
    let open = |path: &str, map: &str| path.strip_prefix(map).is_some_and(|rest| rest.starts_with('.'));
    let whole = path == "key" || path == "tokens";
    if known(path) || whole || open(path, "headers") || open(path, "key.labels") {
        return Ok(());
    }
    let paths = FACTS.iter().map(|fact| fact.path);
    // `team` for `key.team` is as likely as a slip of the finger.
    if let Some(full) = FACTS.iter().map(|fact| fact.path).find(|full| full.rsplit('.').next() == Some(path)) {
        return Err(format!("did you mean `{full}`?"));
    }
    let (root, last) = path.rsplit_once('.').unwrap_or(("", path));
    let below: Vec<&str> = paths.clone().filter(|full| full.split('.').next() == Some(root) && full.contains('.')).collect();
    if below.is_empty() {
        return Err(nearest(path, paths.clone()).map_or_else(|| suggest_all(paths), |near| format!("did you mean `{near}`?")));
    }
    let lasts = below.iter().filter_map(|full| full.rsplit('.').next());
    match nearest(last, lasts) {
        Some(near) => Err(format!("did you mean `{root}.{near}`?")),
        None => Err(suggest_all(below.into_iter())),
    }
}

fn suggest_all<'a>(paths: impl Iterator<Item = &'a str>) -> String {
    format!("facts: {}", paths.collect::<Vec<_>>().join(", "))
}

/// What kind of request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Completions,
    /// `/v1/embeddings`.
    Embeddings,
    /// Anything else that is relayed.
    Other,
}

/// Every kind of request.
pub const ENDPOINTS: [Endpoint; 4] = [Endpoint::Chat, Endpoint::Completions, Endpoint::Embeddings, Endpoint::Other];

impl Endpoint {
    /// Returns the word that expressions, logs and metrics use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Other => "other",
        }
    }
}

/// The facts of a virtual key, made once per table and shared by its requests.
#[derive(Debug, Clone)]
pub struct KeyFacts {
    name: Value,
    team: Value,
    labels: Value,
}

impl KeyFacts {
    /// Collects a key's facts; a key without a team has the empty one.
    pub fn new(name: &str, team: Option<&str>, labels: &BTreeMap<String, String>) -> Self {
        let labels = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Self { name: Value::from(name), team: Value::from(team.unwrap_or_default()), labels: Value::from_pairs(labels) }
    }

    /// Returns the facts of a request without a key.
    pub fn anonymous() -> Self {
        Self::new("", None, &BTreeMap::new())
    }
}

impl Object for KeyFacts {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "name" => Some(self.name.clone()),
            "team" => Some(self.team.clone()),
            "labels" => Some(self.labels.clone()),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["name", "team", "labels"])
    }
}

/// The facts of one request. Nothing is converted before an expression asks for it.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The key's facts.
    pub key: Arc<KeyFacts>,
    /// The model as the client asked for it.
    pub model: Arc<str>,
    /// What kind of request it is.
    pub endpoint: Endpoint,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Estimated tokens of the prompt.
    pub input_tokens: u64,
    /// The client's limit of output tokens; 0 without one.
    pub max_output_tokens: u64,
    /// Whether tools are offered.
    pub tools: bool,
    /// Whether the prompt holds images.
    pub vision: bool,
    /// Whether a JSON schema for the answer is given.
    pub json_schema: bool,
    /// Size of the body.
    pub body_bytes: u64,
    /// The request's headers; those that carry keys are never shown.
    pub headers: Arc<HeaderMap>,
    /// Hour of the day in UTC, 0 to 23.
    pub hour_utc: u8,
}

impl Facts {
    /// Makes the facts an engine value; clone it to evaluate several conditions over one request.
    pub fn into_value(self) -> Value {
        Value::from_object(self)
    }
}

impl Object for Facts {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        Some(match key {
            "key" => Value::from_dyn_object(Arc::clone(&self.key)),
            "model" => Value::from(&self.model),
            "endpoint" => Value::from(self.endpoint.name()),
            "stream" => Value::from(self.stream),
            "tools" => Value::from(self.tools),
            "vision" => Value::from(self.vision),
            "json_schema" => Value::from(self.json_schema),
            "body_bytes" => Value::from(self.body_bytes),
            "hour_utc" => Value::from(self.hour_utc),
            "tokens" => Value::from_object(Tokens { input: self.input_tokens, max_output: self.max_output_tokens }),
            "headers" => Value::from_object(Headers(Arc::clone(&self.headers))),
            _ => return None,
        })
    }
}

#[derive(Debug)]
struct Tokens {
    input: u64,
    max_output: u64,
}

impl Object for Tokens {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "input" => Some(Value::from(self.input)),
            "max_output" => Some(Value::from(self.max_output)),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Headers(Arc<HeaderMap>);

/// Carriers of keys and sessions: no template may send one upstream, and none is written or shown.
pub const KEY_CARRIERS: [&str; 6] = ["authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "proxy-authorization"];

impl Object for Headers {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if KEY_CARRIERS.iter().any(|carrier| carrier.eq_ignore_ascii_case(key)) {
            return None;
        }
        self.0.get(key).and_then(|value| value.to_str().ok()).map(Value::from)
    }
}
