//! The body for one target: the client's bytes with what must change spliced in.

use serde_json::Value;

use crate::plan::MaxTokensField;
use crate::table::{Alias, Target};
use crate::telemetry::Endpoint;
use crate::wire::edit::Object;

/// The edited body, and whether usage was asked for on the client's behalf (and must be hidden again).
pub(super) struct Prepared {
    pub(super) body: Vec<u8>,
    pub(super) hide_usage: bool,
}

/// Prepares the body for a target. Copies the body once.
pub(super) fn prepare(object: &Object<'_>, endpoint: Endpoint, alias: Option<&Alias>, target: &Target) -> Prepared {
    let mut edits = object.edit();
    edits.set_string("model", &target.model);
    let quirks = &target.provider.spec.quirks;
    match quirks.max_tokens_field {
        Some(MaxTokensField::MaxTokens) => edits.rename("max_completion_tokens", "max_tokens"),
        Some(MaxTokensField::MaxCompletionTokens) => edits.rename("max_tokens", "max_completion_tokens"),
        None => {}
    }
    if let Some(alias) = alias {
        for (name, value) in &alias.spec.defaults {
            if object.get(name).is_none() {
                edits.set(name, raw(value).as_bytes());
            }
        }
        for (name, value) in &alias.spec.overrides {
            edits.set(name, raw(value).as_bytes());
        }
    }
    let chat = matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Completions);
    let hide_usage = chat && object.is_true("stream") && quirks.stream_options && ask_usage(object, &mut edits);
    Prepared { body: edits.apply(), hide_usage }
}

fn raw(value: &Value) -> String {
    value.to_string()
}

/// Asks for usage in the stream unless the client did. Returns whether it was added.
fn ask_usage(object: &Object<'_>, edits: &mut crate::wire::edit::Edits<'_, '_>) -> bool {
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
