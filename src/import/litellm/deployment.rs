//! One row of `model_list`: where its model is, and with which key.
//!
//! Not how its group balances, which is [`super::group`], nor its numbers, which are [`super::tune`].

use super::cloud;
use super::home::{self, Home};
use crate::catalog::{self, CredentialNeed};
use crate::import::address::{self, Address};
use crate::import::draft::{Draft, Notes, at, literal};
use crate::import::header;
use crate::import::secret::{Held, Spelling, held, set, variable_name};
use crate::import::tree::Cursor;
use crate::spec::{Api, Credential, Provider, SecretRef};

/// LiteLLM's way of referring to the environment.
pub(super) const SPELLING: Spelling = Spelling::OsEnviron;

/// The parameters of a row, over those of the credential that it names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Params<'t> {
    pub(super) own: Cursor<'t>,
    pub(super) shared: Option<Cursor<'t>>,
}

impl<'t> Params<'t> {
    pub(super) fn get(&self, name: &str) -> Option<Cursor<'t>> {
        self.own.get(name).or_else(|| self.shared?.get(name))
    }

    pub(super) fn any(&self, names: &[&str]) -> Option<Cursor<'t>> {
        names.iter().find_map(|name| self.get(name))
    }
}

/// A row that was understood.
#[derive(Debug, Clone)]
pub(super) struct Deployment<'t> {
    pub(super) row: Cursor<'t>,
    pub(super) params: Params<'t>,
    /// `model_name`: what clients ask for.
    pub(super) asked: &'t str,
    pub(super) provider: String,
    pub(super) credential: String,
    /// The model as the provider knows it.
    pub(super) model: String,
}

/// What a row comes to before its key is looked at.
pub(super) struct Upstream<'t> {
    /// What the provider would best be called, the best first.
    pub(super) wishes: Vec<String>,
    pub(super) base: Provider,
    pub(super) model: String,
    pub(super) home: Home,
    /// Whether the address is of this file and not what everybody has.
    pub(super) has_address: bool,
    /// The name before the slash that clients write for all of its models, where that is none of everybody's: with keys of its own.
    pub(super) scope: Option<String>,
    /// What is to be told once the provider has a name.
    pub(super) notes: Notes<'t>,
}

/// An address, and where it stands.
pub(super) type Placed<'t> = Option<(Cursor<'t>, Address)>;

/// Reads a row. None where it cannot be carried over, which is told.
pub(super) fn read<'t>(draft: &mut Draft, row: Cursor<'t>, credentials: Option<Cursor<'t>>) -> Option<Deployment<'t>> {
    let Some(own) = row.get("litellm_params") else {
        draft.findings.manual(row, None, "the row has no `litellm_params`, so nothing says where its model is");
        return None;
    };
    let (Some(name), Some(model)) = (row.get("model_name"), own.get("model")) else {
        draft.findings.manual(row, None, "the row needs `model_name` and `litellm_params.model`");
        return None;
    };
    let (Some(asked), Some(text)) = (name.text().filter(|text| !text.is_empty()), model.text()) else {
        draft.findings.manual(row, None, "the model's name is no plain text, or looks like a secret");
        return None;
    };
    let params = Params { own, shared: shared(draft, own, credentials) };
    let has_address = params.any(&["api_base", "base_url"]).is_some();
    if text == "*" && !has_address {
        draft.findings.unsupported(row, "no provider stands for all: clients write `PROVIDER/MODEL` for each that the spec has");
        return None;
    }
    let vendor = params.get("custom_llm_provider");
    let Some((home, model_there)) = home::home(text, vendor.and_then(Cursor::text), has_address) else {
        draft.findings.unsupported(row, UNKNOWN);
        return None;
    };
    let mut upstream = match upstream(&params, (home, model_there), asked) {
        Ok(upstream) if !upstream.model.is_empty() => upstream,
        found => {
            let why = found.err().unwrap_or_else(|| "the name of the model ends where it should begin".to_owned());
            draft.findings.manual(row, None, why);
            return None;
        }
    };
    let wishes: Vec<&str> = upstream.wishes.iter().map(String::as_str).collect();
    let provider = draft.provider(&wishes, &upstream.base, upstream.scope.as_deref());
    std::mem::take(&mut upstream.notes).tell(&mut draft.findings, &["providers", &provider]);
    let credential = credential(draft, &params, &upstream, &provider);
    let findings = &mut draft.findings;
    findings.exact(model, at(&["providers", &provider]));
    if let Some(vendor) = vendor {
        findings.exact(vendor, at(&["providers", &provider]));
    }
    Some(Deployment { row, params, asked, provider, credential, model: upstream.model })
}

const UNKNOWN: &str =
    "there is neither a preset for this provider nor an address; a server like OpenAI's takes `api: openai-chat` and `base_url`";

