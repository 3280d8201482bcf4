//! Upstreams as they are written: what they speak, where they are, how they are paid for and how long they are waited for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cloud::{Aws, Google};
use super::limit::RateLimits;
use super::quirks::Quirks;
use super::refs::SecretRef;
use crate::base::Span;

/// One upstream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The preset to start from, where the name is not one itself.
    pub preset: Option<String>,
    /// The wire format, where there is no preset.
    pub api: Option<Api>,
    /// Root of the API, up to and with its version: `http://127.0.0.1:8000/v1`.
    pub base_url: Option<String>,
    /// Lets prompts and keys cross the network in clear text: plain `http://` to another machine. Default: false.
    #[serde(default)]
    pub allow_plain_http: bool,
    /// The AWS region, for Bedrock: `eu-central-1`. `base_url` follows from it.
    #[schemars(regex(pattern = "^[a-z0-9-]+$"))]
    pub region: Option<String>,
    /// The Google Cloud project, for Vertex AI.
    #[schemars(regex(pattern = "^[a-z0-9.:-]+$"))]
    pub project: Option<String>,
    /// The Google Cloud location, for Vertex AI: `europe-west4`, `eu`, `global`. `base_url` follows from it.
    #[schemars(regex(pattern = "^[a-z0-9-]+$"))]
    pub location: Option<String>,
    /// The version of Azure OpenAI's classic API, in which the model is the name of a deployment. Default: the preset's.
    #[schemars(regex(pattern = "^[0-9a-z-]+$"), extend("examples" = ["2024-10-21"]))]
    pub api_version: Option<String>,
    /// How credentials travel. Default: the preset's, else bearer.
    pub auth: Option<AuthScheme>,
    /// Keys for this upstream, by name: weighted, cooled down and rotated one by one.
    #[serde(default)]
    pub credentials: BTreeMap<String, Credential>,
    /// How this server differs from OpenAI's.
    #[serde(default)]
    pub quirks: Quirks,
    /// Time limits of one attempt; those that are not written adapt to those that are.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Further tries at the same target.
    #[serde(default)]
    pub retries: Retries,
    /// Headers added to every request; values are templates over the request's facts. One that renders to nothing is not sent; one that
    /// fails on a request fails the request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How much fits into its models, by name; `*` and `?` stand for any characters, and of several entries that match the longest holds. Over
    /// what the catalogue knows: budgets need it of models that the catalogue does not.
    #[serde(default)]
    #[schemars(extend("examples" = [{"qwen3*": {"max_input_tokens": 32768, "max_output_tokens": 8192}}]))]
    pub capacity: BTreeMap<String, ModelCapacity>,
    /// What is sent to it at most, by whomever. A target of a provider that has reached it is skipped, and the next one tried.
    #[serde(default)]
    pub limits: RateLimits,
    /// How many requests run at once at each of its models with each of its credentials, whatever is asked for: what the server can bear, while
    /// `limits` is what was agreed on. Where as many run, the next credential and the next target are tried; where all are taken, requests wait
    /// for `gateway.limits.queue`. Without it there is no such limit.
    pub concurrency: Option<Concurrency>,
    /// Asks the provider now and then whether it is there, so that others are tried first when it is not, before a request has found out. Without it,
    /// requests find out, which mostly does. `{}` checks with the defaults.
    pub health_check: Option<HealthCheck>,
}

/// How many requests run at once: `{max: 64}`, or `{adaptive: {min: 1, max: 200}}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Concurrency {
    /// So many.
    Max(#[schemars(range(min = 1, max = 1_000_000))] u32),
    /// As many as the upstream bears, which is found out: from 20 on one more for as many good answers, a tenth fewer when it answers 429, 503 or
    /// 529 or too late, and no more than its rate-limit headers say that it still takes.
    Adaptive(Adaptive),
}

/// Within what a number is looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adaptive {
    /// The least. Default: 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min: Option<u32>,
    /// The most. Default: 200, or `min` where that is more.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max: Option<u32>,
}

/// A question that costs nothing. Any answer but a 5xx is one; two questions in a row without one mean that the provider is away, and the next
/// answer that it is back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// What is asked for by GET, below the root of the API. Default: /models.
    #[schemars(regex(pattern = "^/"))]
    pub path: Option<String>,
    /// How often. Default: 30s.
    pub every: Option<Span>,
    /// How long the answer may take. Default: 5s.
    pub timeout: Option<Span>,
}

/// What a model takes and gives at most, at least one of the two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct ModelCapacity {
    /// Most tokens of input: all of the context window, or less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_input_tokens: Option<u32>,
    /// Most tokens of one answer, reasoning included. A strict budget reserves them for requests that do not bound their answer themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_output_tokens: Option<u32>,
}

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Api {
    /// OpenAI's chat completions and the endpoints beside it.
    #[serde(rename = "openai-chat")]
    OpenaiChat,
    /// Anthropic's messages.
    #[serde(rename = "anthropic")]
    Anthropic,
    /// Gemini's generateContent.
    #[serde(rename = "gemini")]
    Gemini,
    /// The Converse API of AWS Bedrock.
    #[serde(rename = "bedrock")]
    Bedrock,
    /// Cohere's chat, version 2, and the endpoints beside it.
    #[serde(rename = "cohere")]
    Cohere,
    /// Ollama's own chat.
    #[serde(rename = "ollama")]
    Ollama,
}

/// How a credential travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthScheme {
    /// `Authorization: Bearer …`.
    Bearer,
    /// A header of its own, such as `api-key`.
    Header(String),
    /// None at all.
    None,
}

/// One key for an upstream: exactly one of `secret`, `aws` and `google`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Where the key is kept; never the key itself. `none` for servers without keys.
    pub secret: Option<SecretRef>,
    /// Signs requests with the keys of an AWS account, for Bedrock.
    pub aws: Option<Aws>,
    /// Signs in to Google Cloud, for Vertex AI.
    pub google: Option<Google>,
    /// Share of the traffic among this provider's credentials. Default: 1.
    #[schemars(range(max = 1_000_000))]
    pub weight: Option<u32>,
    /// Models that this credential may be used for; glob patterns. Default: all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Takes the credential out, with a reason, instead of refusing the spec when the secret is not set.
    #[serde(default)]
    pub optional: bool,
}

/// Time limits of one attempt: connect ≤ first_byte ≤ first_content ≤ total, and idle ≤ total. A limit that is not written adapts: with
/// `total: 10s` alone none is longer than 10s, with `idle: 30m` alone the total is 30m.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// Until the connection is up, TLS included. Default: 5s.
    pub connect: Option<Span>,
    /// From the start of the attempt until the response's head. Default: 120s.
    pub first_byte: Option<Span>,
    /// From the start of the attempt until the first content of a stream. Default: 120s.
    pub first_content: Option<Span>,
    /// Between two pieces of a body. Default: 60s.
    pub idle: Option<Span>,
    /// Over all attempts of the request. Default: 15m.
    pub total: Option<Span>,
}

/// Further tries at the same target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retries {
    /// Most further tries. Default: 2.
    #[schemars(range(max = 10))]
    pub max: Option<u32>,
    /// Retries a server error only when it came this quickly. Default: 5s.
    pub only_if_failed_within: Option<Span>,
    /// First wait; doubles, jittered. Default: 100ms.
    pub backoff: Option<Span>,
}
