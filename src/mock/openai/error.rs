//! Error answers with the words of OpenAI's API (recorded samples).

use serde_json::{Value, json};

use super::{Ask, Reply};
use crate::mock::Failure;

fn error(status: u16, message: &str, kind: &str, (param, code): (Option<&str>, Option<&str>)) -> Reply {
    Reply::json(status, &json!({"error": {"message": message, "type": kind, "param": param, "code": code}}))
}

const INVALID: &str = "invalid_request_error";

/// A body that is not a JSON object.
pub(super) fn not_json() -> Reply {
    let message = "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library \
                   correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)";
    error(400, message, INVALID, (None, None))
}

/// A member that must be there.
pub(super) fn missing(member: &str) -> Box<Reply> {
    Box::new(if member == "model" {
        error(400, "you must provide a model parameter", INVALID, (None, None))
    } else {
        error(400, &format!("Missing required parameter: '{member}'."), INVALID, (Some(member), Some("missing_required_parameter")))
    })
}

/// A member with a value of the wrong kind.
pub(super) fn invalid(member: &str, expected: &str) -> Box<Reply> {
    Box::new(error(400, &format!("Invalid type for '{member}': expected {expected}."), INVALID, (Some(member), Some("invalid_type"))))
}

/// A path that does not exist.
pub(super) fn no_path(ask: &Ask<'_>) -> Reply {
    error(404, &format!("Invalid URL ({} {})", ask.request.method, ask.request.path()), INVALID, (None, None))
}

/// A method that the path does not take.
pub(super) fn wrong_method(ask: &Ask<'_>) -> Reply {
    let message = format!("Not allowed to {} on {}", ask.request.method, ask.request.path());
    error(405, &message, INVALID, (None, Some("method_not_supported")))
}

/// A model that is not there.
pub(super) fn no_model(model: &str) -> Reply {
    let message = format!("The model `{model}` does not exist or you do not have access to it.");
    error(404, &message, INVALID, (None, Some("model_not_found")))
}

/// What is said of a fault description that is not understood.
pub(in crate::mock) fn bad_fault(why: &str) -> String {
    format!("the mock does not understand the faults asked for: {why}")
}

/// A fault description that is not understood.
pub(in crate::mock) fn refuse_fault(why: &str) -> Reply {
    error(400, &bad_fault(why), INVALID, (Some("model"), Some("mock_fault")))
}

/// A typical error; its status may be another.
pub(in crate::mock) fn failure(failure: Failure, model: &str) -> Reply {
    let rate = format!(
        "Rate limit reached for {model} in organization org-mock on requests per min (RPM): Limit 500, Used 500, Requested 1. \
         Please try again in 120ms."
    );
    match failure {
        Failure::BadRequest => error(400, "Invalid value: 'mock'.", INVALID, (Some("messages"), Some("invalid_value"))),
        Failure::ContextLength => {
            let message = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens. \
                           Please reduce the length of the messages.";
            error(400, message, INVALID, (Some("messages"), Some("context_length_exceeded")))
        }
        Failure::ContentFilter => {
            let message = "The response was filtered due to the prompt triggering the content management policy.";
            error(400, message, INVALID, (Some("prompt"), Some("content_filter")))
        }
        Failure::InvalidKey => error(401, "Incorrect API key provided.", INVALID, (None, Some("invalid_api_key"))),
        Failure::Billing => error(402, "Insufficient Balance", "unknown_error", (None, Some("invalid_request_error"))),
        Failure::Permission => {
            let message = "You have insufficient permissions for this operation.";
            error(403, message, INVALID, (None, Some("insufficient_permissions")))
        }
        Failure::ModelNotFound => no_model(model),
        Failure::Timeout => error(408, "Request timed out.", "server_error", (None, Some("request_timeout"))),
        Failure::RateLimit => error(429, &rate, "requests", (None, Some("rate_limit_exceeded"))),
        Failure::InsufficientQuota => {
            let message = "You exceeded your current quota, please check your plan and billing details.";
            error(429, message, "insufficient_quota", (None, Some("insufficient_quota")))
        }
        Failure::ServerError => {
            error(500, "The server had an error while processing your request. Sorry about that!", "server_error", (None, None))
        }
        Failure::Overloaded => error(503, "The engine is currently overloaded, please try again later", "server_error", (None, None)),
    }
}

/// The error's own object, for an event.
pub(in crate::mock) fn failure_json(failure: Failure, model: &str) -> Value {
    match self::failure(failure, model).body {
        super::Body::Whole(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        super::Body::Events(_) => Value::Null,
    }
}
