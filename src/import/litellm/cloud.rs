//! Rows whose models are in a cloud: where in it, and how they sign in.

use super::deployment::{Params, Placed, SPELLING, Upstream, headers, place, responses, secret_credential};
use super::home::Home;
use crate::import::draft::{Draft, Notes, at, literal};
use crate::import::secret::{Held, held, set};
use crate::import::tree::Cursor;
use crate::spec::{Api, AuthScheme, Aws, AwsAccount, Credential, FromEnvironment, Google, GoogleAccount, Provider, SecretRef};

/// Reads a setting that may come from the environment and otherwise has to be made of few characters.
fn setting(it: Cursor<'_>, more: &str) -> Option<String> {
    let text = it.text()?;
    if let Some(variable) = SPELLING.variable(text) {
        return Some(format!("${{env:{variable}}}"));
    }
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || more.contains(c);
    (!text.is_empty() && text.chars().all(fits)).then(|| text.to_owned())
}

/// Takes a setting over, where it can be one.
fn take<'t>(notes: &mut Notes<'t>, it: Option<Cursor<'t>>, (field, more): (&str, &str)) -> Option<String> {
    let it = it?;
    let value = setting(it, more);
    match value {
        Some(_) => notes.exact(it, &[field]),
        None => notes.manual(it, &[], format!("`{field}` cannot be taken over as it is written; write it by hand")),
    }
    value
}

/// Bedrock, by Converse whatever the row says.
pub(super) fn bedrock<'t>(params: &Params<'t>, address: Placed<'t>, model: &str) -> Result<Upstream<'t>, String> {
    let mut notes = Notes::default();
    let ways = ["converse/", "converse_like/", "invoke/"];
    let model = ways.iter().find_map(|way| model.strip_prefix(way)).unwrap_or(model);
    let (in_name, model) = match model.split_once('/') {
        Some((region, rest)) if is_region(region) => (Some(region), rest),
        Some(_) | None => (None, model),
    };
    let written = params.any(&["aws_region_name", "region_name"]);
    let region = take(&mut notes, written, ("region", "-")).or_else(|| in_name.map(str::to_owned));
    let region = region.unwrap_or_else(|| "${env:AWS_REGION:-us-west-2}".to_owned());
    let mut base = Provider { preset: Some("bedrock".to_owned()), region: Some(region.clone()), ..Provider::default() };
    let endpoint = match params.get("aws_bedrock_runtime_endpoint") {
        Some(it) => {
            Some((it, crate::import::address::read(it, SPELLING).map_err(|why| format!("the endpoint cannot be taken over: {why}"))?))
        }
        None => address,
    };
    let has_address = endpoint.is_some();
    if let Some((it, address)) = endpoint {
        place(&mut notes, &mut base, it, &address);
    }
    headers(&mut notes, params, &mut base);
    let wishes = vec!["bedrock".to_owned(), format!("bedrock-{}", label(&region))];
    Ok(Upstream { wishes, base, model: literal(model), home: Home::Bedrock, has_address, scope: None, notes })
}

/// Names a setting: by itself, or by the variable that it comes from.
fn label(setting: &str) -> String {
    let variable = setting.strip_prefix("${env:").map(|rest| rest.split([':', '}']).next().unwrap_or_default());
    variable.map_or_else(|| setting.to_owned(), |name| name.to_ascii_lowercase().replace('_', "-"))
}

