//! Writes what stands beside the conversation: options, thinking, who asks.

use super::encode_message::MessageWriter;
use crate::wire::ir::{Effort, Logprobs, Reasoning, ReasoningMode, Sampling};
use crate::wire::json::{Extras, Given, Text};

/// Where extras of `options` are found.
const OPTIONS: &str = "options.";

/// What goes into `options`.
pub(super) struct Options<'r, 'a> {
    pub(super) sampling: &'r Sampling<'a>,
    pub(super) stop: &'r [Given<Text<'a>>],
    pub(super) limit: Option<Given<u64>>,
    /// The most tokens that the model can give.
    pub(super) most: Option<u64>,
    pub(super) extras: &'r Extras<'a>,
}

impl MessageWriter<'_> {
    /// Writes `options`.
    pub(super) fn options(&mut self, options: &Options<'_, '_>) {
        let Options { sampling, stop, limit, most, extras } = options;
        let Sampling { temperature, top_p, top_k, presence_penalty, frequency_penalty, seed, logit_bias, candidates } = sampling;
        self.losses.without(logit_bias.as_ref());
        self.losses.without(candidates.filter(|candidates| candidates.value != 1).as_ref());
        let object = self.writer.optional("options");
        let numbers = [
            ("temperature", temperature),
            ("top_p", top_p),
            ("top_k", top_k),
            ("presence_penalty", presence_penalty),
            ("frequency_penalty", frequency_penalty),
            ("seed", seed),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                self.writer.key(name).number(number.value);
            }
        }
        if let Some(limit) = limit {
            let most = most.filter(|_| !self.is_same).unwrap_or(u64::MAX);
            if limit.value > most {
                self.losses.approximated(limit.at);
            }
            self.writer.key("num_predict").count(limit.value.min(most));
        }
        let array = self.writer.optional_array("stop");
        for text in *stop {
            if text.value.is_empty() && !self.is_same {
                self.losses.unsupported(text.at);
                continue;
            }
            self.writer.text(&text.value);
        }
        self.writer.end_optional(array);
        for extra in extras.iter().filter(|_| self.is_same) {
            if let Some(name) = extra.name.strip_prefix(OPTIONS) {
                self.writer.key(name).json(&extra.value);
            }
        }
        self.writer.end_optional(object);
    }

    /// Writes what nobody understood beside `options`, or tells all of it.
    pub(super) fn top_level(&mut self, extras: &Extras<'_>) {
        if !self.is_same {
            return self.losses.extras(extras);
        }
        for extra in extras.iter().filter(|extra| !extra.name.starts_with(OPTIONS)) {
            self.writer.key(&extra.name).json(&extra.value);
        }
    }

    /// Writes `think`. A model that can think does so unless it is told not to, and one that cannot refuses to be told to, so that nothing is
    /// said where nothing needs to be. How hard is a word that one family takes; the others refuse it.
    pub(super) fn think(&mut self, reasoning: &Reasoning<'_>, model: &str) {
        let Reasoning { mode, effort, display } = reasoning;
        self.losses.without(display.as_ref());
        if self.is_same {
            match (mode, effort) {
                (_, Some(effort)) => self.writer.key("think").text(effort.value.as_str()),
                (Some(mode), None) => self.writer.key("think").bool(mode.value != ReasoningMode::Off),
                (None, None) => {}
            }
            return;
        }
        let has_levels = model.contains("gpt-oss");
        if let Some(Given { value: ReasoningMode::Off, at }) = mode {
            self.losses.without(effort.as_ref());
            if has_levels {
                // It always thinks.
                self.losses.approximated(*at);
                return self.writer.key("think").text("low");
            }
            return self.writer.key("think").bool(false);
        }
        let budget = mode.and_then(|mode| match mode.value {
            ReasoningMode::Budget(tokens) => Some(Given::new(Effort::of_budget(tokens), mode.at)),
            ReasoningMode::Adaptive | ReasoningMode::Off => None,
        });
        if let Some(budget) = budget {
            self.losses.approximated(budget.at);
        }
        let Some(effort) = effort.or(budget) else { return };
        let (word, is_exact) = match effort.value {
            Effort::Minimal => ("low", false),
            Effort::Low => ("low", true),
            Effort::Medium => ("medium", true),
            Effort::High => ("high", true),
            Effort::XHigh | Effort::Max => ("high", false),
        };
        if !has_levels || !is_exact {
            self.losses.approximated(effort.at);
        }
        if has_levels {
            self.writer.key("think").text(word);
        }
    }

    /// Writes whether the answer tells how likely its tokens were.
    pub(super) fn logprobs(&mut self, logprobs: &Logprobs) {
        let Logprobs { is_wanted, top } = logprobs;
        if let Some(is_wanted) = is_wanted {
            self.writer.key("logprobs").bool(is_wanted.value);
        }
        if let Some(top) = top {
            self.writer.key("top_logprobs").count(top.value);
        }
    }
}
