//! What a table is made of: compiled lookups and handles to services.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::uri::PathAndQuery;

use super::hedging::Hedging;
use super::hosting::Hosting;
use super::rules::Rule;
use super::template::{HeaderLine, Prompt};
use crate::base::{Digest, glob};
use crate::catalog::{Capacity, PriceList};
use crate::limit::budget::Payer;
use crate::limit::{Counters, Limiter, Scope};
use crate::plan::expr::KeyFacts;
use crate::plan::{self, Auth, Balance, Concurrency, Plan, Priority, TrafficShare};
use crate::provider::{Client, CredentialHealth, Destination, DestinationError, Health, Places, Reach, Signer, TargetHealth};
use crate::telemetry::{AliasMetrics, TargetMetrics};
use crate::wire::Format;
use crate::wire::quirks::Quirks;

/// The compiled spec: what one revision serves with.
#[derive(Debug)]
pub struct RoutingTable {
    /// The revision.
    pub revision: u64,
    /// Digest of the plan.
    pub digest: Digest,
    /// The plan it was built from.
    pub plan: Arc<Plan>,
    /// Keys by digest.
    pub keys: HashMap<Digest, Arc<Key>>,
    /// Aliases by name.
    pub aliases: HashMap<String, Arc<Alias>>,
    /// Providers by name.
    pub providers: HashMap<String, Arc<Provider>>,
    /// Every target that the spec names, by `provider/model`.
    pub targets: HashMap<String, Arc<Target>>,
    /// What stands for all of a provider, by its name: a target with the model [`EVERY_MODEL`].
    pub accounts: HashMap<String, Arc<Target>>,
    /// Rules, in order.
    pub rules: Vec<Rule>,
    /// The facts of a request without a key.
    pub anonymous: Arc<KeyFacts>,
    /// What requests without a key pay from: nothing that is limited.
    pub nobody: Arc<Payer>,
    /// Metrics of requests without an alias.
    pub unnamed: Unnamed,
    /// The most important that a key is; whoever is as important has all places.
    pub highest: Priority,
}

impl RoutingTable {
    /// Returns whether a caller may ask for a model: an alias, or `provider/model`. Without a key that is all of them where keys are not
    /// looked at, and the aliases where they are optional: those are what the spec offers, while a provider's models are its whole account.
    pub fn may_use(&self, key: Option<&Key>, model: &str) -> bool {
        match key {
            Some(key) => key.may_use(model),
            None => self.plan.gateway.auth == Auth::Off || self.aliases.contains_key(model),
        }
    }

    /// Forgets the health of what this table does not hold: what was removed or replaced, and what was prepared and never served.
    pub fn keep_health(&self, health: &Health) {
        let keep_credential = |provider: &str, name: &str, state: &Arc<CredentialHealth>| {
            let mut known = self.providers.get(provider).into_iter().flat_map(|provider| &provider.credentials);
            known.any(|credential| credential.name == name && Arc::ptr_eq(&credential.health, state))
        };
        let keep_target = |provider: &str, model: &str| {
            self.targets.contains_key(&format!("{provider}/{model}")) || (model == EVERY_MODEL && self.accounts.contains_key(provider))
        };
        health.retain(keep_credential, keep_target);
    }

    /// Returns every limit of the spec, each once.
    pub fn limiters(&self) -> BTreeMap<(Scope, &str), &Arc<Limiter>> {
        let of_keys = self.keys.values().flat_map(|key| key.limiters.iter());
        let of_aliases = self.aliases.values().filter_map(|alias| alias.limiter.as_ref());
        let of_providers = self.providers.values().filter_map(|provider| provider.limiter.as_ref());
        of_keys.chain(of_aliases).chain(of_providers).map(|limiter| ((limiter.scope(), limiter.name()), limiter)).collect()
    }

    /// Forgets what limits count of what this table does not name, once it counts nothing any more. `now_ns`: monotonic.
    pub fn keep_counters(&self, counters: &Counters, now_ns: u64) {
        let is_there = |scope: Scope, name: &str| match scope {
            Scope::Key => self.plan.virtual_keys.contains_key(name),
            Scope::Team => self.plan.teams.contains_key(name),
            Scope::Alias => self.plan.models.contains_key(name),
            Scope::Provider => self.plan.providers.contains_key(name),
        };
        counters.forget_unused(is_there, now_ns);
    }
}

