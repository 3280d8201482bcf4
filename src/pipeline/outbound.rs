//! The request for one target: the client's bytes with what must change spliced in, and the provider's headers.

use bytes::Bytes;
use http::HeaderMap;

use super::attempt::Call;
use super::convert::Conversion;
use super::facts::LazyFacts;
use super::payload::Payload;
use super::translate;
use crate::error::{GatewayError, Kind};
use crate::plan::{MaxTokensField, PromptPosition, Quirks};
use crate::provider::{Pieces, Travel, request_headers};
use crate::table::refusal::{no_messages, template_failed};
use crate::table::{Alias, Provider, Target};
use crate::telemetry::Endpoint;
use crate::wire::edit::{Edits, Object};
use crate::wire::ir::{Loss, Reason};
use crate::wire::{Format, bedrock, gemini};

/// What goes to a target.
pub(super) struct Prepared {
    pub(super) body: Pieces,
    /// Below the provider's root.
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) lane: Lane,
    /// What a translation could not carry.
    pub(super) losses: Vec<Loss>,
}

/// How the answer comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Client and upstream speak one format: bytes pass. Usage that was asked for on the client's behalf is hidden again.
    Relay { format: Format, hide_usage: bool },
    /// Each in its own.
    Translate { from: Format, into: Format, unwrap_tool: Option<&'static str>, include_usage: bool },
    /// Each in its own, where no answer to a conversation is wanted.
    Convert(Conversion),
}

impl Lane {
    /// Returns the format that the upstream is spoken to in.
    pub(super) const fn spoken(self) -> Format {
        match self {
            Self::Relay { format, .. } => format,
            Self::Translate { from, .. } | Self::Convert(Conversion { from, .. }) => from,
        }
    }

    pub(super) const fn travel(self) -> Travel {
        match self {
            Self::Relay { format, .. } => Travel::Same(format),
            Self::Translate { from, .. } | Self::Convert(Conversion { from, .. }) => Travel::Translated(from),
        }
    }
}

/// The system message that an alias adds to a chat, as raw JSON.
#[derive(Debug)]
pub(super) struct SystemMessage {
    raw: Vec<u8>,
    pub(super) position: PromptPosition,
}

/// Renders the prompt of the alias, once per request.
///
/// # Errors
/// [`crate::error::Kind::TemplateFailed`] naming the template; [`crate::error::Kind::BadRequest`] where there is no list of messages to add to, because a prompt
/// that a client could leave out would be no rule.
pub(super) fn system_message(
    payload: &Payload<'_>,
    endpoint: Endpoint,
    alias: Option<&Alias>,
    facts: &LazyFacts<'_>,
) -> Result<Option<SystemMessage>, GatewayError> {
    let Some((alias, prompt)) = alias.and_then(|alias| Some((alias, alias.prompt.as_ref()?))) else { return Ok(None) };
    let holder = match endpoint {
        Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::Converse | Endpoint::CohereChat => "messages",
        Endpoint::Responses => "input",
        Endpoint::GenerateContent => "contents",
        Endpoint::Completions
        | Endpoint::Embeddings
        | Endpoint::Rerank
        | Endpoint::CountTokens
        | Endpoint::Models
        | Endpoint::Relay
        | Endpoint::Unknown => return Ok(None),
    };
    let is_text = endpoint == Endpoint::Responses && payload.object().is_some_and(|object| object.string(holder).is_some());
    if !is_text && !payload.object().and_then(|object| object.get(holder)).is_some_and(|raw| raw.starts_with(b"[")) {
        return Err(no_messages());
    }
    match prompt.message(|| facts.get()) {
        Ok(raw) if raw.is_empty() => Ok(None),
        Ok(raw) => Ok(Some(SystemMessage { raw, position: prompt.position })),
        Err(error) => Err(template_failed(&format!("models.{}.prompt", alias.name), &error)),
    }
}

impl SystemMessage {
    /// Returns the text in it.
    pub(super) fn text(&self) -> String {
        let message: serde_json::Value = serde_json::from_slice(&self.raw).unwrap_or_default();
        message.get("content").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    }
}

