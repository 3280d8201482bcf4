//! Writes what stands beside the conversation: limits, sampling, thinking, who asks.

use super::encode_message::MessageWriter;
use crate::wire::ir::{Effort, Logprobs, Reasoning, ReasoningMode, Sampling};
use crate::wire::json::{Given, Number, Text};

/// Bounds of `p`, `k` and the penalties. Source: the provider's reference of its chat.
const TOP_P: (f64, f64) = (0.01, 0.99);
const TOP_K: (f64, f64) = (0.0, 500.0);
const PENALTY: (f64, f64) = (0.0, 1.0);
/// Most stop sequences.
const MAX_STOP: usize = 5;

/// Models that think, by a part of their names. Source: the provider's page of models, August 2026.
const THINKING: [&str; 2] = ["reasoning", "command-a-plus"];

impl MessageWriter<'_> {
    /// Writes how tokens are drawn. What the format has not got is lost unless it says what is so anyway.
    pub(super) fn sampling(&mut self, sampling: &Sampling<'_>, logprobs: &Logprobs) {
        let Sampling { temperature, top_p, top_k, presence_penalty, frequency_penalty, seed, logit_bias, candidates } = sampling;
        let Logprobs { is_wanted, top } = logprobs;
        for (name, number) in [("temperature", temperature), ("seed", seed)] {
            if let Some(number) = number {
                self.writer.key(name).number(number.value);
            }
        }
        self.bounded("p", top_p.as_ref(), TOP_P);
        self.bounded("k", top_k.as_ref(), TOP_K);
        self.bounded("presence_penalty", presence_penalty.as_ref(), PENALTY);
        self.bounded("frequency_penalty", frequency_penalty.as_ref(), PENALTY);
        if let Some(is_wanted) = is_wanted {
            self.writer.key("logprobs").bool(is_wanted.value);
        }
        self.losses.without(top.as_ref());
        self.losses.without(logit_bias.as_ref());
        self.losses.without(candidates.filter(|candidates| candidates.value != 1).as_ref());
    }

    /// Writes a number, or the nearest that is accepted.
    fn bounded(&mut self, name: &str, number: Option<&Given<Number<'_>>>, (least, most): (f64, f64)) {
        let Some(number) = number else { return };
        let value = number.value.as_f64();
        if self.is_same || (least..=most).contains(&value) {
            return self.writer.key(name).number(number.value);
        }
        self.losses.approximated(number.at);
        self.writer.key(name).raw(&if value < least { least } else { most }.to_string());
    }

    pub(super) fn stop(&mut self, stop: &[Given<Text<'_>>]) {
        let (mut sent, mut lost) = (Vec::new(), Vec::new());
        for text in stop {
            let fits = self.is_same || (!text.value.is_empty() && sent.len() < MAX_STOP);
            if fits { sent.push(text) } else { lost.push(text) }
        }
        for text in lost {
            self.losses.unsupported(text.at);
        }
        let array = self.writer.optional_array("stop_sequences");
        for text in sent {
            self.writer.text(&text.value);
        }
        self.writer.end_optional(array);
    }

    /// Writes `thinking`, for models that think.
    pub(super) fn thinking(&mut self, reasoning: &Reasoning<'_>, model: &str) {
        let Reasoning { mode, effort, display } = reasoning;
        self.losses.without(display.as_ref());
        let wanted = match (mode, effort) {
            (Some(Given { value: ReasoningMode::Off, .. }), _) => Some(None),
            (Some(Given { value: ReasoningMode::Budget(tokens), .. }), _) => Some(Some(*tokens)),
            (_, Some(effort)) => Some(Some(Effort::budget(effort.value))),
            (Some(Given { value: ReasoningMode::Adaptive, .. }), None) => Some(Some(0)),
            (None, None) => None,
        };
        let Some(wanted) = wanted else { return };
        if !self.is_same && !THINKING.iter().any(|name| model.contains(name)) {
            // Models that never think need not be told not to.
            if wanted.is_some() {
                self.losses.without(mode.as_ref());
                self.losses.without(effort.as_ref());
            } else {
                self.losses.without(effort.as_ref());
            }
            return;
        }
        if let Some(effort) = effort {
            self.losses.approximated(effort.at);
        }
        self.writer.object("thinking");
        self.writer.key("type").text(if wanted.is_some() { "enabled" } else { "disabled" });
        if let Some(tokens) = wanted.filter(|tokens| *tokens > 0) {
            self.writer.key("token_budget").count(tokens);
        }
        self.writer.end_object();
    }
}