/// Keeps the variables that rows without a key lean on from standing for keys that the file holds.
pub(super) fn reserve(draft: &mut Draft, rows: &[Cursor<'_>]) {
    for params in rows.iter().filter_map(|row| row.get("litellm_params")) {
        let model = params.get("model").and_then(Cursor::text).filter(|_| params.get("api_key").is_none());
        let vendor = params.get("custom_llm_provider").and_then(Cursor::text);
        if let Some((home, _)) = model.and_then(|model| home::home(model, vendor, false)) {
            draft.variables.take(home::variable(home));
        }
    }
}

/// Finds the credential that a row names.
fn shared<'t>(draft: &mut Draft, own: Cursor<'t>, credentials: Option<Cursor<'t>>) -> Option<Cursor<'t>> {
    let named = own.get("litellm_credential_name")?;
    let wanted = named.text()?;
    let entry = credentials?.items().find(|it| it.get("credential_name").and_then(Cursor::text) == Some(wanted));
    match entry.and_then(|it| it.get("credential_values")) {
        Some(values) => {
            draft.findings.exact(named, None);
            if let Some(name) = entry.and_then(|it| it.get("credential_name")) {
                draft.findings.exact(name, None);
            }
            Some(values)
        }
        None => {
            draft.findings.manual(named, None, "no entry of `credential_list` has this name: it may be kept in LiteLLM's database");
            None
        }
    }
}

/// Finds out what the provider is, or why that cannot be.
fn upstream<'t>(params: &Params<'t>, (home, model): (Home, &str), asked: &str) -> Result<Upstream<'t>, String> {
    let address = match params.any(&["api_base", "base_url"]) {
        None => None,
        Some(it) => Some((it, address::read(it, SPELLING).map_err(|why| format!("`api_base` cannot be taken over: {why}"))?)),
    };
    match home {
        Home::Bedrock => cloud::bedrock(params, address, model),
        Home::Vertex => cloud::vertex(params, address, model),
        Home::Azure => cloud::azure(params, address, model),
        Home::AzureAi => cloud::azure_ai(params, address, model),
        Home::Preset(preset) => Ok(server(params, address, (preset, model), asked)),
        // What has no address by default is known by the one that the row gives.
        Home::Compatible { url, .. } if url.starts_with("${env:") && address.is_some() => {
            Ok(server(params, address, ("openai", model), asked))
        }
        Home::Compatible { name, url, env: _ } => Ok(compatible(params, address, (name, url), (home, model))),
    }
}

/// Makes a provider of a server whose address LiteLLM knows.
fn compatible<'t>(params: &Params<'t>, address: Placed<'t>, (name, url): (&str, &str), (home, model): (Home, &str)) -> Upstream<'t> {
    let mut notes = Notes::default();
    let mut base = Provider { api: Some(Api::OpenaiChat), base_url: Some(url.to_owned()), ..Provider::default() };
    let has_address = address.is_some();
    match address {
        Some((it, address)) => place(&mut notes, &mut base, it, &address),
        None => {
            if let Some(it) = params.get("model") {
                let why = match url.strip_prefix("${env:").and_then(|rest| rest.strip_suffix('}')) {
                    Some(variable) => format!("nothing says where the server is: set {variable}, or write its address"),
                    None => "this is where LiteLLM calls it by default; check the address".to_owned(),
                };
                notes.approximate(it, &["base_url"], why);
            }
        }
    }
    headers(&mut notes, params, &mut base);
    Upstream { wishes: vec![name.to_owned()], base, model: literal(model), home, has_address, scope: None, notes }
}

/// Makes a provider of a preset, at its own address or another.
fn server<'t>(params: &Params<'t>, address: Placed<'t>, (preset, model): (&'static str, &str), asked: &str) -> Upstream<'t> {
    let mut notes = Notes::default();
    let model = responses(&mut notes, params, model);
    let known = catalog::preset(preset);
    let mut base = Provider { preset: Some(preset.to_owned()), ..Provider::default() };
    let mut wish = preset.to_owned();
    let is_own = |address: &Address| known.and_then(|it| it.base_url.as_deref()) != Some(address.url.as_str());
    let has_address = address.as_ref().is_some_and(|(_, address)| is_own(address));
    match address {
        Some((it, address)) if is_own(&address) => {
            if preset == "openai" {
                // Another server that speaks OpenAI's format: what is special about OpenAI's is not about it.
                (base.preset, base.api, wish) = (None, Some(Api::OpenaiChat), address.name.clone());
            }
            place(&mut notes, &mut base, it, &address);
            version(&mut base, preset, &address);
        }
        Some((it, _)) => notes.exact(it, &[]),
        None if known.is_some_and(|it| it.base_url.is_none()) => {
            let variable = home::base_variable(preset).map_or_else(|| format!("{}_API_BASE", variable_name(preset)), str::to_owned);
            base.base_url = Some(format!("${{env:{variable}}}"));
            if let Some(it) = params.get("model") {
                notes.approximate(it, &["base_url"], format!("nothing says where the server is: set {variable}, or write its address"));
            }
        }
        None => {}
    }
    // `openai/*` as `company/*`: the name before the slash is what clients write.
    let prefix = asked.split_once('/').filter(|(_, rest)| *rest == "*" && model == "*").map(|(prefix, _)| prefix);
    let scope = prefix.filter(|prefix| *prefix != wish).map(str::to_owned);
    let wishes = scope.iter().cloned().chain([wish]).collect();
    headers(&mut notes, params, &mut base);
    Upstream { wishes, base, model: literal(model), home: Home::Preset(preset), has_address, scope, notes }
}

