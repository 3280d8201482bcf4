//! Plan + services → table. Everything that can fail happens here, all errors at once; the commit cannot fail.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::HeaderName;

use super::entry::{Alias, Credential, ENDPOINTS, EVERY_MODEL, Key, Member, Provider, RoutingTable, Stage, Target, Unnamed};
use super::hedging::Hedging;
use super::hosting::Hosting;
use super::payer;
use super::rules::{Rule, RuleAction};
use super::speech;
use super::template::{HeaderLine, Prompt};
use crate::catalog::{self, Capacity};
use crate::limit::budget::{Ledger, Payer};
use crate::limit::{Counters, Identity, Limiter, Scope};
use crate::plan::expr::{Condition, KeyFacts};
use crate::plan::{self, Balance, FallbackRef, HedgeAfter, Plan, Priority};
use crate::provider::{ClientOptions, Clients, Destination, Health, Places, Ready, Signers, TargetHealth, World, is_hop_by_hop};
use crate::spec::Environment;
use crate::telemetry::{DIRECT, Metrics, NONE, OTHER};

/// What outlives a table.
#[derive(Clone)]
pub struct Services {
    /// Connection pools.
    pub clients: Arc<Clients>,
    /// Cooldowns and breakers.
    pub health: Arc<Health>,
    /// Tokens and temporary keys.
    pub signers: Arc<Signers>,
    /// What is spent.
    pub ledger: Arc<Ledger>,
    /// What limits count.
    pub counters: Arc<Counters>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Where secrets are looked up.
    pub env: Arc<dyn Environment + Send + Sync>,
    /// Directory that the spec's file references are relative to.
    pub base_dir: PathBuf,
    /// Root of the built-in mock's API, which stands for `mock:`.
    pub mock_url: Option<String>,
}

/// Why a plan cannot run here, though it is valid. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct PrepareError {
    /// JSON pointer of the blamed value.
    pub place: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Builds the table of a revision.
///
/// # Errors
/// Everything that keeps the plan from running: secrets that are not there, addresses that may not be dialled, headers that cannot be sent.
pub fn prepare(plan: Arc<Plan>, revision: u64, services: &Services) -> Result<RoutingTable, Vec<PrepareError>> {
    let mut builder = Builder { plan: &plan, services, providers: HashMap::new(), targets: HashMap::new(), errors: Vec::new() };
    builder.providers();
    let aliases = builder.aliases();
    let rules = builder.rules(&aliases);
    let keys = builder.keys();
    let accounts = builder.accounts();
    let Builder { providers, targets, errors, .. } = builder;
    if !errors.is_empty() {
        return Err(errors);
    }
    let anonymous = Arc::new(KeyFacts::anonymous());
    let unnamed = Unnamed { direct: services.metrics.alias(DIRECT), none: services.metrics.alias(NONE) };
    Ok(RoutingTable {
        revision,
        digest: plan.digest(),
        keys,
        aliases,
        providers,
        targets,
        accounts,
        rules,
        anonymous,
        nobody: Arc::default(),
        unnamed,
        highest: plan.virtual_keys.values().map(|key| key.priority).chain([Priority::Normal]).min().unwrap_or_default(),
        plan,
    })
}

/// The chain of an alias while it is flattened.
#[derive(Default)]
struct Chain {
    stages: Vec<Stage>,
    seen: BTreeSet<String>,
    taken: BTreeSet<(String, String)>,
    /// Limits of the aliases on the way to where it stands, without that which is flattened.
    via: Option<Arc<[Arc<Limiter>]>>,
}

struct Builder<'a> {
    plan: &'a Plan,
    services: &'a Services,
    providers: HashMap<String, Arc<Provider>>,
    targets: HashMap<String, Arc<Target>>,
    errors: Vec<PrepareError>,
}

impl<'a> Builder<'a> {
    fn fail(&mut self, place: String, message: impl ToString) {
        self.errors.push(PrepareError { place, message: message.to_string() });
    }

    fn providers(&mut self) {
        for (name, spec) in &self.plan.providers {
            if let Some(provider) = self.provider(name, spec) {
                self.providers.insert(name.clone(), Arc::new(provider));
            }
        }
    }