/// Metrics of requests that no alias serves.
#[derive(Debug)]
pub struct Unnamed {
    /// Targets that the client, or a rule, named itself.
    pub direct: AliasMetrics,
    /// Requests that were refused before it was known what would serve them.
    pub none: AliasMetrics,
}

/// One accepted digest of a virtual key.
#[derive(Debug)]
pub struct Key {
    /// The key's name.
    pub name: String,
    /// The digest.
    pub digest: Digest,
    /// What the spec says of it.
    pub spec: plan::VirtualKey,
    /// Its team's model patterns, where the team limits them.
    pub team_models: Option<Vec<String>>,
    /// What conditions and templates see of it.
    pub facts: Arc<KeyFacts>,
    /// What it pays from.
    pub payer: Arc<Payer>,
    /// Unix millisecond from which it is refused: the earlier of the key's and the digest's end.
    pub not_after_ms: Option<u64>,
    /// The key's own limits and its team's, where there are any.
    pub limiters: Arc<[Arc<Limiter>]>,
}

impl Key {
    /// Returns whether the key is valid at a time.
    pub fn is_valid(&self, unix_ms: u64) -> bool {
        !self.spec.disabled && self.not_after_ms.is_none_or(|end| unix_ms < end)
    }

    /// Returns whether the key may use a model: an alias, or `provider/model`. Deny by default.
    pub fn may_use(&self, model: &str) -> bool {
        glob::any(&self.spec.models, model) && self.team_models.as_ref().is_none_or(|models| glob::any(models, model))
    }
}

/// An alias with its chain, flattened into stages.
#[derive(Debug)]
pub struct Alias {
    /// Its name.
    pub name: String,
    /// The same, for records that outlive the table.
    pub label: Arc<str>,
    /// What the spec says of it.
    pub spec: plan::Model,
    /// Its system prompt.
    pub prompt: Option<Prompt>,
    /// Members that are filled in, as raw JSON.
    pub defaults: Vec<(String, Vec<u8>)>,
    /// Members that are set, as raw JSON.
    pub overrides: Vec<(String, Vec<u8>)>,
    /// The defaults as a request in OpenAI's format, where there are any.
    pub defaults_as_request: Option<String>,
    /// The overrides as a request in OpenAI's format, where there are any.
    pub overrides_as_request: Option<String>,
    /// Its own targets first, then each link of the chain; no target twice.
    pub stages: Vec<Stage>,
    /// Counts requests, for `round_robin`.
    pub turn: AtomicU64,
    /// Counts second tries, where it makes any.
    pub hedging: Hedging,
    /// Limits of all who ask for it, or come to it otherwise.
    pub limiter: Option<Arc<Limiter>>,
    /// Metrics.
    pub metrics: AliasMetrics,
}

/// Targets that are balanced among themselves.
#[derive(Debug)]
pub struct Stage {
    /// Targets with their parts of the traffic.
    pub targets: Vec<Member>,
    /// How one is picked.
    pub balance: Balance,
    /// Limits of the aliases through which the chain came here, beyond that which serves; none where it came through no other, or they have
    /// no limits.
    pub via: Option<Arc<[Arc<Limiter>]>>,
}

/// One of several targets, and its part of the traffic.
#[derive(Debug)]
pub struct Member {
    /// The target.
    pub target: Arc<Target>,
    /// Its part of what those with a fixed share leave.
    pub weight: u32,
    /// Its fixed share.
    pub share: Option<TrafficShare>,
}

/// Stands for a model where none is named; a pattern that matches it covers the whole provider.
pub const EVERY_MODEL: &str = "*";

