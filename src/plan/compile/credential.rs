//! Credentials: the one way in which each proves itself, and what does not go together.

use std::collections::BTreeMap;

use crate::base::Destination;
use crate::catalog::{Cloud, CredentialNeed, Preset};
use crate::plan::codes;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types::{self as plan, Api, AuthScheme, Proof, SecretRef};
use crate::spec::{self, Diagnostic};

/// Whose credentials are lowered.
pub(super) struct Owner<'a> {
    pub(super) name: &'a str,
    pub(super) api: Api,
    pub(super) auth: &'a AuthScheme,
    pub(super) preset: Option<&'a Preset>,
}

pub(super) fn credentials(found: &mut Findings<'_>, owner: &Owner<'_>, spec: &spec::Provider) -> BTreeMap<String, plan::Credential> {
    if !spec.credentials.is_empty() {
        return spec.credentials.iter().map(|(name, it)| (name.clone(), credential(found, owner.name, name, it))).collect();
    }
    let need = owner.preset.map_or(CredentialNeed::Required, |preset| preset.credential);
    let keyless = *owner.auth == AuthScheme::None || need != CredentialNeed::Required;
    // A provider that is not known at all has been reported already; what it lacks would be a guess.
    if !keyless && (owner.preset.is_some() || spec.api.is_some()) {
        let env = owner.preset.and_then(|preset| preset.env.as_deref()).unwrap_or("NAME");
        let help = match owner.api {
            Api::Bedrock => {
                format!("add `credentials: {{default: {{aws: environment}}}}`, or `{{secret: {{env: {env}}}}}` for an API key of Bedrock's")
            }
            Api::Anthropic | Api::Gemini if owner.preset.is_some_and(|preset| preset.cloud == Some(Cloud::Vertex)) => {
                "add `credentials: {default: {google: environment}}`, or `{google: {service_account: {file: PATH}}}`".to_owned()
            }
            Api::OpenaiChat | Api::Anthropic | Api::Gemini | Api::Cohere | Api::Ollama => {
                format!("add `credentials: {{default: {{secret: {{env: {env}}}}}}}`, or `auth: none` for a server without keys")
            }
        };
        let problem = Diagnostic::error(codes::NO_CREDENTIAL, format!("provider `{}` has no credential", owner.name)).help(help);
        found.add(On::Key, pointer(&["providers", owner.name]), problem);
    }
    let none = plan::Credential { proof: Proof::Secret(SecretRef::None), weight: 1, models: everything(), optional: false };
    BTreeMap::from([("default".to_owned(), none)])
}

fn credential(found: &mut Findings<'_>, provider: &str, name: &str, spec: &spec::Credential) -> plan::Credential {
    plan::Credential {
        proof: proof(found, provider, name, spec),
        weight: spec.weight.unwrap_or(1),
        models: if spec.models.is_empty() { everything() } else { spec.models.clone() },
        optional: spec.optional,
    }
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}

fn proof(found: &mut Findings<'_>, provider: &str, name: &str, spec: &spec::Credential) -> Proof {
    let lowered = match (&spec.secret, &spec.aws, &spec.google) {
        (Some(secret), None, None) => Some(Proof::Secret(secret.clone())),
        (None, Some(aws), None) => self::aws(found, (provider, name), aws).map(Proof::Aws),
        (None, None, Some(google)) => self::google(found, (provider, name), google).map(Proof::Google),
        ways => {
            let what = if ways == (&None, &None, &None) { "says no way to prove itself" } else { "says several ways to prove itself" };
            let problem = Diagnostic::error(codes::CREDENTIAL_KIND, format!("credential `{name}` of provider `{provider}` {what}"))
                .help("write exactly one of `secret`, `aws` and `google`; `secret: none` is for a server without keys");
            found.add(On::Key, pointer(&["providers", provider, "credentials", name]), problem);
            None
        }
    };
    // Something that no other check has a word about.
    lowered.unwrap_or_else(|| Proof::Secret(SecretRef::Env(String::new())))
}

