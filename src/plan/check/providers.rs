//! Upstreams: where they are, how they are paid for, how long they are waited for, and whether anything leads to them.

use std::collections::BTreeSet;

use url::Url;

use super::references::{self, Meant};
use crate::base::{Destination, DestinationError, Span, glob};
use crate::catalog::{self, Cloud};
use crate::plan::codes;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types::{Api, Auth, AuthScheme, Credential, Plan, Proof, Provider};
use crate::spec::{Diagnostic, Timeouts};

/// Names under which containers know the machine that they run on.
const HOST_OF_CONTAINERS: [&str; 2] = ["host.docker.internal", "host.containers.internal"];

pub(super) fn check(found: &mut Findings<'_>, plan: &Plan, meant: &Meant) {
    let loaded = found.loaded;
    for (name, provider) in &plan.providers {
        base_url(found, name, provider);
        credentials(found, name, provider);
        if let Some(spec) = loaded.spec.providers.get(name) {
            timeouts(found, name, &spec.timeouts);
        }
        capacity(found, plan, (name, provider));
    }
    optional(found, plan);
    unused(found, plan, meant);
}

fn base_url(found: &mut Findings<'_>, name: &str, provider: &Provider) {
    let url = provider.base_url.as_str();
    // What is missing has been reported already.
    if url.is_empty() || url == "mock:" {
        return;
    }
    let at = pointer(&["providers", name, "base_url"]);
    let destination = match Destination::parse(url, None) {
        Ok(destination) => destination,
        Err(error) => {
            let help = match &error {
                DestinationError::NotAUrl => "begin it with `https://`",
                DestinationError::Scheme(_) => "write an absolute URL, such as `https://api.example.com/v1`",
                DestinationError::UserInfo => "keep keys under `credentials`",
                DestinationError::Query | DestinationError::Path => "end it at the API's version, such as `/v1`",
                DestinationError::Refused(_) => "name the server itself",
            };
            // A scheme may be the beginning of a key that was pasted here.
            let what = match error {
                DestinationError::Scheme(_) => "base_url does not start with `http://` or `https://`".to_owned(),
                error => error.to_string(),
            };
            let problem = Diagnostic::error(codes::BASE_URL_INVALID, format!("provider `{name}`: {what}")).help(help);
            return found.add(On::Value, at, problem.sensitive());
        }
    };
    if !destination.is_https() && !destination.is_local() && !provider.allow_plain_http {
        plain_http(found, name, provider, &destination);
    }
}

/// Says what would cross the network in clear text. A key that leaves for the internet so is anybody's; in a network of one's own,
/// servers without TLS are common.
fn plain_http(found: &mut Findings<'_>, name: &str, provider: &Provider, destination: &Destination) {
    let host = Url::parse(&provider.base_url).ok().and_then(|url| url.host_str().map(str::to_ascii_lowercase)).unwrap_or_default();
    if HOST_OF_CONTAINERS.contains(&host.as_str()) {
        return;
    }
    let sends_key = provider.auth != AuthScheme::None && provider.credentials.values().any(|it| !it.proof.is_none());
    let problem = if sends_key && !destination.is_internal() {
        Diagnostic::error(codes::KEY_IN_CLEAR_TEXT, format!("provider `{name}` would send its key over plain http to `{host}`"))
    } else {
        Diagnostic::warning(codes::PLAIN_HTTP, format!("provider `{name}` is reached over plain http on another machine, `{host}`"))
    };
    let help = "use https, or a proxy on this machine; write `allow_plain_http: true` if something else protects the network";
    found.add(On::Value, pointer(&["providers", name, "base_url"]), problem.help(help));
}

