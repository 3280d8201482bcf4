//! Alerts of budgets.

use crate::limit::budget::Alert;

/// Tells the log. Does not wait for anything.
pub(super) fn tell(alert: &Alert) {
    let Alert { budget, percent, spent, limit } = alert;
    tracing::warn!(%budget, percent, %spent, %limit, "a budget has reached a share of its limit");
}