    fn provider(&mut self, name: &str, spec: &plan::Provider) -> Option<Provider> {
        let place = format!("/providers/{name}");
        let base_url = match (spec.base_url.as_str(), &self.services.mock_url) {
            ("mock:", Some(url)) => url.clone(),
            ("mock:", None) => {
                self.fail(format!("{place}/base_url"), "the built-in mock is not running in this process");
                return None;
            }
            (url, _) => url.to_owned(),
        };
        // A preset's own host is public by definition. One that the user names may be private, and so may a cloud's, whose names lead to
        // private addresses within it.
        let public = spec.preset.as_deref().and_then(catalog::preset).and_then(|preset| preset.base_url.as_deref());
        let destination = match Destination::parse(&base_url, public) {
            Ok(destination) => destination,
            Err(error) => {
                self.fail(format!("{place}/base_url"), error);
                return None;
            }
        };
        let client = match self.services.clients.get(&ClientOptions::new(&destination, spec.timeouts.connect.get())) {
            Ok(client) => client,
            Err(error) => {
                self.fail(place, error);
                return None;
            }
        };
        let headers = self.headers(&place, spec);
        let (credentials, absent) = self.credentials(name, spec);
        let paths = ENDPOINTS.iter().filter_map(|path| Some((*path, destination.endpoint(path, None).ok()?))).collect();
        let (format, quirks) = (speech::format(spec.api), speech::quirks(&spec.quirks));
        Some(Provider {
            name: name.to_owned(),
            label: Arc::from(name),
            spec: spec.clone(),
            format,
            quirks,
            hosting: Hosting::of(spec),
            destination,
            paths,
            client,
            headers,
            credentials,
            absent,
            limiter: self.limiter(Identity::new(Scope::Provider, name), &spec.limits),
            // Whoever is not checked is there.
            reach: spec.health_check.as_ref().map_or_else(Arc::default, |_| self.services.health.reach(&format!("{name} {base_url}"))),
        })
    }

    fn limiter(&self, identity: Identity<'_>, spec: &plan::RateLimits) -> Option<Arc<Limiter>> {
        Limiter::new(identity, spec, &self.services.counters).map(Arc::new)
    }

    fn headers(&mut self, place: &str, spec: &plan::Provider) -> Vec<HeaderLine> {
        let mut headers = Vec::new();
        for (name, source) in &spec.headers {
            let place = format!("{place}/headers/{name}");
            match HeaderName::try_from(name.as_str()) {
                Ok(name) if is_hop_by_hop(&name) => self.fail(place, "the header belongs to the connection and cannot be set"),
                Ok(name) => match HeaderLine::compile(name, source) {
                    Ok(line) => headers.push(line),
                    Err(error) => self.fail(place, error),
                },
                Err(_) => self.fail(place, "this is not the name of a header"),
            }
        }
        headers
    }

    fn credentials(&mut self, provider: &str, spec: &plan::Provider) -> (Vec<Arc<Credential>>, Vec<(String, String)>) {
        let (mut ready, mut absent) = (Vec::new(), Vec::new());
        for (name, credential) in &spec.credentials {
            let world = World { env: &*self.services.env, base_dir: &self.services.base_dir, clients: &self.services.clients };
            match self.services.signers.get(spec, &credential.proof, world) {
                Ok(Ready { signer, fingerprint }) => {
                    let health = self.services.health.credential(provider, name, fingerprint);
                    let (weight, models) = (credential.weight, credential.models.clone());
                    ready.push(Arc::new(Credential { name: name.clone(), weight, models, signer, health }));
                }
                Err(error) if credential.optional && error.is_absent() => absent.push((name.clone(), error.to_string())),
                Err(error) => self.fail(format!("/providers/{provider}/credentials/{name}{}", error.place), error),
            }
        }
        (ready, absent)
    }

    /// Returns the one entry of a target. `None` where its provider failed, which has been said already.
    fn target(&mut self, provider: &str, model: &str) -> Option<Arc<Target>> {
        let id = format!("{provider}/{model}");
        if let Some(target) = self.targets.get(&id) {
            return Some(Arc::clone(target));
        }
        let (price, capacity) = self.plan.terms_of(provider, model);
        let health = self.services.health.target(provider, model);
        let provider_entry = Arc::clone(self.providers.get(provider)?);
        let entry = Target {
            places: places(&provider_entry, &health),
            provider: provider_entry,
            model: model.to_owned(),
            label: Arc::from(model),
            price,
            capacity,
            health,
            metrics: self.services.metrics.target(provider, model),
        };
        let entry = Arc::new(entry);
        self.targets.insert(id, Arc::clone(&entry));
        Some(entry)
    }

    fn accounts(&self) -> HashMap<String, Arc<Target>> {
        let account = |(name, provider): (&String, &Arc<Provider>)| {
            let health = self.services.health.target(name, EVERY_MODEL);
            let metrics = self.services.metrics.target(name, OTHER);
            let target = Target {
                places: places(provider, &health),
                provider: Arc::clone(provider),
                model: EVERY_MODEL.to_owned(),
                label: Arc::from(EVERY_MODEL),
                price: None,
                capacity: Capacity::default(),
                health,
                metrics,
            };
            (name.clone(), Arc::new(target))
        };
        self.providers.iter().map(account).collect()
    }

