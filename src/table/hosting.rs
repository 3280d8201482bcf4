//! Where a provider's API is hosted, and what that changes: a cloud puts the model into the path, and wants a body to say other things.
//!
//! Not a format: what stands in a body otherwise is the format's own. Sources: the paths of Google's and
//! Anthropic's SDKs for Vertex AI, and of OpenAI's for Azure.

use std::borrow::Cow;

use crate::base::path_segment;
use crate::plan;
use crate::wire::Format;
use crate::wire::edit::{Edits, Object};
use crate::wire::scan::ScanError;

/// What Claude's requests say on Vertex AI in place of a header.
const ANTHROPIC_ON_VERTEX: &str = "vertex-2023-10-16";

/// Who hosts an API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosting {
    /// Its vendor, or anybody who does as the vendor does.
    Own,
    /// Google Cloud's Vertex AI.
    Vertex {
        /// `/projects/PROJECT/locations/LOCATION`.
        parent: String,
    },
    /// Azure OpenAI's classic API: the model is a deployment, and every path says the version of the API.
    AzureClassic {
        /// `2024-10-21`.
        api_version: String,
    },
}

/// What a deployment of Azure's serves; all else is the resource's.
const OF_DEPLOYMENTS: [&str; 8] = [
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/audio/speech",
    "/audio/transcriptions",
    "/audio/translations",
    "/images/generations",
    "/images/edits",
];

impl Hosting {
    /// Returns how the spec says that a provider is hosted.
    pub(super) fn of(spec: &plan::Provider) -> Self {
        match (&spec.project, &spec.location, &spec.api_version) {
            (_, _, Some(api_version)) => Self::AzureClassic { api_version: api_version.clone() },
            (Some(project), Some(location), None) => {
                Self::Vertex { parent: format!("/projects/{}/locations/{}", path_segment(project), path_segment(location)) }
            }
            (_, _, None) => Self::Own,
        }
    }

    /// Returns where below the provider's root a request goes that would go to `path` at the vendor's own.
    pub fn place<'p>(&self, format: Format, path: &'p str, (model, is_stream): (&str, bool)) -> Cow<'p, str> {
        match self {
            Self::Own => Cow::Borrowed(path),
            Self::AzureClassic { .. } if OF_DEPLOYMENTS.contains(&path) => {
                Cow::Owned(format!("/openai/deployments/{}{path}", path_segment(model)))
            }
            Self::AzureClassic { .. } => Cow::Owned(format!("/openai{path}")),
            Self::Vertex { parent } => Cow::Owned(match (path, path.rsplit_once(':')) {
                ("/messages", _) if format == Format::Anthropic => {
                    let call = if is_stream { "streamRawPredict" } else { "rawPredict" };
                    format!("{parent}/{}:{call}", resource("anthropic", model))
                }
                ("/messages/count_tokens", _) if format == Format::Anthropic => {
                    format!("{parent}/publishers/anthropic/models/count-tokens:rawPredict")
                }
                (_, Some((_, call))) => format!("{parent}/{}:{call}", resource("google", model)),
                (other, None) => format!("{parent}{other}"),
            }),
        }
    }

    /// Returns the query of a request that would have this one at the vendor's own.
    pub fn query<'q>(&self, query: Option<&'q str>) -> Option<Cow<'q, str>> {
        match (self, query) {
            (Self::AzureClassic { api_version }, Some(query)) if !query.is_empty() => {
                Some(Cow::Owned(format!("{query}&api-version={api_version}")))
            }
            (Self::AzureClassic { api_version }, _) => Some(Cow::Owned(format!("api-version={api_version}"))),
            (Self::Own | Self::Vertex { .. }, query) => query.map(Cow::Borrowed),
        }
    }

    /// Names the model in a body of this format, or takes it out where the path has it.
    pub fn name_model(&self, format: Format, path: &str, model: &str, edits: &mut Edits<'_, '_>) {
        if !self.is_claude_on_vertex(format) {
            return edits.set_string("model", model);
        }
        edits.set_string("anthropic_version", ANTHROPIC_ON_VERTEX);
        if path == "/messages" {
            edits.remove("model");
        } else {
            edits.set_string("model", model);
        }
    }

    /// Returns whether a request that is to be counted stands bare in the body, as only AI Studio has it otherwise.
    pub fn counts_bare(&self, format: Format, path: &str) -> bool {
        match self {
            Self::Own | Self::AzureClassic { .. } => false,
            Self::Vertex { .. } => format == Format::Gemini && path.ends_with(":countTokens"),
        }
    }

    /// Returns whether vectors are asked for by `predict`, in words that are nobody else's.
    pub fn predicts_vectors(&self, format: Format) -> bool {
        match self {
            Self::Own | Self::AzureClassic { .. } => false,
            Self::Vertex { .. } => format == Format::Gemini,
        }
    }

    fn is_claude_on_vertex(&self, format: Format) -> bool {
        match self {
            Self::Own | Self::AzureClassic { .. } => false,
            Self::Vertex { .. } => format == Format::Anthropic,
        }
    }

    /// Rewrites a body that was written for the vendor's own API.
    ///
    /// # Errors
    /// [`ScanError`], where it is no object.
    pub fn body(&self, format: Format, path: &str, model: &str, body: Vec<u8>) -> Result<Vec<u8>, ScanError> {
        if self.counts_bare(format, path) {
            return counted(&body).map(|inner| inner.unwrap_or(body));
        }
        if !self.is_claude_on_vertex(format) {
            return Ok(body);
        }
        let object = Object::scan(&body)?;
        let mut edits = object.edit();
        self.name_model(format, path, model, &mut edits);
        Ok(edits.apply())
    }
}

