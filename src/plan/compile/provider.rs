//! Providers: the preset's values under the spec's.

use std::collections::{BTreeMap, BTreeSet};

use super::cloud::{self, Place};
use super::credential::{Owner, credentials};
use crate::base::Span;
use crate::catalog::{self, Preset};
use crate::plan::codes;
use crate::plan::finding::{Findings, On, nearest, pointer, suggest};
use crate::plan::types as plan;
use crate::spec::{self, Api, AuthScheme, Diagnostic};

pub(super) fn provider(found: &mut Findings<'_>, name: &str, spec: &spec::Provider) -> plan::Provider {
    let preset = start(found, name, spec);
    let auth = spec.auth.clone().or_else(|| preset.map(|(_, it)| it.auth.clone())).unwrap_or(AuthScheme::Bearer);
    let auth = match auth {
        AuthScheme::Header(header) => AuthScheme::Header(header.to_ascii_lowercase()),
        other @ (AuthScheme::Bearer | AuthScheme::None) => other,
    };
    let api = spec.api.or_else(|| preset.map(|(_, it)| it.api)).unwrap_or(Api::OpenaiChat);
    let place = Place::of(api, preset.map(|(_, it)| it), spec);
    cloud::check(found, name, place, spec);
    let owner = Owner { name, api, auth: &auth, preset: preset.map(|(_, it)| it) };
    plan::Provider {
        preset: preset.map(|(name, _)| name.to_owned()),
        api,
        base_url: base_url(found, (name, preset), spec, (place, api)),
        allow_plain_http: spec.allow_plain_http,
        region: spec.region.clone(),
        project: spec.project.clone(),
        location: spec.location.clone(),
        api_version: cloud::api_version(place, preset.map(|(_, it)| it), spec),
        credentials: credentials(found, &owner, spec),
        auth: auth.clone(),
        quirks: quirks(&spec.quirks, preset.map(|(_, it)| &it.quirks)),
        timeouts: super::timeouts::timeouts(&spec.timeouts),
        retries: plan::Retries {
            max: spec.retries.max.unwrap_or(2),
            only_if_failed_within: spec.retries.only_if_failed_within.unwrap_or(Span::from_secs(5)),
            backoff: spec.retries.backoff.unwrap_or(Span::from_millis(100)),
        },
        headers: headers(found, name, spec),
        capacity: spec.capacity.clone(),
        limits: super::limits::limits(&spec.limits),
        health_check: spec.health_check.as_ref().map(health_check),
        concurrency: spec.concurrency.map(|spec| concurrency(found, name, spec)),
    }
}

/// Most attempts at once that are looked for, where the spec does not say it.
const MOST: u32 = 200;

fn concurrency(found: &mut Findings<'_>, name: &str, spec: spec::Concurrency) -> plan::Concurrency {
    let (min, max) = match spec {
        spec::Concurrency::Max(max) => return plan::Concurrency { min: max, max },
        spec::Concurrency::Adaptive(bounds) => {
            let min = bounds.min.unwrap_or(1);
            (min, bounds.max.unwrap_or(MOST.max(min)))
        }
    };
    if min > max {
        let text = format!("provider `{name}`: no number is at least {min} and at most {max}");
        let problem = Diagnostic::error(codes::CONCURRENCY, text)
            .help("`min` is where the search for a number ends below, `max` where it ends above");
        found.add(On::Value, pointer(&["providers", name, "concurrency", "adaptive", "min"]), problem);
    }
    plan::Concurrency { min: min.min(max), max }
}

fn health_check(spec: &spec::HealthCheck) -> plan::HealthCheck {
    plan::HealthCheck {
        path: spec.path.as_deref().map_or_else(|| "/models".to_owned(), |path| format!("/{}", path.trim_start_matches('/'))),
        // Not more often than it is looked at.
        every: spec.every.unwrap_or(Span::from_secs(30)).max(Span::from_secs(1)),
        timeout: spec.timeout.unwrap_or(Span::from_secs(5)).max(Span::from_millis(100)),
    }
}

type Start = (&'static str, &'static Preset);

