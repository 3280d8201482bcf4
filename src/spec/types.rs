//! The spec as it is written: serde types whose doc comments become the schema's descriptions.
//!
//! Nothing here is resolved or defaulted beyond what absence means; [`crate::plan`] does that. A field exists only when its
//! behaviour does: everything else is refused as unknown.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::balance::{Balance, Sticky};
use super::budget::{Budget, BudgetRef};
use super::hedge::Hedge;
use super::limit::RateLimits;
use super::policy::Policy;
use super::price::Price;
use super::provider::Provider;
use super::refs::{FallbackRef, SecretRef, TargetRef};
use crate::base::{ByteSize, Digest, Span};

/// The whole file (or, for an included file, any part of it).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "bifrostctl gateway spec")]
pub struct Spec {
    /// The version of this format. Always 1.
    #[schemars(extend("const" = 1))]
    pub version: u32,
    /// Files whose sections are merged into this one; glob patterns relative to this file. The same name twice is an error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Settings of the gateway process.
    #[serde(default)]
    pub gateway: Gateway,
    /// Upstreams, by name. A name that is a preset (openai, groq, mistral, …) needs only credentials.
    pub providers: BTreeMap<String, Provider>,
    /// Model aliases: what clients ask for.
    #[serde(default)]
    pub models: BTreeMap<String, Model>,
    /// Routing rules, in order; the first whose condition holds wins.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Teams that virtual keys belong to.
    #[serde(default)]
    pub teams: BTreeMap<String, Team>,
    /// Virtual keys: what clients authenticate with.
    #[serde(default)]
    pub virtual_keys: BTreeMap<String, VirtualKey>,
    /// Shared budgets, by name; keys and teams list them.
    #[serde(default)]
    pub budgets: BTreeMap<String, Budget>,
    /// What models cost, by `provider/model`, over what the embedded catalogue knows. A star at the end stands for any rest of a model's
    /// name; of several entries that match, the longest holds.
    #[serde(default)]
    pub prices: BTreeMap<String, Price>,
    /// Access log and metrics.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// How changes of this spec are judged when they are reviewed. Changes nothing of what is served.
    #[serde(default)]
    pub policy: Policy,
}

/// Settings of the gateway process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Address and port that clients connect to. Default: 127.0.0.1:8080.
    #[schemars(extend("x-hot" = false, "examples" = ["127.0.0.1:8080", "0.0.0.0:8080"]))]
    pub listen: Option<String>,
    /// Where the admin API listens. Default: unix:.bifrost/admin.sock.
    #[schemars(extend("x-hot" = false))]
    pub admin: Option<Admin>,
    /// What must survive a restart: a directory for revisions and what is spent, or a directory and a PostgreSQL that gateways share.
    /// Default: .bifrost.
    #[schemars(extend("x-hot" = false))]
    pub state: Option<State>,
    /// How many gateways serve this spec together. More than one need a PostgreSQL in `state`. Default: 1.
    #[schemars(range(min = 1, max = 1_000))]
    pub replicas: Option<u32>,
    /// Whether a virtual key is needed. `off` is refused on a listener that is not loopback. Default: required.
    pub auth: Option<Auth>,
    /// Serves TLS on the client listener.
    #[schemars(extend("x-hot" = false))]
    pub tls: Option<Tls>,
    /// Caps that protect the process.
    #[serde(default)]
    pub limits: Limits,
    /// How long running requests may go on after SIGTERM. Default: 120s.
    pub drain: Option<Span>,
    /// How long lines of the book are kept, which say who asked for what: at least 1d. What each account spent is kept for ever. Default: 400d.
    pub retention: Option<Span>,
}

/// Where what must survive a restart is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum State {
    /// A directory that no other gateway uses: revisions, and the book of what is spent.
    Directory(#[schemars(extend("examples" = [".bifrost"]))] String),
    /// The book on a PostgreSQL that gateways share; revisions in a directory of each.
    Shared(SharedState),
}

/// A book that gateways share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedState {
    /// Directory of this gateway alone, for revisions. Default: .bifrost.
    pub directory: Option<String>,
    /// The server's URL, a secret: `postgres://user:password@host:5432/database?sslmode=verify-full`.
    pub postgres: SecretRef,
    /// The URL of a Redis on which gateways count rates of limits together, a secret: `redis://user:password@host:6379/0`. Without one, each
    /// gateway keeps to its part of every limit.
    pub redis: Option<SecretRef>,
    /// The schema of the tables, made where it is missing: small letters, digits and underscores. Default: bifrost.
    #[schemars(regex(pattern = "^[a-z_][a-z0-9_]{0,62}$"))]
    pub schema: Option<String>,
    /// How long a gateway that falls silent keeps what it holds of budgets; then the others charge what it ran. Default: 10s.
    pub lease: Option<Span>,
}

