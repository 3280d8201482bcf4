//! What is known of providers and models without being told, as data: presets, prices, how much fits into a model.
//!
//! Not code: a server that a preset does not cover needs only YAML in the spec (`api`, `base_url`, `quirks`), and a new preset
//! is one entry in `providers.yaml`. Rules: an entry states only what the provider's documentation or recorded traffic shows; a price
//! is never guessed, for a wrong one is worse than none.

mod card;
pub mod convert;
mod entry;
mod known;
mod meter;
pub mod overlay;
mod price_list;
mod row;
mod term;
pub mod text;

pub use card::{RateCard, Sheet};
pub use entry::{CAPABILITIES, Capacity, Entry, Origin, Source, Vendor};
pub use known::{Known, Server, catalogue, free, known, model, sources, vendor, vendor_of};
pub use meter::{Meter, Rates};
pub use price_list::{Hours, Period, PriceList};
pub use row::{Row, Tiered, compile};
pub use term::Term;
pub use text::Catalogue;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::spec::{Api, AuthScheme, Quirks};

const PROVIDERS: &str = include_str!("providers.yaml");

/// What the gateway knows of a provider without being told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The name people know it by.
    pub title: String,
    /// Other names under which people look for it; for suggestions only.
    #[serde(default)]
    pub also: Vec<String>,
    /// The wire format.
    #[serde(default = "openai_chat")]
    pub api: Api,
    /// Root of the API, without a trailing slash; none where every installation has its own. `mock:` for the built-in mock.
    pub base_url: Option<String>,
    /// How the key travels.
    #[serde(default = "bearer")]
    pub auth: AuthScheme,
    /// Whether a key is needed.
    #[serde(default)]
    pub credential: CredentialNeed,
    /// The cloud whose place the spec must say, where the format alone does not tell.
    pub cloud: Option<Cloud>,
    /// The version of Azure OpenAI's classic API.
    pub api_version: Option<String>,
    /// The vendor of the catalogue whose prices are its own; none where they are not published in dollars, or depend on more than the model.
    pub prices: Option<String>,
    /// The environment variable that the provider's own documentation uses for the key.
    pub env: Option<String>,
    /// How the server differs from OpenAI's.
    #[serde(default)]
    pub quirks: Quirks,
    /// What a user should know.
    #[serde(default)]
    pub note: String,
}

/// A cloud that serves formats of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cloud {
    /// Google Cloud's Vertex AI: `project` and `location`.
    Vertex,
    /// Azure OpenAI's classic API: `api_version`.
    AzureClassic,
}

impl Preset {
    /// Returns the least that a spec says of such a provider, as YAML.
    pub fn entry(&self) -> String {
        match (self.api, self.cloud, &self.env) {
            (Api::Bedrock, ..) => "{region: REGION, credentials: {default: {aws: environment}}}".to_owned(),
            (_, Some(Cloud::Vertex), _) => {
                "{project: PROJECT, location: LOCATION, credentials: {default: {google: environment}}}".to_owned()
            }
            (_, None | Some(Cloud::AzureClassic), Some(env)) => format!("{{credentials: {{default: {{secret: {{env: {env}}}}}}}}}"),
            (_, None | Some(Cloud::AzureClassic), None) => "{}".to_owned(),
        }
    }
}

/// Whether a provider needs a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialNeed {
    /// Calls without a key are refused.
    #[default]
    Required,
    /// A key is looked at only where the operator has set one.
    Optional,
    /// There are no keys.
    None,
}

const fn openai_chat() -> Api {
    Api::OpenaiChat
}

const fn bearer() -> AuthScheme {
    AuthScheme::Bearer
}

/// Returns every preset by name, sorted. Parsed at the first call (about a millisecond), then shared.
pub fn presets() -> &'static BTreeMap<String, Preset> {
    static PRESETS: OnceLock<BTreeMap<String, Preset>> = OnceLock::new();
    // The embedded file is fixed at build time and a test parses it, so the default is never seen in a tested build.
    PRESETS.get_or_init(|| serde_yaml::from_str(PROVIDERS).unwrap_or_default())
}

/// Returns the preset of this name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    presets().get(name)
}

/// Returns the preset that somebody who wrote `name` may have meant: by another of its names, in any case.
pub fn known_as(name: &str) -> Option<&'static str> {
    let wanted = name.to_ascii_lowercase();
    presets().iter().find(|(key, preset)| **key == wanted || preset.also.contains(&wanted)).map(|(key, _)| key.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_parses_and_stands_in_order() {
        let parsed: BTreeMap<String, Preset> = serde_yaml::from_str(PROVIDERS).unwrap();
        let written: Vec<&str> = PROVIDERS
            .lines()
            .filter(|line| !line.starts_with([' ', '#']) && line.ends_with(':'))
            .map(|line| line.trim_end_matches(':'))
            .collect();
        let sorted: Vec<&str> = parsed.keys().map(String::as_str).collect();
        assert_eq!(written, sorted);
        assert!(parsed.len() >= 30, "{} presets", parsed.len());
    }

    #[test]
    fn every_base_url_is_https_or_loopback_and_used_once() {
        let mut seen = std::collections::BTreeSet::new();
        for (name, preset) in presets() {
            let Some(url) = &preset.base_url else { continue };
            assert!(seen.insert(url), "{name}: {url} is used twice");
            assert!(!url.ends_with('/'), "{name}");
            assert!(url == "mock:" || url.starts_with("https://") || url.starts_with("http://127.0.0.1:"), "{name}: {url}");
        }
    }

    #[test]
    fn no_name_means_two_presets() {
        let mut seen = std::collections::BTreeSet::new();
        for (name, preset) in presets() {
            assert!(seen.insert(name.clone()), "{name}");
            for other in &preset.also {
                assert!(seen.insert(other.clone()), "{name}: {other}");
                assert_eq!(known_as(other), Some(name.as_str()));
            }
        }
    }

    #[test]
    fn whoever_needs_a_key_says_which_variable_holds_it() {
        for (name, preset) in presets() {
            let keyless = preset.credential == CredentialNeed::None;
            assert_eq!(preset.env.is_none(), keyless, "{name}");
            assert_eq!(preset.auth == AuthScheme::None, keyless, "{name}");
            assert!(!preset.title.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_user_supplied_base_url_is_explained() {
        for (name, preset) in presets() {
            assert!(preset.base_url.is_some() || preset.note.contains("base_url"), "{name}");
        }
    }
}
