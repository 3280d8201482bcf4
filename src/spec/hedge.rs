//! A second try beside a first one that takes long.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::balance::TrafficShare;
use crate::base::{Span, text_form};

/// Asks a second target, or a second credential, where the first has not answered in time; whoever answers first serves, and the other one is
/// given up. Both are paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hedge {
    /// How long the first is waited for, until the first content of a stream or the end of an answer that comes at once: `p50`, `p90`, `p95` or
    /// `p99` of the target's own times of late, or a time such as `800ms`. Of a target without some twenty answers of late no such time is
    /// known, and nothing is hedged.
    pub after: HedgeAfter,
    /// The most of the alias's requests that are asked twice, up to 50%. Default: 2%.
    pub max_share: Option<TrafficShare>,
}

/// How long the first of two is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HedgeAfter {
    /// As long as so many of a thousand answers of the target took of late.
    Quantile(u16),
    /// Always as long.
    Time(Span),
}

/// The quantiles that may be written, by their thousandths.
const QUANTILES: [(&str, u16); 4] = [("p50", 500), ("p90", 900), ("p95", 950), ("p99", 990)];

/// Why a wait cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `p50`, `p90`, `p95`, `p99`, or a time such as `800ms`")]
pub struct HedgeAfterError;

impl FromStr for HedgeAfter {
    type Err = HedgeAfterError;

    fn from_str(text: &str) -> Result<Self, HedgeAfterError> {
        match QUANTILES.into_iter().find(|(name, _)| *name == text) {
            Some((_, permille)) => Ok(Self::Quantile(permille)),
            None => text.parse().map(Self::Time).map_err(|_| HedgeAfterError),
        }
    }
}

impl fmt::Display for HedgeAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quantile(permille) => write!(f, "p{}", permille / 10),
            Self::Time(span) => span.fmt(f),
        }
    }
}

text_form!(
    HedgeAfter,
    "HedgeAfter",
    "^(p(50|90|95|99)|([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?)$",
    "A quantile of the target's own times, `p95`, or a time, `800ms`."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_as_it_is_written() {
        let quantiles = QUANTILES.map(|(text, permille)| (text, HedgeAfter::Quantile(permille)));
        for (text, after) in quantiles.into_iter().chain([("800ms", HedgeAfter::Time(Span::from_millis(800)))]) {
            assert_eq!((text.parse(), after.to_string().as_str()), (Ok(after), text));
        }
        for bad in ["", "p", "p95.0", "P95", "p42", "95", "-1s", "1.5s", "p95 "] {
            assert_eq!(bad.parse::<HedgeAfter>(), Err(HedgeAfterError), "{bad}");
        }
    }
}
