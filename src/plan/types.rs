//! The plan's types. Their serialised form is the normalised effective model that digests, diffs and the admin API use, and it
//! mirrors the layout of the spec, so that a pointer into the one finds its place in the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::credential::{Aws, Credential, Google, Proof};
pub use super::model::{Hedge, Model, Prompt, Target};
use crate::base::{ByteSize, Digest, Span, Usd, glob};
use crate::catalog::{Capacity, PriceList, Server, overlay};
pub use crate::spec::{
    Api, Auth, AuthScheme, Balance, BudgetMode, CacheMarks, FallbackOn, FallbackRef, FromEnvironment, HedgeAfter, MaxTokensField,
    MetricsOn, ModelCapacity, OnStoreError, Percent, Period, Policy, Price, Priority, PromptPosition, RateLimit, RateLimits,
    ReasoningField, RerankWords, Scope, SecretRef, Sticky, ToolCallIds, TrafficShare, Unpriced, WebIdentity, WhenExhausted,
};

/// The compiled spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Process settings.
    pub gateway: Gateway,
    /// Upstreams.
    pub providers: BTreeMap<String, Provider>,
    /// Aliases.
    pub models: BTreeMap<String, Model>,
    /// Rules, in order.
    pub rules: Vec<Rule>,
    /// Teams.
    pub teams: BTreeMap<String, Team>,
    /// Virtual keys.
    pub virtual_keys: BTreeMap<String, VirtualKey>,
    /// Shared budgets.
    #[serde(default)]
    pub budgets: BTreeMap<String, Budget>,
    /// Prices over the catalogue's, by `provider/model`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prices: BTreeMap<String, Price>,
    /// Access log and metrics.
    pub telemetry: Telemetry,
    /// How changes are judged.
    #[serde(default, skip_serializing_if = "Policy::is_silent")]
    pub policy: Policy,
}

impl Plan {
    /// Returns the normalised effective model. Secrets are references; digests of keys are in it.
    pub fn model(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    /// Returns what a model of one of the providers costs, and its capacity: by the spec where it says so, else by the catalogue. Without a
    /// price it is unpriced, which is not free. Some microseconds.
    pub fn terms_of(&self, provider: &str, model: &str) -> (Option<Arc<PriceList>>, Capacity) {
        let Some(it) = self.providers.get(provider) else { return (None, Capacity::default()) };
        let (price, known) = overlay::terms_of(&self.prices, (provider, it.server()), model);
        (price, it.capacity_of(model, known))
    }

    /// Digests the meaning: the model with its maps sorted, and its lists too where order says nothing. Equal digests ⇔ empty diff.
    pub fn digest(&self) -> Digest {
        super::canonical::digest(self)
    }
}

/// Process settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gateway {
    /// Client listener; `host:port`. Needs a restart.
    pub listen: String,
    /// Admin listener. Needs a restart.
    pub admin: Admin,
    /// What must survive a restart. Needs a restart.
    pub state: State,
    /// How many gateways serve it together.
    #[serde(default = "alone")]
    pub replicas: u32,
    /// Whether keys are needed.
    pub auth: Auth,
    /// TLS of the client listener. Needs a restart.
    pub tls: Option<Tls>,
    /// Caps.
    pub limits: Limits,
    /// Grace after SIGTERM.
    pub drain: Span,
    /// How long lines of the book are kept.
    #[serde(default = "retention")]
    pub retention: Span,
}

/// How long lines are kept where the spec does not say it: a year, and some weeks in which it is settled.
pub const fn retention() -> Span {
    Span::from_secs(400 * 86_400)
}

/// A gateway of which nothing else is said.
const fn alone() -> u32 {
    1
}

/// Where what must survive a restart is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum State {
    /// All of it in a directory, relative to the working directory.
    Directory(String),
    /// The book on a PostgreSQL that gateways share.
    Shared(SharedState),
}

/// A book that gateways share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedState {
    /// Directory of this gateway alone.
    pub directory: String,
    /// The server's URL.
    pub postgres: SecretRef,
    /// The URL of the server on which gateways count rates together.
    pub redis: Option<SecretRef>,
    /// The schema of the tables.
    pub schema: String,
    /// How long a gateway that falls silent keeps what it holds.
    pub lease: Span,
}

impl State {
    /// Returns the directory of this gateway alone.
    pub fn directory(&self) -> &str {
        match self {
            Self::Directory(directory) => directory,
            Self::Shared(shared) => &shared.directory,
        }
    }
}

