//! One entry of `providers`: where it is, its keys, and how it is waited for.
//!
//! Clients of Bifrost's write `provider/model`, so that a provider keeps its name; what cannot be under one provider here (addresses and
//! regions that differ from key to key) gets a name of its own.

use super::home::{Home, home};
use super::key;
use crate::base::Span;
use crate::import::address;
use crate::import::draft::{Draft, Notes, at};
use crate::import::secret::Spelling;
use crate::import::server::{self, Behind};
use crate::import::tree::Cursor;
use crate::import::{amount, header};
use crate::spec::{Api, Provider};

/// Bifrost's way of referring to the environment.
pub(super) const SPELLING: Spelling = Spelling::EnvDot;

/// A provider that was carried over.
#[derive(Debug, Clone)]
pub(super) struct Carried {
    /// What Bifrost calls it.
    pub(super) theirs: String,
    /// What each of its keys is under here: the first has Bifrost's name if it can.
    pub(super) ours: Vec<String>,
    /// What each key is under here, by its id and by its name.
    pub(super) keys: Vec<(String, String)>,
}

/// Reads a provider. None where it cannot be carried over, which is told.
pub(super) fn read(draft: &mut Draft, name: &str, it: Cursor<'_>, is_empty_all: bool) -> Option<Carried> {
    let custom = it.get("custom_provider_config");
    let like = custom.and_then(|custom| custom.get("base_provider_type"));
    let Some(home) = home(name, like.and_then(Cursor::text)) else {
        draft
            .findings
            .unsupported(it, "there is no preset for this provider; a server like OpenAI's takes `api: openai-chat` and `base_url`");
        return None;
    };
    if let Some(like) = like {
        draft.findings.exact(like, at(&["providers", name]));
    }
    let mut keys: Vec<Option<Cursor<'_>>> = it.get("keys").into_iter().flat_map(Cursor::items).map(Some).collect();
    if keys.is_empty() {
        keys.push(None);
    }
    let (mut ours, mut placed): (Vec<String>, Vec<(String, String)>) = (Vec::new(), Vec::new());
    for key in keys {
        let Some(provider) = one(draft, (name, (home, is_empty_all)), it, key) else { continue };
        let known_as = ["id", "name"].into_iter().filter_map(|member| key?.get(member)?.text());
        placed.extend(known_as.map(|known| (known.to_owned(), provider.clone())));
        if !ours.contains(&provider) {
            ours.push(provider);
        }
    }
    network(draft, &ours, it);
    key::weigh(draft, &ours, it);
    rest(draft, it, custom);
    (!ours.is_empty()).then(|| Carried { theirs: name.to_owned(), ours, keys: placed })
}

/// Adds the provider that one key is for, and the key. None where that cannot be, which is told.
fn one(draft: &mut Draft, (name, (home, is_empty_all)): (&str, (Home, bool)), it: Cursor<'_>, key: Option<Cursor<'_>>) -> Option<String> {
    if key.and_then(|key| key.get("enabled")).and_then(Cursor::bool) == Some(false) {
        key.into_iter().for_each(|key| draft.findings.unsupported(key, "a key that is off is left out"));
        return None;
    }
    let mut notes = Notes::default();
    let base = match base(&mut notes, (name, home), it, key) {
        Ok(base) => base,
        Err(why) => {
            draft.findings.manual(key.unwrap_or(it), None, why);
            return None;
        }
    };
    let wishes = [name.to_owned(), format!("{name}-{}", key.and_then(|key| key.get("name")?.text()).unwrap_or("2"))];
    let wishes: Vec<&str> = wishes.iter().map(String::as_str).collect();
    // The name decides what clients reach, so two entries are never one provider.
    let provider = draft.provider(&wishes, &base, Some(name));
    notes.tell(&mut draft.findings, &["providers", &provider]);
    key::credential(draft, (home, is_empty_all), (it, key), &provider);
    if let Some(key) = key.filter(|_| provider != name) {
        let why = format!(
            "a key with an address or a region of its own is a provider of its own here, `{provider}`: an alias with both as targets balances them"
        );
        let label = key.any(&["name", "weight", "value"]).unwrap_or(key);
        draft.findings.approximate(label, at(&["providers", &provider]), why);
    }
    Some(provider)
}

/// Makes the provider without its keys.
fn base<'t>(notes: &mut Notes<'t>, (name, home): (&str, Home), it: Cursor<'t>, key: Option<Cursor<'t>>) -> Result<Provider, String> {
    let network = it.get("network_config");
    let mut base = Provider::default();
    match home {
        Home::Preset(preset) => base.preset = Some(preset.to_owned()),
        Home::Compatible(url) => (base.api, base.base_url) = (Some(Api::OpenaiChat), Some(url.to_owned())),
        Home::Custom(api) => base.api = Some(api),
        Home::Azure | Home::Bedrock | Home::Vertex => key::cloud(notes, home, (it, key), &mut base)?,
    }
    let own = ["ollama_key_config", "sgl_key_config", "vllm_key_config"].into_iter().find_map(|config| key?.get(config)?.get("url"));
    let written = own.or_else(|| network?.get("base_url").filter(|it| !it.is_empty()));
    if let Some(url) = written {
        let found = address::read(url, SPELLING).map_err(|why| format!("its address cannot be taken over: {why}"))?;
        server::place(notes, &mut base, (url, &found), Behind::Version);
        server::own(&mut base);
    }
    let needs = match home {
        Home::Custom(_) => true,
        Home::Preset(preset) => crate::catalog::preset(preset).is_some_and(|preset| preset.base_url.is_none()),
        Home::Compatible(_) | Home::Azure | Home::Bedrock | Home::Vertex => false,
    };
    if needs && base.base_url.is_none() {
        return Err(format!("nothing says where the server of `{name}` is: write its `base_url`"));
    }
    for (header, value) in network.and_then(|it| it.get("extra_headers")).into_iter().flat_map(Cursor::members) {
        match header::value(value, header, SPELLING) {
            Ok(text) if !base.headers.keys().any(|known| known.eq_ignore_ascii_case(header)) => {
                notes.exact(value, &["headers", header]);
                base.headers.insert(header.to_owned(), text);
            }
            Ok(_) => notes.manual(value, &["headers"], "the header stands twice"),
            Err(why) => notes.manual(value, &[], why),
        }
    }
    Ok(base)
}

