//! Where a path leads: the endpoint, the format of whoever asks there, and what is asked of a model.

use http::{HeaderMap, Method};

use crate::telemetry::Endpoint;
use crate::wire::edit::Object;
use crate::wire::{Demand, Format, Operation};

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route<'p> {
    pub(super) endpoint: Endpoint,
    /// The path below the provider's root.
    pub(super) below: &'p str,
    /// What is asked of a model, where the request can be translated for providers that speak another format.
    pub(super) operation: Option<Operation>,
    /// What the path says of the request, in Gemini's API and in Bedrock's.
    pub(super) named: Option<Named<'p>>,
    takes: Takes,
}

/// A path that names a model and what is done with it: `models/MODEL:METHOD`, `model/MODEL/METHOD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<'p> {
    pub(super) model: &'p str,
    pub(super) method: &'p str,
}

/// Gemini's method whose answer is a stream.
pub(super) const GEMINIS_STREAM: &str = "streamGenerateContent";

impl Named<'_> {
    /// Returns whether the answer is a stream.
    pub(super) fn is_stream(&self) -> bool {
        self.method == GEMINIS_STREAM || self.method == "converse-stream"
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

    /// Reads what only the body says: Bedrock has one path for all that a model's maker has a body for, and some of those are of vectors.
    pub(super) fn read(&mut self, body: Option<&Object<'_>>) {
        let is_embedding = |body: &Object<'_>| body.has("inputText") || body.has("texts");
        if self.named.is_some_and(|named| named.method == "invoke") && body.is_some_and(is_embedding) {
            (self.endpoint, self.operation) = (Endpoint::Embeddings, Some(Operation::Embed));
        }
    }

    /// Returns which formats can serve; what is not translated passes to those of its own alone.
    pub(super) fn demand(&self, dialect: Format) -> Demand {
        self.operation.map_or(Demand::Only(dialect), Demand::Any)
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
            | Endpoint::Converse
            | Endpoint::CohereChat
            | Endpoint::Completions
            | Endpoint::Embeddings
            | Endpoint::Rerank
            | Endpoint::CountTokens
    )
}

/// The drop-in prefixes, with the format of the API behind them: an SDK changes its base URL and nothing else.
const PREFIXES: [(&str, Format); 5] = [
    ("/openai", Format::OpenaiChat),
    ("/anthropic", Format::Anthropic),
    ("/genai", Format::Gemini),
    ("/bedrock", Format::Bedrock),
    ("/cohere", Format::Cohere),
];

/// Takes the prefix off a path, and returns the format behind it.
fn split(path: &str) -> (&str, Option<Format>) {
    let inside = |prefix: &str| path.strip_prefix(prefix).filter(|rest| rest.starts_with('/'));
    let found = PREFIXES.iter().find_map(|(prefix, format)| Some((inside(prefix)?, Some(*format))));
    found.unwrap_or((path, None))
}

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
    let is_responses = |rest: &str| rest == "/v1/responses" || rest == INPUT_TOKENS;
    match split(path) {
        (rest, Some(Format::OpenaiChat) | None) if is_responses(rest) => Format::OpenaiResponses,
        (_, Some(format)) => format,
        (rest, None) if rest.starts_with("/v1beta/") || rest.starts_with("/v1alpha/") => Format::Gemini,
        // Google's Python SDK asks for the first version since its third.
        (rest, None) if rest.starts_with("/v1/models/") && rest.rsplit_once(':').is_some_and(|(_, method)| of_gemini(method).is_some()) => {
            Format::Gemini
        }
        (rest, None) if rest == "/v1/messages" || rest.starts_with("/v1/messages/") => Format::Anthropic,
        (rest, None) if rest.starts_with("/model/") => Format::Bedrock,
        (rest, None) if rest.starts_with("/v2/") => Format::Cohere,
        (_, None) => Format::OpenaiChat,
    }
}

const INPUT_TOKENS: &str = "/v1/responses/input_tokens";

/// What Gemini's API does with a model.
fn of_gemini(method: &str) -> Option<(Endpoint, Operation)> {
    Some(match method {
        "generateContent" | GEMINIS_STREAM => (Endpoint::GenerateContent, Operation::Answer),
        "embedContent" | "batchEmbedContents" => (Endpoint::Embeddings, Operation::Embed),
        "countTokens" => (Endpoint::CountTokens, Operation::Count),
        _ => return None,
    })
}

/// What Bedrock's API does with a model.
fn of_bedrock(method: &str) -> Option<(Endpoint, Option<Operation>)> {
    Some(match method {
        "converse" | "converse-stream" => (Endpoint::Converse, Some(Operation::Answer)),
        "count-tokens" => (Endpoint::CountTokens, Some(Operation::Count)),
        // Bodies of each model's maker.
        "invoke" | "invoke-with-response-stream" => (Endpoint::Relay, None),
        _ => return None,
    })
}

/// Operations that are relayed as they are.
const RELAYED: [&str; 7] = [
    "/moderations",
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
    let (path, _) = split(path);
    match dialect {
        Format::Gemini => gemini(path),
        Format::Bedrock => bedrock(path),
        Format::Cohere => cohere(path),
        Format::OpenaiChat | Format::OpenaiResponses | Format::Anthropic | Format::Ollama => first_version(path, dialect),
    }
}