/// Admin listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admin {
    /// Path of a Unix socket.
    Unix(String),
    /// TCP with tokens.
    Tcp {
        /// `host:port`.
        listen: String,
        /// Tokens by name.
        tokens: BTreeMap<String, AdminToken>,
        /// Tokens that may apply may cross the network in clear text.
        #[serde(default)]
        allow_plain_http: bool,
    },
}

/// An admin token's digest and scopes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminToken {
    /// SHA-256 of the token.
    pub sha256: Digest,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
}

/// Certificate and key files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// Path of the chain.
    pub cert: String,
    /// Path of the key.
    pub key: String,
}

/// Caps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Largest request body.
    pub body: ByteSize,
    /// Most requests at once.
    pub in_flight: u32,
    /// Longest wait for a place at a provider.
    #[serde(default = "queue")]
    pub queue: Span,
    /// Most connections. Needs a restart.
    pub connections: u32,
    /// Most memory; what the control group allows where none is said.
    #[serde(default)]
    pub memory: Option<ByteSize>,
}

/// The longest wait for a place unless the spec says otherwise; that of plans that were kept before there was one.
pub const fn queue() -> Span {
    Span::from_secs(1)
}

/// One upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provider {
    /// The preset it came from.
    pub preset: Option<String>,
    /// Wire format.
    pub api: Api,
    /// Root of the API without a trailing slash; `mock:` for the built-in mock, which listens on a port of its own choosing.
    pub base_url: String,
    /// Prompts and keys may cross the network in clear text.
    #[serde(default)]
    pub allow_plain_http: bool,
    /// The AWS region.
    #[serde(default)]
    pub region: Option<String>,
    /// The Google Cloud project; with it and the location, the provider is Vertex AI.
    #[serde(default)]
    pub project: Option<String>,
    /// The Google Cloud location.
    #[serde(default)]
    pub location: Option<String>,
    /// The version of Azure OpenAI's classic API; with it, the provider is that.
    #[serde(default)]
    pub api_version: Option<String>,
    /// How credentials travel that are a key in a header.
    pub auth: AuthScheme,
    /// Credentials by name; never empty.
    pub credentials: BTreeMap<String, Credential>,
    /// Differences from OpenAI.
    pub quirks: Quirks,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Further tries.
    pub retries: Retries,
    /// Header templates by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// How much fits into its models, by patterns of their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capacity: BTreeMap<String, ModelCapacity>,
    /// What may be sent to it in a time, and at once.
    #[serde(default)]
    pub limits: RateLimits,
    /// How it is asked whether it is there.
    #[serde(default)]
    pub health_check: Option<HealthCheck>,
    /// Attempts at once at each model with each credential.
    #[serde(default)]
    pub concurrency: Option<Concurrency>,
}

/// How many attempts run at once at one target with one credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// The least that a search finds; the number itself where none is made.
    pub min: u32,
    /// The most.
    pub max: u32,
}

impl Concurrency {
    /// Returns whether the number is looked for.
    pub const fn is_adaptive(&self) -> bool {
        self.min < self.max
    }
}

/// A question whether a provider is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Path below the root of the API.
    pub path: String,
    /// How often.
    pub every: Span,
    /// How long the answer may take.
    pub timeout: Span,
}

impl Provider {
    /// Returns the entry of `capacity` that holds for a model: the one of exactly its name, else the longest pattern.
    pub fn capacity_entry(&self, model: &str) -> Option<(&str, ModelCapacity)> {
        let all = self.capacity.iter().filter(|(pattern, _)| *pattern == model || glob::matches(pattern, model));
        all.max_by_key(|(pattern, _)| (*pattern == model, pattern.len())).map(|(pattern, entry)| (pattern.as_str(), *entry))
    }

    fn capacity_of(&self, model: &str, known: Capacity) -> Capacity {
        let written = self.capacity_entry(model).map_or_else(ModelCapacity::default, |(_, entry)| entry);
        let over = |written: Option<u32>, known: Option<u64>| written.map(u64::from).or(known);
        Capacity { input: over(written.max_input_tokens, known.input), output: over(written.max_output_tokens, known.output) }
    }

    /// Returns what the catalogue must know of it to know its models' prices.
    pub fn server(&self) -> Server<'_> {
        Server { preset: self.preset.as_deref(), base_url: &self.base_url, location: self.location.as_deref() }
    }
}