/// Times, tries and how many at once, of all providers that the entry became. What is told is told of the first.
fn network(draft: &mut Draft, ours: &[String], it: Cursor<'_>) {
    let Some(first) = ours.first() else { return };
    let place = |members: &[&str]| at(&[&["providers", first.as_str()], members].concat());
    let mut base = Provider::default();
    let findings = &mut draft.findings;
    if let Some(network) = it.get("network_config") {
        let seconds = |name: &str| network.get(name).and_then(|it| Some((it, amount::seconds(it.number()?)?)));
        if let Some((it, span)) = seconds("default_request_timeout_in_seconds") {
            base.timeouts.first_byte = Some(span);
            let why = "of one attempt, until the head of the answer; what follows is bounded by `idle`";
            findings.approximate(it, place(&["timeouts", "first_byte"]), why);
        }
        if let Some((it, span)) = seconds("stream_idle_timeout_in_seconds") {
            base.timeouts.idle = Some(span);
            findings.exact(it, place(&["timeouts", "idle"]));
        }
        if let Some((it, most)) = network.get("max_retries").and_then(|it| Some((it, it.whole()?))) {
            base.retries.max = u32::try_from(most.min(10)).ok();
            let why = "further tries at the same target, at most 10; other keys and targets are tried beside them";
            findings.approximate(it, place(&["retries", "max"]), why);
        }
        let wait = network.any(&["retry_backoff_initial_ms", "retry_backoff_initial"]);
        if let Some((it, ms)) = wait.and_then(|it| Some((it, it.whole().filter(|ms| (1..=3_600_000).contains(ms))?))) {
            base.retries.backoff = Some(Span::from_millis(ms));
            findings.exact(it, place(&["retries", "backoff"]));
        }
        for (name, why) in NETWORK {
            if let Some(it) = network.get(name) {
                findings.unsupported(it, why);
            }
        }
    }
    let most = it.get("concurrency_and_buffer_size").and_then(|it| it.get("concurrency"));
    if let Some((it, most)) = most.and_then(|it| Some((it, u32::try_from(it.whole()?).ok().filter(|most| *most > 0)?))) {
        base.limits.concurrency = Some(most);
        let why = "a request that finds no room goes on to the next target at once: there is no queue";
        findings.approximate(it, place(&["limits", "concurrency"]), why);
    }
    for name in ours {
        if let Some(it) = draft.spec.providers.get_mut(name) {
            (it.timeouts, it.retries, it.limits) = (base.timeouts.clone(), base.retries.clone(), base.limits.clone());
        }
    }
}

const NETWORK: [(&str, &str); 10] = [
    ("retry_backoff_max_ms", "the wait doubles from `retries.backoff`"),
    ("retry_backoff_max", "the wait doubles from `retries.backoff`"),
    ("max_conns_per_host", "connections are opened as they are needed"),
    ("insecure_skip_verify", "certificates are always checked"),
    ("ca_cert_pem", "certificates are checked against the system's store: add the authority there"),
    ("allow_private_network", "which addresses may be called follows from `base_url`"),
    ("stream_throughput_guard", "`timeouts.idle` ends a stream that stalls"),
    ("enforce_http2", "HTTP/2 is used where the server has it"),
    ("beta_header_overrides", "headers that are always sent stand in `headers`"),
    ("keep_alive_timeout_in_seconds", "connections are kept as long as the server keeps them"),
];

/// Tells of what has nothing like it here.
fn rest(draft: &mut Draft, it: Cursor<'_>, custom: Option<Cursor<'_>>) {
    if let Some(size) = it.get("concurrency_and_buffer_size").and_then(|it| it.get("buffer_size")) {
        draft.findings.unsupported(size, "there is no queue: what finds no room goes on to the next target, or is answered 429");
    }
    for name in ["allowed_requests", "request_path_overrides", "is_key_less"] {
        if let Some(it) = custom.and_then(|custom| custom.get(name)) {
            draft.findings.unsupported(it, "which calls a provider has follows from its format; rules can deny others by `endpoint`");
        }
    }
    for (name, why) in REST {
        if let Some(it) = it.get(name) {
            draft.findings.unsupported(it, why);
        }
    }
}

const REST: [(&str, &str); 7] = [
    ("proxy_config", "proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`)"),
    ("send_back_raw_request", "what went upstream is never sent to clients"),
    ("send_back_raw_response", "answers of the client's own format pass as they are; others are translated"),
    ("store_raw_request_response", "prompts and answers are never stored"),
    ("prompt_cache", "caches of providers are passed on as clients ask for them"),
    ("openai_config", "requests pass as clients write them"),
    ("pricing_overrides", "prices stand in `prices`"),
];