/// Finds where a path of OpenAI's or Anthropic's API leads.
fn first_version(path: &str, dialect: Format) -> Option<Route<'_>> {
    let below = path.strip_prefix("/v1").filter(|below| below.starts_with('/'))?;
    let answer = Some(Operation::Answer);
    let (endpoint, operation, takes) = match below {
        "/messages" => (Endpoint::Messages, answer, Takes::Post),
        "/messages/count_tokens" => (Endpoint::CountTokens, Some(Operation::Count), Takes::Post),
        "/models" => (Endpoint::Models, None, Takes::Models),
        _ if below.starts_with("/models/") => (Endpoint::Models, None, Takes::Models),
        // What follows is OpenAI's alone.
        _ if dialect == Format::Anthropic => return None,
        "/chat/completions" => (Endpoint::ChatCompletions, answer, Takes::Post),
        "/responses" => (Endpoint::Responses, answer, Takes::Post),
        "/responses/input_tokens" => (Endpoint::CountTokens, Some(Operation::Count), Takes::Post),
        "/completions" => (Endpoint::Completions, None, Takes::Post),
        "/embeddings" => (Endpoint::Embeddings, Some(Operation::Embed), Takes::Post),
        "/rerank" => (Endpoint::Rerank, Some(Operation::Rerank), Takes::Post),
        _ if RELAYED.contains(&below) => (Endpoint::Relay, None, Takes::Post),
        _ if is_resource(below) => (Endpoint::Relay, None, Takes::Resource),
        _ => return None,
    };
    Some(Route { endpoint, below, operation, named: None, takes })
}

/// Finds where a path of Gemini's API leads, under any of its versions.
fn gemini(path: &str) -> Option<Route<'_>> {
    let versions = ["/v1beta", "/v1alpha", "/v1"];
    let below = versions.iter().find_map(|version| path.strip_prefix(version).filter(|rest| rest.starts_with('/')))?;
    let listed = Route { endpoint: Endpoint::Models, below, operation: None, named: None, takes: Takes::Models };
    if below == "/models" {
        return Some(listed);
    }
    let Some((model, method)) = below.strip_prefix("/models/")?.rsplit_once(':') else { return Some(listed) };
    let (endpoint, operation) = of_gemini(method)?;
    let named = Some(Named { model, method });
    (!model.is_empty()).then_some(Route { endpoint, operation: Some(operation), named, takes: Takes::Post, ..listed })
}

/// Finds where a path of Cohere's API leads.
fn cohere(path: &str) -> Option<Route<'_>> {
    let (endpoint, operation, takes) = match path {
        "/v2/chat" => (Endpoint::CohereChat, Some(Operation::Answer), Takes::Post),
        "/v2/embed" => (Endpoint::Embeddings, Some(Operation::Embed), Takes::Post),
        "/v2/rerank" => (Endpoint::Rerank, Some(Operation::Rerank), Takes::Post),
        "/v1/models" => (Endpoint::Models, None, Takes::Models),
        _ if path.starts_with("/v1/models/") => (Endpoint::Models, None, Takes::Models),
        _ => return None,
    };
    let below = if takes == Takes::Models { path.strip_prefix("/v1")? } else { path };
    Some(Route { endpoint, below, operation, named: None, takes })
}

/// Finds where a path of Bedrock's API leads. A model may be a provider's, with the slash that is in it.
fn bedrock(path: &str) -> Option<Route<'_>> {
    let (model, method) = path.strip_prefix("/model/")?.rsplit_once('/')?;
    let (endpoint, operation) = of_bedrock(method)?;
    let named = Some(Named { model, method });
    (!model.is_empty()).then_some(Route { endpoint, below: path, operation, named, takes: Takes::Post })
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

#[cfg(test)]
mod tests {
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

    #[test]
    fn each_api_is_known_by_its_prefix_or_its_own_paths() {
        let named = |path| route(path).and_then(|route| route.named).map(|named| (named.model, named.method));
        assert_eq!(dialect("/bedrock/model/m/converse"), Format::Bedrock);
        assert_eq!(found("/bedrock/model/m/converse"), Some((Endpoint::Converse, "/model/m/converse")));
        assert_eq!(named("/model/openai/gpt/converse"), Some(("openai/gpt", "converse")));
        assert_eq!(found("/cohere/v2/chat"), Some((Endpoint::CohereChat, "/v2/chat")));
        assert_eq!(found("/v2/rerank"), Some((Endpoint::Rerank, "/v2/rerank")));
        assert_eq!(found("/cohere/v1/models/m"), Some((Endpoint::Models, "/models/m")));
        assert_eq!(named("/model/arn%3Ax%2Fy/converse-stream"), Some(("arn%3Ax%2Fy", "converse-stream")));
        for none in ["/bedrock/model//converse", "/bedrock/model/m/else", "/bedrock/v1/models", "/cohere/v2/files"] {
            assert_eq!(found(none), None, "{none}");
        }
        assert_eq!(found("/v1beta/models/m:embedContent").map(|it| it.0), Some(Endpoint::Embeddings));
        assert_eq!(dialect("/openai/v1/responses/input_tokens"), Format::OpenaiResponses);
        assert_eq!(found("/v1/responses/input_tokens").map(|it| it.0), Some(Endpoint::CountTokens));
        assert_eq!(found("/v1/responses/resp_1/input_items").map(|it| it.0), Some(Endpoint::Relay));
    }
}
