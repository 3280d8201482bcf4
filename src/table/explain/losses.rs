//! What a translation of the request would lose at each candidate: the same codecs as on the data path, and nothing sent.

use super::ask::Asked;
use super::told::LossTold;
use crate::table::Target;
use crate::wire::Format;
use crate::wire::codec::{self, Route};
use crate::wire::edit::Object;
use crate::wire::ir::Reason;

/// Returns what a target cannot be told as the client wrote it; nothing where there is no body to read.
pub(super) fn losses(asked: &Asked<'_>, body: &[u8], target: &Target) -> Vec<LossTold> {
    let provider = &target.provider;
    let Some(format) = asked.format().filter(|_| asked.has_body()) else { return Vec::new() };
    let target_format = provider.format_for(format);
    if target_format == format {
        return if format == Format::OpenaiChat { refused(body, target) } else { Vec::new() };
    }
    // What cannot be read is refused with its own words before it comes here.
    let Ok(request) = format.codec().decode_request(body, &Route::default()) else { return Vec::new() };
    let into = codec::Target { model: &target.model, max_output_tokens: target.capacity.output, quirks: &provider.quirks };
    let encoded = target_format.codec().encode_request(&request, &into);
    encoded.losses.into_iter().map(|loss| LossTold { path: loss.path, reason: loss.reason.as_str().to_owned() }).collect()
}

/// Returns what the server refuses of a chat that passes otherwise.
fn refused(body: &[u8], target: &Target) -> Vec<LossTold> {
    let object = Object::scan(body).ok();
    let out = object.as_ref().and_then(|object| object.without(&target.provider.spec.quirks.refuses)).map(|(_, out)| out);
    let told = |path: String| LossTold { path, reason: Reason::Unsupported.as_str().to_owned() };
    out.unwrap_or_default().into_iter().map(told).collect()
}

/// Returns whether a loss is refused: by a strict alias, what is left out, not only told in other words; by every one, what only the client's
/// own provider keeps.
pub(super) fn is_refused(loss: &LossTold, is_strict: bool) -> bool {
    loss.reason == Reason::Stored.as_str() || (is_strict && loss.reason != Reason::Approximated.as_str())
}