/// Whether a virtual key is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Every request carries a virtual key.
    Required,
    /// A request without a key is anonymous and may use every alias, but no `provider/model`; a wrong key is still refused.
    Optional,
    /// Keys are not looked at.
    Off,
}

/// Where the admin API listens: `unix:PATH`, or a TCP address with tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Admin {
    /// `unix:PATH`: a socket that only this user may open (mode 0600).
    Unix(#[schemars(regex(pattern = "^unix:.+"), extend("examples" = ["unix:.bifrost/admin.sock"]))] String),
    /// A TCP address; needs tokens.
    Tcp(AdminTcp),
}

/// The admin API on TCP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminTcp {
    /// Address and port.
    pub listen: String,
    /// Who may call it, by name. Never empty.
    #[schemars(extend("minProperties" = 1))]
    pub tokens: BTreeMap<String, AdminToken>,
    /// Lets tokens with the scope `apply` cross the network in clear text, where something else protects it. Default: false.
    #[serde(default)]
    pub allow_plain_http: bool,
}

/// One admin token, as its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminToken {
    /// SHA-256 of the token, as `bifrostctl key hash` prints it.
    pub sha256: Digest,
    /// What the token may do.
    #[schemars(length(min = 1))]
    pub scopes: Vec<Scope>,
}

/// What an admin token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Status, revisions, explain, metrics.
    Read,
    /// Apply and roll back.
    Apply,
}

/// A certificate chain and its key, as PEM files; re-read when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain.
    pub cert: FileRef,
    /// The private key.
    pub key: FileRef,
}

/// A file by its path, relative to the spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// The path.
    pub file: String,
}

/// Caps that protect the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest request body. Default: 32MiB.
    pub body: Option<ByteSize>,
    /// Most requests served at once; more are answered 503 before their body is read. Default: 2000.
    #[schemars(range(min = 1))]
    pub in_flight: Option<u32>,
    /// How long a request waits at most for a place at a provider with a `concurrency` limit, when every target that could serve it is taken:
    /// first those of keys of the priority `critical`, then `normal`, then `batch`, and of each priority the keys in turn. It is answered 503 then, at
    /// once where it would wait in vain. `0s`: nobody waits. Default: 1s.
    pub queue: Option<Span>,
    /// Most open client connections. Default: 10000.
    #[schemars(range(min = 1), extend("x-hot" = false))]
    pub connections: Option<u32>,
    /// Memory that the process may use. Near it, requests are answered 503 before their body is read: those of keys of the priority `batch` from 80 %
    /// on, others from 90 %, `critical` ones from 95 %. Default: what the process's control group allows, so a container's limit.
    pub memory: Option<ByteSize>,
}

/// A model alias.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What it is for.
    pub description: Option<String>,
    /// Upstream models, balanced among themselves.
    #[schemars(length(min = 1))]
    pub targets: Vec<TargetRef>,
    /// How a target is picked. Default: weighted.
    pub balance: Option<Balance>,
    /// Keeps requests of one session with one target and one of its credentials, for as long as it can be used: what a provider has cached
    /// of a conversation is not known elsewhere. Requests that do not say it are balanced as usual.
    pub sticky: Option<Sticky>,
    /// Asks a second target where the first takes long, and serves whichever answers first. Default: never, for both are paid.
    pub hedge: Option<Hedge>,
    /// The fallback chain, tried in order: aliases or provider/model.
    #[serde(default)]
    pub fallbacks: Vec<FallbackRef>,
    /// Which failures move on to the next target. Default: all but content_filter.
    pub fallback_on: Option<Vec<FallbackOn>>,
    /// A system prompt from a template. Added to chats in every format; other endpoints have no place for it and are served without.
    pub prompt: Option<Prompt>,
    /// Refuses a request, naming the members, where its target speaks another format that has nothing for them; what has something near it
    /// there passes. Default: false. The header `x-bifrost-loss` tells either.
    #[serde(default)]
    pub strict_translation: bool,
    /// Body members filled in when the client sent none; for every target of the chain. In the words of OpenAI's chat completions,
    /// whatever the client and the target speak.
    #[serde(default)]
    pub defaults: BTreeMap<String, Value>,
    /// Body members always set; for every target of the chain. In the words of OpenAI's chat completions.
    #[serde(default)]
    pub overrides: BTreeMap<String, Value>,
    /// What everybody who asks for it may use together, whether by its name or because a rule says so.
    #[serde(default)]
    pub limits: RateLimits,
}

/// A class of failure that may move a request on to its next target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FallbackOn {
    /// 429: too many requests.
    RateLimit,
    /// 402, or 429 `insufficient_quota`: no money left upstream.
    Quota,
    /// 401 or 403: the credential is refused.
    Auth,
    /// 503 or 529: overloaded.
    Overload,
    /// 500, 502, 504 and kin.
    ServerError,
    /// No head, no content or no end in time.
    Timeout,
    /// No connection.
    Connect,
    /// The prompt is larger than the model's window. The next target of the chain is tried, whatever its window.
    ContextWindow,
    /// An answer that is not what its format says, or an error event before content.
    Malformed,
    /// The provider's content filter refused.
    ContentFilter,
}

