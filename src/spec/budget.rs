//! Budgets as the spec writes them: how much money, in which window, and what happens at its end.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::base::{Span, Usd, text_form};

/// A budget: the most that may be spent in one window. What was spent belongs to whoever has the budget and is never changed by an edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The name that it had before: what was spent under that one is this one's. May stay as long as the old name is not used again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// The most that may be spent in one window.
    pub limit: Usd,
    /// The window.
    pub period: Period,
    /// The time zone whose calendar the window follows. Default: UTC.
    #[schemars(extend("examples" = ["UTC", "Europe/Berlin"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// What the budget guarantees. Default: strict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<BudgetMode>,
    /// Shares of the limit at which an alert goes to the log, to the metrics and to `telemetry.alerts`. Default: 80% and 100%.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Vec<Percent>>,
    /// What happens to a request for a model without a price. Default: deny.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpriced: Option<Unpriced>,
    /// What happens to a request that does not fit. Default: deny.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_exhausted: Option<WhenExhausted>,
    /// What happens while the ledger cannot be written. Default: deny; allow where the mode is soft.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_store_error: Option<OnStoreError>,
}

/// What a budget guarantees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetMode {
    /// Never over: the most that a request can cost is reserved before it is sent.
    Strict,
    /// Over by at most one step for each running stream: what a stream costs is reserved step by step, and one that cannot go on is ended.
    Progressive,
    /// Over by what is running when the limit is reached: a request is refused only once the limit is spent.
    Soft,
}

/// What happens to a request for a model without a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// Its targets without a price are left out.
    Deny,
    /// It is served and costs nothing.
    Allow,
}

/// What happens to a request that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenExhausted {
    /// It is refused with 402.
    Deny,
    /// It is served as this alias, where that fits: a cheaper or a free one.
    Use(String),
}

/// What happens to requests while the ledger cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnStoreError {
    /// They are refused with 503.
    Deny,
    /// They are served, and counted in memory until the ledger is back.
    Allow,
}

/// A budget of a key or a team: a shared one by its name, or one of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum BudgetRef {
    /// The name of a shared budget.
    Shared(String),
    /// A budget of its own.
    Own(Box<Budget>),
}

impl<'de> Deserialize<'de> for BudgetRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = BudgetRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a budget, or {limit, period, …}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<BudgetRef, E> {
                Ok(BudgetRef::Shared(text.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<BudgetRef, A::Error> {
                Budget::deserialize(de::value::MapAccessDeserializer::new(map)).map(|own| BudgetRef::Own(Box::new(own)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for BudgetRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "BudgetReference".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let own = generator.subschema_for::<Budget>();
        json_schema!({
            "description": "The name of a shared budget, or {limit, period, …}: one of its own.",
            "oneOf": [{"type": "string", "minLength": 1}, own]
        })
    }
}

/// The window of a budget: a unit of the calendar, all time, or the time just past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// From the first of a month.
    Month,
    /// From January, April, July, October.
    Quarter,
    /// From January.
    Year,
    /// All time.
    Total,
    /// The time just past; at least an hour.
    Rolling(Span),
}

/// Why a period or a share was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BudgetUnitError {
    /// Not a period.
    #[error("expected one of `hour`, `day`, `week`, `month`, `quarter`, `year`, `total`, or `rolling 30d` (at least `rolling 1h`)")]
    Period,
    /// Not a share.
    #[error("expected a share of the limit such as `80%`, from 1% to 1000%")]
    Percent,
}

/// The shortest rolling window.
const SHORTEST: Span = Span::from_secs(3_600);
/// The longest rolling window: two years.
const LONGEST: Span = Span::from_secs(2 * 366 * 86_400);

const CALENDAR: [(&str, Period); 7] = [
    ("hour", Period::Hour),
    ("day", Period::Day),
    ("week", Period::Week),
    ("month", Period::Month),
    ("quarter", Period::Quarter),
    ("year", Period::Year),
    ("total", Period::Total),
];

impl FromStr for Period {
    type Err = BudgetUnitError;

    fn from_str(text: &str) -> Result<Self, BudgetUnitError> {
        if let Some((_, period)) = CALENDAR.iter().find(|(name, _)| *name == text) {
            return Ok(*period);
        }
        let span = text.strip_prefix("rolling ").and_then(|span| span.parse::<Span>().ok());
        span.filter(|span| (SHORTEST..=LONGEST).contains(span)).map(Self::Rolling).ok_or(BudgetUnitError::Period)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rolling(span) => write!(f, "rolling {span}"),
            calendar => f.write_str(CALENDAR.iter().find(|(_, period)| period == calendar).map_or("", |(name, _)| name)),
        }
    }
}

/// A share in percent, written `80%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Percent(u16);

impl Percent {
    /// Makes a share.
    pub const fn new(percent: u16) -> Self {
        Self(percent)
    }

    /// Returns whole percents.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl FromStr for Percent {
    type Err = BudgetUnitError;

    fn from_str(text: &str) -> Result<Self, BudgetUnitError> {
        let digits = text.strip_suffix('%').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let percent = digits.and_then(|digits| digits.parse().ok());
        percent.filter(|percent| (1..=1_000).contains(percent)).map(Self).ok_or(BudgetUnitError::Percent)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

text_form!(
    Period,
    "Period",
    "^(hour|day|week|month|quarter|year|total|rolling ([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?)$",
    "The window: `hour`, `day`, `week`, `month`, `quarter`, `year` of the calendar, `total`, or the time just past: `rolling 30d`."
);
text_form!(Percent, "Percent", "^[0-9]{1,4}%$", "A share of the limit, `80%`.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_prints_as_it_would_be_written() {
        for text in ["hour", "day", "week", "month", "quarter", "year", "total", "rolling 30d", "rolling 1h30m"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        for bad in ["", "monthly", "30d", "rolling", "rolling 30", "rolling 59m", "rolling 5000d", "Month", "rolling  30d"] {
            assert_eq!(bad.parse::<Period>(), Err(BudgetUnitError::Period), "{bad}");
        }
    }

    #[test]
    fn a_share_has_its_sign() {
        assert_eq!("80%".parse::<Percent>().unwrap().to_string(), "80%");
        for bad in ["80", "0%", "1001%", "-5%", "+5%", "5.5%", "%"] {
            assert_eq!(bad.parse::<Percent>(), Err(BudgetUnitError::Percent), "{bad}");
        }
    }
}
