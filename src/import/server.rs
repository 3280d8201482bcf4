//! Providers of presets and of servers like them, for sources that name an address without the API's version.

use super::address::Address;
use super::draft::Notes;
use super::tree::Cursor;
use crate::catalog;
use crate::spec::{Api, Provider};

/// Where a request's path begins behind the address.
pub(super) const fn version(api: Api) -> &'static str {
    match api {
        Api::OpenaiChat | Api::Anthropic => "/v1",
        Api::Gemini => "/v1beta",
        Api::Bedrock | Api::Cohere | Api::Ollama => "",
    }
}

/// What a gateway puts between an address and the path of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// The API's version, whatever the address ends with: Bifrost.
    Version,
    /// Nothing, but for providers whose paths have the version in them: Portkey.
    Nothing,
}

/// Makes a server of one's own of OpenAI's preset at another address: what is special about OpenAI's is not about it.
pub(super) fn own(base: &mut Provider) {
    let is_elsewhere = base.base_url.as_ref().is_some_and(|url| !url.contains(".openai.com/"));
    if is_elsewhere && base.preset.as_deref() == Some("openai") {
        (base.preset, base.api) = (None, Some(Api::OpenaiChat));
    }
}

/// Writes an address into a provider, with what the source's gateway puts behind it. One that is the preset's own is left out.
pub(super) fn place<'t>(notes: &mut Notes<'t>, base: &mut Provider, (it, address): (Cursor<'t>, &Address), behind: Behind) {
    let preset = base.preset.as_deref().and_then(catalog::preset);
    let api = base.api.or_else(|| preset.map(|preset| preset.api)).unwrap_or(Api::OpenaiChat);
    let name = base.preset.as_deref().unwrap_or_default();
    let has_path = address.url.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    let is_put = match (behind, api) {
        // Perplexity's paths have no version, and Gemini's address has it already.
        (Behind::Version, Api::OpenaiChat | Api::Anthropic) => name != "perplexity",
        (Behind::Version, Api::Gemini) => !has_path,
        (Behind::Nothing, _) => !has_path && matches!(name, "ollama" | "gemini"),
        (Behind::Version, Api::Bedrock | Api::Cohere | Api::Ollama) => false,
    };
    let is_there = address.url.ends_with(version(api));
    let ends = if is_there || !is_put || address.is_unknown { "" } else { version(api) };
    let url = format!("{}{ends}", address.url);
    let is_presets_own = preset.and_then(|preset| preset.base_url.as_deref()).is_some_and(|own| own == url || own == address.url);
    if is_presets_own {
        return notes.exact(it, &[]);
    }
    base.base_url = Some(url);
    base.allow_plain_http = address.is_plain;
    match (address.is_plain, address.is_unknown) {
        (true, _) => {
            let why = "plain http to another machine must be allowed by name here; https would keep prompts and keys to yourself";
            notes.approximate(it, &["base_url"], why);
        }
        (false, true) => {
            notes.approximate(it, &["base_url"], "the variable must hold the address up to and with the API's version, such as `/v1`")
        }
        (false, false) => notes.exact(it, &["base_url"]),
    }
}
