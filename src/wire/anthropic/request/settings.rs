//! Writes what stands beside the conversation: limits, thinking, sampling, caching, who asks.

use super::encode_blocks::BlockWriter;
use crate::wire::anthropic::models::Capabilities;
use crate::wire::anthropic::thinking::{Planner, Thinking};
use crate::wire::codec::Target;
use crate::wire::ir::{Caching, Effort, Identity, Logprobs, Output, Reasoning, ReasoningMode, Sampling, ServiceTier};
use crate::wire::json::{Given, Number, Text};
use crate::wire::turns::Conversation;

/// Where settings are written to, and what decides about them.
pub(super) struct Settings<'o, 'w, 'c> {
    pub(super) out: &'o mut BlockWriter<'w>,
    pub(super) capabilities: Capabilities,
    pub(super) target: &'c Target<'c>,
    pub(super) conversation: &'c Conversation<'c, 'c>,
}

impl Settings<'_, '_, '_> {
    /// Writes `max_tokens`, which is required here: the client's number, or the most that the model can do.
    pub(super) fn limit(&mut self, limit: Option<&Given<u64>>) -> u64 {
        let most = self.target.max_output_tokens.unwrap_or(self.capabilities.max_output_tokens);
        // The table of models may be behind the times; a client of this format, or the catalog, knows better.
        let cap = if self.out.is_same { u64::MAX } else { most };
        let tokens = match limit {
            Some(limit) => {
                if limit.value > cap {
                    self.out.losses.approximated(limit.at);
                }
                limit.value.min(cap)
            }
            None => most,
        };
        self.out.writer.key("max_tokens").count(tokens);
        tokens
    }

    /// Writes `thinking` and `output_config`. Returns whether the model will think.
    pub(super) fn thinking(&mut self, reasoning: &Reasoning<'_>, limit: u64, output: Option<&Given<Output<'_>>>) -> bool {
        let Reasoning { mode: _, effort: _, display } = reasoning;
        let plan = if self.out.is_same {
            Thinking::as_asked(reasoning)
        } else {
            Planner { losses: &mut self.out.losses, capabilities: self.capabilities, conversation: self.conversation }
                .plan(reasoning, limit)
        };
        let has_display = display.as_ref().filter(|_| plan.thinks());
        if let Some(mode) = plan.mode {
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
                let is_known = self.out.is_same || matches!(&*display.value, "summarized" | "omitted");
                if !is_known {
                    self.out.losses.approximated(display.at);
                }
                self.out.writer.key("display").text(if is_known { &display.value } else { "summarized" });
            }
            self.out.writer.end_object();
        }
        if has_display.is_none() {
            self.out.losses.without(display.as_ref());
        }
        self.output_config(plan.effort, output);
        plan.thinks()
    }

    fn output_config(&mut self, effort: Option<Effort>, output: Option<&Given<Output<'_>>>) {
        let schema = match output.map(|output| &output.value) {
            Some(Output::JsonSchema { name, description, schema, strict }) => {
                for text in [name, description].into_iter().flatten() {
                    self.out.losses.approximated(text.at);
                }
                // This format always keeps to the schema.
                if let Some(strict) = strict.filter(|strict| !strict.value) {
                    self.out.losses.approximated(strict.at);
                }
                (self.capabilities.schema || self.out.is_same).then_some(schema)
            }
            Some(Output::Text | Output::JsonObject) | None => None,
        };
        if effort.is_none() && schema.is_none() {
            return;
        }
        self.out.writer.object("output_config");
        if let Some(effort) = effort {
            self.out.writer.key("effort").text(effort.as_str());
        }
        if let Some(schema) = schema {
            self.out.writer.object("format");
            self.out.writer.key("type").text("json_schema");
            self.out.writer.key("schema").json(schema);
            self.out.writer.end_object();
        }
        self.out.writer.end_object();
    }

    /// Writes how tokens are drawn; what the format has not got is lost unless it says what is so anyway.
    pub(super) fn sampling(&mut self, sampling: &Sampling<'_>, logprobs: &Logprobs, thinks: bool) {
        let Sampling { temperature, top_p, top_k, presence_penalty, frequency_penalty, seed, logit_bias, candidates } = sampling;
        let Logprobs { is_wanted, top } = logprobs;
        let accepts = self.out.is_same || (self.capabilities.sampling && !thinks);
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
        let one_of_two = !self.capabilities.both_temperature_and_top_p && temperature.is_some() && !self.out.is_same;
        self.number("top_p", top_p.as_ref(), accepts && !one_of_two);
        self.number("top_k", top_k.as_ref(), accepts);
        for penalty in [presence_penalty, frequency_penalty].into_iter().flatten() {
            if penalty.value.as_f64() != 0.0 {
                self.out.losses.unsupported(penalty.at);
            }
        }
        self.out.losses.without(seed.as_ref());
        self.out.losses.without(logit_bias.as_ref());
        self.out.losses.without(candidates.filter(|candidates| candidates.value != 1).as_ref());
        self.out.losses.without(is_wanted.filter(|is_wanted| is_wanted.value).as_ref());
        self.out.losses.without(top.as_ref());
    }

    fn number(&mut self, name: &str, number: Option<&Given<Number<'_>>>, accepts: bool) {
        match number {
            Some(number) if accepts => self.out.writer.key(name).number(number.value),
            Some(number) => self.out.losses.unsupported(number.at),
            None => {}
        }
    }

    pub(super) fn stop(&mut self, stop: &[Given<Text<'_>>]) {
        let is_sent = |text: &Given<Text<'_>>| self.out.is_same || !text.value.trim().is_empty();
        // A sequence of nothing but space is refused.
        let (sent, blank): (Vec<_>, Vec<_>) = stop.iter().partition(|text| is_sent(text));
        for text in blank {
            self.out.losses.unsupported(text.at);
        }
        if sent.is_empty() {
            return;
        }
        self.out.writer.array("stop_sequences");
        for text in sent {
            self.out.writer.text(&text.value);
        }
        self.out.writer.end_array();
    }

    pub(super) fn caching(&mut self, caching: &Caching<'_>, verbosity: Option<&Given<Text<'_>>>) {
        let Caching { automatic, key, retention, options } = caching;
        self.out.cache_mark(automatic.as_ref());
        self.out.losses.without(key.as_ref());
        self.out.losses.without(retention.as_ref());
        self.out.losses.without(options.as_ref());
        self.out.losses.without(verbosity);
    }

    pub(super) fn identity(&mut self, identity: &Identity<'_>, tier: Option<&Given<ServiceTier<'_>>>) {
        let Identity { user, safety_id, metadata, store } = identity;
        if let Some(id) = safety_id.as_ref().or(user.as_ref()) {
            self.out.writer.object("metadata");
            self.out.writer.key("user_id").text(&id.value);
            self.out.writer.end_object();
        }
        if let (Some(user), Some(_)) = (user, safety_id) {
            self.out.losses.unsupported(user.at);
        }
        self.out.losses.without(metadata.as_ref());
        self.out.losses.without(store.filter(|store| store.value).as_ref());
        match tier.map(|tier| (&tier.value, tier.at)) {
            None => {}
            Some((ServiceTier::Auto, _)) => self.out.writer.key("service_tier").text("auto"),
            Some((ServiceTier::Standard, _)) => self.out.writer.key("service_tier").text("standard_only"),
            Some((ServiceTier::Priority, at)) => {
                self.out.losses.approximated(at);
                self.out.writer.key("service_tier").text("auto");
            }
            Some((ServiceTier::Other(word), _)) if self.out.is_same => self.out.writer.key("service_tier").text(word),
            Some((ServiceTier::Flex | ServiceTier::Other(_), at)) => self.out.losses.unsupported(at),
        }
    }
}