/// Differences from OpenAI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quirks {
    /// The output limit's name, if the other must be renamed.
    pub max_tokens_field: Option<MaxTokensField>,
    /// Whether `stream_options.include_usage` may be added.
    pub stream_options: bool,
    /// Whether streams end with `[DONE]`.
    pub done_marker: bool,
    /// Whether there is `/responses`.
    #[serde(default)]
    pub responses: bool,
    /// Whether messages may have the role `developer`.
    #[serde(default)]
    pub developer_role: bool,
    /// The member that carries thoughts back.
    #[serde(default)]
    pub reasoning_field: ReasoningField,
    /// How the server is told where to cache.
    #[serde(default)]
    pub cache_marks: CacheMarks,
    /// Whether `top_k` is understood.
    #[serde(default)]
    pub top_k: bool,
    /// What it calls the members of requests for an order of documents.
    #[serde(default)]
    pub rerank: RerankWords,
    /// What ids of tool calls may be.
    #[serde(default)]
    pub tool_call_ids: ToolCallIds,
    /// Members of a chat's request that are left out; sorted.
    #[serde(default)]
    pub refuses: Vec<String>,
}

/// Time limits of one attempt (`total`: of the request).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// Connection.
    pub connect: Span,
    /// Response head.
    pub first_byte: Span,
    /// First content of a stream.
    pub first_content: Span,
    /// Between pieces.
    pub idle: Span,
    /// All attempts.
    pub total: Span,
}

/// Further tries at the same target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    /// Most further tries.
    pub max: u32,
    /// A server error is retried only when it came this quickly.
    pub only_if_failed_within: Span,
    /// First wait.
    pub backoff: Span,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Name.
    pub name: String,
    /// Condition.
    pub when: String,
    /// What then happens.
    pub action: RuleAction,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// Serve as this alias.
    Use(String),
    /// Serve from these targets, without a chain.
    Targets(Vec<Target>),
    /// Refuse.
    Deny {
        /// HTTP status.
        status: u16,
        /// What the client is told.
        message: String,
    },
}

/// One team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// What it is.
    pub description: Option<String>,
    /// The name that it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// Glob patterns; none = no limit beyond the key's own.
    pub models: Option<Vec<String>>,
    /// Budgets of all its keys.
    #[serde(default)]
    pub budgets: Vec<BudgetRef>,
    /// What may be used by its keys together in a time, and at once.
    #[serde(default)]
    pub limits: RateLimits,
}

/// One virtual key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualKey {
    /// Digests with the millisecond (Unix) from which each is refused.
    pub hashes: Vec<KeyHash>,
    /// The name that it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// Team.
    pub team: Option<String>,
    /// Glob patterns.
    pub models: Vec<String>,
    /// Budgets beside the team's.
    #[serde(default)]
    pub budgets: Vec<BudgetRef>,
    /// RFC 3339 time from which the key is refused.
    pub expires: Option<String>,
    /// Refused without being removed.
    pub disabled: bool,
    /// May see where it was served.
    pub routing_headers: bool,
    /// Who is turned away first.
    #[serde(default)]
    pub priority: Priority,
    /// Facts for rules and logs.
    pub labels: BTreeMap<String, String>,
    /// What may be used in a time, and at once.
    #[serde(default)]
    pub limits: RateLimits,
}

/// One digest of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyHash {
    /// SHA-256 of the key.
    pub sha256: Digest,
    /// RFC 3339 time from which it is refused.
    pub not_after: Option<String>,
}

/// One budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The name that it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// The most that may be spent in one window.
    pub limit: Usd,
    /// The window.
    pub period: Period,
    /// IANA name of the time zone whose calendar the window follows.
    pub timezone: String,
    /// What it guarantees.
    pub mode: BudgetMode,
    /// Shares of the limit at which an alert goes out; sorted.
    pub alerts: BTreeSet<Percent>,
    /// Requests for models without a price.
    pub unpriced: Unpriced,
    /// Requests that do not fit.
    pub when_exhausted: WhenExhausted,
    /// Requests while the ledger cannot be written.
    pub on_store_error: OnStoreError,
}

/// A budget of a key or a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BudgetRef {
    /// A shared one.
    Shared(String),
    /// Its own.
    Own(Box<Budget>),
}

/// Access log and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telemetry {
    /// Where the access log goes.
    pub access_log: AccessLog,
    /// Headers that are written into it, in small letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_headers: Vec<String>,
    /// Which listener serves `/metrics`.
    pub metrics: MetricsOn,
    /// The address that gets alerts of budgets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_webhook: Option<SecretRef>,
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessLog {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere.
    Off,
    /// A file.
    File(String),
}