/// Finds the preset to start from; reports a provider that has none and does not say what it is either.
fn start(found: &mut Findings<'_>, name: &str, spec: &spec::Provider) -> Option<Start> {
    let named = |name: &str| catalog::presets().get_key_value(name).map(|(key, preset)| (key.as_str(), preset));
    if let Some(wanted) = &spec.preset {
        let preset = named(wanted);
        if preset.is_none() {
            let help = match catalog::known_as(wanted) {
                Some(known) => format!("did you mean `{known}`?"),
                None => suggest(wanted, "presets", catalog::presets().keys().map(String::as_str)),
            };
            let problem = Diagnostic::error(codes::UNKNOWN_PRESET, format!("provider `{name}`: there is no preset `{wanted}`")).help(help);
            found.add(On::Value, pointer(&["providers", name, "preset"]), problem);
        }
        return preset;
    }
    // `api` without `preset` describes a server of the user's own, whatever its name.
    if spec.api.is_some() {
        return None;
    }
    let preset = named(name);
    if preset.is_none() {
        let near = catalog::known_as(name).or_else(|| nearest(name, catalog::presets().keys().map(String::as_str)));
        let help = match near {
            Some(near) => format!("did you mean `{near}`? Otherwise add `preset: {near}`, or `api: openai-chat` and `base_url`"),
            None => "add `preset: NAME`, or `api: openai-chat` and `base_url`".to_owned(),
        };
        let problem = Diagnostic::error(
            codes::PROVIDER_UNDEFINED,
            format!("provider `{name}` is neither a preset nor described by `api` and `base_url`"),
        )
        .help(help);
        found.add(On::Key, pointer(&["providers", name]), problem);
    }
    preset
}

fn base_url(found: &mut Findings<'_>, (name, preset): (&str, Option<Start>), spec: &spec::Provider, (place, api): (Place, Api)) -> String {
    let url =
        spec.base_url.clone().or_else(|| preset.and_then(|(_, it)| it.base_url.clone())).or_else(|| cloud::base_url(place, api, spec));
    // A provider that is not known at all has been reported already, and so has a cloud's place that is missing.
    if url.is_none() && (preset.is_some() || spec.api.is_some()) && matches!(place, Place::Elsewhere | Place::AzureClassic) {
        let help = preset.map(|(_, it)| it.note.as_str()).filter(|note| note.contains("base_url"));
        let help = help.unwrap_or("give base_url, up to and with the API's version, such as `http://127.0.0.1:8000/v1`");
        let problem = Diagnostic::error(codes::BASE_URL_MISSING, format!("provider `{name}` needs `base_url`")).help(help);
        found.add(On::Key, pointer(&["providers", name]), problem);
    }
    url.unwrap_or_default().trim_end_matches('/').to_owned()
}

/// Sorts them, for their order says nothing.
fn refused(members: Option<&Vec<String>>) -> Vec<String> {
    members.into_iter().flatten().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

fn quirks(spec: &spec::Quirks, preset: Option<&spec::Quirks>) -> plan::Quirks {
    plan::Quirks {
        max_tokens_field: spec.max_tokens_field.or_else(|| preset.and_then(|it| it.max_tokens_field)),
        stream_options: spec.stream_options.or_else(|| preset.and_then(|it| it.stream_options)).unwrap_or(true),
        done_marker: spec.done_marker.or_else(|| preset.and_then(|it| it.done_marker)).unwrap_or(true),
        responses: spec.responses.or_else(|| preset.and_then(|it| it.responses)).unwrap_or(false),
        developer_role: spec.developer_role.or_else(|| preset.and_then(|it| it.developer_role)).unwrap_or(false),
        reasoning_field: spec.reasoning_field.or_else(|| preset.and_then(|it| it.reasoning_field)).unwrap_or_default(),
        cache_marks: spec.cache_marks.or_else(|| preset.and_then(|it| it.cache_marks)).unwrap_or_default(),
        top_k: spec.top_k.or_else(|| preset.and_then(|it| it.top_k)).unwrap_or(false),
        tool_call_ids: spec.tool_call_ids.or_else(|| preset.and_then(|it| it.tool_call_ids)).unwrap_or_default(),
        refuses: refused(spec.refuses.as_ref().or_else(|| preset.and_then(|it| it.refuses.as_ref()))),
        rerank: spec.rerank.or_else(|| preset.and_then(|it| it.rerank)).unwrap_or_default(),
    }
}

/// Makes names lower-case; two spellings of one name cannot both stand.
fn headers(found: &mut Findings<'_>, name: &str, spec: &spec::Provider) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (header, template) in &spec.headers {
        if headers.insert(header.to_ascii_lowercase(), template.clone()).is_some() {
            let problem = Diagnostic::error(codes::HEADER_INVALID, format!("provider `{name}` sets the header `{header}` twice"))
                .help("header names differ in more than upper and lower case");
            found.add(On::Key, pointer(&["providers", name, "headers", header]), problem);
        }
    }
    headers
}