/// Lowers an AWS account, where it says exactly one place and all of it.
fn aws(found: &mut Findings<'_>, (provider, name): (&str, &str), spec: &spec::Aws) -> Option<plan::Aws> {
    let account = match spec {
        spec::Aws::Environment(word) => return Some(plan::Aws::Environment(*word)),
        spec::Aws::Account(account) => account,
    };
    let place = pointer(&["providers", provider, "credentials", name, "aws"]);
    let mut refuse = |member: Option<&str>, what: &str, help: &str| {
        let problem = format!("credential `{name}` of provider `{provider}`: {what}");
        let (on, at) = member.map_or((On::Key, place.clone()), |member| (On::Value, format!("{place}/{member}")));
        found.add(on, at, Diagnostic::error(codes::AWS_KEYS, problem).help(help));
        None
    };
    let spec::AwsAccount { access_key_id, secret_access_key, session_token, profile, shared_credentials_file, web_identity } = &**account;
    let has_keys = access_key_id.is_some() || secret_access_key.is_some() || session_token.is_some();
    let has_profile = profile.is_some() || shared_credentials_file.is_some();
    if [has_keys, has_profile, web_identity.is_some()].into_iter().filter(|it| *it).count() != 1 {
        let help = "write exactly one of `access_key_id` with `secret_access_key`, `profile`, and `web_identity`, or `aws: environment`";
        return refuse(None, "`aws` must say exactly one place where the keys are", help);
    }
    let secrets = [("access_key_id", access_key_id), ("secret_access_key", secret_access_key), ("session_token", session_token)];
    if let Some((member, _)) = secrets.iter().find(|(_, secret)| **secret == Some(SecretRef::None)) {
        return refuse(Some(member), &format!("`{member}` is no secret"), "name where it is kept, such as `{env: NAME}`, or leave it out");
    }
    let is_callable = |url: &str| Destination::parse(url, None).is_ok_and(|it| it.is_https() || it.is_local());
    if web_identity.as_ref().and_then(|it| it.sts_url.as_deref()).is_some_and(|url| !is_callable(url)) {
        let help = "write an absolute URL that begins with `https://`, without a query";
        return refuse(Some("web_identity/sts_url"), "`sts_url` is no address that a token may be sent to", help);
    }
    match (access_key_id, secret_access_key, profile, web_identity) {
        (Some(id), Some(secret), ..) => {
            Some(plan::Aws::Keys { access_key_id: id.clone(), secret_access_key: secret.clone(), session_token: session_token.clone() })
        }
        (_, _, Some(profile), _) => {
            Some(plan::Aws::Profile { profile: profile.clone(), shared_credentials_file: shared_credentials_file.clone() })
        }
        (.., Some(web_identity)) => Some(plan::Aws::WebIdentity { web_identity: web_identity.clone() }),
        _ if has_profile => refuse(None, "`shared_credentials_file` needs the `profile` that is in it", "add `profile: NAME`"),
        _ => refuse(None, "`access_key_id` and `secret_access_key` belong together", "write both"),
    }
}

fn google(found: &mut Findings<'_>, (provider, name): (&str, &str), spec: &spec::Google) -> Option<plan::Google> {
    match spec {
        spec::Google::Environment(word) => Some(plan::Google::Environment(*word)),
        spec::Google::Account(spec::GoogleAccount { service_account: SecretRef::None }) => {
            let what = format!("credential `{name}` of provider `{provider}`: `service_account` is no key file");
            let problem = Diagnostic::error(codes::CREDENTIAL_KIND, what).help("name where its JSON is kept, such as `{file: PATH}`");
            let at = pointer(&["providers", provider, "credentials", name, "google", "service_account"]);
            found.add(On::Value, at, problem);
            None
        }
        spec::Google::Account(account) => Some(plan::Google::KeyFile { service_account: account.service_account.clone() }),
    }
}