    fn aliases(&mut self) -> HashMap<String, Arc<Alias>> {
        let plan = self.plan;
        let mut aliases = HashMap::new();
        let limiter = |(name, spec): (&'a String, &plan::Model)| {
            Some((name.as_str(), self.limiter(Identity::new(Scope::Alias, name), &spec.limits)?))
        };
        let limiters: BTreeMap<&str, Arc<Limiter>> = plan.models.iter().filter_map(limiter).collect();
        for (name, spec) in &plan.models {
            let mut chain = Chain::default();
            self.stages(name, &limiters, &mut chain);
            watch(spec, &chain.stages);
            let alias = Alias {
                name: name.clone(),
                label: Arc::from(name.as_str()),
                spec: spec.clone(),
                prompt: spec.prompt.as_ref().and_then(|prompt| self.prompt(name, prompt)),
                defaults: raw(&spec.defaults),
                overrides: raw(&spec.overrides),
                defaults_as_request: as_request(&spec.defaults),
                overrides_as_request: as_request(&spec.overrides),
                stages: chain.stages,
                turn: AtomicU64::new(0),
                hedging: Hedging::default(),
                limiter: limiters.get(name.as_str()).map(Arc::clone),
                metrics: self.services.metrics.alias(name),
            };
            aliases.insert(name.clone(), Arc::new(alias));
        }
        aliases
    }

    fn prompt(&mut self, alias: &str, spec: &plan::Prompt) -> Option<Prompt> {
        match Prompt::compile(&spec.system, spec.position) {
            Ok(prompt) => Some(prompt),
            Err(error) => {
                self.fail(format!("/models/{alias}/prompt/system"), error);
                None
            }
        }
    }

    /// Flattens a chain, depth first: an alias's own targets, then its fallbacks. No alias and no target is taken twice.
    fn stages(&mut self, alias: &str, limiters: &BTreeMap<&str, Arc<Limiter>>, chain: &mut Chain) {
        let plan = self.plan;
        let Some(spec) = plan.models.get(alias) else { return };
        if !chain.seen.insert(alias.to_owned()) {
            return;
        }
        self.stage(&spec.targets, spec.balance, chain);
        for link in &spec.fallbacks {
            match link {
                FallbackRef::Alias(name) => {
                    let before = chain.via.clone();
                    if let Some(limiter) = limiters.get(name.as_str()) {
                        let path = before.iter().flat_map(|via| via.iter()).chain([limiter]).map(Arc::clone);
                        chain.via = Some(path.collect());
                    }
                    self.stages(name, limiters, chain);
                    chain.via = before;
                }
                FallbackRef::Target { provider, model } => {
                    let link = plan::Target { provider: provider.clone(), model: model.clone(), weight: 1, share: None };
                    self.stage(std::slice::from_ref(&link), Balance::Weighted, chain);
                }
            }
        }
    }

    fn stage(&mut self, own: &[plan::Target], balance: Balance, chain: &mut Chain) {
        let mut targets = Vec::new();
        for plan::Target { provider, model, weight, share } in own {
            if chain.taken.insert((provider.clone(), model.clone()))
                && let Some(target) = self.target(provider, model)
            {
                targets.push(Member { target, weight: *weight, share: *share });
            }
        }
        if !targets.is_empty() {
            chain.stages.push(Stage { targets, balance, via: chain.via.clone() });
        }
    }

    fn rules(&mut self, aliases: &HashMap<String, Arc<Alias>>) -> Vec<Rule> {
        let plan = self.plan;
        let mut rules = Vec::with_capacity(plan.rules.len());
        for (index, spec) in plan.rules.iter().enumerate() {
            let condition = match Condition::compile(&spec.when) {
                Ok(condition) => condition,
                Err(error) => {
                    self.fail(format!("/rules/{index}/when"), error);
                    continue;
                }
            };
            let action = match &spec.action {
                plan::RuleAction::Deny { status, message } => RuleAction::Deny { status: *status, message: message.clone() },
                plan::RuleAction::Use(name) => match aliases.get(name) {
                    Some(alias) => RuleAction::Use(Arc::clone(alias)),
                    None => {
                        self.fail(format!("/rules/{index}/use"), format!("there is no alias `{name}`"));
                        continue;
                    }
                },
                plan::RuleAction::Targets(targets) => {
                    let mut chain = Chain::default();
                    self.stage(targets, Balance::Weighted, &mut chain);
                    RuleAction::Targets(chain.stages)
                }
            };
            rules.push(Rule::new(spec.name.clone(), condition, action, self.services.metrics.rule(&spec.name)));
        }
        rules
    }