fn credentials(found: &mut Findings<'_>, name: &str, provider: &Provider) {
    let at = pointer(&["providers", name, "credentials"]);
    if !found.is_unsure(&at) && provider.credentials.values().all(|credential| credential.weight == 0) {
        let problem = Diagnostic::error(codes::WEIGHTS_ZERO, format!("every credential of provider `{name}` has weight 0"))
            .help("give at least one credential a weight above 0");
        found.add(On::Value, at, problem);
    }
    signed(found, name, provider);
    if !matches!(provider.auth, AuthScheme::Header(_)) {
        return;
    }
    for (credential, _) in provider.credentials.iter().filter(|(_, credential)| credential.proof.is_none()) {
        let problem = format!("credential `{credential}` of provider `{name}` is no secret, but a header is to carry one");
        let problem = Diagnostic::error(codes::NO_CREDENTIAL, problem).help("name where the secret is kept, or write `auth: none`");
        found.add(On::Value, pointer(&["providers", name, "credentials", credential, "secret"]), problem);
    }
}

/// Checks credentials that sign requests: the provider must know the signature.
fn signed(found: &mut Findings<'_>, name: &str, provider: &Provider) {
    let is_signed = |credential: &Credential| matches!(credential.proof, Proof::Aws(_) | Proof::Google(_));
    for (credential, it) in &provider.credentials {
        let (what, help) = match it.proof {
            Proof::Aws(_) if provider.api != Api::Bedrock => {
                ("signs requests for AWS", "name a `secret`, or use Bedrock's own API: `preset: bedrock` with `region`")
            }
            Proof::Google(_) if !is_vertex(found, name, provider) => {
                ("signs in to Google Cloud", "name a `secret`, or use Vertex AI: `preset: vertex` with `project` and `location`")
            }
            Proof::Secret(_) | Proof::Aws(_) | Proof::Google(_) => continue,
        };
        let problem = format!("credential `{credential}` {what}, which provider `{name}` does not know");
        let at = pointer(&["providers", name, "credentials", credential, it.proof.member()]);
        found.add(On::Key, at, Diagnostic::error(codes::CREDENTIAL_UNFIT, problem).help(help));
    }
    let is_written = found.loaded.spec.providers.get(name).is_some_and(|spec| spec.auth.is_some());
    if is_written && !provider.credentials.is_empty() && provider.credentials.values().all(is_signed) {
        let problem = format!("`auth` of provider `{name}` means nothing: every credential signs its requests");
        found.add(On::Key, pointer(&["providers", name, "auth"]), Diagnostic::error(codes::AUTH_UNUSED, problem).help("remove it"));
    }
}

/// Returns whether a provider is Vertex AI, or was meant to be and has been told what it lacks.
fn is_vertex(found: &Findings<'_>, name: &str, provider: &Provider) -> bool {
    let preset = provider.preset.as_deref().and_then(catalog::preset);
    let written = found.loaded.spec.providers.get(name).is_some_and(|spec| spec.project.is_some() || spec.location.is_some());
    preset.is_some_and(|preset| preset.cloud == Some(Cloud::Vertex)) || written
}

/// Notes which providers may stand idle; one note for all of them, for a file that many people start from has many.
fn optional(found: &mut Findings<'_>, plan: &Plan) {
    let may_idle = |provider: &Provider| provider.credentials.values().all(|credential| credential.optional && !credential.proof.is_none());
    let idle: Vec<(&String, &Provider)> = plan.providers.iter().filter(|(_, provider)| may_idle(provider)).collect();
    let (at, problem) = match idle.as_slice() {
        [] => return,
        [(name, provider)] => {
            let references: Vec<String> = provider.credentials.values().map(|credential| credential.proof.needs()).collect();
            let problem = format!("without {} provider `{name}` serves nothing", references.join(" or "));
            (pointer(&["providers", name, "credentials"]), problem)
        }
        several => {
            let names: Vec<String> = several.iter().map(|(name, _)| format!("`{name}`")).collect();
            let problem = format!("{} providers serve nothing until a secret of theirs is set: {}", several.len(), names.join(", "));
            ("/providers".to_owned(), problem)
        }
    };
    found.add(On::Key, at, Diagnostic::info(codes::CREDENTIALS_OPTIONAL, problem));
}

