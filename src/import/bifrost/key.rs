//! One key of a provider: its secret, the models that it is for, and where in a cloud it leads.

use super::home::Home;
use super::provider::SPELLING;
use crate::catalog;
use crate::import::address;
use crate::import::draft::{Draft, Notes, at, literal, tidy_name};
use crate::import::secret::{Held, held, variable_name};
use crate::import::tree::Cursor;
use crate::import::weight;
use crate::spec::{Aws, AwsAccount, Credential, FromEnvironment, Google, GoogleAccount, Provider, Rule, SecretRef, TargetRef};

/// The entry and one of its keys.
type Entry<'t> = (Cursor<'t>, Option<Cursor<'t>>);

/// Finds a setting of a cloud: in the key's own part, or where older files have it for all keys.
fn setting<'t>((it, key): Entry<'t>, part: &str, names: &[&str]) -> Option<Cursor<'t>> {
    let own = key.and_then(|key| key.get(part)).and_then(|part| part.any(names));
    own.or_else(|| it.get("meta_config").and_then(|part| part.any(names))).filter(|it| !it.is_empty())
}

/// Takes a setting over that is made of few characters.
fn take<'t>(notes: &mut Notes<'t>, it: Option<Cursor<'t>>, (field, more): (&str, &str)) -> Option<String> {
    let it = it?;
    let text = it.text().filter(|text| !text.is_empty())?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || more.contains(c);
    let value = match SPELLING.variable(text) {
        Some(variable) => Some(format!("${{env:{variable}}}")),
        None => Some(text.to_owned()).filter(|text| text.chars().all(fits)),
    };
    match value {
        Some(_) => notes.exact(it, &[field]),
        None => notes.manual(it, &[], format!("`{field}` cannot be taken over as it is written; write it by hand")),
    }
    value
}

/// Says where in its cloud a key leads.
pub(super) fn cloud<'t>(notes: &mut Notes<'t>, home: Home, entry: Entry<'t>, base: &mut Provider) -> Result<(), String> {
    match home {
        Home::Azure => {
            base.preset = Some("azure-classic".to_owned());
            let endpoint = setting(entry, "azure_key_config", &["endpoint"]).ok_or("Azure needs an `endpoint`")?;
            let found = address::read(endpoint, SPELLING).map_err(|why| format!("its endpoint cannot be taken over: {why}"))?;
            (base.base_url, base.allow_plain_http) = (Some(found.url.clone()), found.is_plain);
            notes.exact(endpoint, &["base_url"]);
            base.api_version = take(notes, setting(entry, "azure_key_config", &["api_version"]), ("api_version", "-"));
        }
        Home::Bedrock => {
            base.preset = Some("bedrock".to_owned());
            let region = take(notes, setting(entry, "bedrock_key_config", &["region"]), ("region", "-"));
            base.region = Some(region.unwrap_or_else(|| "${env:AWS_REGION:-us-east-1}".to_owned()));
        }
        Home::Vertex => {
            base.preset = Some("vertex".to_owned());
            let project = take(notes, setting(entry, "vertex_key_config", &["project_id"]), ("project", ".:-"));
            let location = take(notes, setting(entry, "vertex_key_config", &["region"]), ("location", "-"));
            base.project = Some(project.ok_or("Vertex AI needs a `project_id`")?);
            base.location = Some(location.unwrap_or_else(|| "global".to_owned()));
        }
        Home::Preset(_) | Home::Compatible(_) | Home::Custom(_) => {}
    }
    Ok(())
}