/// Takes off what makes LiteLLM call the Responses API for a model.
pub(super) fn responses<'t, 'm>(notes: &mut Notes<'t>, params: &Params<'t>, model: &'m str) -> &'m str {
    let Some(rest) = model.strip_prefix("responses/") else { return model };
    if let Some(it) = params.get("model") {
        let why =
            "LiteLLM calls the Responses API for it, whatever was asked for: here only what clients ask of `/v1/responses` goes there";
        notes.approximate(it, &[], why);
    }
    rest
}

/// LiteLLM adds the version to addresses of some providers itself.
fn version(base: &mut Provider, preset: &str, address: &Address) {
    if matches!(preset, "anthropic" | "huggingface") && !address.is_unknown && !address.url.ends_with("/v1") {
        base.base_url = Some(format!("{}/v1", address.url));
    }
}

/// Writes an address into a provider.
pub(super) fn place<'t>(notes: &mut Notes<'t>, base: &mut Provider, it: Cursor<'t>, address: &Address) {
    base.base_url = Some(address.url.clone());
    base.allow_plain_http = address.is_plain;
    if address.is_plain {
        let why = "plain http to another machine must be allowed by name here; https would keep prompts and keys to yourself";
        notes.approximate(it, &["base_url"], why);
    } else {
        notes.exact(it, &["base_url"]);
    }
}

/// Carries headers over, but for those that hold keys.
pub(super) fn headers<'t>(notes: &mut Notes<'t>, params: &Params<'t>, base: &mut Provider) {
    if let Some(it) = params.get("organization") {
        header(notes, base, it, "OpenAI-Organization");
    }
    let Some(all) = params.any(&["extra_headers", "headers"]) else { return };
    for (name, it) in all.members() {
        header(notes, base, it, name);
    }
}

fn header<'t>(notes: &mut Notes<'t>, base: &mut Provider, it: Cursor<'t>, name: &str) {
    let is_known = base.headers.keys().any(|known| known.eq_ignore_ascii_case(name));
    match header::value(it, name, SPELLING) {
        Ok(value) if !is_known => {
            notes.exact(it, &["headers", name]);
            base.headers.insert(name.to_owned(), value);
        }
        Ok(_) => notes.manual(it, &["headers"], "the header stands twice"),
        Err(why) => notes.manual(it, &[], why),
    }
}

/// Adds the credential that the row uses, and tells what became of it.
fn credential(draft: &mut Draft, params: &Params<'_>, upstream: &Upstream<'_>, provider: &str) -> String {
    if let Some(signed) = cloud::proof(draft, params, upstream.home, provider) {
        let name = draft.credential(provider, "", signed);
        return name;
    }
    let it = params.get("api_key");
    let found = it.and_then(|it| Some((it, held(it, SPELLING)?)));
    let Some((it, found)) = found else { return default_key(draft, upstream, provider) };
    let wish = home::variable(upstream.home);
    let wish =
        if upstream.has_address && upstream.home == Home::Preset("openai") { format!("{provider}_API_KEY") } else { wish.to_owned() };
    let (secret, must_be_set) = draft.variables.reference(&found, &wish);
    let name = draft.credential(provider, &credential_name(&secret), secret_credential(secret.clone()));
    let became = at(&["providers", provider, "credentials", &name]);
    match (must_be_set, &secret, &found) {
        (true, SecretRef::Env(variable), _) => draft.findings.manual(it, became, set(variable)),
        (_, _, Held::Placeholder) => {
            let findings = &mut draft.findings;
            findings.approximate(
                it,
                became,
                "it reads like a placeholder, so no key is sent; if it is a key, keep it in a variable and name that",
            );
            draft.keyless(provider);
        }
        (_, _, Held::Variable(_) | Held::Literal(_)) => draft.findings.exact(it, became),
    }
    name
}

fn default_key(draft: &mut Draft, upstream: &Upstream<'_>, provider: &str) -> String {
    let needs_none = match upstream.home {
        Home::Preset(preset) => catalog::preset(preset).is_some_and(|it| it.credential != CredentialNeed::Required),
        Home::Compatible { .. } | Home::Azure | Home::AzureAi | Home::Bedrock | Home::Vertex => false,
    };
    let is_server = upstream.has_address && upstream.home == Home::Preset("openai");
    let secret = if needs_none || is_server { SecretRef::None } else { SecretRef::Env(home::variable(upstream.home).to_owned()) };
    draft.credential(provider, &credential_name(&secret), secret_credential(secret))
}

/// Names a credential after its variable, where it is not the only one.
fn credential_name(secret: &SecretRef) -> String {
    match secret {
        SecretRef::Env(name) => name.to_ascii_lowercase().replace('_', "-"),
        SecretRef::File(_) | SecretRef::Cred(_) | SecretRef::None => "key".to_owned(),
    }
}

pub(super) fn secret_credential(secret: SecretRef) -> Credential {
    Credential { secret: Some(secret), aws: None, google: None, weight: None, models: Vec::new(), optional: false }
}
