//! Writes what a request says beside the conversation and the tools.

use super::decode::{ENCRYPTED_REASONING, LOGPROBS};
use super::encode::RequestWriter;
use crate::wire::ir::{Caching, Identity, Logprobs, Maker, Reasoning, Sampling, ServiceTier};
use crate::wire::json::{Given, Number, Text};
use crate::wire::openai_chat::effort::{Said, Thinker};
use crate::wire::openai_chat::models::{self, Reasons};
use crate::wire::openai_responses::maker;

/// Writes `reasoning`. Returns whether the model will reason.
pub(super) fn reasoning(out: &mut RequestWriter<'_, '_>, reasoning: &Reasoning<'_>) -> bool {
    let Reasoning { mode, effort, display } = reasoning;
    let thinker = Thinker { model: out.target.model, is_same: out.is_same, takes_budgets: false };
    let plan = thinker.plan(mode.as_ref(), effort.as_ref(), &mut out.losses);
    let summary = summary(out, display.as_ref());
    if plan.said.is_some() || summary.is_some() || out.has_rest_of("reasoning") {
        out.writer.object("reasoning");
        match plan.said {
            Some(Said::Effort(word)) => out.writer.key("effort").text(word),
            // The format has no word for tokens, and the plan was told so.
            Some(Said::Budget(_)) | None => {}
        }
        if let Some(word) = summary {
            out.writer.key("summary").text(&word);
        }
        out.rest_of("reasoning");
        out.writer.end_object();
    }
    plan.reasons
}

/// Chooses what is shown of the thoughts. It is asked for only where the client does: OpenAI refuses it to accounts that it has not verified.
fn summary<'s>(out: &mut RequestWriter<'_, '_>, display: Option<&'s Given<Text<'_>>>) -> Option<Text<'s>> {
    let display = display?;
    let kind = models::reasons(out.target.model);
    if out.is_same {
        return Some(Text::Borrowed(&display.value));
    }
    match &*display.value {
        "omitted" => None,
        "auto" | "concise" | "detailed" | "summarized" if kind != Reasons::Never => {
            Some(Text::Borrowed(if display.value == "summarized" { "auto" } else { &display.value }))
        }
        _ => {
            out.losses.unsupported(display.at);
            None
        }
    }
}

/// Writes how tokens are drawn; most of it has no place here.
pub(super) fn sampling(out: &mut RequestWriter<'_, '_>, sampling: &Sampling<'_>, reasons: bool) {
    let Sampling { temperature, top_p, top_k, presence_penalty, frequency_penalty, seed, logit_bias, candidates } = sampling;
    // OpenAI's reasoning models refuse the request where either is given.
    let accepts = out.is_same || !reasons || models::reasons(out.target.model) == Reasons::Unknown;
    number(out, "temperature", temperature.as_ref(), accepts);
    number(out, "top_p", top_p.as_ref(), accepts);
    for penalty in [presence_penalty, frequency_penalty].into_iter().flatten().filter(|penalty| penalty.value.as_f64() != 0.0) {
        out.losses.unsupported(penalty.at);
    }
    out.losses.without(top_k.as_ref());
    out.losses.without(seed.as_ref());
    out.losses.without(logit_bias.as_ref());
    out.losses.without(candidates.filter(|candidates| candidates.value != 1).as_ref());
}

fn number(out: &mut RequestWriter<'_, '_>, name: &str, number: Option<&Given<Number<'_>>>, accepts: bool) {
    match number {
        Some(number) if accepts => out.writer.key(name).number(number.value),
        Some(number) => out.losses.unsupported(number.at),
        None => {}
    }
}

/// Tells that texts that end the answer have no place here.
pub(super) fn stop(out: &mut RequestWriter<'_, '_>, stop: &[Given<Text<'_>>]) {
    for text in stop {
        out.losses.unsupported(text.at);
    }
}

/// Writes `include` and `top_logprobs`. Clients of other formats get thoughts that can be sent back, because those formats do that.
pub(super) fn include(out: &mut RequestWriter<'_, '_>, logprobs: &Logprobs) {
    let Logprobs { is_wanted, top } = logprobs;
    if let Some(top) = top {
        out.writer.key("top_logprobs").count(top.value);
    }
    // The client's own list passes whole.
    if out.is_same {
        return;
    }
    let wants = is_wanted.is_some_and(|wanted| wanted.value);
    let model = out.target.model;
    let encrypts = match models::reasons(model) {
        Reasons::Always | Reasons::WhenAsked | Reasons::UnlessOff => true,
        // A model that does not reason refuses the request.
        Reasons::Never => false,
        Reasons::Unknown => maker::of_model(model) == Maker::Xai,
    };
    if !wants && !encrypts {
        return;
    }
    out.writer.array("include");
    for word in [encrypts.then_some(ENCRYPTED_REASONING), wants.then_some(LOGPROBS)].into_iter().flatten() {
        out.writer.text(word);
    }
    out.writer.end_array();
}

/// Writes how the prompt is cached.
pub(super) fn caching(out: &mut RequestWriter<'_, '_>, caching: &Caching<'_>) {
    let Caching { automatic, key, retention, options } = caching;
    if let Some(automatic) = automatic {
        // It caches on its own, which is what was asked for.
        out.losses.approximated(automatic.at);
    }
    for (name, value) in [("prompt_cache_key", key), ("prompt_cache_retention", retention)] {
        if let Some(value) = value {
            out.writer.key(name).text(&value.value);
        }
    }
    if let Some(options) = options {
        out.writer.key("prompt_cache_options").json(&options.value);
    }
}

/// Writes who asks, whether the answer is kept, and how it is billed.
pub(super) fn identity(out: &mut RequestWriter<'_, '_>, identity: &Identity<'_>, tier: Option<&Given<ServiceTier<'_>>>) {
    let Identity { user, safety_id, metadata, store } = identity;
    for (name, value) in [("user", user), ("safety_identifier", safety_id)] {
        if let Some(value) = value {
            out.writer.key(name).text(&value.value);
        }
    }
    if let Some(metadata) = metadata {
        out.writer.key("metadata").json(&metadata.value);
    }
    match store {
        Some(store) => out.writer.key("store").bool(store.value),
        // This format keeps answers unless it is told otherwise, the others do not.
        None if !out.is_same => out.writer.key("store").bool(false),
        None => {}
    }
    match tier.map(|tier| (&tier.value, tier.at)) {
        None => {}
        Some((ServiceTier::Auto, _)) => out.writer.key("service_tier").text("auto"),
        Some((ServiceTier::Standard, _)) => out.writer.key("service_tier").text("default"),
        Some((ServiceTier::Flex, _)) => out.writer.key("service_tier").text("flex"),
        Some((ServiceTier::Priority, _)) => out.writer.key("service_tier").text("priority"),
        Some((ServiceTier::Other(word), _)) if out.is_same => out.writer.key("service_tier").text(word),
        Some((ServiceTier::Other(_), at)) => out.losses.unsupported(at),
    }
}