    /// Makes what a key pays from: its own account and its team's, and the shared budgets of both.
    fn payer(&mut self, name: &str, spec: &plan::VirtualKey) -> Payer {
        let team = spec.team.as_ref().and_then(|team| Some((team, self.plan.teams.get(team)?)));
        let wanted = payer::wanted(self.plan, (name, spec), team.map(|(team, spec)| (team.as_str(), spec)));
        match self.services.ledger.payer((Some(name), spec.team.as_deref()), &wanted) {
            Ok(payer) => payer,
            Err(error) => {
                self.fail(format!("/virtual_keys/{name}/budgets"), format!("what was spent cannot be read: {error}"));
                Payer::default()
            }
        }
    }

    fn keys(&mut self) -> HashMap<crate::base::Digest, Arc<Key>> {
        let plan = self.plan;
        let mut keys = HashMap::new();
        let mut teams = HashMap::new();
        for (name, team) in &plan.teams {
            let identity = Identity { renamed_from: team.renamed_from.as_deref(), ..Identity::new(Scope::Team, name) };
            teams.extend(self.limiter(identity, &team.limits).map(|limiter| (name, limiter)));
        }
        for (name, spec) in &plan.virtual_keys {
            let facts = Arc::new(KeyFacts::new(name, spec.team.as_deref(), &spec.labels));
            let payer = Arc::new(self.payer(name, spec));
            let team_models = spec.team.as_ref().and_then(|team| plan.teams.get(team)).and_then(|team| team.models.clone());
            let digests: Vec<_> = spec.hashes.iter().map(|hash| hash.sha256).collect();
            let renamed_from = spec.renamed_from.as_deref();
            let own = self.limiter(Identity { scope: Scope::Key, name, renamed_from, digests: &digests }, &spec.limits);
            let limiters: Arc<[_]> = own.into_iter().chain(spec.team.as_ref().and_then(|team| teams.get(team)).cloned()).collect();
            for hash in &spec.hashes {
                let ends = [&spec.expires, &hash.not_after];
                let mut not_after_ms = None;
                for end in ends.into_iter().flatten() {
                    match end.parse::<jiff::Timestamp>() {
                        Ok(end) => {
                            let end = u64::try_from(end.as_millisecond()).unwrap_or(0);
                            not_after_ms = Some(not_after_ms.map_or(end, |other: u64| other.min(end)));
                        }
                        Err(_) => self.fail(format!("/virtual_keys/{name}"), "the time at which the key ends cannot be read"),
                    }
                }
                let key = Key {
                    name: name.clone(),
                    digest: hash.sha256,
                    spec: spec.clone(),
                    team_models: team_models.clone(),
                    facts: Arc::clone(&facts),
                    payer: Arc::clone(&payer),
                    not_after_ms,
                    limiters: Arc::clone(&limiters),
                };
                keys.insert(hash.sha256, Arc::new(key));
            }
        }
        keys
    }
}

/// Lists the places of attempts at a target, where their number is limited.
fn places(provider: &Provider, health: &TargetHealth) -> Vec<(String, Arc<Places>)> {
    let Some(bounds) = provider.spec.concurrency else { return Vec::new() };
    provider.credentials.iter().map(|credential| (credential.name.clone(), health.places(&credential.name, bounds))).collect()
}

/// Lets the times of targets be kept that second tries go by.
fn watch(spec: &plan::Model, stages: &[Stage]) {
    if spec.hedge.is_some_and(|hedge| matches!(hedge.after, HedgeAfter::Quantile(_))) {
        stages.iter().flat_map(|stage| &stage.targets).for_each(|member| member.target.health.times.watch());
    }
}

/// Writes members as a request, for whoever reads them into the middle form.
fn as_request(members: &BTreeMap<String, serde_json::Value>) -> Option<String> {
    if members.is_empty() {
        return None;
    }
    let mut request = members.clone();
    request.insert("model".to_owned(), "".into());
    request.insert("messages".to_owned(), Vec::<String>::new().into());
    serde_json::to_string(&request).ok()
}

/// Writes members as raw JSON, once.
fn raw(members: &BTreeMap<String, serde_json::Value>) -> Vec<(String, Vec<u8>)> {
    members.iter().map(|(name, value)| (name.clone(), value.to_string().into_bytes())).collect()
}