/// A system prompt from a template over the request's facts. One that renders to nothing adds no message; one that fails on a request
/// fails the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// The template: a file, or the text itself.
    pub system: PromptSource,
    /// Where it goes. Default: prepend.
    pub position: Option<PromptPosition>,
}

/// Where a prompt template is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptSource {
    /// A file, relative to the spec.
    File(String),
    /// The template itself.
    Text(String),
}

/// Where a system prompt goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptPosition {
    /// Before the client's messages.
    Prepend,
    /// After the client's messages.
    Append,
}

/// A routing rule: a condition, and one of `use`, `targets` or `deny`. A request that names no model (files, batches) can be refused but
/// not moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Names the rule in logs, metrics and `explain`.
    pub name: String,
    /// The condition: an expression over the request's facts, true or false.
    pub when: String,
    /// Serves the request as this alias, whether or not the key may ask for it.
    #[serde(rename = "use")]
    pub use_alias: Option<String>,
    /// Serves the request from these targets, without a chain, a prompt or defaults.
    pub targets: Option<Vec<TargetRef>>,
    /// Refuses the request.
    pub deny: Option<Deny>,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deny {
    /// The HTTP status. Default: 403.
    #[schemars(range(min = 400, max = 499))]
    pub status: Option<u16>,
    /// What the client is told.
    pub message: String,
}

/// A team.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// What it is.
    pub description: Option<String>,
    /// The name that it had before: what was spent under that one is this one's. May stay as long as the old name is not used again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// The most its keys may use: aliases, provider/model, glob patterns. Default: no limit beyond the key's own.
    pub models: Option<Vec<String>>,
    /// Budgets that all its keys draw on together: names of shared ones, or its own. Every one must have room.
    #[serde(default)]
    pub budgets: Vec<BudgetRef>,
    /// What its keys may use together, beside what each of them may.
    #[serde(default)]
    pub limits: RateLimits,
}

/// A virtual key: who may call, with what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VirtualKey {
    /// Digests of the key; two during a rotation.
    #[schemars(length(min = 1))]
    pub hashes: Vec<KeyHash>,
    /// The name that it had before: what was spent under that one is this one's. May stay as long as the old name is not used again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// The team it belongs to.
    pub team: Option<String>,
    /// Aliases and provider/model it may use; glob patterns; `["*"]` is everything. None by default. Files and batches, which name no
    /// model, take a pattern that covers the whole provider, such as `openai/*`.
    #[serde(default)]
    pub models: Vec<String>,
    /// Budgets that it draws on beside its team's: names of shared ones, or its own. Every one must have room.
    #[serde(default)]
    pub budgets: Vec<BudgetRef>,
    /// The first day on which it is no longer valid (UTC), or an exact time.
    pub expires: Option<String>,
    /// Refuses the key without removing it.
    #[serde(default)]
    pub disabled: bool,
    /// Lets the client see which target served it and how many attempts it took.
    #[serde(default)]
    pub routing_headers: bool,
    /// Who is turned away first when the gateway is nearly full. Where there are more important keys, `batch` takes four fifths of
    /// `gateway.limits.in_flight` at most and `normal` nine tenths. Default: normal.
    pub priority: Option<Priority>,
    /// Free-form facts for rules and logs.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What it may use. The limits of its team and of the alias apply beside these.
    #[serde(default)]
    pub limits: RateLimits,
}

/// How important the requests of a key are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Turned away last.
    Critical,
    /// In between.
    #[default]
    Normal,
    /// Turned away first: whoever can come again later.
    Batch,
}

/// One digest of a virtual key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyHash {
    /// SHA-256 of the key, as `bifrostctl key hash` prints it.
    pub sha256: Digest,
    /// The time from which this digest is no longer accepted.
    pub not_after: Option<String>,
}

/// Access log and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Where a JSON line per request goes: `stdout`, `stderr`, `off`, or a file. Default: stderr.
    pub access_log: Option<AccessLog>,
    /// Headers of requests that are written into the access log, such as those that rules look at. Never those that carry keys. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("examples" = [["x-tier"]]))]
    pub log_headers: Vec<String>,
    /// Which listener serves `/metrics`. Default: admin.
    pub metrics: Option<MetricsOn>,
    /// Where alerts of budgets go, beside the log and the metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Alerts>,
}

/// Where alerts of budgets go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// An https address that gets each alert as a JSON object, by POST; who knows it may post, so it is kept like a key.
    pub webhook: SecretRef,
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessLog {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere.
    Off,
    /// Appended to a file.
    File(String),
}

/// Which listener serves `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricsOn {
    /// The admin listener.
    Admin,
    /// The client listener too, without a key.
    Gateway,
}