/// Takes the request that is to be counted out of what AI Studio wants around it; nothing where it is bare.
fn counted(body: &[u8]) -> Result<Option<Vec<u8>>, ScanError> {
    let outer = Object::scan(body)?;
    let Some(inner) = outer.get("generateContentRequest") else { return Ok(None) };
    let inner = Object::scan(inner)?;
    let mut edits = inner.edit();
    edits.remove("model");
    Ok(Some(edits.apply()))
}

/// Returns a model's path below project and location: a publisher's, one of another publisher that the name itself says, or an endpoint.
fn resource(publisher: &str, model: &str) -> String {
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let parts: Vec<&str> = model.split('/').collect();
    match parts.as_slice() {
        ["endpoints", id] => format!("endpoints/{}", path_segment(id)),
        ["publishers", other, "models", name] if is_word(other) => format!("publishers/{other}/models/{}", path_segment(name)),
        ["models", name] => format!("publishers/{publisher}/models/{}", path_segment(name)),
        _ => format!("publishers/{publisher}/models/{}", path_segment(model)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vertex() -> Hosting {
        Hosting::Vertex { parent: "/projects/p/locations/eu".to_owned() }
    }

    #[test]
    fn vertex_has_the_model_in_the_path() {
        let gemini = |model, call| vertex().place(Format::Gemini, call, (model, true)).into_owned();
        for (model, path) in [
            ("gemini-2.5-pro", "/projects/p/locations/eu/publishers/google/models/gemini-2.5-pro:streamGenerateContent"),
            ("models/gemini-2.5-pro", "/projects/p/locations/eu/publishers/google/models/gemini-2.5-pro:streamGenerateContent"),
            ("endpoints/123", "/projects/p/locations/eu/endpoints/123:streamGenerateContent"),
            ("publishers/meta/models/llama", "/projects/p/locations/eu/publishers/meta/models/llama:streamGenerateContent"),
            (
                "publishers/../models/x",
                "/projects/p/locations/eu/publishers/google/models/publishers%2F..%2Fmodels%2Fx:streamGenerateContent",
            ),
            ("../../q", "/projects/p/locations/eu/publishers/google/models/..%2F..%2Fq:streamGenerateContent"),
        ] {
            assert_eq!(gemini(model, "/models/x:streamGenerateContent"), path, "{model}");
        }
        let claude = |path, is_stream| vertex().place(Format::Anthropic, path, ("claude@1", is_stream)).into_owned();
        assert_eq!(claude("/messages", false), "/projects/p/locations/eu/publishers/anthropic/models/claude@1:rawPredict");
        assert_eq!(claude("/messages", true), "/projects/p/locations/eu/publishers/anthropic/models/claude@1:streamRawPredict");
        assert_eq!(claude("/messages/count_tokens", false), "/projects/p/locations/eu/publishers/anthropic/models/count-tokens:rawPredict");
        assert_eq!(Hosting::Own.place(Format::Anthropic, "/messages", ("m", true)), "/messages");
    }

    #[test]
    fn azures_classic_api_has_the_deployment_in_the_path_and_its_version_in_the_query() {
        let azure = Hosting::AzureClassic { api_version: "2024-10-21".to_owned() };
        let place = |path, model| azure.place(Format::OpenaiChat, path, (model, false)).into_owned();
        assert_eq!(place("/chat/completions", "gpt 4/x"), "/openai/deployments/gpt%204%2Fx/chat/completions");
        assert_eq!(place("/embeddings", "e"), "/openai/deployments/e/embeddings");
        assert_eq!(place("/files/f-1", "*"), "/openai/files/f-1");
        assert_eq!(azure.query(None).as_deref(), Some("api-version=2024-10-21"));
        assert_eq!(azure.query(Some("limit=1")).as_deref(), Some("limit=1&api-version=2024-10-21"));
        assert_eq!(Hosting::Own.query(Some("a=b")).as_deref(), Some("a=b"));
    }

    #[test]
    fn vertex_counts_a_bare_request() {
        let body = |body: &str| vertex().body(Format::Gemini, "/models/m:countTokens", "m", body.as_bytes().to_vec()).unwrap();
        assert_eq!(body(r#"{"generateContentRequest":{"model":"models/m","contents":[]}}"#), br#"{"contents":[]}"#);
        assert_eq!(body(r#"{ "contents":[]}"#), br#"{ "contents":[]}"#);
    }

    #[test]
    fn claudes_body_on_vertex_names_no_model_and_its_own_version() {
        let body = |hosting: &Hosting, path: &str, body: &str| {
            String::from_utf8(hosting.body(Format::Anthropic, path, "m", body.as_bytes().to_vec()).unwrap()).unwrap()
        };
        let given = r#"{"model":"a","max_tokens":5,"anthropic_version":"bedrock-2023-05-31"}"#;
        assert_eq!(body(&vertex(), "/messages", given), r#"{"max_tokens":5,"anthropic_version":"vertex-2023-10-16"}"#);
        let counted = r#"{"model":"m","anthropic_version":"vertex-2023-10-16"}"#;
        assert_eq!(body(&vertex(), "/messages/count_tokens", r#"{"model":"a"}"#), counted);
        assert_eq!(body(&Hosting::Own, "/messages", given), given);
    }
}
