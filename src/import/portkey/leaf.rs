//! One target: a provider with its key, and the model that it is asked for.

use super::{SPELLING, Scope};
use crate::base::{Digest, Span};
use crate::catalog;
use crate::import::draft::{Draft, Notes, at, literal};
use crate::import::secret::{Held, held, set, variable_name};
use crate::import::server::{self, Behind};
use crate::import::tree::Cursor;
use crate::import::{address, header};
use crate::spec::{Api, Aws, AwsAccount, Credential, FromEnvironment, Google, GoogleAccount, Provider, SecretRef, TargetRef};

/// A target that was carried over.
#[derive(Debug, Clone)]
pub(super) struct Leaf<'t> {
    pub(super) target: TargetRef,
    /// The name of its credential.
    pub(super) credential: String,
    /// Its `override_params`.
    pub(super) params: Option<Cursor<'t>>,
}

/// Reads a target. None where it cannot be carried over, which is told.
pub(super) fn read<'t>(draft: &mut Draft, scope: &Scope<'t>, it: Cursor<'t>) -> Option<Leaf<'t>> {
    let params = scope.get(&["override_params", "overrideParams"]).filter(|it| it.is_map());
    match parts(draft, scope, params) {
        Ok(leaf) => {
            network(draft, scope, &leaf.target.provider);
            Some(leaf)
        }
        Err(why) => {
            draft.findings.manual(it, None, why);
            None
        }
    }
}

fn parts<'t>(draft: &mut Draft, scope: &Scope<'t>, params: Option<Cursor<'t>>) -> Result<Leaf<'t>, String> {
    let provider = scope.get(&["provider"]);
    let slug = scope.get(&["virtual_key", "virtualKey"]).or(provider.filter(|it| it.text().is_some_and(|text| text.starts_with('@'))));
    let named = match (provider.and_then(Cursor::text).filter(|text| !text.starts_with('@')), slug.and_then(Cursor::text)) {
        (Some(name), _) => name.to_owned(),
        (None, Some(slug)) => {
            like(slug).ok_or("only Portkey knows which provider the virtual key is for: name it in `provider`, and import again")?
        }
        (None, None) => return Err("the target names no provider".to_owned()),
    };
    let mut notes = Notes::default();
    let (mut base, wish) = base(&mut notes, scope, &named)?;
    let deployment = scope.get(&["azure_deployment_id", "azureDeploymentId", "deployment_id", "deploymentId"]).filter(|_| is_azure(&named));
    let model = deployment.or_else(|| params?.get("model"));
    let Some((model_at, model)) = model.and_then(|it| Some((it, it.text().filter(|text| !text.is_empty())?))) else {
        return Err("the target names no model, so the client's would be passed on: name one in `override_params`, or let clients ask for `provider/model`".to_owned());
    };
    // `@integration/model` names where the model is, too.
    let model = model.strip_prefix('@').and_then(|rest| rest.split_once('/')).map_or(model, |(_, model)| model);
    let model = if base.preset.as_deref() == Some("vertex") { on_vertex(&mut base, model)? } else { model.to_owned() };
    let wishes = if base.preset.as_deref() == Some("vertex-anthropic") { ["vertex-anthropic"] } else { [wish.as_str()] };
    let name = draft.provider(&wishes, &base, None);
    notes.tell(&mut draft.findings, &["providers", &name]);
    let credential = credential(draft, scope, (&name, &named), slug);
    let model = literal(&model);
    draft.written_for(&name, &credential, &model);
    for it in [provider, scope.get(&["virtual_key", "virtualKey"])].into_iter().flatten().filter(|it| Some(it.id()) != slug.map(Cursor::id))
    {
        draft.findings.exact(it, at(&["providers", &name]));
    }
    draft.findings.exact(model_at, at(&["models"]));
    if let Some(it) = params.and_then(|params| params.get("model")).filter(|it| it.id() != model_at.id()) {
        draft.findings.exact(it, at(&["models"]));
    }
    Ok(Leaf { target: TargetRef { provider: name, model, weight: None, share: None }, credential, params })
}

