//! The decision: which targets may serve a request, in which order, and why the others may not. Pure: time and chance are arguments.

use std::sync::Arc;

use super::entry::{Alias, Credential, Key, Member, RoutingTable, Stage, Target};
use super::order::{Dice, Size, kept, name_hash, order};
use super::rules::{Rule, RuleAction};
use crate::base::glob;
use crate::limit::{Limiter, Refused};
use crate::plan::Balance;
use crate::provider::{Admit, CredentialState, Reason};
use crate::wire::{Demand, Format};

/// What a decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The key; none where requests may be anonymous.
    pub key: Option<&'a Key>,
    /// The model that the client named.
    pub model: &'a str,
    /// The rule that decides, from [`RoutingTable::verdict`].
    pub rule: Option<&'a Rule>,
    /// Which formats can serve.
    pub demand: Demand,
    /// Monotonic milliseconds, for cooldowns and breakers.
    pub now_ms: u64,
    /// A random number; decides every weighted choice.
    pub roll: u64,
    /// How many requests of the alias that serves came before; decides `round_robin`.
    pub turn: u64,
    /// Milliseconds since the Unix epoch, for prices; decides `cheapest`, with the size.
    pub unix_ms: u64,
    /// How long the request is.
    pub size: Size,
    /// Whether the answer is to come piece by piece; decides which time counts.
    pub stream: bool,
    /// What tells the session from others, where the alias that serves keeps sessions together.
    pub session: Option<u64>,
}

/// What was decided.
#[derive(Debug)]
pub struct Decision {
    /// The alias, unless a target was named directly.
    pub alias: Option<Arc<Alias>>,
    /// In the order in which they are to be tried. Never empty.
    pub candidates: Vec<Candidate>,
    /// What was left out.
    pub excluded: Vec<Excluded>,
    /// The first credential is asked for by what it keeps, so that none goes before it.
    pub is_bound: bool,
}

impl Decision {
    /// Keeps to the targets of one provider, one of whose credentials comes first, where there are any: nobody else has what the request goes
    /// on from.
    pub fn keep_to(&mut self, provider: &str, credential: &str) {
        if !self.candidates.iter().any(|candidate| candidate.target.provider.name == provider) {
            return;
        }
        self.candidates.retain(|candidate| candidate.target.provider.name == provider);
        self.is_bound = true;
        for candidate in &mut self.candidates {
            candidate.credentials.sort_by_key(|known| known.name != credential);
        }
    }
}

/// A target with the credentials to try it with.
#[derive(Debug)]
pub struct Candidate {
    /// The target.
    pub target: Arc<Target>,
    /// Never empty.
    pub credentials: Vec<Arc<Credential>>,
    /// What its breaker says of it.
    pub standing: Standing,
    /// Limits of the aliases through which the chain came to it.
    pub via: Option<Arc<[Arc<Limiter>]>>,
}

/// What a candidate's breaker says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Requests pass.
    Closed,
    /// One request may probe; whoever does not get the probe goes on to the next candidate.
    HalfOpen,
    /// Open, but nobody else is left: a guess is better than a certain refusal.
    LastResort,
}

/// A target that may not be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excluded {
    /// `provider/model`.
    pub target: String,
    /// Why.
    pub why: Exclusion,
}

/// Why a target may not be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exclusion {
    /// Its breaker is open until a monotonic millisecond.
    BreakerOpen {
        /// When a probe is let through.
        until_ms: u64,
    },
    /// Its provider does not answer when it is asked whether it is there.
    Away,
    /// Its provider speaks another format, and the request cannot be translated.
    Format(Format),
    /// The provider has no credential for this model, or none whose secret is set; with the reason.
    NoCredential(String),
    /// Every credential for this model cools down or is out. Never empty.
    CredentialsOut(Vec<KeptOut>),
    /// What the spec lets the provider have at most is used up until a monotonic millisecond.
    ProviderLimit {
        /// The limit.
        refused: Box<Refused>,
        /// When something is free, if nobody else comes.
        until_ms: u64,
    },
}

