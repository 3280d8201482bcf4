//! What is asked for: the few members of the body that the gateway needs.

use std::sync::Arc;

use super::payload::Payload;
use super::route::{GEMINIS_STREAM, Route, is_judged};
use crate::error::{GatewayError, Kind};
use crate::wire::Operation;

/// How a client's stream is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Events.
    Events,
    /// One JSON array, written element by element: Gemini's, where the client does not ask for events.
    Array,
}

/// Returns the framing that a client expects of its stream.
pub(super) fn framing(route: &Route<'_>, query: Option<&str>) -> Framing {
    let asks_for_events = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    match route.named {
        Some(named) if named.method == GEMINIS_STREAM && !asks_for_events => Framing::Array,
        Some(_) | None => Framing::Events,
    }
}

/// What the gateway reads of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// The model that the client named. None only where the endpoint does without.
    pub(super) model: Option<Arc<str>>,
    /// Whether the answer is to be streamed.
    pub(super) stream: bool,
}

/// Reads a body.
///
/// # Errors
/// [`Kind::BadRequest`] naming the member.
pub(super) fn asked(route: &mut Route<'_>, payload: &Payload<'_>) -> Result<Asked, GatewayError> {
    route.read(payload.object());
    let endpoint = route.endpoint;
    if let Some(named) = &route.named {
        return match percent_encoding::percent_decode_str(named.model).decode_utf8() {
            Ok(model) => Ok(Asked { model: Some(Arc::from(model.as_ref())), stream: named.is_stream() }),
            Err(_) => Err(GatewayError::new(Kind::BadRequest, "The model in the path is not valid UTF-8.")),
        };
    }
    let bad = |message: &str| Err(GatewayError::new(Kind::BadRequest, message));
    let needs_model = is_judged(endpoint);
    let (model, stream) = match payload {
        Payload::Json { object, .. } => {
            let stream = match object.get("stream") {
                Some(b"true") => matches!(route.operation, None | Some(Operation::Answer)),
                Some(other) if is_judged(endpoint) && !matches!(other, b"false" | b"null") => {
                    return bad("The member `stream` must be true or false.");
                }
                _ => false,
            };
            let model = match object.get("model") {
                None => None,
                Some(b"null") if !needs_model => None,
                Some(_) => match object.string("model").filter(|model| !model.is_empty()) {
                    Some(model) => Some(Arc::from(model)),
                    None => return bad("The member `model` must be a string."),
                },
            };
            (model, stream)
        }
        Payload::Form { whole, model: Some(range) } => match std::str::from_utf8(whole.get(range.clone()).unwrap_or_default()) {
            Ok(model) if !model.is_empty() => (Some(Arc::from(model)), false),
            Ok(_) | Err(_) => return bad("The form's field `model` must be a text."),
        },
        Payload::Form { model: None, .. } | Payload::Empty => (None, false),
    };
    if needs_model && model.is_none() {
        return bad("The member `model` must be a string.");
    }
    Ok(Asked { model, stream })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::route::route;
    use super::*;
    use crate::telemetry::Endpoint;

    fn read(endpoint: Endpoint, body: &'static str) -> Result<Asked, GatewayError> {
        let bytes = Bytes::from_static(body.as_bytes());
        let path = if endpoint == Endpoint::Relay { "/v1/moderations" } else { "/v1/chat/completions" };
        asked(&mut route(path).unwrap(), &Payload::read("application/json", &bytes, true)?)
    }

    #[test]
    fn a_judged_body_must_name_its_model_and_spell_stream_as_a_bool() {
        let chat = |body| read(Endpoint::ChatCompletions, body);
        assert_eq!(chat(r#"{"model":"a","stream":true}"#).unwrap(), Asked { model: Some("a".into()), stream: true });
        for bad in ["{}", r#"{"model":5}"#, r#"{"model":""}"#, r#"{"model":null}"#, r#"{"model":"a","stream":"yes"}"#, ""] {
            assert_eq!(chat(bad).unwrap_err().kind, Kind::BadRequest, "{bad}");
        }
    }

    #[test]
    fn other_bodies_may_do_without_a_model() {
        let relay = |body| read(Endpoint::Relay, body).map(|asked| asked.model);
        assert_eq!(relay(r#"{"input":"x"}"#), Ok(None));
        assert_eq!(relay(r#"{"model":null}"#), Ok(None));
        assert_eq!(relay(""), Ok(None));
        assert_eq!(relay(r#"{"model":"m","stream":"maybe"}"#), Ok(Some("m".into())));
        assert_eq!(relay(r#"{"model":7}"#).unwrap_err().kind, Kind::BadRequest);
    }
}