/// Names a model of Vertex AI as it is named here, where Portkey writes `anthropic.claude-…`; Claude is another provider.
fn on_vertex(base: &mut Provider, model: &str) -> Result<String, String> {
    match model.split_once('.') {
        Some(("anthropic", name)) => {
            base.preset = Some("vertex-anthropic".to_owned());
            Ok(name.to_owned())
        }
        Some(("google", name)) => Ok(name.to_owned()),
        Some(("endpoints", id)) => Ok(format!("endpoints/{id}")),
        Some(("meta" | "mistralai", _)) => {
            Err("models of other vendors on Vertex AI have an endpoint of their own: write a provider with its `base_url`".to_owned())
        }
        Some(_) | None => Ok(model.to_owned()),
    }
}

fn is_azure(name: &str) -> bool {
    matches!(name, "azure-openai" | "azure")
}

/// Returns the preset that a name of Portkey's leads to.
fn preset(name: &str) -> Option<&'static str> {
    let theirs = match name {
        "google" => "gemini",
        "vertex-ai" => "vertex",
        "perplexity-ai" => "perplexity",
        "azure-openai" | "azure" => "azure-classic",
        "kimi" | "moonshot" => "moonshot",
        "ollama" => "ollama",
        "dashscope" => "dashscope-intl",
        other => other,
    };
    catalog::presets().get_key_value(theirs).map(|(key, _)| key.as_str()).or_else(|| catalog::known_as(theirs))
}

/// Guesses the provider of a virtual key by how its slug begins: `openai-prod`, `@anthropic-main`.
fn like(slug: &str) -> Option<String> {
    let slug = slug.trim_start_matches('@').split('/').next()?.to_ascii_lowercase();
    let is_begin = |name: &&str| slug.strip_prefix(*name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']));
    let known = catalog::presets().keys().map(String::as_str).chain(["azure-openai", "vertex-ai", "google", "perplexity-ai"]);
    known.filter(is_begin).max_by_key(|name| name.len()).map(str::to_owned)
}

/// Makes the provider without its key, and says what it would best be called.
fn base<'t>(notes: &mut Notes<'t>, scope: &Scope<'t>, named: &str) -> Result<(Provider, String), String> {
    let (mut base, mut wish) = (Provider::default(), named.to_owned());
    let host = scope.get(&["custom_host", "customHost"]);
    match preset(named) {
        Some(preset) => base.preset = Some(preset.to_owned()),
        None if host.is_some() => base.api = Some(Api::OpenaiChat),
        None => return Err(UNKNOWN.to_owned()),
    }
    cloud(notes, scope, &mut base, host.is_some())?;
    if let Some(it) = host {
        let found = address::read(it, SPELLING).map_err(|why| format!("its address cannot be taken over: {why}"))?;
        server::place(notes, &mut base, (it, &found), Behind::Nothing);
        server::own(&mut base);
        if base.preset.is_none() && named == "openai" {
            wish.clone_from(&found.name);
        }
    }
    let preset = base.preset.as_deref().and_then(catalog::preset);
    let has_none = preset.is_some_and(|it| it.base_url.is_none() && it.cloud.is_none() && it.api != Api::Bedrock);
    if has_none && base.base_url.is_none() {
        return Err("every installation of this provider has an address of its own, and the target names none".to_owned());
    }
    if let Some(it) = scope.get(&["openai_organization", "openaiOrganization"]) {
        match header::value(it, "OpenAI-Organization", SPELLING) {
            Ok(text) => {
                base.headers.insert("OpenAI-Organization".to_owned(), text);
                notes.exact(it, &["headers", "OpenAI-Organization"]);
            }
            Err(why) => notes.manual(it, &[], why),
        }
    }
    Ok((base, wish))
}

const UNKNOWN: &str =
    "there is no preset for this provider, and no address: a server like OpenAI's takes `api: openai-chat` and `base_url`";

/// Says where in a cloud a target is.
fn cloud<'t>(notes: &mut Notes<'t>, scope: &Scope<'t>, base: &mut Provider, has_host: bool) -> Result<(), String> {
    let mut take = |names: &[&str], field: (&str, &str)| take(notes, scope.get(names), field);
    match base.preset.as_deref() {
        Some("azure-classic") => {
            let resource = take(&["azure_resource_name", "azureResourceName", "resource_name", "resourceName"], ("base_url", "-"));
            base.api_version = take(&["azure_api_version", "azureApiVersion", "api_version", "apiVersion"], ("api_version", "-"));
            if !has_host {
                let resource = resource.ok_or("Azure needs the name of its resource")?;
                base.base_url = Some(format!("https://{resource}.openai.azure.com"));
            }
        }
        Some("bedrock") => {
            let region = take(&["aws_region", "awsRegion"], ("region", "-"));
            base.region = Some(region.unwrap_or_else(|| "${env:AWS_REGION:-us-east-1}".to_owned()));
        }
        Some("vertex" | "vertex-anthropic") => {
            let project = take(&["vertex_project_id", "vertexProjectId"], ("project", ".:-"));
            base.project = Some(project.ok_or("Vertex AI needs its project")?);
            base.location = Some(take(&["vertex_region", "vertexRegion"], ("location", "-")).unwrap_or_else(|| "global".to_owned()));
        }
        Some(_) | None => {}
    }
    Ok(())
}