/// A credential that may not be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptOut {
    /// Its name.
    pub credential: String,
    /// Why.
    pub reason: Reason,
    /// The monotonic millisecond at which it is back; none where only a change of the spec or the secret helps.
    pub until_ms: Option<u64>,
}

/// When something that is left out is back by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Return {
    /// The monotonic millisecond.
    pub until_ms: u64,
    /// What ends then is something else than a provider's rate limit. Where both end at once, the rate limit is told.
    pub is_other: bool,
}

impl Exclusion {
    /// Returns when the target may be tried again, and after what, where waiting helps at all.
    pub fn back(&self) -> Option<Return> {
        match self {
            Self::BreakerOpen { until_ms } => Some(Return { until_ms: *until_ms, is_other: true }),
            Self::NoCredential(_) | Self::Format(_) | Self::Away => None,
            Self::ProviderLimit { until_ms, .. } => Some(Return { until_ms: *until_ms, is_other: false }),
            Self::CredentialsOut(kept) => {
                let back = |kept: &KeptOut| Some(Return { until_ms: kept.until_ms?, is_other: kept.reason != Reason::RateLimit });
                kept.iter().filter_map(back).min()
            }
        }
    }

    /// Says in a few words what keeps the target out, without names that only the operator may see.
    pub fn words(&self) -> &'static str {
        let kept = match self {
            Self::BreakerOpen { .. } => return "its breaker is open",
            Self::Away => return "its provider does not answer",
            Self::NoCredential(_) => return "no usable credential",
            Self::Format(_) => return "its API has no such endpoint",
            Self::ProviderLimit { refused, .. } => return refused.words(),
            Self::CredentialsOut(kept) => kept,
        };
        let first = kept.first().map(|kept| kept.reason);
        match first.filter(|first| kept.iter().all(|kept| kept.reason == *first)) {
            Some(Reason::RateLimit) => "every credential cools down after a 429",
            Some(Reason::Forbidden) => "every credential was refused for this model by the provider",
            Some(Reason::Quota) => "every credential's account has no quota left",
            Some(Reason::Auth) => "every credential was refused by the provider",
            None => "every credential cools down or is out",
        }
    }

    /// Says everything, with names and the time that is left, for logs and the operator.
    pub fn text(&self, now_ms: u64) -> String {
        match self {
            Self::BreakerOpen { until_ms } => {
                format!("its breaker is open after repeated failures; a probe passes in {} s", seconds(*until_ms, now_ms))
            }
            Self::Away => "its provider answers no health checks".to_owned(),
            Self::Format(format) => format!("its API (`{}`) has no such endpoint", format.as_str()),
            Self::NoCredential(reason) => format!("it has no usable credential: {reason}"),
            Self::CredentialsOut(kept) => kept.iter().map(|kept| kept.text(now_ms)).collect::<Vec<_>>().join(", "),
            Self::ProviderLimit { refused, until_ms } => {
                let (provider, measure, limit) = (&refused.name, refused.measure.label(), &refused.limit);
                format!("`providers.{provider}.limits.{measure}` ({limit}) is reached; look again in {} s", seconds(*until_ms, now_ms))
            }
        }
    }
}

impl KeptOut {
    fn text(&self, now_ms: u64) -> String {
        let why = match self.reason {
            Reason::RateLimit => "cools down after a 429",
            Reason::Forbidden => "was refused for this model by the provider",
            Reason::Quota => "has no quota left",
            Reason::Auth => "was refused by the provider",
        };
        let back = match self.until_ms {
            Some(until_ms) => format!("and is back in {} s", seconds(until_ms, now_ms)),
            None => "and is out until the spec or the secret changes".to_owned(),
        };
        format!("credential `{}` {why} {back}", self.credential)
    }
}

/// Rounds what is left up to whole seconds.
pub(super) const fn seconds(until_ms: u64, now_ms: u64) -> u64 {
    until_ms.saturating_sub(now_ms).div_ceil(1000)
}

