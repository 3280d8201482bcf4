//! What is asked for: the endpoint by its path, and the few members of the body that the gateway needs.

use std::sync::Arc;

use http::{HeaderMap, Method};

use super::payload::Payload;
use crate::error::{GatewayError, Kind};
use crate::telemetry::Endpoint;
use crate::wire::Format;

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route<'p> {
    pub(super) endpoint: Endpoint,
    /// The path below the provider's root.
    pub(super) below: &'p str,
    /// Whether the request can be translated for providers that speak another format.
    pub(super) translates: bool,
    /// What the path says of the request, in Gemini's API.
    pub(super) named: Option<Named<'p>>,
    takes: Takes,
}

/// A path that names a model and what is done with it: `models/MODEL:METHOD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<'p> {
    pub(super) model: &'p str,
    pub(super) method: &'p str,
}

impl Named<'_> {
    /// Returns whether the answer is a stream.
    pub(super) fn is_stream(&self) -> bool {
        self.method == "streamGenerateContent"
    }
}

/// Which requests a path takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// One operation on a model.
    Post,
    /// Something that the provider keeps: it is made, listed, read, deleted.
    Resource,
    /// The gateway's own list of models.
    Models,
}

impl Route<'_> {
    /// Returns the methods in words, where this one is not among them.
    pub(super) fn refuses(&self, method: &Method) -> Option<&'static str> {
        let reads = method == Method::GET || method == Method::HEAD;
        match self.takes {
            Takes::Post if method == Method::POST => None,
            Takes::Post => Some("POST"),
            Takes::Resource if reads || method == Method::POST || method == Method::DELETE => None,
            Takes::Resource => Some("GET, POST or DELETE"),
            Takes::Models if reads => None,
            Takes::Models => Some("GET"),
        }
    }

    /// Returns whether the path is of something that the provider keeps.
    pub(super) fn is_resource(&self) -> bool {
        self.takes == Takes::Resource
    }
}

/// Endpoints whose answers are judged, not only passed on.
pub(super) const fn is_judged(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::ChatCompletions
            | Endpoint::Responses
            | Endpoint::Messages
            | Endpoint::GenerateContent
            | Endpoint::Completions
            | Endpoint::Embeddings
    )
}

/// The drop-in prefixes, with the format of the API behind them: an SDK changes its base URL and nothing else.
const PREFIXES: [(&str, Format); 3] = [("/openai", Format::OpenaiChat), ("/anthropic", Format::Anthropic), ("/genai", Format::Gemini)];

/// Returns the format in which a client expects its answers and errors. Three APIs list their models at one path: Anthropic's clients send a
/// version of the API with every request, Google's bring their key in a header of their own, and OpenAI's do neither.
pub(super) fn dialect_of(path: &str, headers: &HeaderMap) -> Format {
    let is_shared = path == "/v1/models" || path.starts_with("/v1/models/");
    match dialect(path) {
        Format::OpenaiChat if is_shared && headers.contains_key("anthropic-version") => Format::Anthropic,
        Format::OpenaiChat if is_shared && headers.contains_key("x-goog-api-key") => Format::Gemini,
        told => told,
    }
}

fn dialect(path: &str) -> Format {
    let prefix = PREFIXES.iter().find(|(prefix, _)| path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/')));
    match prefix {
        Some((prefix, Format::OpenaiChat)) if path.strip_prefix(prefix) == Some("/v1/responses") => Format::OpenaiResponses,
        Some((_, format)) => *format,
        None if path.starts_with("/v1beta/") || path.starts_with("/v1alpha/") => Format::Gemini,
        // Google's Python SDK asks for the first version since its third.
        None if path.starts_with("/v1/models/") && path.rsplit_once(':').is_some_and(|(_, method)| METHODS.contains(&method)) => {
            Format::Gemini
        }
        None if path == "/v1/responses" => Format::OpenaiResponses,
        None if path == "/v1/messages" || path.starts_with("/v1/messages/") => Format::Anthropic,
        None => Format::OpenaiChat,
    }
}

/// What Gemini's API does with a model.
const METHODS: [&str; 5] = ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"];

/// Operations that are relayed as they are.
const RELAYED: [&str; 8] = [
    "/moderations",
    "/rerank",
    "/images/generations",
    "/images/edits",
    "/images/variations",
    "/audio/speech",
    "/audio/transcriptions",
    "/audio/translations",
];

/// What providers keep, by the first segment of its path.
const RESOURCES: [&str; 4] = ["files", "uploads", "batches", "responses"];

/// Finds where a path leads; none where it leads nowhere.
pub(super) fn route(path: &str) -> Option<Route<'_>> {
    let dialect = dialect(path);
    if dialect == Format::Gemini {
        return gemini(path);
    }
    let inside = |prefix: &str| path.strip_prefix(prefix).filter(|rest| rest.starts_with("/v1/"));
    let path = PREFIXES.iter().find_map(|(prefix, _)| inside(prefix)).unwrap_or(path);
    let below = path.strip_prefix("/v1").filter(|below| below.starts_with('/'))?;
    let (endpoint, takes) = match below {
        "/messages" => (Endpoint::Messages, Takes::Post),
        "/messages/count_tokens" => (Endpoint::Relay, Takes::Post),
        "/models" => (Endpoint::Models, Takes::Models),
        _ if below.starts_with("/models/") => (Endpoint::Models, Takes::Models),
        // What follows is OpenAI's alone.
        _ if dialect == Format::Anthropic => return None,
        "/chat/completions" => (Endpoint::ChatCompletions, Takes::Post),
        "/completions" => (Endpoint::Completions, Takes::Post),
        "/embeddings" => (Endpoint::Embeddings, Takes::Post),
        "/responses" => (Endpoint::Responses, Takes::Post),
        _ if RELAYED.contains(&below) => (Endpoint::Relay, Takes::Post),
        _ if is_resource(below) => (Endpoint::Relay, Takes::Resource),
        _ => return None,
    };
    let translates = matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Responses | Endpoint::Messages);
    Some(Route { endpoint, below, translates, named: None, takes })
}

