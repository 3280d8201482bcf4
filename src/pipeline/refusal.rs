//! Refusals that need no table: what the client is told before it is known who serves. Those that follow from a decision are
//! [`crate::table::refusal`]'s, which `explain` shares.

use crate::base::Span;
use crate::error::{GatewayError, Kind};
use crate::server::BodyError;

pub(super) use crate::table::refusal::{Refusal, by_rule, denied, denied_provider, limited, no_such_model, usable};

/// A gateway that serves as many requests as it may.
pub(super) fn full(places: u32, most: u32) -> Refusal {
    let text = match places < most {
        false => format!("The gateway is serving as many requests as it may: {most} (`gateway.limits.in_flight` in the spec)."),
        true => format!("The gateway is serving {places} requests or more, of {most}: the rest is for keys of a higher `priority`."),
    };
    // Most requests take longer, but places come free all the time.
    Refusal { retry_after_ms: Some(1_000), ..GatewayError::new(Kind::Overloaded, text).into() }
}

/// Targets that have as many requests as they may, none of which ended while this one waited.
pub(super) fn crowded(queue: Span) -> Refusal {
    let text = match queue.as_millis() {
        0 => format!("{TAKEN}."),
        _ => format!("{TAKEN}, and none of them ended within {queue} (`gateway.limits.queue`)."),
    };
    Refusal { retry_after_ms: Some(1_000), ..GatewayError::new(Kind::Overloaded, text).into() }
}

/// Targets that have as many requests as they may, where another one is likely to wait for too long.
pub(super) fn crowded_out(wait_ms: u64) -> Refusal {
    let error = GatewayError::new(Kind::Overloaded, format!("{TAKEN}, and none is likely to end soon enough for another one that waits."));
    Refusal { retry_after_ms: Some(wait_ms.clamp(1_000, 60_000)), ..error.into() }
}

const TAKEN: &str = "Every target that could serve the request has as many requests as it may (`concurrency` of its provider in the spec)";

/// A gateway that uses nearly all the memory that it may.
pub(super) fn out_of_memory((used, most): (Option<u64>, Option<u64>)) -> Refusal {
    let text = "The gateway is short of memory (`gateway.limits.memory` in the spec, or the container's limit).";
    let mib = |bytes: Option<u64>| bytes.unwrap_or(0) >> 20;
    let error = GatewayError::new(Kind::Overloaded, text).detail(format_args!("{} of {} MiB are in use", mib(used), mib(most)));
    Refusal { retry_after_ms: Some(1_000), ..error.into() }
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
