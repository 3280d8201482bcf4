//! Lowering: every section of the spec becomes its section of the plan, with defaults filled in and spellings made one.
//!
//! Lowering does not stop: what cannot be lowered is reported and replaced by something harmless, so that the checks that
//! follow see the whole plan and every finding comes out at once. A plan leaves this module only when nothing refuses it.

mod budget;
mod cloud;
mod credential;
mod gateway;
mod key;
mod limits;
mod model;
mod price;
mod provider;
mod timeouts;

use super::check;
use super::finding::Findings;
use super::types::Plan;
use crate::spec::{Diagnostic, Loaded};

/// A plan, and what is suspicious about it.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The plan.
    pub plan: Plan,
    /// Warnings and notes of the compiler, in file order. Those of the loader are in [`Loaded::warnings`].
    pub warnings: Vec<Diagnostic>,
}

/// Compiles a loaded spec and checks it. Pure; about a microsecond per entry, and some per sample of a condition.
///
/// Without a clock, so that equal specs give equal findings; [`compile_at`] also says which keys are over.
///
/// # Errors
/// Everything that is wrong, warnings included, in file order.
pub fn compile(loaded: &Loaded) -> Result<Compiled, Vec<Diagnostic>> {
    run(loaded, None)
}

/// Compiles like [`compile`], and warns of keys and digests that are over at `now_unix_ms`, in milliseconds since the Unix epoch.
///
/// The plan, and whether there is one, do not depend on the time. This is what `validate` and `serve` call.
///
/// # Errors
/// Everything that is wrong, warnings included, in file order.
pub fn compile_at(loaded: &Loaded, now_unix_ms: u64) -> Result<Compiled, Vec<Diagnostic>> {
    run(loaded, Some(now_unix_ms))
}

/// Compiles a spec that may be wrong, for comparing and never for serving: what cannot be lowered is replaced by something harmless, and
/// references need not resolve.
///
/// Returns every finding too, in file order; without an error among them the plan is that of [`compile`].
pub fn compile_anyway(loaded: &Loaded) -> (Plan, Vec<Diagnostic>) {
    let mut found = Findings::new(loaded);
    let plan = lower(&mut found);
    check::check(&mut found, &plan);
    (plan, found.into_sorted())
}

fn run(loaded: &Loaded, now_unix_ms: Option<u64>) -> Result<Compiled, Vec<Diagnostic>> {
    let mut found = Findings::new(loaded);
    let plan = lower(&mut found);
    check::check(&mut found, &plan);
    if let Some(now) = now_unix_ms {
        check::expired(&mut found, &plan, now);
        check::retired(&mut found, &plan, now);
    }
    if found.refuses() {
        return Err(found.into_sorted());
    }
    Ok(Compiled { plan, warnings: found.into_sorted() })
}

fn lower(found: &mut Findings<'_>) -> Plan {
    let spec = &found.loaded.spec;
    Plan {
        gateway: gateway::gateway(&spec.gateway),
        providers: spec.providers.iter().map(|(name, it)| (name.clone(), provider::provider(found, name, it))).collect(),
        models: spec.models.iter().map(|(name, it)| (name.clone(), model::model(found, name, it))).collect(),
        rules: spec.rules.iter().enumerate().map(|(index, it)| model::rule(found, index, it)).collect(),
        teams: spec.teams.iter().map(|(name, it)| (name.clone(), key::team(it))).collect(),
        virtual_keys: spec.virtual_keys.iter().map(|(name, it)| (name.clone(), key::virtual_key(found, name, it))).collect(),
        budgets: spec.budgets.iter().map(|(name, it)| (name.clone(), budget::budget(it))).collect(),
        prices: spec.prices.iter().map(|(key, it)| (key.clone(), price::price(found, key, it))).collect(),
        telemetry: gateway::telemetry(&spec.telemetry),
        policy: spec.policy.clone(),
    }
}
