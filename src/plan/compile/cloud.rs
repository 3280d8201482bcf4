//! Clouds: the fields that say where in one a provider is, and the address that follows from them.

use crate::catalog::{Cloud, Preset};
use crate::plan::codes;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types::Api;
use crate::spec::{self, Diagnostic};

/// The cloud that a provider is in, by what is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Bedrock,
    Vertex,
    AzureClassic,
    /// None that there is more to say of.
    Elsewhere,
}

impl Place {
    pub(super) fn of(api: Api, preset: Option<&Preset>, spec: &spec::Provider) -> Self {
        let has_vertex = spec.project.is_some() || spec.location.is_some();
        match (api, preset.and_then(|preset| preset.cloud)) {
            (Api::Bedrock, _) => Self::Bedrock,
            (_, Some(Cloud::Vertex)) => Self::Vertex,
            (_, Some(Cloud::AzureClassic)) => Self::AzureClassic,
            (Api::Gemini | Api::Anthropic, None) if has_vertex => Self::Vertex,
            (Api::OpenaiChat, None) if preset.is_none() && spec.api_version.is_some() => Self::AzureClassic,
            (Api::OpenaiChat | Api::Gemini | Api::Anthropic | Api::Cohere | Api::Ollama, None) => Self::Elsewhere,
        }
    }
}

/// Returns the root of an API whose address follows from what the spec says of the place.
pub(super) fn base_url(place: Place, api: Api, spec: &spec::Provider) -> Option<String> {
    match place {
        Place::Bedrock => {
            let region = spec.region.as_deref()?;
            let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
            Some(format!("https://bedrock-runtime.{region}.amazonaws.com{suffix}"))
        }
        Place::Vertex => {
            let location = spec.location.as_deref()?;
            let host = match location {
                "global" => "aiplatform.googleapis.com".to_owned(),
                "us" | "eu" => format!("aiplatform.{location}.rep.googleapis.com"),
                region => format!("{region}-aiplatform.googleapis.com"),
            };
            // As the vendors' own SDKs have it: what is new in Gemini is in the beta version alone.
            let version = if api == Api::Gemini { "v1beta1" } else { "v1" };
            Some(format!("https://{host}/{version}"))
        }
        Place::AzureClassic | Place::Elsewhere => None,
    }
}

/// Returns the version of the API where there are versions of it.
pub(super) fn api_version(place: Place, preset: Option<&Preset>, spec: &spec::Provider) -> Option<String> {
    let version = spec.api_version.as_ref().or_else(|| preset.and_then(|preset| preset.api_version.as_ref()));
    version.filter(|_| place == Place::AzureClassic).cloned()
}

/// Checks that what must be known of the place is said, and nothing else.
pub(super) fn check(found: &mut Findings<'_>, name: &str, place: Place, spec: &spec::Provider) {
    let signs = spec.credentials.values().any(|it| it.aws.is_some());
    let fields = [
        ("region", &spec.region, Place::Bedrock, "the AWS region, such as `region: eu-central-1`"),
        ("project", &spec.project, Place::Vertex, "the Google Cloud project, such as `project: my-project-123`"),
        ("location", &spec.location, Place::Vertex, "the Google Cloud location, such as `location: europe-west4` or `location: global`"),
    ];
    if place != Place::AzureClassic && spec.api_version.is_some() {
        let problem = Diagnostic::error(codes::CLOUD_PLACE_UNUSED, format!("provider `{name}`: `api_version` means nothing here"))
            .help("it is for Azure OpenAI's classic API (`preset: azure-classic`); remove it");
        found.add(On::Key, pointer(&["providers", name, "api_version"]), problem);
    }
    if place == Place::AzureClassic && spec.base_url.as_deref().is_some_and(is_too_long) {
        let problem = format!("provider `{name}`: base_url holds what the classic API puts into every path");
        let problem =
            Diagnostic::error(codes::BASE_URL_INVALID, problem).help("end it at the resource: `https://RESOURCE.openai.azure.com`");
        found.add(On::Value, pointer(&["providers", name, "base_url"]), problem);
    }
    for (field, written, of, example) in fields {
        let is_needed = of == place && (place != Place::Bedrock || signs || spec.base_url.is_none());
        if is_needed && written.is_none() {
            let why = match place {
                Place::Bedrock if spec.base_url.is_some() => "requests are signed for it",
                Place::Bedrock => "its address follows from it",
                Place::Vertex | Place::AzureClassic | Place::Elsewhere => "it stands in every path",
            };
            let problem = Diagnostic::error(codes::CLOUD_PLACE_MISSING, format!("provider `{name}` needs `{field}`: {why}"))
                .help(format!("add {example}"));
            found.add(On::Key, pointer(&["providers", name]), problem);
        }
        if of != place && written.is_some() {
            let help = match of {
                Place::Bedrock => "it is for AWS Bedrock (`preset: bedrock`); remove it",
                Place::Vertex | Place::AzureClassic | Place::Elsewhere => {
                    "it is for Vertex AI (`preset: vertex`, `preset: vertex-anthropic`); remove it"
                }
            };
            let problem =
                Diagnostic::error(codes::CLOUD_PLACE_UNUSED, format!("provider `{name}`: `{field}` means nothing here")).help(help);
            found.add(On::Key, pointer(&["providers", name, field]), problem);
        }
    }
}

/// Returns whether an address goes on below the resource, where the classic API's own paths begin.
fn is_too_long(base_url: &str) -> bool {
    let url = base_url.trim_end_matches('/');
    url.ends_with("/openai") || url.ends_with("/openai/v1") || url.contains("/openai/deployments")
}