/// Adds a key as a credential, and tells what became of it.
pub(super) fn credential(draft: &mut Draft, (home, is_empty_all): (Home, bool), entry: Entry<'_>, provider: &str) {
    let (_, key) = entry;
    let proof = proof(draft, home, entry, provider);
    let mut credential = Credential { weight: None, models: Vec::new(), optional: false, ..proof };
    let names = key.and_then(|key| key.get("models"));
    let is_all = |names: &[&str]| names.contains(&"*");
    let listed = names.and_then(Cursor::texts);
    let patterns = listed.as_ref().is_some_and(|names| names.iter().any(|name| name.starts_with("regex:") || name.is_empty()));
    if let Some(names) = listed.filter(|names| !is_all(names) && !patterns) {
        credential.models = names.iter().map(|name| literal(name)).collect();
    }
    let wish = key.and_then(|key| key.get("name")?.text()).unwrap_or("key");
    let name = draft.named_credential(provider, wish, credential);
    let place = at(&["providers", provider, "credentials", &name]);
    if let Some(it) = key.and_then(|key| key.get("name")) {
        draft.findings.exact(it, place.clone());
    }
    if let Some(it) = names {
        match patterns {
            true => {
                draft.findings.manual(it, place.clone(), "patterns here are `*` and `?`, not regular expressions: write the models by hand")
            }
            false => draft.findings.exact(it, at(&["providers", provider, "credentials", &name, "models"])),
        }
    }
    let Some(key) = key else { return };
    let listed = names.and_then(Cursor::texts).unwrap_or_default();
    if listed.is_empty() && !is_empty_all {
        let why = "no list of models, or an empty one, is for none in Bifrost since 1.5; here the key is for all: give it `models`";
        draft.findings.approximate(names.or_else(|| key.get("name")).unwrap_or(key), place.clone(), why);
    }
    if let Some(it) = names.filter(|_| home == Home::Vertex && listed.iter().any(|model| is_elsewhere(model))) {
        let why = "a provider of Vertex AI has Gemini, whose names have nothing before them here; Claude has `preset: vertex-anthropic`";
        draft.findings.manual(it, place.clone(), why);
    }
    for (member, why) in REST {
        if let Some(it) = key.get(member) {
            draft.findings.unsupported(it, why);
        }
    }
    if let Some(it) = key.get("vllm_key_config").and_then(|config| config.get("model_name")) {
        draft.findings.approximate(it, place.clone(), "a request names the model as the server knows it");
    }
    if let Some(it) = key.get("blacklisted_models") {
        draft.findings.manual(it, place, "a credential lists what it may be used for, and nothing that it may not: write `models`");
    }
    if let Some(it) = key.get("enabled") {
        draft.findings.exact(it, at(&["providers", provider, "credentials", &name]));
    }
    deployments(draft, entry, provider);
}

/// Returns whether a model of Vertex AI is none that a provider of its preset calls under this name.
fn is_elsewhere(model: &str) -> bool {
    model.starts_with("claude") || (model.contains('/') && !model.starts_with("publishers/") && !model.starts_with("endpoints/"))
}

const REST: [(&str, &str); 4] = [
    ("id", "credentials are known by their names"),
    ("use_for_batch_api", "batches are passed on with whichever credential a request gets"),
    ("description", "a comment says it in YAML"),
    ("config_hash", "what changed is shown by `diff`"),
];