/// Finds where a path of Gemini's API leads, under any of its versions.
fn gemini(path: &str) -> Option<Route<'_>> {
    let path = path.strip_prefix("/genai").unwrap_or(path);
    let versions = ["/v1beta", "/v1alpha", "/v1"];
    let below = versions.iter().find_map(|version| path.strip_prefix(version).filter(|rest| rest.starts_with('/')))?;
    let listed = Route { endpoint: Endpoint::Models, below, translates: false, named: None, takes: Takes::Models };
    if below == "/models" {
        return Some(listed);
    }
    let Some((model, method)) = below.strip_prefix("/models/")?.rsplit_once(':') else { return Some(listed) };
    let (endpoint, translates) = match method {
        "generateContent" | "streamGenerateContent" => (Endpoint::GenerateContent, true),
        "countTokens" | "embedContent" | "batchEmbedContents" => (Endpoint::Relay, false),
        _ => return None,
    };
    (!model.is_empty()).then_some(Route { endpoint, translates, named: Some(Named { model, method }), takes: Takes::Post, ..listed })
}

/// Ids of OpenAI's resources are plain words; anything else could climb out of the resource, or mean something else to the provider.
fn is_resource(below: &str) -> bool {
    let is_id = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
    };
    let mut segments = below.split('/').skip(1);
    segments.next().is_some_and(|first| RESOURCES.contains(&first)) && segments.all(is_id)
}

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
        Some(named) if named.is_stream() && !asks_for_events => Framing::Array,
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
pub(super) fn asked(route: &Route<'_>, payload: &Payload<'_>) -> Result<Asked, GatewayError> {
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
                Some(b"true") => true,
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

    use super::*;

    fn found(path: &str) -> Option<(Endpoint, &str)> {
        route(path).map(|route| (route.endpoint, route.below))
    }

    #[test]
    fn paths_are_known_with_and_without_the_drop_in_prefix() {
        assert_eq!(found("/v1/chat/completions"), Some((Endpoint::ChatCompletions, "/chat/completions")));
        assert_eq!(found("/openai/v1/embeddings"), Some((Endpoint::Embeddings, "/embeddings")));
        assert_eq!(found("/v1/audio/transcriptions"), Some((Endpoint::Relay, "/audio/transcriptions")));
        assert_eq!(found("/v1/files/file-a_1.x/content"), Some((Endpoint::Relay, "/files/file-a_1.x/content")));
        for none in ["/v1/nothing", "/v1x/models", "/", "/v1/files/..", "/v1/files/%2e%2e/models", "/v1/files//x", "/v1/filesystem"] {
            assert_eq!(found(none), None, "{none}");
        }
    }

    #[test]
    fn each_path_takes_its_methods() {
        let refuses = |path: &str, method: Method| route(path).unwrap().refuses(&method);
        assert_eq!(refuses("/v1/embeddings", Method::GET), Some("POST"));
        assert_eq!(refuses("/v1/models", Method::HEAD), None);
        assert_eq!(refuses("/v1/models", Method::POST), Some("GET"));
        for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE] {
            assert_eq!(refuses("/v1/files", method), None);
        }
        assert_eq!(refuses("/v1/files", Method::PUT), Some("GET, POST or DELETE"));
    }

    fn read(endpoint: Endpoint, body: &'static str) -> Result<Asked, GatewayError> {
        let bytes = Bytes::from_static(body.as_bytes());
        let path = if endpoint == Endpoint::Relay { "/v1/moderations" } else { "/v1/chat/completions" };
        asked(&route(path).unwrap(), &Payload::read("application/json", &bytes, true)?)
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