/// Takes a setting over that is made of few characters.
fn take<'t>(notes: &mut Notes<'t>, it: Option<Cursor<'t>>, (field, more): (&str, &str)) -> Option<String> {
    let it = it?;
    let text = it.text().filter(|text| !text.is_empty())?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || more.contains(c);
    let variable = SPELLING.variable(text).map(|name| format!("${{env:{name}}}"));
    let value = variable.or_else(|| text.chars().all(fits).then(|| text.to_owned()));
    match value {
        Some(_) => notes.exact(it, &[field]),
        None => notes.manual(it, &[], format!("`{field}` cannot be taken over as it is written; write it by hand")),
    }
    value
}

/// Adds the credential, and tells what became of it. Returns its name.
fn credential(draft: &mut Draft, scope: &Scope<'_>, (provider, named): (&str, &str), slug: Option<Cursor<'_>>) -> String {
    let none = Credential { secret: None, aws: None, google: None, weight: None, models: Vec::new(), optional: false };
    let preset = preset(named).and_then(catalog::preset);
    let env = preset.and_then(|it| it.env.clone()).unwrap_or_else(|| format!("{}_API_KEY", variable_name(provider)));
    let place = at(&["providers", provider, "credentials"]);
    let key = scope.get(&["api_key", "apiKey"]).filter(|it| !it.is_empty());
    let is_google = preset.is_some_and(|it| it.cloud == Some(catalog::Cloud::Vertex));
    let is_bedrock = preset.is_some_and(|it| it.api == Api::Bedrock);
    let is_guess = slug.is_some_and(|slug| scope.get(&["provider"]).is_none_or(|provider| provider.id() == slug.id()));
    let guess = if is_guess { format!("; that it is for {named} is only read off its name") } else { String::new() };
    let (proof, wish) = if let Some(it) = key {
        let found = held(it, SPELLING).unwrap_or(Held::Placeholder);
        let (secret, must_be_set) = draft.variables.reference(&found, &env);
        match &secret {
            SecretRef::Env(variable) if must_be_set => draft.findings.manual(it, place, set(variable)),
            SecretRef::Env(_) | SecretRef::File(_) | SecretRef::Cred(_) => draft.findings.exact(it, place),
            SecretRef::None => {
                draft.findings.approximate(
                    it,
                    place,
                    "it reads like a placeholder, so no key is sent; if it is a key, keep it in a variable and name that",
                );
                draft.keyless(provider);
            }
        }
        let wish = if let SecretRef::Env(name) = &secret { name.to_ascii_lowercase().replace('_', "-") } else { String::new() };
        (Credential { secret: Some(secret), ..none }, wish)
    } else if is_bedrock {
        if let Some(it) = slug {
            let why = "the keys and the region are kept in Portkey: write them here, or let the environment have them";
            draft.findings.manual(it, place, format!("{why}{guess}"));
        }
        (Credential { aws: Some(aws(draft, scope, provider)), ..none }, "aws".to_owned())
    } else if is_google {
        (Credential { google: Some(google(draft, scope, provider)), ..none }, "google".to_owned())
    } else if let Some((it, text)) = slug.and_then(|it| Some((it, it.text()?))) {
        let slug = text.trim_start_matches('@').split('/').next().unwrap_or(text);
        let variable = format!("{}_API_KEY", variable_name(slug));
        draft.findings.manual(it, place, format!("the key is kept in Portkey: set {variable} to it where the gateway runs{guess}"));
        (Credential { secret: Some(SecretRef::Env(variable)), ..none }, slug.to_owned())
    } else {
        let is_needed = preset.is_none_or(|it| it.credential == catalog::CredentialNeed::Required);
        let secret = if is_needed { SecretRef::Env(env) } else { SecretRef::None };
        (Credential { secret: Some(secret), ..none }, String::new())
    };
    let name = draft.credential(provider, &wish, proof);
    if let Some(it) = slug.filter(|it| !draft.findings.knows(*it)) {
        draft.findings.exact(it, at(&["providers", provider]));
    }
    name
}

