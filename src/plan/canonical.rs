//! One form for all plans of one meaning: lists whose order says nothing are sorted, so that digests do not see it.
//!
//! Rule: what this form sorts, [`super::diff`] compares as a set, and nothing else.

use std::collections::BTreeMap;

use serde_json::Value;

use super::types::{Balance, BudgetRef, Plan, RuleAction, Target};
use crate::base::Digest;

/// Digests a plan's meaning.
pub(super) fn digest(plan: &Plan) -> Digest {
    Digest::of(&bytes(&sorted(plan).model()))
}

/// Returns bytes that are equal exactly when two JSON values are, whatever the order of their members.
///
/// Unlike `==`, it tells `-0.0` from `0.0`: both sides of a diff and both digests agree on what is equal.
pub(super) fn bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            out.push(b'{');
            for (key, value) in sorted {
                write(&Value::String(key.clone()), out);
                out.push(b':');
                write(value, out);
                out.push(b',');
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                write(item, out);
                out.push(b',');
            }
            out.push(b']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.extend_from_slice(value.to_string().as_bytes()),
    }
}

fn sorted(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for credential in plan.providers.values_mut().flat_map(|provider| provider.credentials.values_mut()) {
        patterns(&mut credential.models);
    }
    for model in plan.models.values_mut() {
        targets(&mut model.targets, model.balance);
    }
    for rule in &mut plan.rules {
        match &mut rule.action {
            RuleAction::Targets(list) => targets(list, Balance::Weighted),
            RuleAction::Use(_) | RuleAction::Deny { .. } => {}
        }
    }
    plan.teams.values_mut().for_each(|team| budgets(&mut team.budgets));
    plan.teams.values_mut().filter_map(|team| team.models.as_mut()).for_each(patterns);
    for key in plan.virtual_keys.values_mut() {
        patterns(&mut key.models);
        budgets(&mut key.budgets);
        key.hashes.sort_by_key(|hash| hash.sha256);
    }
    plan
}

fn patterns(list: &mut Vec<String>) {
    list.sort();
    list.dedup();
}

fn budgets(list: &mut Vec<BudgetRef>) {
    list.sort_by_cached_key(|reference| serde_json::to_value(reference).map(|value| bytes(&value)).unwrap_or_default());
    list.dedup();
}

/// Sorts what has no order: targets that do not take turns. Those of weight 0 come last, one after the other, and stay as they are.
fn targets(list: &mut [Target], balance: Balance) {
    if takes_turns(balance) {
        return;
    }
    list.sort_by(|a, b| match (is_last(a), is_last(b)) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Greater,
        (false, true) => std::cmp::Ordering::Less,
        (false, false) => (&a.provider, &a.model).cmp(&(&b.provider, &b.model)),
    });
}

/// Returns whether the order of all targets means something.
pub(super) const fn takes_turns(balance: Balance) -> bool {
    match balance {
        Balance::RoundRobin => true,
        Balance::Weighted | Balance::LeastBusy | Balance::Fastest | Balance::Cheapest | Balance::Adaptive => false,
    }
}

/// Returns whether a target that takes no turns is tried only when the others fail, in the order in which such are listed.
pub(super) const fn is_last(target: &Target) -> bool {
    target.weight == 0 && target.share.is_none()
}
