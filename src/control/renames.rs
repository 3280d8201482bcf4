//! Entries of the spec with a new name: what was spent under the old one becomes the new one's.

use std::sync::Arc;

use crate::limit::budget::Ledger;
use crate::plan::Plan;
use crate::store::book::{Adjustment, AttemptId, BookError};

/// Does what `renamed_from` says. Again and again the same: what is moved once is there. Blocks.
///
/// # Errors
/// [`BookError`], at the first that could not be moved.
pub(super) fn take_over(ledger: &Ledger, plan: &Plan, now_ms: u64) -> Result<(), BookError> {
    let keys = plan.virtual_keys.iter().map(|(name, it)| ("key", name, &it.renamed_from));
    let teams = plan.teams.iter().map(|(name, it)| ("team", name, &it.renamed_from));
    let budgets = plan.budgets.iter().map(|(name, it)| ("budget", name, &it.renamed_from));
    for (kind, name, old) in keys.chain(teams).chain(budgets) {
        let Some(old) = old else { continue };
        let (from, to) = (format!("{kind}:{old}"), format!("{kind}:{name}"));
        let account: Arc<str> = Arc::from(to.as_str());
        ledger.rename(&from, &to, |change| Adjustment {
            id: AttemptId::from_bits(u128::from(now_ms) << 80 | u128::from(getrandom::u64().unwrap_or(now_ms)), 0),
            at_ms: now_ms,
            account,
            change,
            actor: Arc::from("spec"),
            reason: Arc::from(format!("renamed from {from}")),
        })?;
    }
    Ok(())
}