/// Why there is nothing to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// The key may not use the model.
    Forbidden,
    /// Nobody may use it without a key.
    NeedsKey,
    /// A rule refuses the request.
    Rule {
        /// The rule's name.
        name: String,
        /// HTTP status.
        status: u16,
        /// What the client is told.
        message: String,
    },
    /// There is no such model; the key's own models, for a suggestion.
    NoSuchModel,
    /// Every target was left out.
    NoCandidate(Vec<Excluded>),
}

/// Decides. O(targets of the chain); allocates the lists only.
///
/// # Errors
/// [`Denial`].
pub fn decide(table: &RoutingTable, ask: &Ask<'_>) -> Result<Decision, Denial> {
    let allowed = table.may_use(ask.key, ask.model);
    // A rule moves what the key may ask for; where it leads is the spec's word, as it is for a fallback.
    if let (true, Some(rule)) = (allowed, ask.rule) {
        return match &rule.action {
            RuleAction::Use(alias) => choose(Some(alias), &alias.stages, ask),
            RuleAction::Targets(stages) => choose(None, stages, ask),
            RuleAction::Deny { status, message } => {
                Err(Denial::Rule { name: rule.name.clone(), status: *status, message: message.clone() })
            }
        };
    }
    if let Some(alias) = table.aliases.get(ask.model) {
        if !allowed {
            return Err(Denial::Forbidden);
        }
        return choose(Some(alias), &alias.stages, ask);
    }
    let (provider, model) = ask.model.split_once('/').ok_or(Denial::NoSuchModel)?;
    if ask.key.is_none() && !allowed {
        // Whether there is such a provider is none of a stranger's business.
        return Err(Denial::NeedsKey);
    }
    let account = table.accounts.get(provider).ok_or(Denial::NoSuchModel)?;
    if !allowed {
        return Err(Denial::Forbidden);
    }
    let target = match table.targets.get(ask.model) {
        Some(target) => Arc::clone(target),
        // What clients may name has no bound, so its health and metrics are those of the whole account.
        None => {
            let (price, capacity) = table.plan.terms_of(provider, model);
            Arc::new(Target { model: model.to_owned(), label: Arc::from(model), price, capacity, ..Target::clone(account) })
        }
    };
    let stage = Stage { targets: vec![Member { target, weight: 1, share: None }], balance: Balance::Weighted, via: None };
    choose(None, std::slice::from_ref(&stage), ask)
}

/// Decides for an alias that the spec leads to, whether or not the key may ask for it.
///
/// # Errors
/// [`Denial::NoCandidate`].
pub fn decide_alias(alias: &Arc<Alias>, ask: &Ask<'_>) -> Result<Decision, Denial> {
    choose(Some(alias), &alias.stages, ask)
}

fn choose(alias: Option<&Arc<Alias>>, stages: &[Stage], ask: &Ask<'_>) -> Result<Decision, Denial> {
    let mut dice = Dice(ask.roll);
    let mut candidates = Vec::new();
    let mut excluded = Vec::new();
    let mut open = Vec::new();
    for stage in stages {
        for target in order(stage, ask, &mut dice) {
            let format = target.provider.format;
            if !ask.demand.is_met_by(format) {
                excluded.push(Excluded { target: target.id(), why: Exclusion::Format(format) });
                continue;
            }
            let standing = match target.health.breaker.admits(ask.now_ms) {
                Admit::Yes | Admit::Probe if target.provider.reach.is_away() => Err(Exclusion::Away),
                Admit::Yes => Ok(Standing::Closed),
                Admit::Probe => Ok(Standing::HalfOpen),
                Admit::No { until_ms } => Err(Exclusion::BreakerOpen { until_ms }),
            };
            match (credentials(target, ask, &mut dice), standing) {
                (Err(why), _) => excluded.push(Excluded { target: target.id(), why }),
                (Ok(credentials), Ok(standing)) => {
                    candidates.push(Candidate { target: Arc::clone(target), credentials, standing, via: stage.via.clone() });
                }
                (Ok(credentials), Err(why)) => {
                    // One whose own requests do not fail is the least bad.
                    let until_ms = why.back().map_or(0, |back| back.until_ms);
                    excluded.push(Excluded { target: target.id(), why });
                    let (target, standing, via) = (Arc::clone(target), Standing::LastResort, stage.via.clone());
                    open.push((until_ms, Candidate { target, credentials, standing, via }));
                }
            }
        }
    }
    // Never eject the last member. A probe that is taken already is no member either, so open ones stand behind half-open ones.
    if candidates.iter().all(|candidate| candidate.standing == Standing::HalfOpen) {
        excluded.retain(|excluded| !matches!(excluded.why, Exclusion::BreakerOpen { .. } | Exclusion::Away));
        // Whoever would be tried again soonest is the least bad.
        open.sort_by_key(|(until_ms, _)| *until_ms);
        candidates.extend(open.into_iter().map(|(_, candidate)| candidate));
    }
    if candidates.is_empty() {
        return Err(Denial::NoCandidate(excluded));
    }
    Ok(Decision { alias: alias.cloned(), candidates, excluded, is_bound: false })
}

