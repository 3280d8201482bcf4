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
    /// None that there is more to say of.
    Elsewhere,
}

impl Place {
    pub(super) fn of(api: Api, preset: Option<&Preset>, spec: &spec::Provider) -> Self {
        let has_vertex = spec.project.is_some() || spec.location.is_some();
        match (api, preset.and_then(|preset| preset.cloud)) {
            (Api::Bedrock, _) => Self::Bedrock,
            (_, Some(Cloud::Vertex)) => Self::Vertex,
            (Api::Gemini | Api::Anthropic, None) if has_vertex => Self::Vertex,
            (Api::OpenaiChat | Api::Gemini | Api::Anthropic, None) => Self::Elsewhere,
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
        Place::Elsewhere => None,
    }
}

/// Checks that what must be known of the place is said, and nothing else.
pub(super) fn check(found: &mut Findings<'_>, name: &str, place: Place, spec: &spec::Provider) {
    let signs = spec.credentials.values().any(|it| it.aws.is_some());
    let fields = [
        ("region", &spec.region, Place::Bedrock, "the AWS region, such as `region: eu-central-1`"),
        ("project", &spec.project, Place::Vertex, "the Google Cloud project, such as `project: my-project-123`"),
        ("location", &spec.location, Place::Vertex, "the Google Cloud location, such as `location: europe-west4` or `location: global`"),
    ];
    for (field, written, of, example) in fields {
        let is_needed = of == place && (place != Place::Bedrock || signs || spec.base_url.is_none());
        if is_needed && written.is_none() {
            let why = match place {
                Place::Bedrock if spec.base_url.is_some() => "requests are signed for it",
                Place::Bedrock => "its address follows from it",
                Place::Vertex | Place::Elsewhere => "it stands in every path",
            };
            let problem = Diagnostic::error(codes::CLOUD_PLACE_MISSING, format!("provider `{name}` needs `{field}`: {why}"))
                .help(format!("add {example}"));
            found.add(On::Key, pointer(&["providers", name]), problem);
        }
        if of != place && written.is_some() {
            let help = match of {
                Place::Bedrock => "it is for AWS Bedrock (`preset: bedrock`); remove it",
                Place::Vertex | Place::Elsewhere => "it is for Vertex AI (`preset: vertex`, `preset: vertex-anthropic`); remove it",
            };
            let problem =
                Diagnostic::error(codes::CLOUD_PLACE_UNUSED, format!("provider `{name}`: `{field}` means nothing here")).help(help);
            found.add(On::Key, pointer(&["providers", name, field]), problem);
        }
    }
}
