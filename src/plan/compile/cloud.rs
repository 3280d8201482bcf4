//! Clouds: the fields that say where in one a provider is, and the address that follows from them.

use crate::plan::codes;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types::Api;
use crate::spec::{self, Diagnostic};

/// Returns the root of an API whose address follows from what the spec says of the place.
pub(super) fn base_url(api: Api, spec: &spec::Provider) -> Option<String> {
    match api {
        Api::Bedrock => {
            let region = spec.region.as_deref()?;
            let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
            Some(format!("https://bedrock-runtime.{region}.amazonaws.com{suffix}"))
        }
        Api::OpenaiChat | Api::Anthropic | Api::Gemini => None,
    }
}

/// Checks that what the format needs to know of the place is said, and nothing else.
pub(super) fn check(found: &mut Findings<'_>, name: &str, api: Api, spec: &spec::Provider) {
    match (api, &spec.region) {
        (Api::Bedrock, None) if spec.base_url.is_none() || spec.credentials.values().any(|it| it.aws.is_some()) => {
            let why = if spec.base_url.is_none() { "its address follows from it" } else { "requests are signed for it" };
            let problem = Diagnostic::error(codes::CLOUD_PLACE_MISSING, format!("provider `{name}` needs `region`: {why}"))
                .help("add the AWS region, such as `region: eu-central-1`");
            found.add(On::Key, pointer(&["providers", name]), problem);
        }
        (Api::OpenaiChat | Api::Anthropic | Api::Gemini, Some(_)) => {
            let problem = Diagnostic::error(codes::CLOUD_PLACE_UNUSED, format!("provider `{name}`: `region` means nothing here"))
                .help("it is for AWS Bedrock (`preset: bedrock`); remove it");
            found.add(On::Key, pointer(&["providers", name, "region"]), problem);
        }
        (Api::Bedrock | Api::OpenaiChat | Api::Anthropic | Api::Gemini, _) => {}
    }
}
