//! When a second target would be asked beside the first.

use serde::{Deserialize, Serialize};

use super::ask::Asked;
use crate::plan::HedgeAfter;
use crate::provider::Timed;
use crate::table::{Decision, Standing};

/// When a second target would be asked beside the first one of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HedgeTold {
    /// As the spec says it: `p95`, `800ms`.
    pub after: String,
    /// How long that is now for the first target; none where too little is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// The most of the alias's requests that are asked twice.
    pub max_share: String,
    /// Why this request would not be asked twice, where it would not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not: Option<String>,
}

/// Says it for a decision; none where the alias makes no second tries.
pub(super) fn hedge(decision: &Decision, asked: &Asked<'_>, now_ms: u64) -> Option<HedgeTold> {
    let hedge = decision.alias.as_ref()?.spec.hedge?;
    let first = decision.candidates.first()?;
    let kind = match (asked.is_chat(), asked.is_embedding()) {
        (true, _) if asked.is_stream() => Some(Timed::Streamed),
        (true, _) => Some(Timed::Whole),
        (_, true) => Some(Timed::Other),
        (false, false) => None,
    };
    let wait_ms = match hedge.after {
        HedgeAfter::Time(span) => Some(span.as_millis()),
        HedgeAfter::Quantile(permille) => {
            kind.and_then(|kind| first.target.health.times.quantile_us(kind, permille, now_ms)).map(|us| us.div_ceil(1_000))
        }
    };
    let is_alone = decision.candidates.len() == 1 && first.credentials.len() == 1;
    let not = match kind {
        None => Some("what is only relayed is asked once"),
        Some(_) if first.standing != Standing::Closed => Some("its first target is not known to be well"),
        Some(_) if is_alone => Some("there is nobody else to ask"),
        Some(_) if wait_ms.is_none() => Some("too little is known of the first target's times"),
        Some(_) => None,
    };
    Some(HedgeTold { after: hedge.after.to_string(), wait_ms, max_share: hedge.max_share.to_string(), not: not.map(str::to_owned) })
}