/// Checks what is written; defaults give way to it.
fn timeouts(found: &mut Findings<'_>, name: &str, spec: &Timeouts) {
    let written: Vec<(&str, Span)> = [
        ("connect", spec.connect),
        ("first_byte", spec.first_byte),
        ("first_content", spec.first_content),
        ("idle", spec.idle),
        ("total", spec.total),
    ]
    .into_iter()
    .filter(|(limit, _)| !found.is_unsure(&pointer(&["providers", name, "timeouts", limit])))
    .filter_map(|(limit, span)| Some((limit, span?)))
    .collect();
    for (index, (limit, span)) in written.iter().enumerate() {
        let at = pointer(&["providers", name, "timeouts", limit]);
        if span.as_millis() == 0 {
            let problem = Diagnostic::error(codes::TIMEOUTS_CONTRADICT, format!("provider `{name}`: a limit of 0 fails every request"))
                .help("leave the limit out, or give the time that a request may take");
            found.add(On::Value, at, problem);
            continue;
        }
        // Idle times lie between the pieces of a body, so they are bounded by the whole request alone.
        let around = written.iter().skip(index + 1).filter(|(other, _)| *other != "idle" && (*limit != "idle" || *other == "total"));
        let Some((outer, limit_of_outer)) = around.into_iter().find(|(_, other)| other < span && other.as_millis() > 0) else { continue };
        let problem = format!("provider `{name}`: {limit} {span} is longer than {outer} {limit_of_outer}, and so never reached");
        let problem = Diagnostic::error(codes::TIMEOUTS_CONTRADICT, problem)
            .help("connect ≤ first_byte ≤ first_content ≤ total, and idle ≤ total; limits that are not written adapt");
        let problem = match found.place(On::Value, &pointer(&["providers", name, "timeouts", outer])) {
            Some(place) => problem.related(place, "the shorter limit"),
            None => problem,
        };
        found.add(On::Value, at, problem);
    }
}

/// Reports entries for models that nothing asks for.
fn capacity(found: &mut Findings<'_>, plan: &Plan, (name, provider): (&str, &Provider)) {
    let is_unsure = ["/gateway/auth", "/models", "/rules", "/virtual_keys"].iter().any(|section| found.is_unsure(section));
    if provider.capacity.is_empty() || plan.gateway.auth != Auth::Required || is_unsure {
        return;
    }
    let targets = references::named(plan);
    for pattern in provider.capacity.keys() {
        let holds = |model: &str| provider.capacity_entry(model).is_some_and(|(holding, _)| holding == pattern);
        let is_target = targets.iter().any(|target| target.provider == name && holds(target.model));
        let whole = format!("{name}/{pattern}");
        let mut patterns = plan.virtual_keys.values().flat_map(|key| &key.models);
        if !is_target && !patterns.any(|asked| glob::intersect(&[asked, &whole])) {
            let problem = Diagnostic::warning(codes::CAPACITY_UNUSED, format!("nothing of this spec asks for `{whole}`"))
                .help("remove the entry, or correct the model's name");
            found.add(On::Key, pointer(&["providers", name, "capacity", pattern]), problem);
        }
    }
}

fn unused(found: &mut Findings<'_>, plan: &Plan, meant: &Meant) {
    // Without keys a client may name any provider's model.
    let is_unsure = ["/gateway/auth", "/models", "/rules", "/virtual_keys"].iter().any(|section| found.is_unsure(section));
    if plan.gateway.auth != Auth::Required || is_unsure {
        return;
    }
    let used: BTreeSet<&str> = references::named(plan).iter().map(|target| target.provider).collect();
    let patterns = || plan.virtual_keys.values().flat_map(|key| &key.models);
    for name in plan.providers.keys().filter(|name| !used.contains(name.as_str()) && !meant.providers.contains(*name)) {
        let below = format!("{name}/");
        if !patterns().any(|pattern| glob::may_match_below(pattern, &below)) {
            let problem = Diagnostic::warning(codes::PROVIDER_UNUSED, format!("no alias, rule or key leads to provider `{name}`"))
                .help(format!("remove it, add a target `{name}/MODEL` to an alias, or let a key use `{name}/*`"));
            found.add(On::Key, pointer(&["providers", name]), problem);
        }
    }
}
