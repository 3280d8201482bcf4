//! The lane between two formats: the request read once into the middle form and written for each target, and the answer back.

use std::sync::OnceLock;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

use super::attempt::{Answer, AnswerBody, Call};
use super::intake::Framing;
use super::outbound::{self, Lane, Prepared};
use super::payload::Payload;
use super::respond;
use crate::error::{GatewayError, Kind};
use crate::plan::PromptPosition;
use crate::table::refusal::bad_body;
use crate::table::{Alias, Target};
use crate::wire::codec::{self, Reply};
use crate::wire::ir::{Loss, Message, Metered, Part, Reason, Request, Response, Role, Tier};
use crate::wire::json::Place;
use crate::wire::scan;
use crate::wire::{Format, Operation, codec::Encoded, count};

/// A client's request in the middle form, read when the first target needs it.
pub(super) type Middle<'a> = OnceLock<Result<Request<'a>, GatewayError>>;

/// What an alias may show of a translation.
const LOSSES_SHOWN: usize = 20;

/// Writes the request for a target of another format.
///
/// # Errors
/// [`Kind::BadRequest`] where the body cannot be read; [`Kind::LossyTranslation`] where the request leans on what only another provider keeps,
/// or the alias is strict and the target cannot express all of it.
pub(super) fn prepare(
    call: &Call<'_>,
    alias: Option<&Alias>,
    target: &Target,
    (from, into): (Format, Format),
) -> Result<Prepared, GatewayError> {
    let request = match call.middle.get_or_init(|| read(call, from)) {
        Ok(request) => request,
        Err(error) => return Err(error.clone()),
    };
    let codec = into.codec();
    let codec_target = codec::Target { model: &target.model, max_output_tokens: target.capacity.output, quirks: &target.provider.quirks };
    let Encoded { body, mut losses, unwrap_tool } = codec.encode_request(request, &codec_target);
    // What is left of such a request means something else, and an answer to that would look like a good one.
    let stored: Vec<Loss> = losses.iter().filter(|loss| loss.reason == Reason::Stored).cloned().collect();
    if !stored.is_empty() {
        return Err(forgetful(&stored, target));
    }
    let refused = match into {
        Format::OpenaiChat => outbound::without_refused(&outbound::rescan(&body)?, target),
        _ => None,
    };
    let body = match refused {
        Some((rest, out)) => {
            losses.extend(out);
            rest
        }
        None => body,
    };
    strict(alias, target, &losses)?;
    // What the alias says in a member that only this format has.
    let body = match alias {
        Some(alias) if into == Format::OpenaiChat && from != into => outbound::with_members(body, alias, target)?,
        Some(_) | None => body,
    };
    let path = codec.path(&codec_target, call.stream);
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (path.into_owned(), None),
    };
    let unwritten = |error| GatewayError::new(Kind::Internal, "The request could not be written.").detail(error);
    let body = target.provider.hosting.body(into, &path, &target.model, body).map_err(unwritten)?;
    let include_usage = request.include_usage.is_some_and(|it| it.value);
    let lane = Lane::Translate { from: into, into: from, unwrap_tool, include_usage };
    Ok(Prepared { body: Bytes::from(body).into(), path, query, lane, losses })
}

pub(super) fn read<'a>(call: &Call<'a>, from: Format) -> Result<Request<'a>, GatewayError> {
    let Payload::Json { whole, .. } = call.payload else {
        return Err(GatewayError::new(Kind::BadRequest, "The request must be a JSON object."));
    };
    let route = call.route();
    let decode = |body: &'a [u8], format: Format| format.codec().decode_request(body, &route);
    let read = match call.operation {
        Some(Operation::Count) => count::decode(from, whole, &route),
        Some(Operation::Answer | Operation::Embed | Operation::Rerank) | None => decode(whole, from),
    };
    let mut request = read.map_err(|error| bad_body(&error))?;
    if let Some(alias) = call.alias {
        let unread = |error: codec::BadBody| {
            let text = format!("The alias `{}` sets something that cannot be translated.", alias.name);
            GatewayError::new(Kind::Internal, text).detail(error)
        };
        // In OpenAI's words, whatever the client speaks.
        if let Some(defaults) = &alias.defaults_as_request {
            request.fill_in(decode(defaults.as_bytes(), Format::OpenaiChat).map_err(unread)?);
        }
        if let Some(overrides) = &alias.overrides_as_request {
            request.overrule(decode(overrides.as_bytes(), Format::OpenaiChat).map_err(unread)?);
        }
    }
    if let Some(system) = &call.system {
        let part = Part::text(system.text().into(), Place::NOWHERE);
        let message = Message { role: Role::System, parts: vec![part], name: None, extras: Vec::new(), at: Place::NOWHERE };
        match system.position {
            PromptPosition::Prepend => request.messages.insert(0, message),
            PromptPosition::Append => request.messages.push(message),
        }
    }
    Ok(request)
}

/// Refuses what a target cannot be told, where the alias is strict. What is told in other words is not left out.
///
/// # Errors
/// [`Kind::LossyTranslation`] naming the members.
pub(super) fn strict(alias: Option<&Alias>, target: &Target, losses: &[Loss]) -> Result<(), GatewayError> {
    let left_out: Vec<&Loss> = losses.iter().filter(|loss| loss.reason != Reason::Approximated).collect();
    if left_out.is_empty() || !alias.is_some_and(|alias| alias.spec.strict_translation) {
        return Ok(());
    }
    let format = target.provider.format.as_str();
    let text = format!("The alias allows no lossy translation, and a target that speaks `{format}` takes no {}.", shown(&left_out, ", "));
    Err(GatewayError::new(Kind::LossyTranslation, text).detail(format_args!("target {}", target.id())))
}

