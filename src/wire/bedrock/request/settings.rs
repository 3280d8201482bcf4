//! Writes what stands beside the conversation: limits, sampling, thinking, the shape of the answer, who asks.

use super::additional;
use super::encode_blocks::BlockWriter;
use crate::wire::anthropic::{self, Planner, Thinking};
use crate::wire::bedrock::models::{Capabilities, Family};
use crate::wire::codec::Target;
use crate::wire::ir::{Caching, Effort, Identity, Logprobs, Output, Reasoning, ReasoningMode, Sampling, ServiceTier};
use crate::wire::json::{Document, Extras, Given, Json, Kind, Node, Number, Text};
use crate::wire::turns::Conversation;

/// Where settings are written to, and what decides about them.
pub(super) struct Settings<'o, 'w, 'c> {
    pub(super) out: &'o mut BlockWriter<'w>,
    pub(super) capabilities: Capabilities,
    /// What the model accepts, where it is one of Anthropic's.
    pub(super) claude: Option<anthropic::Capabilities>,
    pub(super) target: &'c Target<'c>,
    pub(super) conversation: &'c Conversation<'c, 'c>,
}

impl Settings<'_, '_, '_> {
    /// Decides what is said about thinking. What is not said at all is told as lost.
    pub(super) fn plan(&mut self, reasoning: &Reasoning<'_>, limit: Option<&Given<u64>>) -> Thinking {
        if self.out.is_same {
            return Thinking::as_asked(reasoning);
        }
        if let Some(capabilities) = self.claude {
            let most = self.target.max_output_tokens.unwrap_or(capabilities.max_output_tokens);
            let limit = limit.map_or(most, |limit| limit.value);
            return Planner { losses: &mut self.out.losses, capabilities, conversation: self.conversation }.plan(reasoning, limit);
        }
        let Reasoning { mode, effort, display: _ } = reasoning;
        let budget =
            mode.and_then(|mode| if let ReasoningMode::Budget(tokens) = mode.value { Some(Effort::of_budget(tokens)) } else { None });
        let wanted = effort.map(|effort| effort.value).or(budget);
        let Some(at) = effort.map(|effort| effort.at).or(mode.map(|mode| mode.at)) else { return Thinking::default() };
        let is_off = mode.is_some_and(|mode| mode.value == ReasoningMode::Off);
        match (self.capabilities.family, wanted) {
            (Family::Nova2, _) if is_off => {
                self.out.losses.without(effort.as_ref());
                Thinking { mode: Some(ReasoningMode::Off), effort: None }
            }
            (Family::Nova2 | Family::GptOss, Some(wanted)) if !is_off => {
                let sent = match wanted {
                    Effort::Minimal | Effort::Low => Effort::Low,
                    Effort::Medium => Effort::Medium,
                    Effort::High | Effort::XHigh | Effort::Max => Effort::High,
                };
                if sent != wanted || effort.is_none() {
                    self.out.losses.approximated(at);
                }
                if let (Some(_), Some(mode)) = (effort, mode) {
                    self.out.losses.approximated(mode.at);
                }
                Thinking { mode: None, effort: Some(sent) }
            }
            (Family::Claude | Family::Nova | Family::Nova2 | Family::GptOss | Family::Old | Family::Mistral | Family::Other, _) => {
                self.out.losses.without(effort.as_ref());
                self.out.losses.without(mode.as_ref());
                Thinking::default()
            }
        }
    }

    /// Writes `inferenceConfig`. What the format has not got is lost unless it says what is so anyway.
    pub(super) fn inference(&mut self, limit: Option<&Given<u64>>, sampling: &Sampling<'_>, stop: &[Given<Text<'_>>], thinks: bool) {
        let Sampling { temperature, top_p, top_k: _, presence_penalty, frequency_penalty, seed, logit_bias, candidates } = sampling;
        let object = self.out.writer.optional("inferenceConfig");
        self.limit(limit);
        let accepts = self.out.is_same || self.claude.is_none_or(|claude| claude.sampling && !thinks);
        if let Some(temperature) = temperature {
            if !accepts {
                self.out.losses.unsupported(temperature.at);
            } else if temperature.value.as_f64() > 1.0 && !self.out.is_same {
                self.out.losses.approximated(temperature.at);
                self.out.writer.key("temperature").count(1);
            } else {
                self.out.writer.key("temperature").number(temperature.value);
            }
        }
        let one_of_two = self.claude.is_some_and(|claude| !claude.both_temperature_and_top_p) && temperature.is_some() && !self.out.is_same;
        match top_p {
            Some(top_p) if accepts && !one_of_two => self.out.writer.key("topP").number(top_p.value),
            Some(top_p) => self.out.losses.unsupported(top_p.at),
            None => {}
        }
        self.stop(stop);
        self.out.writer.end_optional(object);
        for penalty in [presence_penalty, frequency_penalty].into_iter().flatten() {
            if penalty.value.as_f64() != 0.0 {
                self.out.losses.unsupported(penalty.at);
            }
        }
        self.out.losses.without(seed.as_ref());
        self.out.losses.without(logit_bias.as_ref());
        self.out.losses.without(candidates.filter(|candidates| candidates.value != 1).as_ref());
    }

    /// Writes the limit where there is one; otherwise the provider takes the most that the model can do.
    fn limit(&mut self, limit: Option<&Given<u64>>) {
        let Some(limit) = limit else { return };
        let most = self.target.max_output_tokens.or(self.claude.map(|claude| claude.max_output_tokens));
        // The table of models may be behind the times; a client of this format knows better.
        let cap = most.filter(|_| !self.out.is_same).unwrap_or(u64::MAX);
        if limit.value > cap {
            self.out.losses.approximated(limit.at);
        }
        self.out.writer.key("maxTokens").count(limit.value.min(cap));
    }

    fn stop(&mut self, stop: &[Given<Text<'_>>]) {
        let is_sent = |text: &Given<Text<'_>>| self.out.is_same || !text.value.trim().is_empty();
        // A sequence of nothing but space is refused.
        let (sent, blank): (Vec<_>, Vec<_>) = stop.iter().partition(|text| is_sent(text));
        for text in blank {
            self.out.losses.unsupported(text.at);
        }
        if sent.is_empty() {
            return;
        }
        self.out.writer.array("stopSequences");
        for text in sent {
            self.out.writer.text(&text.value);
        }
        self.out.writer.end_array();
    }

    /// Writes `additionalModelRequestFields`: thinking and `top_k` as the model's maker spells them, and what the client wrote there.
    pub(super) fn additional(&mut self, reasoning: &Reasoning<'_>, thinking: Thinking, sampling: &Sampling<'_>, extras: &Extras<'_>) {
        let object = self.out.writer.optional(additional::NAME);
        self.thinking(reasoning.display.as_ref(), thinking);
        self.top_k(sampling.top_k.as_ref(), thinking.thinks());
        self.out.extras(extras);
        self.out.writer.end_optional(object);
    }

    fn thinking(&mut self, display: Option<&Given<Text<'_>>>, thinking: Thinking) {
        let Thinking { mode, effort } = thinking;
        let has_display = display.filter(|_| thinking.thinks());
        if has_display.is_none() {
            self.out.losses.without(display);
        }
        match self.capabilities.family {
            Family::Nova2 if !thinking.thinks() => return self.nova(mode, effort),
            Family::GptOss if mode.is_none() => {
                if let Some(effort) = effort {
                    self.out.writer.key("reasoning_effort").text(effort.as_str());
                }
                self.out.losses.without(has_display);
                return;
            }
            // Models behind an ARN may be Claude, and clients of this format know what they ask.
            Family::Claude | Family::Nova | Family::Nova2 | Family::GptOss | Family::Old | Family::Mistral | Family::Other => {}
        }
        if let Some(mode) = mode {
            self.out.writer.object("thinking");
            match mode {
                ReasoningMode::Off => self.out.writer.key("type").text("disabled"),
                ReasoningMode::Adaptive => self.out.writer.key("type").text("adaptive"),
                ReasoningMode::Budget(tokens) => {
                    self.out.writer.key("type").text("enabled");
                    self.out.writer.key("budget_tokens").count(tokens);
                }
            }
            if let Some(display) = has_display {
                if !self.out.is_same {
                    self.out.losses.approximated(display.at);
                }
                self.out.writer.key("display").text(if self.out.is_same { &display.value } else { "summarized" });
            }
            self.out.writer.end_object();
        }
        if let Some(effort) = effort {
            self.out.writer.object("output_config");
            self.out.writer.key("effort").text(effort.as_str());
            self.out.writer.end_object();
        }
    }

    fn nova(&mut self, mode: Option<ReasoningMode>, effort: Option<Effort>) {
        if mode != Some(ReasoningMode::Off) && effort.is_none() {
            return;
        }
        self.out.writer.object("reasoningConfig");
        self.out.writer.key("type").text(if effort.is_some() { "enabled" } else { "disabled" });
        if let Some(effort) = effort {
            self.out.writer.key("maxReasoningEffort").text(effort.as_str());
        }
        self.out.writer.end_object();
    }

    fn top_k(&mut self, top_k: Option<&Given<Number<'_>>>, thinks: bool) {
        let Some(top_k) = top_k else { return };
        let is_claude_like = match self.capabilities.family {
            Family::Nova | Family::Nova2 => {
                self.out.writer.object("inferenceConfig");
                self.out.writer.key("topK").number(top_k.value);
                self.out.writer.end_object();
                return;
            }
            Family::Claude => self.claude.is_some_and(|claude| claude.sampling && !thinks),
            Family::GptOss | Family::Old | Family::Mistral | Family::Other => false,
        };
        if is_claude_like || self.out.is_same {
            self.out.writer.key("top_k").number(top_k.value);
        } else {
            self.out.losses.unsupported(top_k.at);
        }
    }

    /// Writes `outputConfig`; the schema is JSON in a string.
    pub(super) fn output(&mut self, output: Option<&Given<Output<'_>>>) {
        let Some(Output::JsonSchema { name, description, schema, strict }) = output.map(|output| &output.value) else { return };
        // This format always keeps to the schema.
        if let Some(strict) = strict.filter(|strict| !strict.value) {
            self.out.losses.approximated(strict.at);
        }
        let writer = &mut self.out.writer;
        writer.object("outputConfig");
        writer.object("textFormat");
        writer.key("type").text("json_schema");
        writer.object("structure");
        writer.object("jsonSchema");
        for (key, text) in [("name", name), ("description", description)] {
            if let Some(text) = text {
                writer.key(key).text(&text.value);
            }
        }
        writer.key("schema").text(schema.as_str());
        for _ in 0..4 {
            writer.end_object();
        }
    }

    /// Tells what the format has nothing for.
    pub(super) fn beside(&mut self, verbosity: Option<&Given<Text<'_>>>, caching: &Caching<'_>, logprobs: &Logprobs) {
        let Caching { automatic, key, retention, options } = caching;
        let Logprobs { is_wanted, top } = logprobs;
        self.out.losses.without(verbosity);
        self.out.losses.without(automatic.as_ref());
        self.out.losses.without(key.as_ref());
        self.out.losses.without(retention.as_ref());
        self.out.losses.without(options.as_ref());
        self.out.losses.without(is_wanted.filter(|is_wanted| is_wanted.value).as_ref());
        self.out.losses.without(top.as_ref());
    }

    pub(super) fn identity(&mut self, identity: &Identity<'_>, tier: Option<&Given<ServiceTier<'_>>>) {
        let Identity { user, safety_id, metadata, store } = identity;
        self.out.losses.without(user.as_ref());
        self.out.losses.without(safety_id.as_ref());
        self.out.losses.without(store.filter(|store| store.value).as_ref());
        match metadata {
            Some(metadata) if self.out.is_same || is_metadata(&metadata.value) => {
                self.out.writer.key("requestMetadata").json(&metadata.value);
            }
            other => self.out.losses.without(other.as_ref()),
        }
        let word = match tier.map(|tier| (&tier.value, tier.at)) {
            // What the account has is what it gets.
            None | Some((ServiceTier::Auto, _)) => return,
            Some((ServiceTier::Standard, _)) => "default",
            Some((ServiceTier::Flex, _)) => "flex",
            Some((ServiceTier::Priority, _)) => "priority",
            Some((ServiceTier::Other(word), _)) if self.out.is_same => word,
            Some((ServiceTier::Other(_), at)) => return self.out.losses.unsupported(at),
        };
        self.out.writer.object("serviceTier");
        self.out.writer.key("type").text(word);
        self.out.writer.end_object();
    }
}

/// Returns whether notes are what the provider takes: at most 16, of at most 256 characters out of few.
fn is_metadata(json: &Json<'_>) -> bool {
    let Ok(document) = Document::parse(json.as_str().as_bytes()) else { return false };
    let is_plain = |text: &str| {
        text.len() <= 256 && text.chars().all(|character| character.is_ascii_alphanumeric() || " \t:_@$#=/+,-.".contains(character))
    };
    let fits = |(key, value): (Node<'_, '_>, Node<'_, '_>)| {
        key.text().is_some_and(|key| !key.is_empty() && is_plain(&key)) && value.text().is_some_and(|text| is_plain(&text))
    };
    document.root().kind() == Kind::Object && document.root().members().count() <= 16 && document.root().members().all(fits)
}
