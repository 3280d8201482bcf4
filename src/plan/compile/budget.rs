//! Budgets, with what absence means filled in.

use std::collections::BTreeSet;

use crate::plan::types as plan;
use crate::spec::{self, BudgetMode, OnStoreError, Percent, Unpriced, WhenExhausted};

/// Alerts of a budget that lists none.
const ALERTS: [Percent; 2] = [Percent::new(80), Percent::new(100)];

pub(super) fn budget(spec: &spec::Budget) -> plan::Budget {
    let mode = spec.mode.unwrap_or(BudgetMode::Strict);
    let on_store_error = match mode {
        BudgetMode::Strict | BudgetMode::Progressive => OnStoreError::Deny,
        BudgetMode::Soft => OnStoreError::Allow,
    };
    plan::Budget {
        renamed_from: spec.renamed_from.clone(),
        limit: spec.limit,
        period: spec.period,
        timezone: spec.timezone.clone().unwrap_or_else(|| "UTC".to_owned()),
        mode,
        alerts: spec.alerts.as_ref().map_or_else(|| BTreeSet::from(ALERTS), |alerts| alerts.iter().copied().collect()),
        unpriced: spec.unpriced.unwrap_or(Unpriced::Deny),
        when_exhausted: spec.when_exhausted.clone().unwrap_or(WhenExhausted::Deny),
        on_store_error: spec.on_store_error.unwrap_or(on_store_error),
    }
}

pub(super) fn references(list: &[spec::BudgetRef]) -> Vec<plan::BudgetRef> {
    let lowered = |reference: &spec::BudgetRef| match reference {
        spec::BudgetRef::Shared(name) => plan::BudgetRef::Shared(name.clone()),
        spec::BudgetRef::Own(own) => plan::BudgetRef::Own(Box::new(budget(own))),
    };
    list.iter().map(lowered).collect()
}