/// Prepares a request for a target that speaks the client's format. JSON is copied once, a form not at all.
///
/// # Errors
/// [`Kind::LossyTranslation`] where the alias is strict and the server refuses a member.
pub(super) fn prepare(call: &Call<'_>, alias: Option<&Alias>, target: &Target) -> Result<Prepared, GatewayError> {
    let format = call.operation.map_or(target.provider.format, |_| target.provider.format_for(call.format));
    let prepared = |body: Pieces, hide_usage: bool| Prepared {
        body,
        path: call.path.0.to_owned(),
        query: call.path.1.map(str::to_owned),
        lane: Lane::Relay { format, hide_usage },
        losses: Vec::new(),
    };
    let plain = |body: Pieces| prepared(body, false);
    if let (Some(method), Payload::Json { whole, .. }) = (call.method_of_path, call.payload) {
        let (path, query) = match format {
            Format::Bedrock => (bedrock::path(&target.model, method), None),
            _ => (gemini::path(&target.model, method), call.stream.then(|| "alt=sse".to_owned())),
        };
        let body = match target.provider.hosting.counts_bare(format, &path) {
            true => target.provider.hosting.body(format, &path, &target.model, whole.to_vec()).map_or_else(|_| whole.clone(), Bytes::from),
            false => whole.clone(),
        };
        return Ok(Prepared { path, query, ..plain(body.into()) });
    }
    Ok(match call.payload {
        Payload::Json { object, .. } if object.has("model") && format != Format::OpenaiChat => {
            let mut edits = object.edit();
            target.provider.hosting.name_model(format, call.path.0, &target.model, &mut edits);
            plain(Bytes::from(edits.apply()).into())
        }
        Payload::Json { object, .. } if object.has("model") => {
            let is_chat = call.endpoint == Endpoint::ChatCompletions;
            match is_chat.then(|| without_refused(object, target)).flatten() {
                Some((body, losses)) => {
                    translate::strict(alias, target, &losses)?;
                    let (body, hide_usage) = openai(&rescan(&body)?, call, alias, target);
                    Prepared { losses, ..prepared(body, hide_usage) }
                }
                None => {
                    let (body, hide_usage) = openai(object, call, alias, target);
                    prepared(body, hide_usage)
                }
            }
        }
        // Nothing to put a target's model into, and no alias to speak of.
        Payload::Json { whole, .. } | Payload::Form { whole, model: None } => plain(whole.clone().into()),
        Payload::Form { whole, model: Some(range) } => {
            let model = Bytes::copy_from_slice(target.model.as_bytes());
            plain(Pieces::new([whole.slice(..range.start), model, whole.slice(range.end..)]))
        }
        Payload::Empty => plain(Pieces::default()),
    })
}

pub(super) fn rescan(body: &[u8]) -> Result<Object<'_>, GatewayError> {
    Object::scan(body).map_err(|error| GatewayError::new(Kind::Internal, "The request could not be written.").detail(error))
}

/// Leaves out of a chat what the target's server refuses, and tells it; nothing where there is nothing of the kind.
pub(super) fn without_refused(object: &Object<'_>, target: &Target) -> Option<(Vec<u8>, Vec<Loss>)> {
    let (body, out) = object.without(&target.provider.spec.quirks.refuses)?;
    Some((body, out.into_iter().map(|path| Loss { path, reason: Reason::Unsupported }).collect()))
}

/// Edits a body of OpenAI's. Also returns whether usage was asked for on the client's behalf.
fn openai(object: &Object<'_>, call: &Call<'_>, alias: Option<&Alias>, target: &Target) -> (Pieces, bool) {
    let mut edits = object.edit();
    edits.set_string("model", &target.model);
    let quirks = &target.provider.spec.quirks;
    if let Some(field) = quirks.max_tokens_field {
        edits.rename(other(spelling(field)), spelling(field));
    }
    if let Some(alias) = alias {
        set_members(alias, quirks, object, &mut edits);
    }
    if let Some(system) = &call.system {
        edits.insert_element("messages", &system.raw, system.position == PromptPosition::Prepend);
    }
    let chat = matches!(call.endpoint, Endpoint::ChatCompletions | Endpoint::Completions);
    let hide_usage = chat && call.stream && quirks.stream_options && ask_usage(object, &mut edits);
    (Bytes::from(edits.apply()).into(), hide_usage)
}

