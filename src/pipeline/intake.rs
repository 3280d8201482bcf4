//! What is asked for: the endpoint by its path, and the few members of the body that the gateway needs.

use crate::error::{GatewayError, Kind};
use crate::telemetry::Endpoint;
use crate::wire::edit::Object;

/// Endpoints whose answers are judged, not only passed on.
pub(super) const fn is_judged(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Embeddings)
}

/// Finds the endpoint of a path, and the path below the provider's `base_url`.
pub(super) fn endpoint(path: &str) -> Option<(Endpoint, &str)> {
    let path = path.strip_prefix("/openai").filter(|rest| rest.starts_with("/v1/")).unwrap_or(path);
    let below = path.strip_prefix("/v1").filter(|below| below.starts_with('/'))?;
    let endpoint = match below {
        "/chat/completions" => Endpoint::ChatCompletions,
        "/completions" => Endpoint::Completions,
        "/embeddings" => Endpoint::Embeddings,
        "/responses" => Endpoint::Responses,
        "/models" => Endpoint::Models,
        _ if below.starts_with("/models/") => Endpoint::Models,
        "/moderations" | "/rerank" | "/images/generations" | "/audio/speech" => Endpoint::Relay,
        _ => Endpoint::Unknown,
    };
    Some((endpoint, below))
}

/// What the gateway reads of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// The model that the client named.
    pub(super) model: String,
    /// Whether the answer is to be streamed.
    pub(super) stream: bool,
}

/// Reads a scanned body.
///
/// # Errors
/// [`Kind::BadRequest`] naming the member.
pub(super) fn asked(body: &Object<'_>) -> Result<Asked, GatewayError> {
    let bad = |message: &str| GatewayError::new(Kind::BadRequest, message);
    let model = body.string("model").filter(|model| !model.is_empty()).ok_or_else(|| bad("The member `model` must be a string."))?;
    let stream = match body.get("stream") {
        None | Some(b"false" | b"null") => false,
        Some(b"true") => true,
        Some(_) => return Err(bad("The member `stream` must be true or false.")),
    };
    Ok(Asked { model: model.into_owned(), stream })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_known_with_and_without_the_drop_in_prefix() {
        assert_eq!(endpoint("/v1/chat/completions"), Some((Endpoint::ChatCompletions, "/chat/completions")));
        assert_eq!(endpoint("/openai/v1/embeddings"), Some((Endpoint::Embeddings, "/embeddings")));
        assert_eq!(endpoint("/v1/nothing"), Some((Endpoint::Unknown, "/nothing")));
        assert_eq!(endpoint("/v1x/models"), None);
        assert_eq!(endpoint("/"), None);
    }

    #[test]
    fn a_body_must_name_its_model_and_spell_stream_as_a_bool() {
        let read = |body: &str| asked(&Object::scan(body.as_bytes()).unwrap());
        assert_eq!(read(r#"{"model":"a","stream":true}"#).unwrap(), Asked { model: "a".to_owned(), stream: true });
        for bad in ["{}", r#"{"model":5}"#, r#"{"model":""}"#, r#"{"model":"a","stream":"yes"}"#] {
            assert_eq!(read(bad).unwrap_err().kind, Kind::BadRequest, "{bad}");
        }
    }
}
