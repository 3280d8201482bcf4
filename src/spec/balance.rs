//! How one of several targets is picked.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::text_form;

/// How a target is picked among an alias's targets. What is known of times, failures and running requests is each gateway's own, and fades
/// within a minute or two, so that nobody is forgotten who was slow once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// At random, by weight.
    Weighted,
    /// In turn, weights ignored.
    RoundRobin,
    /// Who serves the fewest requests for its weight.
    LeastBusy,
    /// Of two drawn by weight, the one with the shorter time to the first content, counting who waits there already.
    Fastest,
    /// Who costs the least for a request of this length, by the prices of today; who has no price comes last.
    Cheapest,
    /// At random, by weights that follow failures, times and running requests.
    Adaptive,
}

/// What of a request keeps it with one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    /// The user that the body names: `user`, `safety_identifier`, `prompt_cache_key` or `metadata.user_id`.
    User,
    /// The value of a header, such as `x-session-id`.
    Header(String),
}

/// A share of the traffic, in hundredths of a percent; written `5%` or `0.25%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrafficShare(u16);

/// All of the traffic, in hundredths of a percent.
const ALL: u16 = 10_000;

impl TrafficShare {
    /// All of the traffic, in the unit of [`Self::basis_points`].
    pub const ALL: u16 = ALL;

    /// Makes a share from hundredths of a percent, at most [`Self::ALL`].
    pub const fn from_basis_points(points: u16) -> Self {
        Self(if points > ALL { ALL } else { points })
    }

    /// Returns hundredths of a percent.
    pub const fn basis_points(self) -> u16 {
        self.0
    }
}

/// Why a share cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a share of the traffic such as `5%`, from 0.01% to 100%")]
pub struct ShareError;

impl FromStr for TrafficShare {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let number = text.strip_suffix('%').ok_or(ShareError)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(part) || whole.len() > 3 || part.len() > 2 {
            return Err(ShareError);
        }
        let part: u16 = format!("{part:0<2}").parse().map_err(|_| ShareError)?;
        let points = whole.parse::<u16>().map_err(|_| ShareError)?.saturating_mul(100).saturating_add(part);
        (1..=ALL).contains(&points).then_some(Self(points)).ok_or(ShareError)
    }
}

impl fmt::Display for TrafficShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, part) if part % 10 == 0 => write!(f, "{whole}.{}%", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02}%"),
        }
    }
}

text_form!(TrafficShare, "TrafficShare", "^[0-9]{1,3}([.][0-9]{1,2})?%$", "A share of the traffic, `5%`.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_as_it_is_written() {
        for (text, points) in [("5%", 500), ("0.25%", 25), ("0.01%", 1), ("100%", 10_000), ("12.5%", 1_250), ("1.05%", 105)] {
            let share: TrafficShare = text.parse().unwrap();
            assert_eq!((share.basis_points(), share.to_string().as_str()), (points, text));
        }
        for bad in ["5", "0%", "101%", "100.01%", "-1%", "1.234%", "1.%", ".5%", "%", "5 %", "1e1%"] {
            assert_eq!(bad.parse::<TrafficShare>(), Err(ShareError), "{bad}");
        }
    }
}
