//! Virtual keys and budgets, as every source has them.

use crate::base::Usd;
use crate::spec::{Budget, Period};

/// Says what is to be done about a key that only the environment knows.
pub(super) fn from_variable(name: &str) -> String {
    format!(
        "only a key's digest stands in the spec: `printenv {name} | bifrostctl key hash`, and write it as `virtual_keys: {{NAME: {{hashes: [{{sha256: …}}], models: [\"*\"]}}}}`"
    )
}

/// Makes a budget of a limit and its window.
pub(super) const fn budget(limit: Usd, period: Period) -> Budget {
    Budget {
        renamed_from: None,
        limit,
        period,
        timezone: None,
        mode: None,
        alerts: None,
        unpriced: None,
        when_exhausted: None,
        on_store_error: None,
    }
}