/// Sets an alias's members in a body that was written in OpenAI's format: those that no other format has, too.
///
/// # Errors
/// [`crate::error::Kind::Internal`], where the body is no object.
pub(super) fn with_members(body: Vec<u8>, alias: &Alias, target: &Target) -> Result<Vec<u8>, GatewayError> {
    if alias.defaults.is_empty() && alias.overrides.is_empty() {
        return Ok(body);
    }
    let object = rescan(&body)?;
    let mut edits = object.edit();
    set_members(alias, &target.provider.spec.quirks, &object, &mut edits);
    Ok(edits.apply())
}

const MAX_TOKENS: &str = "max_tokens";
const MAX_COMPLETION_TOKENS: &str = "max_completion_tokens";

const fn spelling(field: MaxTokensField) -> &'static str {
    match field {
        MaxTokensField::MaxTokens => MAX_TOKENS,
        MaxTokensField::MaxCompletionTokens => MAX_COMPLETION_TOKENS,
    }
}

/// The other spelling of the output limit.
fn other(name: &str) -> &'static str {
    if name == MAX_TOKENS { MAX_COMPLETION_TOKENS } else { MAX_TOKENS }
}

/// Fills in the alias's defaults and sets its overrides. The two spellings of the output limit are one member: it is never sent twice.
fn set_members(alias: &Alias, quirks: &Quirks, object: &Object<'_>, edits: &mut Edits<'_, '_>) {
    let is_limit = |name: &str| name == MAX_TOKENS || name == MAX_COMPLETION_TOKENS;
    let sent = |name: &str| object.get(name).is_some();
    let wanted = |name: &str| quirks.max_tokens_field.filter(|_| is_limit(name)).map(spelling);
    for (name, raw) in &alias.defaults {
        let is_there = sent(name) || (is_limit(name) && sent(other(name)));
        if !is_there {
            edits.set(wanted(name).unwrap_or(name), raw);
        }
    }
    for (name, raw) in &alias.overrides {
        // Where the client wrote the other spelling, its value is set there; `rename` takes care of the name.
        match is_limit(name) && sent(other(name)) {
            true => {
                edits.set(other(name), raw);
                if sent(name) {
                    edits.set(name, raw);
                }
            }
            false if sent(name) => edits.set(name, raw),
            false => edits.set(wanted(name).unwrap_or(name), raw),
        }
    }
}

/// Makes the headers of one attempt, but for the credential's.
///
/// # Errors
/// [`crate::error::Kind::TemplateFailed`] naming the header.
pub(super) fn headers(
    client: &HeaderMap,
    provider: &Provider,
    (facts, travel): (&LazyFacts<'_>, Travel),
) -> Result<HeaderMap, GatewayError> {
    let mut own = Vec::with_capacity(provider.headers.len());
    for line in &provider.headers {
        match line.value(|| facts.get()) {
            Ok(Some(value)) => own.push((line.name.clone(), value)),
            Ok(None) => {}
            Err(error) => return Err(template_failed(&format!("providers.{}.headers.{}", provider.name, line.name), &error)),
        }
    }
    Ok(request_headers(client, &own, travel))
}

/// Asks for usage in the stream unless the client did. Returns whether it was added.
fn ask_usage(object: &Object<'_>, edits: &mut Edits<'_, '_>) -> bool {
    let Some(options) = object.get("stream_options").filter(|options| *options != b"null") else {
        edits.set("stream_options", br#"{"include_usage":true}"#);
        return true;
    };
    // Anything but an object is the upstream's to refuse.
    let Ok(inner) = Object::scan(options) else { return false };
    if inner.is_true("include_usage") {
        return false;
    }
    let mut inner_edits = inner.edit();
    inner_edits.set("include_usage", b"true");
    edits.set("stream_options", &inner_edits.apply());
    true
}
