//! Files of tests: what is asked, what providers answer, and what should come of it.
//!
//! Not how it is run: that is [`crate::scenario`]'s. Rule: what a test says is read by the loader of the spec, with the same errors.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use super::{Percent, Sources, Spans};
use crate::base::{Span, Usd};

/// A file of tests that loaded.
#[derive(Debug, Clone)]
pub struct LoadedTests {
    /// The typed file.
    pub file: TestFile,
    /// The JSON that it was read from.
    pub value: Value,
    /// Where each value stands.
    pub spans: Spans,
    /// The file.
    pub sources: Sources,
}

/// Tests of a gateway spec: each asks for something and says what should come of it. Nothing leaves the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "bifrostctl tests")]
pub struct TestFile {
    /// The version of this format. Always 1.
    #[schemars(extend("const" = 1))]
    pub version: u32,
    /// What holds for every test of the file that does not say otherwise.
    #[serde(default)]
    pub defaults: Defaults,
    /// The tests.
    #[schemars(length(min = 1))]
    pub tests: Vec<Test>,
}

/// What holds for every test of a file that does not say otherwise. Requests are taken together member by member, and so are outcomes and
/// spending.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// What is asked.
    #[serde(default)]
    pub request: TestRequest,
    /// When it is asked.
    pub at: Option<String>,
    /// What was spent before.
    #[serde(default)]
    pub spent: BTreeMap<String, Usd>,
    /// What providers answer.
    #[serde(default)]
    pub outcomes: BTreeMap<String, Outcomes>,
    /// Decides every choice by chance.
    pub seed: Option<u64>,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What it shows, as a sentence.
    #[schemars(length(min = 1))]
    pub name: String,
    /// What is asked.
    #[serde(default)]
    pub request: TestRequest,
    /// When it is asked: a day (UTC) or an exact time. Default: now.
    #[schemars(extend("examples" = ["2026-12-24", "2026-12-24T18:00:00Z"]))]
    pub at: Option<String>,
    /// What was spent in the running windows before: by budget, or by account as `key:NAME` or `team:NAME` for budgets of their own.
    #[serde(default)]
    pub spent: BTreeMap<String, Usd>,
    /// What providers answer, by `provider/model` (`*` stands for any text) or `provider/model:credential`. Of several that fit, the longest
    /// decides. Without one, a correct answer.
    #[serde(default)]
    pub outcomes: BTreeMap<String, Outcomes>,
    /// How often it is asked, one after another; what is expected, is expected of the last one. Default: 1.
    #[schemars(range(min = 1, max = 1_000))]
    pub times: Option<u32>,
    /// How much time passes between two of them. Default: none.
    pub every: Option<Span>,
    /// Decides every choice by chance, such as that of a weighted target. Default: 0.
    pub seed: Option<u64>,
    /// What should come of it.
    pub expect: Expect,
}

/// What is asked. Without a `body`, one is made of the other fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    /// The name of the virtual key; without one, the request carries none.
    pub key: Option<String>,
    /// The model that the client names.
    pub model: Option<String>,
    /// What is called. Default: chat.
    pub endpoint: Option<Endpoint>,
    /// Headers, but for those that carry keys.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Whether the answer is streamed.
    pub stream: Option<bool>,
    /// How long the prompt is, in tokens as the gateway guesses them. Default: some words.
    #[schemars(range(min = 1, max = 2_000_000))]
    pub prompt_tokens: Option<u32>,
    /// The most tokens that the answer may have.
    pub max_tokens: Option<u64>,
    /// What the request uses; of `chat` only.
    #[serde(default)]
    pub features: Vec<Feature>,
    /// The body, as the client sends it; `model` and `stream` are put in where they are given beside it.
    pub body: Option<Map<String, Value>>,
}

/// What is called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// OpenAI's chat completions.
    #[default]
    Chat,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Gemini's `generateContent`.
    GenerateContent,
    /// Bedrock's `converse`.
    Converse,
    /// Cohere's chat.
    CohereChat,
    /// OpenAI's old completions.
    Completions,
    /// Embeddings.
    Embeddings,
}

/// What a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// A tool is offered.
    Tools,
    /// A picture is shown.
    Vision,
    /// An answer by a schema is asked for.
    JsonSchema,
}

/// What a provider answers, one attempt after another; the last one repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Outcomes(pub Vec<Outcome>);

/// What a provider answers: `ok`, a status such as `503`, a word such as `timeout`, or words of the mock such as
/// `status=429;retry_after=2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Outcome(pub String);

impl<'de> Deserialize<'de> for Outcomes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Outcomes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an outcome such as `ok`, `503` or `timeout`, or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Outcomes, E> {
                Ok(Outcomes(vec![Outcome(text.to_owned())]))
            }

            fn visit_u64<E: de::Error>(self, status: u64) -> Result<Outcomes, E> {
                Ok(Outcomes(vec![Outcome(status.to_string())]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Outcomes, A::Error> {
                let mut all = Vec::new();
                while let Some(Outcomes(one)) = list.next_element()? {
                    all.extend(one);
                }
                Ok(Outcomes(all))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Outcomes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Outcomes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What a provider answers: `ok`, a status such as `503`, a word (`rate_limit`, `quota`, `auth`, `overloaded`, \
                `server_error`, `bad_request`, `context_length`, `content_filter`, `connect`, `timeout`, `reset`, `cut`, `stall`, \
                `malformed`, `empty`), or words of the mock such as `status=429;retry_after=2`. A list is one attempt after another; its \
                last entry repeats.",
            "type": ["string", "integer", "array"],
            "items": {"type": ["string", "integer"]},
            "minItems": 1
        })
    }
}

/// One name or several, any of which will do; `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Named(pub Vec<String>);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Named;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name, or a list of names")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Named, E> {
                Ok(Named(vec![text.to_owned()]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Named, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(Named(all))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Named {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Named".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A name, or several of which any will do; `*` stands for any text.",
            "type": ["string", "array"],
            "items": {"type": "string", "minLength": 1},
            "minItems": 1
        })
    }
}

/// Shares of the first choice, by target.
pub type Shares = BTreeMap<String, Percent>;

/// What should come of a request. What is not said may be anything; what the client sees is said by `status` and `error`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct Expect {
    /// The status that the client sees.
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<u16>,
    /// The code of the error, as in the access log; `none` where there is none.
    #[schemars(extend("examples" = ["budget_exceeded", "denied_by_rule", "forbidden", "none"]))]
    pub error: Option<String>,
    /// The target that answers, as `provider/model`.
    pub target: Option<Named>,
    /// The targets that are tried, in order, as `provider/model`; one that is tried again stands twice. `[]`: nothing is sent.
    pub attempts: Option<Vec<String>>,
    /// The credentials that are tried, in order.
    pub credentials: Option<Vec<String>>,
    /// The alias that serves; `none` where a target was named.
    pub alias: Option<String>,
    /// The rule that decides; `none` where none does.
    pub rule: Option<String>,
    /// Fields of the request that the target cannot be told; `[]`: none.
    pub losses: Option<Vec<String>>,
    /// How many of a hundred requests try each target first, as things stand before this one.
    pub shares: Option<Shares>,
    /// What it costs at most, before anybody knows how long the answer is: the most of all targets that may be tried.
    pub cost_at_most: Option<Usd>,
    /// How long it takes at most, waits for providers included.
    pub within: Option<Span>,
    /// Members of the last body that was sent to a provider; others may be there.
    pub sent: Option<Map<String, Value>>,
    /// Headers of the last request that was sent to a provider; others may be there. Those that carry keys are never shown.
    pub sent_headers: Option<BTreeMap<String, String>>,
}