/// An upstream model.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its provider.
    pub provider: Arc<Provider>,
    /// The model's name upstream.
    pub model: String,
    /// The same, for records that outlive the table.
    pub label: Arc<str>,
    /// What it costs over time; none where it is unpriced.
    pub price: Option<Arc<PriceList>>,
    /// How much fits into it and comes out of it, where that is known.
    pub capacity: Capacity,
    /// What is known of it.
    pub health: Arc<TargetHealth>,
    /// The places of attempts with each credential, by its name; empty where their number is not limited.
    pub places: Vec<(String, Arc<Places>)>,
    /// Metrics.
    pub metrics: TargetMetrics,
}

impl Target {
    /// Returns `provider/model`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.provider.name, self.model)
    }

    /// Returns the places of attempts with a credential, and how many there may be, where that is limited.
    pub fn places(&self, credential: &str) -> Option<(&Arc<Places>, Concurrency)> {
        let bounds = self.provider.spec.concurrency?;
        self.places.iter().find(|(name, _)| name == credential).map(|(_, places)| (places, bounds))
    }

    /// Returns the path and query of a request at the client's origin. `path` is what it would be below the root of the format's own API.
    ///
    /// # Errors
    /// [`DestinationError::Path`] when the path climbs out of the provider's root.
    pub fn path(&self, format: Format, (path, query): (&str, Option<&str>), is_stream: bool) -> Result<PathAndQuery, DestinationError> {
        let path = self.provider.hosting.place(format, path, (&self.model, is_stream));
        self.provider.path(&path, self.provider.hosting.query(query).as_deref())
    }
}

/// An upstream with what its requests need, made once.
#[derive(Debug)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// The same, for records that outlive the table.
    pub label: Arc<str>,
    /// What the spec says of it.
    pub spec: plan::Provider,
    /// The wire format that it speaks.
    pub format: Format,
    /// How it differs from the format's own, for whoever writes requests in it.
    pub quirks: Quirks,
    /// Who hosts its API.
    pub hosting: Hosting,
    /// Where it is.
    pub destination: Destination,
    /// Paths of the endpoints in [`ENDPOINTS`], made once.
    pub paths: HashMap<&'static str, PathAndQuery>,
    /// The client with its pools.
    pub client: Client,
    /// Headers of every request.
    pub headers: Vec<HeaderLine>,
    /// Credentials that have their secret.
    pub credentials: Vec<Arc<Credential>>,
    /// Optional credentials without a secret, with the reason.
    pub absent: Vec<(String, String)>,
    /// Limits of what is sent to it.
    pub limiter: Option<Arc<Limiter>>,
    /// What checks have found.
    pub reach: Arc<Reach>,
}

/// Paths below a provider's root that are asked for again and again.
pub const ENDPOINTS: [&str; 8] =
    ["/chat/completions", "/completions", "/embeddings", "/responses", "/moderations", "/rerank", "/audio/speech", "/images/generations"];

impl Provider {
    /// Returns the format in which a request of this format is sent: its own, where the provider speaks that, too.
    pub fn format_for(&self, client: Format) -> Format {
        match client {
            Format::OpenaiResponses if self.format == Format::OpenaiChat && self.spec.quirks.responses => client,
            Format::OpenaiResponses
            | Format::OpenaiChat
            | Format::Anthropic
            | Format::Gemini
            | Format::Bedrock
            | Format::Cohere
            | Format::Ollama => self.format,
        }
    }

    /// Returns the path of an endpoint at the client's origin, with its query.
    ///
    /// # Errors
    /// [`DestinationError::Path`] when the path climbs out of the provider's root.
    pub fn path(&self, path: &str, query: Option<&str>) -> Result<PathAndQuery, DestinationError> {
        match self.paths.get(path).filter(|_| query.is_none()) {
            Some(path) => Ok(path.clone()),
            None => self.destination.endpoint(path, query),
        }
    }
}

/// A credential, ready to be sent.
#[derive(Debug)]
pub struct Credential {
    /// Its name.
    pub name: String,
    /// Share of the traffic.
    pub weight: u32,
    /// Model patterns.
    pub models: Vec<String>,
    /// What proves it to the provider, request by request.
    pub signer: Arc<Signer>,
    /// Its cooldown.
    pub health: Arc<CredentialHealth>,
}
