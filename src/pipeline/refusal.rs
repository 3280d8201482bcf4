//! Refusals that need no table: what the client is told before it is known who serves. Those that follow from a decision are
//! [`crate::table::refusal`]'s, which `explain` shares.

use crate::error::{GatewayError, Kind};
use crate::server::BodyError;

pub(super) use crate::table::refusal::{Refusal, by_rule, denied, denied_provider, limited, no_such_model, usable};

/// A gateway that serves as many requests as it may.
pub(super) fn full(limit: u32) -> Refusal {
    let text = format!("The gateway is serving as many requests as it may: {limit} (`gateway.limits.in_flight` in the spec).");
    // Most requests take longer, but places come free all the time.
    Refusal { retry_after_ms: Some(1_000), ..GatewayError::new(Kind::Overloaded, text).into() }
}

/// A gateway that ends before the request does.
pub(super) fn over(error: GatewayError) -> Refusal {
    // Whoever comes again finds another gateway, or the next one in its place.
    Refusal { retry_after_ms: Some(1_000), ..error.into() }
}

/// A path that does not exist.
pub(super) fn no_path(path: &str) -> Refusal {
    GatewayError::new(Kind::UnknownPath, format!("There is no `{path}` here. The paths of OpenAI's API begin with `/v1/`.")).into()
}

/// A method that the path does not take.
pub(super) fn wrong_method(allowed: &str) -> Refusal {
    GatewayError::new(Kind::MethodNotAllowed, format!("This path takes {allowed}.")).into()
}

/// A body that could not be read.
pub(super) fn unread(error: BodyError) -> Refusal {
    let (kind, where_to_look) = match error {
        BodyError::TooLarge { .. } => (Kind::TooLarge, " (`gateway.limits.body` in the spec)"),
        BodyError::Timeout | BodyError::Disconnected => (Kind::ClientTimeout, ""),
        BodyError::Malformed => (Kind::BadRequest, ""),
    };
    GatewayError::new(kind, format!("The request was refused: {error}{where_to_look}.")).into()
}
