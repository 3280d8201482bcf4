//! Rate limits as they are written: how many requests and tokens in how long, and how many requests at once.
//!
//! Not the caps that protect the process, which are [`super::Limits`].

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::base::Pace;

/// What may be used in a time, and at once. What is not written is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimits {
    /// Requests: `600/min`, or `{rate: 600/min, burst: 60}`.
    pub requests: Option<RateLimit>,
    /// Tokens, of prompts and answers together: `200k/min`. Those of a prompt are estimated when the request comes, those of the answer
    /// count once they are known, so that the next requests wait for them.
    pub tokens: Option<RateLimit>,
    /// Most requests at once. One counts until its answer has ended.
    #[schemars(range(min = 1))]
    pub concurrency: Option<u32>,
}

/// A rate, and how much of it may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// The rate.
    pub rate: Pace,
    /// The most at once; a tenth of the rate's number, and at least 1, when absent.
    pub burst: Option<u32>,
}

impl RateLimit {
    /// Returns the most that may come at once.
    pub fn at_once(&self) -> u64 {
        self.burst.map_or_else(|| (self.rate.count / 10).max(1), u64::from)
    }

    /// Returns the same without a burst that would follow anyway, so that two spellings of one limit are equal.
    #[must_use]
    pub fn normal(self) -> Self {
        let plain = Self { burst: None, ..self };
        if self.at_once() == plain.at_once() { plain } else { self }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} at once", self.rate, self.at_once())
    }
}

/// The long form of a rate limit.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LongRateLimit {
    /// So many in so long.
    rate: Pace,
    /// The most at once. Default: a tenth of the rate's number, at least 1.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<u32>,
}

impl Serialize for RateLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.burst {
            None => self.rate.serialize(serializer),
            burst => LongRateLimit { rate: self.rate, burst }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RateLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = RateLimit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rate or {rate, burst}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RateLimit, E> {
                Ok(RateLimit { rate: text.parse().map_err(E::custom)?, burst: None })
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<RateLimit, A::Error> {
                let LongRateLimit { rate, burst } = LongRateLimit::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(RateLimit { rate, burst })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for RateLimit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RateLimit".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<LongRateLimit>();
        json_schema!({
            "description": "A rate such as `600/min`, or {rate, burst}.",
            "oneOf": [{"type": "string", "pattern": "^([0-9]{1,9}|[0-9]{1,6}k|[0-9]{1,3}M)/(s|min|h|day)$"}, long]
        })
    }
}
