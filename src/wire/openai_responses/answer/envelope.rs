//! The object `response`, which a whole answer is and a stream's events repeat.

use super::usage;
use crate::error::Kind;
use crate::wire::codec::Failure;
use crate::wire::ir::{FinishReason, Usage};
use crate::wire::json::{Document, Extra, Place, Text, Writer};
use crate::wire::openai_responses::error;

/// What an answer says about itself. Strict clients need every member of the object, so those that only a provider's own memory could fill
/// say that there is none.
#[derive(Debug, Clone, Copy)]
pub(in crate::wire::openai_responses) struct Envelope<'e> {
    pub(in crate::wire::openai_responses) id: &'e str,
    pub(in crate::wire::openai_responses) created: u64,
    pub(in crate::wire::openai_responses) model: &'e str,
    /// Why it ended; nothing while it runs.
    pub(in crate::wire::openai_responses) finish: Option<FinishReason>,
    pub(in crate::wire::openai_responses) failure: Option<&'e Failure>,
    pub(in crate::wire::openai_responses) usage: Option<&'e Usage>,
    pub(in crate::wire::openai_responses) service_tier: Option<&'e str>,
    /// Members that replace those of the same name.
    pub(in crate::wire::openai_responses) kept: &'e [Extra<'e>],
}

/// Members that say nothing of a translated answer, in their order before and behind `output`.
const BEFORE: [(&str, &str); 5] =
    [("background", "false"), ("instructions", "null"), ("max_output_tokens", "null"), ("max_tool_calls", "null"), ("metadata", "{}")];
const BEHIND: [(&str, &str); 11] = [
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("store", "false"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_p", "null"),
    ("truncation", r#""disabled""#),
    ("user", "null"),
];

impl Envelope<'_> {
    /// Writes the members of the object; `output` writes the items.
    pub(in crate::wire::openai_responses) fn write(&self, writer: &mut Writer<'_>, output: impl FnOnce(&mut Writer<'_>)) {
        let Self { id, created, model, finish, failure, usage, service_tier, kept } = self;
        writer.key("id").text(id);
        writer.key("object").text("response");
        writer.key("created_at").count(*created);
        let reason = finish.and_then(super::incomplete);
        writer.key("status").text(match (failure, finish, reason) {
            (Some(_), _, _) => "failed",
            (None, None, _) => "in_progress",
            (None, Some(_), None) => "completed",
            (None, Some(_), Some(_)) => "incomplete",
        });
        self.error(writer);
        match reason {
            Some(reason) => {
                writer.object("incomplete_details");
                writer.key("reason").text(reason);
                writer.end_object();
            }
            None => writer.key("incomplete_details").null(),
        }
        self.silent(writer, &BEFORE);
        writer.key("model").text(model);
        writer.array("output");
        output(writer);
        writer.end_array();
        self.silent(writer, &BEHIND);
        if let Some(tier) = service_tier {
            writer.key("service_tier").text(tier);
        }
        match usage {
            Some(usage) => usage::write(writer, usage),
            None => writer.key("usage").null(),
        }
        for extra in *kept {
            writer.key(&extra.name).json(&extra.value);
        }
    }

    fn silent(&self, writer: &mut Writer<'_>, members: &[(&str, &str)]) {
        for (name, value) in members {
            if !self.kept.iter().any(|extra| extra.name == *name) {
                writer.key(name).raw(value);
            }
        }
    }

    fn error(&self, writer: &mut Writer<'_>) {
        let Some(failure) = self.failure else { return writer.key("error").null() };
        writer.object("error");
        writer.key("code").text(error::code(failure.kind));
        writer.key("message").text(&failure.told(&error::TOO_LONG));
        writer.end_object();
    }
}

/// What an answer repeats of the request. What only a provider with a memory could honour is not among it.
const REPEATED: [&str; 17] = [
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// Returns whether official clients know the word for a service tier.
pub(in crate::wire::openai_responses) fn is_tier(word: &str) -> bool {
    ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"].contains(&word)
}

/// Takes what an answer repeats out of a request of this format.
pub(in crate::wire::openai_responses) fn echo(asked: &str) -> Vec<Extra<'static>> {
    let Ok(document) = Document::parse(asked.as_bytes()) else { return Vec::new() };
    let member = |name: &&'static str| {
        let value = document.root().get(name)?.json().into_owned();
        Some(Extra { name: Text::Borrowed(name), value, at: Place::NOWHERE })
    };
    REPEATED.iter().filter_map(member).collect()
}

/// Returns whether an upstream's failure is told in the words of its answer.
pub(super) fn failed(status: &str) -> Option<Failure> {
    match status {
        "failed" => Some(Failure::new(Kind::UpstreamServerError, "the upstream's answer failed")),
        "cancelled" => Some(Failure::new(Kind::UpstreamServerError, "the upstream cancelled its answer")),
        "queued" | "in_progress" => Some(Failure::malformed("the upstream's answer is not finished")),
        _ => None,
    }
}