fn forgetful(stored: &[Loss], target: &Target) -> GatewayError {
    let paths: Vec<String> = stored.iter().take(LOSSES_SHOWN).map(|loss| format!("`{}`", loss.path)).collect();
    let text = format!(
        "`{}` keeps nothing of earlier requests, and this one leans on it: {}. Send the whole conversation.",
        target.provider.format.as_str(),
        paths.join(", ")
    );
    GatewayError::new(Kind::LossyTranslation, text).detail(format_args!("target {}", target.id()))
}

/// Writes losses for people: `top_k (unsupported)`.
fn shown(losses: &[&Loss], between: &str) -> String {
    let mut told: Vec<String> =
        losses.iter().take(LOSSES_SHOWN).map(|loss| format!("`{}` ({})", loss.path, loss.reason.as_str())).collect();
    if let Some(more) = losses.len().checked_sub(LOSSES_SHOWN).filter(|more| *more > 0) {
        told.push(format!("{more} more"));
    }
    told.join(between)
}

/// Writes losses for a header and the log: `top_k=unsupported, messages[0].name=unknown`. What the client named itself is escaped to ASCII.
pub(super) fn told(losses: &[Loss]) -> Option<String> {
    if losses.is_empty() {
        return None;
    }
    let mut told: Vec<String> =
        losses.iter().take(LOSSES_SHOWN).map(|loss| format!("{}={}", loss.path.escape_default(), loss.reason.as_str())).collect();
    if let Some(more) = losses.len().checked_sub(LOSSES_SHOWN).filter(|more| *more > 0) {
        told.push(format!("and={more}-more"));
    }
    Some(told.join(", "))
}

/// Who asks and what stands in for what the upstream does not say.
pub(super) fn reply<'r>(call: &'r Call<'_>, target: &'r Target, include_usage: bool) -> Reply<'r> {
    let asked = call.middle.get().and_then(|middle| middle.as_ref().ok()).map_or("", |request| request.source);
    let latency_ms = call.waiting.total_us() / 1_000;
    Reply { request_id: call.request_id, created: call.clock.unix_ms() / 1_000, model: &target.model, include_usage, latency_ms, asked }
}

/// Translates a whole answer.
///
/// # Errors
/// What the upstream's format makes of the body.
pub(super) fn whole(
    body: &[u8],
    (from, into): (Format, Format),
    unwrap_tool: Option<&str>,
    reply: &Reply<'_>,
) -> Result<Answer, GatewayError> {
    let mut response = from.codec().decode_response(body).map_err(|failure| unreadable(&failure))?;
    if let Some(tool) = unwrap_tool {
        response.unwrap_tool(tool);
    }
    let metered = metered(&response);
    let encoded = into.codec().encode_response(&response, reply);
    let body = AnswerBody::Whole(Bytes::from(encoded.body), metered);
    Ok(Answer { status: StatusCode::OK, headers: json_headers(), body, losses: Vec::new(), tab: None })
}

fn metered(response: &Response<'_>) -> Metered {
    Metered { usage: response.usage, tier: response.service_tier.as_deref().and_then(Tier::read) }
}

/// Reads the usage of an answer that passes as it is.
///
/// # Errors
/// What its format makes of the body.
pub(super) fn answer_metered(body: &[u8], format: Format) -> Result<Metered, GatewayError> {
    match format.codec().decode_response(body) {
        Ok(response) => Ok(metered(&response)),
        // An answer that our reader does not know (it is still running, or of tomorrow) is its client's to read, as long as it is JSON.
        Err(failure) if failure.kind == Kind::UpstreamMalformed && scan::member(body, "").is_ok() => Ok(Metered::default()),
        Err(failure) => Err(unreadable(&failure)),
    }
}

fn unreadable(failure: &codec::Failure) -> GatewayError {
    let text = match failure.kind {
        Kind::UpstreamMalformed => "The provider's answer is not what its format says.",
        _ => "The provider answered with an error in place of content.",
    };
    GatewayError::new(failure.kind, text).detail(&failure.message)
}

/// Writes an upstream's refusal in the client's format. The status is the upstream's, where it blames the request; Gemini's errors repeat
/// their status, and there it is the one that they tell.
pub(super) fn refusal(failure: &codec::Failure, status: StatusCode, into: Format, call: &Call<'_>) -> (StatusCode, HeaderMap, Bytes) {
    let codec = into.codec();
    let own = StatusCode::from_u16(codec.error_status(failure.kind)).unwrap_or(StatusCode::BAD_GATEWAY);
    let status = if status.is_client_error() && into != Format::Gemini { status } else { own };
    let mut headers = json_headers();
    headers.extend(respond::error_type(into, failure.kind));
    (status, headers, Bytes::from(codec.encode_error(failure, call.request_id)))
}

pub(super) fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

/// The headers of a translated stream.
pub(super) fn stream_headers(into: Format, framing: Framing) -> HeaderMap {
    match framing {
        Framing::Events => HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(into.codec().framing().content_type()))]),
        Framing::Array => json_headers(),
    }
}
