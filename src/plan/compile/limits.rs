//! Rate limits: two spellings of one limit become one.

use crate::plan::types as plan;
use crate::spec;

pub(super) fn limits(spec: &spec::RateLimits) -> plan::RateLimits {
    let normal = |limit: Option<spec::RateLimit>| limit.map(spec::RateLimit::normal);
    plan::RateLimits { requests: normal(spec.requests), tokens: normal(spec.tokens), concurrency: spec.concurrency }
}