/// Makes the proof of a credential, and tells what became of the secret.
fn proof(draft: &mut Draft, home: Home, entry: Entry<'_>, provider: &str) -> Credential {
    let none = Credential { secret: None, aws: None, google: None, weight: None, models: Vec::new(), optional: false };
    if home == Home::Bedrock {
        roles(draft, entry, provider);
    }
    let value = entry.1.and_then(|key| key.get("value")).filter(|it| !it.is_empty());
    // Older files have the id of an AWS key where others have a key of Bedrock's.
    let is_pair = home == Home::Bedrock && setting(entry, "bedrock_key_config", &["secret_key", "secret_access_key"]).is_some();
    if let Some(it) = value.filter(|_| home != Home::Vertex && !is_pair) {
        let wish = match home {
            Home::Preset(preset) => catalog::preset(preset).and_then(|it| it.env.clone()).unwrap_or_else(|| "API_KEY".to_owned()),
            Home::Azure => "AZURE_OPENAI_API_KEY".to_owned(),
            Home::Bedrock => "AWS_BEARER_TOKEN_BEDROCK".to_owned(),
            Home::Compatible(_) | Home::Custom(_) | Home::Vertex => format!("{}_API_KEY", variable_name(provider)),
        };
        let secret = secret(draft, it, &wish, provider).unwrap_or(SecretRef::None);
        if secret == SecretRef::None {
            draft.keyless(provider);
        }
        return Credential { secret: Some(secret), ..none };
    }
    match home {
        Home::Bedrock => Credential { aws: Some(aws(draft, entry, provider)), ..none },
        Home::Vertex => Credential { google: Some(google(draft, entry, provider)), ..none },
        Home::Azure => {
            for name in ["client_id", "client_secret", "tenant_id", "scopes"] {
                if let Some(it) = setting(entry, "azure_key_config", &[name]) {
                    let why = "the gateway does not sign in to Entra ID: use a key, or let something renew a token in a file, with `auth: bearer`";
                    draft.findings.manual(it, at(&["providers", provider]), why);
                }
            }
            Credential { secret: Some(SecretRef::Env("AZURE_OPENAI_API_KEY".to_owned())), ..none }
        }
        Home::Preset(preset) => {
            let known = catalog::preset(preset);
            let is_needed = known.is_some_and(|it| it.credential == catalog::CredentialNeed::Required);
            let env = known.and_then(|it| it.env.clone()).filter(|_| is_needed);
            Credential { secret: Some(env.map_or(SecretRef::None, SecretRef::Env)), ..none }
        }
        Home::Compatible(_) => Credential { secret: Some(SecretRef::Env(format!("{}_API_KEY", variable_name(provider)))), ..none },
        Home::Custom(_) => Credential { secret: Some(SecretRef::None), ..none },
    }
}

/// Takes a secret over, and tells what became of it.
fn secret(draft: &mut Draft, it: Cursor<'_>, wish: &str, provider: &str) -> Option<SecretRef> {
    let found = held(it, SPELLING)?;
    let (secret, must_be_set) = draft.variables.reference(&found, wish);
    let became = at(&["providers", provider, "credentials"]);
    match (&secret, &found) {
        (SecretRef::Env(variable), _) if must_be_set => draft.findings.manual(it, became, crate::import::secret::set(variable)),
        (_, Held::Placeholder) => {
            let why = "it reads like a placeholder, so no key is sent; if it is a key, keep it in a variable and name that";
            draft.findings.approximate(it, became, why);
        }
        (_, Held::Variable(_) | Held::Literal(_)) => draft.findings.exact(it, became),
    }
    Some(secret)
}

