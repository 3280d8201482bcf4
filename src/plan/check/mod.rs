//! What the types allow, the schema cannot see, and a gateway could not serve or would serve otherwise than its author thinks.
//!
//! Not the lowering, which reports what it cannot lower. Rules: a check that cannot prove a fault is silent; what another finding
//! explains already is not said again; nothing that may be a secret is shown.

mod access;
mod budgets;
mod chains;
mod expiry;
mod gateway;
mod headers;
mod hedges;
mod keys;
mod limits;
mod models;
mod names;
mod payable;
mod prices;
mod providers;
mod reach;
mod references;
mod rules;
mod sample;
mod secrets;
mod templates;

pub(super) use expiry::expired;
pub(super) use prices::retired;

use super::finding::Findings;
use super::types::Plan;

/// Runs every check that needs no clock.
pub(super) fn check(found: &mut Findings<'_>, plan: &Plan) {
    gateway::check(found, plan);
    names::check(found, plan);
    let mut meant = references::check(found, plan);
    prices::check(found, plan, &mut meant);
    chains::check(found, plan);
    hedges::check(found, plan);
    providers::check(found, plan, &meant);
    headers::check(found, plan);
    models::check(found, plan);
    rules::check(found, plan);
    keys::check(found, plan, &meant);
    budgets::check(found, plan);
    payable::check(found, plan);
    limits::check(found, plan);
    secrets::check(found);
}