/// Returns the credentials that may be tried for a target, in order.
fn credentials(target: &Target, ask: &Ask<'_>, dice: &mut Dice) -> Result<Vec<Arc<Credential>>, Exclusion> {
    let (failing, well): (Vec<_>, Vec<_>) =
        ready(target, ask.now_ms)?.into_iter().partition(|(credential, _)| is_failing(credential, ask.now_ms));
    let mut order = |credentials| match ask.session {
        Some(session) => kept(credentials, session, |credential: &&Arc<Credential>| name_hash(&target.provider.name, &credential.name)),
        None => dice.shuffle(credentials),
    };
    // Accounts that fail alone stand behind the others, never out.
    Ok(order(well).into_iter().chain(order(failing)).cloned().collect())
}

/// Returns the credentials that may be tried for a target, with their weights, in the order of their names.
pub(super) fn ready(target: &Target, now_ms: u64) -> Result<Vec<(&Arc<Credential>, u32)>, Exclusion> {
    let ready = usable(target, now_ms)?;
    // How long the prompt is, is not known yet; where not even one token is left, it does not matter.
    let now_ns = now_ms.saturating_mul(1_000_000);
    match target.provider.limiter.as_ref().map_or(Ok(()), |limiter| limiter.check(Some(1), now_ns)) {
        Ok(()) => Ok(ready),
        Err(refused) => Err(limited(refused, now_ms)),
    }
}

/// Leaves a target out because of its provider's limit.
pub(super) fn limited(refused: Refused, now_ms: u64) -> Exclusion {
    let until_ms = now_ms.saturating_add(refused.wait_ns.div_ceil(1_000_000));
    Exclusion::ProviderLimit { refused: Box::new(refused), until_ms }
}

/// Returns whether the account behind a credential failed again and again, so that others go first.
pub(super) fn is_failing(credential: &Credential, now_ms: u64) -> bool {
    matches!(credential.health.breaker.admits(now_ms), Admit::No { .. })
}

fn usable(target: &Target, now_ms: u64) -> Result<Vec<(&Arc<Credential>, u32)>, Exclusion> {
    let provider = &target.provider;
    let mut ready = Vec::with_capacity(provider.credentials.len());
    let mut kept = Vec::new();
    for credential in provider.credentials.iter().filter(|credential| glob::any(&credential.models, &target.model)) {
        match credential.health.state(&target.model, now_ms) {
            CredentialState::Ready => ready.push((credential, credential.weight)),
            CredentialState::Cooling { until_ms, reason } => kept.push((credential, reason, Some(until_ms))),
            CredentialState::Out { until_ms, reason } => kept.push((credential, reason, until_ms)),
        }
    }
    match (ready.is_empty(), kept.is_empty()) {
        (false, _) => Ok(ready),
        (true, false) => {
            let named = |(credential, reason, until_ms): (&Arc<Credential>, _, _)| KeptOut {
                credential: credential.name.clone(),
                reason,
                until_ms,
            };
            Err(Exclusion::CredentialsOut(kept.into_iter().map(named).collect()))
        }
        (true, true) => {
            let reason = provider.absent.first().map_or("no credential of the provider is for this model", |(_, reason)| reason.as_str());
            Err(Exclusion::NoCredential(reason.to_owned()))
        }
    }
}
