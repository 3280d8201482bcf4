//! Requests that name no model: files, batches, answers that are kept upstream. They go to a provider, not to a target.
//!
//! Rule: such a request reaches everything that the provider keeps for our account, so it takes a key that may use every model of the
//! provider. Credentials are tried in the order of their names, not by weight: what one account keeps, another does not know.

use std::sync::Arc;

use super::decide::{Candidate, Decision, Excluded, Standing, ready};
use super::entry::{EVERY_MODEL, Key, RoutingTable};
use crate::plan::Auth;
use crate::provider::Admit;
use crate::wire::Demand;

/// Why there is no provider to send to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderDenial {
    /// Nobody may use a provider as a whole without a key.
    NeedsKey,
    /// Several would do; their names, sorted.
    Ambiguous(Vec<String>),
    /// The key covers no provider as a whole.
    NoneAllowed,
    /// The named one does not exist, or the key may not use all of it; the names of those that would do.
    Refused(Vec<String>),
    /// It cannot be tried now.
    NoCandidate(Excluded),
}

/// Decides where a request without a model goes: to the provider that it names, or to the only one that the key covers.
///
/// # Errors
/// [`ProviderDenial`].
pub fn decide_provider(
    table: &RoutingTable,
    key: Option<&Key>,
    (named, demand): (Option<&str>, Demand),
    now_ms: u64,
) -> Result<Decision, ProviderDenial> {
    if key.is_none() && table.plan.gateway.auth != Auth::Off {
        return Err(ProviderDenial::NeedsKey);
    }
    // A provider of another format has no such endpoint.
    let has_it = |name: &str| table.providers.get(name).is_some_and(|provider| demand.is_met_by(provider.format));
    let covers = |name: &str| has_it(name) && table.may_use(key, &format!("{name}/{EVERY_MODEL}"));
    let covered = || table.plan.providers.keys().filter(|name| covers(name)).cloned().collect::<Vec<_>>();
    let target = match named {
        Some(name) => table.accounts.get(name).filter(|_| covers(name)).ok_or_else(|| ProviderDenial::Refused(covered())),
        None => {
            let names = covered();
            match names.as_slice() {
                [] => Err(ProviderDenial::NoneAllowed),
                [only] => table.accounts.get(only).ok_or(ProviderDenial::NoneAllowed),
                [_, ..] => Err(ProviderDenial::Ambiguous(names)),
            }
        }
    }?;
    let credentials = match ready(target, now_ms) {
        Ok(ready) => ready.into_iter().map(|(credential, _)| Arc::clone(credential)).collect(),
        Err(why) => return Err(ProviderDenial::NoCandidate(Excluded { target: target.id(), why })),
    };
    // There is no other member, so an open breaker is no reason to leave it out.
    let standing = match target.health.breaker.admits(now_ms) {
        Admit::Yes => Standing::Closed,
        Admit::Probe => Standing::HalfOpen,
        Admit::No { .. } => Standing::LastResort,
    };
    Ok(Decision {
        alias: None,
        candidates: vec![Candidate { target: Arc::clone(target), credentials, standing, via: None }],
        excluded: Vec::new(),
        is_bound: true,
    })
}