fn secret(draft: &mut Draft, it: Cursor<'_>, wish: &str, provider: &str) -> Option<SecretRef> {
    let found = held(it, SPELLING)?;
    let (secret, must_be_set) = draft.variables.reference(&found, wish);
    let place = at(&["providers", provider, "credentials"]);
    match &secret {
        SecretRef::Env(variable) if must_be_set => draft.findings.manual(it, place, set(variable)),
        SecretRef::Env(_) | SecretRef::File(_) | SecretRef::Cred(_) | SecretRef::None => draft.findings.exact(it, place),
    }
    Some(secret).filter(|secret| *secret != SecretRef::None)
}

fn aws(draft: &mut Draft, scope: &Scope<'_>, provider: &str) -> Aws {
    let mut part = |names: &[&str], wish: &str| scope.get(names).and_then(|it| secret(draft, it, wish, provider));
    let id = part(&["aws_access_key_id", "awsAccessKeyId"], "AWS_ACCESS_KEY_ID");
    let key = part(&["aws_secret_access_key", "awsSecretAccessKey"], "AWS_SECRET_ACCESS_KEY");
    let token = part(&["aws_session_token", "awsSessionToken"], "AWS_SESSION_TOKEN");
    match (id, key) {
        (Some(id), Some(key)) => Aws::Account(Box::new(AwsAccount {
            access_key_id: Some(id),
            secret_access_key: Some(key),
            session_token: token,
            ..AwsAccount::default()
        })),
        _ => Aws::Environment(FromEnvironment::Environment),
    }
}

/// The service account stands there as JSON, or as a reference.
fn google(draft: &mut Draft, scope: &Scope<'_>, provider: &str) -> Google {
    let Some(it) = scope.get(&["vertex_service_account_json", "vertexServiceAccountJson"]) else {
        return Google::Environment(FromEnvironment::Environment);
    };
    if it.is_map() {
        let whole: String = it.leaves().into_iter().filter_map(Cursor::secret).flat_map(|part| [part, "\n"]).collect();
        let variable = draft.variables.name(Digest::of(whole.as_bytes()), "VERTEX_CREDENTIALS");
        draft.findings.manual(it, at(&["providers", provider, "credentials"]), set(&variable));
        return Google::Account(GoogleAccount { service_account: SecretRef::Env(variable) });
    }
    match secret(draft, it, "VERTEX_CREDENTIALS", provider) {
        Some(service_account) => Google::Account(GoogleAccount { service_account }),
        None => Google::Environment(FromEnvironment::Environment),
    }
}

/// Tries and times, which are the provider's.
fn network(draft: &mut Draft, scope: &Scope<'_>, provider: &str) {
    let Some(ours) = draft.spec.providers.get_mut(provider) else { return };
    if let Some(retry) = scope.get(&["retry"]) {
        if let Some((it, most)) = retry.get("attempts").and_then(|it| Some((it, it.whole()?))) {
            let most = u32::try_from(most.min(10)).unwrap_or(10);
            ours.retries.max = Some(ours.retries.max.map_or(most, |known| known.max(most)));
            let why = "further tries at the same target, at most 10, and the most of all targets at this provider";
            draft.findings.approximate(it, at(&["providers", provider, "retries", "max"]), why);
        }
        for names in [["on_status_codes", "onStatusCodes"], ["use_retry_after_headers", "useRetryAfterHeaders"]] {
            if let Some(it) = retry.any(&names) {
                draft.findings.unsupported(it, "what is tried again, and how long is waited, is built in: see the page on failover");
            }
        }
    }
    if let Some((it, ms)) =
        scope.get(&["request_timeout", "requestTimeout"]).and_then(|it| Some((it, it.whole().filter(|ms| (1..=86_400_000).contains(ms))?)))
    {
        let span = Span::from_millis(ms);
        ours.timeouts.first_byte = Some(ours.timeouts.first_byte.map_or(span, |known| known.max(span)));
        let why = "of one attempt, until the head of the answer, and the longest of all targets at this provider";
        draft.findings.approximate(it, at(&["providers", provider, "timeouts", "first_byte"]), why);
    }
}