/// Tells `us-east-1` from the vendor of a model.
fn is_region(text: &str) -> bool {
    let mut parts = text.rsplit('-');
    let number = parts.next().is_some_and(|part| part.len() == 1 && part.bytes().all(|byte| byte.is_ascii_digit()));
    number && parts.count() >= 2 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Vertex AI: Gemini and Claude are two providers.
pub(super) fn vertex<'t>(params: &Params<'t>, address: Placed<'t>, model: &str) -> Result<Upstream<'t>, String> {
    let is_claude = model.starts_with("claude");
    if !is_claude && model.contains('/') && !model.starts_with("endpoints/") && !model.starts_with("publishers/") {
        return Err(
            "models of other vendors on Vertex AI have an endpoint of their own: write it as `publishers/VENDOR/models/NAME`".to_owned()
        );
    }
    let preset = if is_claude { "vertex-anthropic" } else { "vertex" };
    let mut notes = Notes::default();
    let project = take(&mut notes, params.any(&["vertex_project", "vertex_ai_project"]), ("project", ".:-"));
    let location = take(&mut notes, params.any(&["vertex_location", "vertex_ai_location"]), ("location", "-"));
    let mut base = Provider {
        preset: Some(preset.to_owned()),
        project: Some(project.unwrap_or_else(|| "${env:VERTEXAI_PROJECT}".to_owned())),
        location: Some(location.clone().unwrap_or_else(|| "${env:VERTEXAI_LOCATION:-us-central1}".to_owned())),
        ..Provider::default()
    };
    let has_address = address.is_some();
    if let Some((it, address)) = address {
        place(&mut notes, &mut base, it, &address);
    }
    headers(&mut notes, params, &mut base);
    let wishes = vec![preset.to_owned(), format!("{preset}-{}", label(location.as_deref().unwrap_or("2")))];
    Ok(Upstream { wishes, base, model: literal(model), home: Home::Vertex, has_address, scope: None, notes })
}

/// Azure OpenAI: the address of the resource, and what LiteLLM puts behind it.
pub(super) fn azure<'t>(params: &Params<'t>, address: Placed<'t>, model: &str) -> Result<Upstream<'t>, String> {
    let mut notes = Notes::default();
    let model = responses(&mut notes, params, model);
    let model = ["o_series/", "gpt5_series/"].iter().find_map(|kind| model.strip_prefix(kind)).unwrap_or(model);
    let mut base = Provider { preset: Some("azure-classic".to_owned()), ..Provider::default() };
    let mut wishes = vec!["azure".to_owned()];
    let has_address = address.is_some();
    match address {
        Some((it, mut address)) => {
            let is_v1 = address.url.ends_with("/openai/v1");
            if is_v1 {
                base.preset = Some("azure".to_owned());
            } else if let Some((resource, _)) = address.url.split_once("/openai").filter(|_| !address.is_unknown) {
                address.url = resource.to_owned();
            }
            place(&mut notes, &mut base, it, &address);
            wishes.push(format!("azure-{}", address.name));
        }
        None => base.base_url = Some("${env:AZURE_API_BASE}".to_owned()),
    }
    let version = params.get("api_version");
    match (base.preset.as_deref(), version) {
        (Some("azure"), Some(it)) => notes.approximate(it, &[], "the v1 API, at whose address this is, takes no version"),
        _ => base.api_version = take(&mut notes, version, ("api_version", "-")),
    }
    headers(&mut notes, params, &mut base);
    if params.get("azure_ad_token").is_some() {
        base.auth = Some(AuthScheme::Bearer);
    }
    for member in ["tenant_id", "client_id", "client_secret", "azure_username", "azure_password", "azure_scope"] {
        if let Some(it) = params.get(member) {
            notes.manual(
                it,
                &[],
                "the gateway does not sign in to Entra ID: use a key, or let something renew a token in a file, with `auth: bearer`",
            );
        }
    }
    Ok(Upstream { wishes, base, model: literal(model), home: Home::Azure, has_address, scope: None, notes })
}

/// Models of Azure AI Foundry, which speak OpenAI's format.
pub(super) fn azure_ai<'t>(params: &Params<'t>, address: Placed<'t>, model: &str) -> Result<Upstream<'t>, String> {
    let mut notes = Notes::default();
    let (it, address) = address.ok_or("Azure AI needs `api_base`: every installation has its own")?;
    if model.starts_with("claude") {
        return Err("Claude on Azure speaks Anthropic's format: write a provider with `api: anthropic` and its `base_url`".to_owned());
    }
    let auth = Some(AuthScheme::Header("api-key".to_owned()));
    let mut base = Provider { api: Some(Api::OpenaiChat), auth, ..Provider::default() };
    let name = address.name.clone();
    (base.base_url, base.allow_plain_http) = (Some(address.url.clone()), address.is_plain);
    let why = "the paths of Azure AI differ by the kind of endpoint: check that `base_url` goes up to and with what stands before `/chat/completions`";
    notes.approximate(it, &["base_url"], why);
    headers(&mut notes, params, &mut base);
    let wishes = vec!["azure-ai".to_owned(), format!("azure-ai-{name}")];
    Ok(Upstream { wishes, base, model: literal(model), home: Home::AzureAi, has_address: true, scope: None, notes })
}

/// Makes the credential of a row that signs in to a cloud. None where it has a key in a header instead.
pub(super) fn proof(draft: &mut Draft, params: &Params<'_>, home: Home, provider: &str) -> Option<Credential> {
    match home {
        Home::Bedrock if params.get("api_key").is_none() => Some(aws(draft, params, provider)),
        Home::Vertex => Some(google(draft, params, provider)),
        Home::Azure => params.get("azure_ad_token").and_then(|it| {
            let secret = secret(draft, it, "AZURE_AD_TOKEN", provider)?;
            Some(secret_credential(secret))
        }),
        Home::Bedrock | Home::AzureAi | Home::Preset(_) | Home::Compatible { .. } => None,
    }
}

/// Takes a secret over, and tells what became of it.
fn secret(draft: &mut Draft, it: Cursor<'_>, wish: &str, provider: &str) -> Option<SecretRef> {
    let found = held(it, SPELLING)?;
    let (secret, must_be_set) = draft.variables.reference(&found, wish);
    let became = at(&["providers", provider, "credentials"]);
    match &secret {
        SecretRef::Env(variable) if must_be_set => draft.findings.manual(it, became, set(variable)),
        SecretRef::Env(_) | SecretRef::File(_) | SecretRef::Cred(_) | SecretRef::None => draft.findings.exact(it, became),
    }
    Some(secret).filter(|secret| *secret != SecretRef::None)
}

fn aws(draft: &mut Draft, params: &Params<'_>, provider: &str) -> Credential {
    let became = || at(&["providers", provider, "credentials"]);
    let part = |draft: &mut Draft, name: &str, wish: &str| params.get(name).and_then(|it| secret(draft, it, wish, provider));
    let id = part(draft, "aws_access_key_id", "AWS_ACCESS_KEY_ID");
    let key = part(draft, "aws_secret_access_key", "AWS_SECRET_ACCESS_KEY");
    let token = part(draft, "aws_session_token", "AWS_SESSION_TOKEN");
    for member in ["aws_role_name", "aws_session_name", "aws_web_identity_token", "aws_sts_endpoint", "aws_external_id"] {
        if let Some(it) = params.get(member) {
            let why = "roles are assumed with the token in a file only: `aws: {web_identity: {role_arn: …, token_file: …}}`, or by what else runs the gateway";
            draft.findings.manual(it, became(), why);
        }
    }
    let profile = params.get("aws_profile_name").and_then(|it| Some((it, it.text()?)));
    let account = match (id, key, profile) {
        (Some(id), Some(key), _) => {
            Some(AwsAccount { access_key_id: Some(id), secret_access_key: Some(key), session_token: token, ..AwsAccount::default() })
        }
        (_, _, Some((it, profile))) if SPELLING.variable(profile).is_none() => {
            draft.findings.exact(it, became());
            Some(AwsAccount { profile: Some(literal(profile)), ..AwsAccount::default() })
        }
        _ => None,
    };
    let aws = account.map_or(Aws::Environment(FromEnvironment::Environment), |account| Aws::Account(Box::new(account)));
    Credential { secret: None, aws: Some(aws), google: None, weight: None, models: Vec::new(), optional: false }
}

fn google(draft: &mut Draft, params: &Params<'_>, provider: &str) -> Credential {
    let it = params.any(&["vertex_credentials", "vertex_ai_credentials"]);
    let google = match it {
        None => Google::Environment(FromEnvironment::Environment),
        Some(it) => key_file(draft, it, provider).map_or(Google::Environment(FromEnvironment::Environment), |service_account| {
            Google::Account(GoogleAccount { service_account })
        }),
    };
    Credential { secret: None, aws: None, google: Some(google), weight: None, models: Vec::new(), optional: false }
}

/// A key file stands there by its path, as its JSON, or as the name of a variable with either.
fn key_file(draft: &mut Draft, it: Cursor<'_>, provider: &str) -> Option<SecretRef> {
    let became = at(&["providers", provider, "credentials"]);
    let looks_like_path = |text: &&str| text.contains('/') || text.ends_with(".json");
    let is_path = it.text().filter(|text| !text.trim_start().starts_with('{') && SPELLING.variable(text).is_none()).filter(looks_like_path);
    if let Some(path) = is_path {
        draft.findings.exact(it, became);
        return Some(SecretRef::File(literal(path)));
    }
    match held(it, SPELLING) {
        Some(Held::Variable(name)) => {
            let why = format!("{name} must hold the JSON of the key; where it holds a path, write `{{file: PATH}}`");
            draft.findings.approximate(it, became, why);
            Some(SecretRef::Env(name))
        }
        found => {
            let name = match found {
                Some(Held::Literal(digest)) => draft.variables.name(digest, "VERTEX_CREDENTIALS"),
                Some(Held::Variable(_) | Held::Placeholder) | None => "VERTEX_CREDENTIALS".to_owned(),
            };
            draft.findings.manual(it, became, set(&name));
            Some(SecretRef::Env(name))
        }
    }
}