fn aws(draft: &mut Draft, entry: Entry<'_>, provider: &str) -> Aws {
    let mut part = |names: &[&str], wish: &str| {
        let it = setting(entry, "bedrock_key_config", names)?;
        secret(draft, it, wish, provider).filter(|secret| *secret != SecretRef::None)
    };
    let id = part(&["access_key"], "AWS_ACCESS_KEY_ID");
    let id = id.or_else(|| {
        let value = entry.1.and_then(|key| key.get("value")).filter(|it| !it.is_empty())?;
        secret(draft, value, "AWS_ACCESS_KEY_ID", provider).filter(|secret| *secret != SecretRef::None)
    });
    let mut part = |names: &[&str], wish: &str| {
        let it = setting(entry, "bedrock_key_config", names)?;
        secret(draft, it, wish, provider).filter(|secret| *secret != SecretRef::None)
    };
    let key = part(&["secret_key", "secret_access_key"], "AWS_SECRET_ACCESS_KEY");
    let token = part(&["session_token"], "AWS_SESSION_TOKEN");
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

/// Tells of roles, which are assumed in one way only.
fn roles(draft: &mut Draft, entry: Entry<'_>, provider: &str) {
    for name in ["role_arn", "external_id", "session_name", "arn", "batch_s3_config"] {
        if let Some(it) = setting(entry, "bedrock_key_config", &[name]) {
            let why =
                "roles are assumed with the token in a file only (`aws: {web_identity: …}`); an ARN of a profile is written as the model";
            draft.findings.manual(it, at(&["providers", provider, "credentials"]), why);
        }
    }
}

fn google(draft: &mut Draft, entry: Entry<'_>, provider: &str) -> Google {
    if let Some(it) = setting(entry, "vertex_key_config", &["project_number"]) {
        draft.findings.unsupported(it, "the project is named by its id");
    }
    let it = setting(entry, "vertex_key_config", &["auth_credentials"]);
    match it.and_then(|it| secret(draft, it, "VERTEX_CREDENTIALS", provider)) {
        Some(SecretRef::None) | None => Google::Environment(FromEnvironment::Environment),
        Some(service_account) => Google::Account(GoogleAccount { service_account }),
    }
}

/// Carries models over that have another name upstream: a rule leads the name that clients write to it.
fn deployments(draft: &mut Draft, entry: Entry<'_>, provider: &str) {
    let own = entry.1.and_then(|key| key.get("aliases"));
    let older =
        ["azure_key_config", "bedrock_key_config", "vertex_key_config"].into_iter().find_map(|part| setting(entry, part, &["deployments"]));
    for (asked, value) in [own, older].into_iter().flatten().flat_map(Cursor::members) {
        let named = if value.is_map() { value.get("model_name") } else { Some(value) };
        let Some((named, model)) = named.and_then(|it| Some((it, it.text().filter(|text| !text.is_empty())?))) else {
            draft.findings.manual(value, None, "the model that it leads to is no plain text");
            continue;
        };
        if asked == model {
            draft.findings.exact(named, at(&["providers", provider]));
            continue;
        }
        let target = TargetRef { provider: provider.to_owned(), model: literal(model), weight: None, share: None };
        super::allow(draft, provider, model);
        let when = literal(&format!("model == {}", serde_json::Value::String(format!("{provider}/{asked}"))));
        let is_known = draft.spec.rules.iter().any(|rule| rule.when == when);
        if !is_known {
            let name = draft.rule_name(&format!("{provider}-{asked}"));
            draft.spec.rules.push(Rule { name, when, use_alias: None, targets: Some(vec![target]), deny: None });
        }
        let why = "the first key that maps the name decides for all keys";
        draft.findings.approximate(named, at(&["rules"]), why);
    }
}

/// Gives the keys of the providers that an entry became their weights.
pub(super) fn weigh(draft: &mut Draft, ours: &[String], it: Cursor<'_>) {
    let keys: Vec<Cursor<'_>> = it.get("keys").into_iter().flat_map(Cursor::items).collect();
    let numbers: Vec<_> = keys.iter().map(|key| key.get("weight").and_then(Cursor::number)).collect();
    let weights = weight::whole(&numbers, numbers.iter().any(Option::is_some));
    let are_same = weights.windows(2).all(|pair| pair.first() == pair.last());
    for provider in ours.iter().filter(|_| !are_same) {
        let Some(known) = draft.spec.providers.get_mut(provider).filter(|it| it.credentials.len() > 1) else { continue };
        for (key, weight) in keys.iter().zip(&weights) {
            let name = key.get("name").and_then(Cursor::text).map(|name| tidy_name(name, "key"));
            if let Some(credential) = name.and_then(|name| known.credentials.get_mut(&name)) {
                credential.weight = Some(*weight).filter(|weight| *weight != 1);
            }
        }
        if known.credentials.values().all(|credential| credential.weight == Some(0)) {
            known.credentials.values_mut().for_each(|credential| credential.weight = None);
        }
    }
    let written = keys.into_iter().filter_map(|key| key.get("weight"));
    match ours {
        [] => {}
        [only] => weight::tell(draft, written, &["providers", only, "credentials"]),
        [..] => {
            for it in written {
                let why =
                    "keys with addresses or regions of their own are providers here: weights among those are those of an alias's targets";
                draft.findings.approximate(it, at(&["providers"]), why);
            }
        }
    }
}
