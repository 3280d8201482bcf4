//! Writes what stands beside the conversation: limits, thinking, sampling, the shape of the answer, who asks.

use super::encode::is_schema;
use super::encode_parts::{PartWriter, under};
use crate::wire::gemini::models::{Capabilities, Thinking};
use crate::wire::ir::{Caching, Effort, Identity, Logprobs, Output, Reasoning, ReasoningMode, Sampling, ServiceTier};
use crate::wire::json::{Extras, Given, Number, Text};

/// Most stop sequences that the provider takes.
const MOST_STOPS: usize = 5;

/// How the shape of the answer is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape<'r, 'a> {
    /// By the format's own means, or not at all.
    Own(Option<&'r Given<Output<'a>>>),
    /// By a function that must be called.
    Function(&'r Given<Output<'a>>),
    /// By words.
    Words(&'r Given<Output<'a>>),
}

impl<'r, 'a> Shape<'r, 'a> {
    /// Chooses; `has_own` says whether the format's own means can be used.
    pub(super) fn choose(output: Option<&'r Given<Output<'a>>>, has_own: bool) -> Self {
        match output {
            Some(output) if !has_own && is_schema(&output.value) => Self::Function(output),
            Some(output) if !has_own && output.value == Output::JsonObject => Self::Words(output),
            output => Self::Own(output),
        }
    }

    /// Returns what is emulated by a function.
    pub(super) const fn emulated(&self) -> Option<&'r Given<Output<'a>>> {
        match self {
            Self::Function(output) => Some(output),
            Self::Own(_) | Self::Words(_) => None,
        }
    }

    /// Returns what the operator says.
    pub(super) const fn instruction(&self) -> Option<&'static str> {
        match self {
            Self::Words(_) => Some("Answer with one JSON object and nothing else."),
            Self::Own(_) | Self::Function(_) => None,
        }
    }
}

/// Where settings are written to, and what decides about them.
pub(super) struct Settings<'o, 'w, 'r, 'a> {
    pub(super) out: &'o mut PartWriter<'w>,
    pub(super) capabilities: Capabilities,
    pub(super) extras: &'r Extras<'a>,
}

impl Settings<'_, '_, '_, '_> {
    pub(super) fn open(&mut self) {
        self.out.writer.object("generationConfig");
    }

    pub(super) fn close(&mut self) {
        self.inside("generationConfig.");
        self.out.writer.end_object();
    }

    /// Writes what nobody understood of an object inside.
    fn inside(&mut self, path: &str) {
        for (name, extra) in under(path, self.extras).filter(|_| self.out.is_same) {
            self.out.writer.key(name).json(&extra.value);
        }
    }

    pub(super) fn limit(&mut self, limit: Option<&Given<u64>>, most: Option<u64>) {
        let Some(limit) = limit else { return };
        let most = most.unwrap_or(u64::MAX);
        if limit.value > most {
            self.out.losses.approximated(limit.at);
        }
        self.out.writer.key("maxOutputTokens").count(limit.value.min(most));
    }

    pub(super) fn sampling(&mut self, sampling: &Sampling<'_>, logprobs: &Logprobs) {
        let Sampling { temperature, top_p, top_k, presence_penalty, frequency_penalty, seed, logit_bias, candidates } = sampling;
        let Logprobs { is_wanted, top } = logprobs;
        self.number("temperature", temperature.as_ref());
        self.number("topP", top_p.as_ref());
        self.number("topK", top_k.as_ref());
        self.number("presencePenalty", presence_penalty.as_ref());
        self.number("frequencyPenalty", frequency_penalty.as_ref());
        // 32 bits, with a sign; a larger one is refused.
        let fits = |seed: &Given<Number<'_>>| self.out.is_same || seed.value.as_str().parse::<i32>().is_ok();
        let (seed, large) = if seed.as_ref().is_none_or(fits) { (seed.as_ref(), None) } else { (None, seed.as_ref()) };
        self.number("seed", seed);
        self.out.losses.without(large);
        self.out.losses.without(logit_bias.as_ref());
        if let Some(candidates) = candidates.filter(|candidates| self.out.is_same || candidates.value != 1) {
            self.out.writer.key("candidateCount").count(candidates.value);
        }
        if let Some(wanted) = is_wanted {
            self.out.writer.key("responseLogprobs").bool(wanted.value);
        }
        if let Some(top) = top {
            self.out.writer.key("logprobs").count(top.value);
        }
    }

    fn number(&mut self, name: &str, number: Option<&Given<Number<'_>>>) {
        if let Some(number) = number {
            self.out.writer.key(name).number(number.value);
        }
    }

    pub(super) fn stop(&mut self, stop: &[Given<Text<'_>>]) {
        if stop.is_empty() {
            return;
        }
        self.out.writer.array("stopSequences");
        for (index, text) in stop.iter().enumerate() {
            // Another client's sixth must not sink the request.
            if index < MOST_STOPS || self.out.is_same {
                self.out.writer.text(&text.value);
            } else {
                self.out.losses.unsupported(text.at);
            }
        }
        self.out.writer.end_array();
    }

    pub(super) fn output(&mut self, shape: &Shape<'_, '_>) {
        let output = match shape {
            Shape::Own(None) => return,
            Shape::Own(Some(output)) => output,
            Shape::Words(output) | Shape::Function(output) => return self.words_about(output, true),
        };
        self.words_about(output, false);
        let media_type = if output.value == Output::Text { "text/plain" } else { "application/json" };
        if output.value != Output::Text || self.out.is_same {
            self.out.writer.key("responseMimeType").text(media_type);
        }
        if let Output::JsonSchema { schema, .. } = &output.value {
            self.out.writer.key("responseJsonSchema").json(schema);
        }
    }

    /// Tells what an output says that is not sent.
    fn words_about(&mut self, output: &Given<Output<'_>>, is_emulated: bool) {
        if is_emulated {
            self.out.losses.approximated(output.at);
        }
        let Output::JsonSchema { name, description, schema: _, strict } = &output.value else { return };
        for text in [name, description].into_iter().flatten() {
            self.out.losses.approximated(text.at);
        }
        // This format always keeps to the schema.
        if let Some(strict) = strict.filter(|strict| !strict.value) {
            self.out.losses.approximated(strict.at);
        }
    }

    pub(super) fn reasoning(&mut self, reasoning: &Reasoning<'_>) {
        let Reasoning { mode, effort, display } = reasoning;
        let path = "generationConfig.thinkingConfig.";
        let has_extras = self.out.is_same && under(path, self.extras).next().is_some();
        let plan = if self.out.is_same { same(*mode, *effort) } else { self.plan(*mode, *effort) };
        let is_off = matches!(mode, Some(Given { value: ReasoningMode::Off, .. }));
        let shows = match display.as_ref().map(|display| &*display.value) {
            Some("omitted") => Some(false),
            Some(_) => Some(true),
            // Who asks for thinking in another format reads what was thought.
            None => (!self.out.is_same && (mode.is_some() || effort.is_some()) && !is_off).then_some(true),
        };
        if self.capabilities.thinking == Thinking::None && !self.out.is_same {
            return self.out.losses.without(display.as_ref());
        }
        if plan == Plan::default() && shows.is_none() && !has_extras {
            return;
        }
        if let Some(display) = display.as_ref().filter(|display| !matches!(&*display.value, "summarized" | "omitted")) {
            self.out.losses.approximated(display.at);
        }
        self.out.writer.object("thinkingConfig");
        if let Some(shows) = shows {
            self.out.writer.key("includeThoughts").bool(shows);
        }
        match plan.budget {
            Some(Budget::Dynamic) => self.out.writer.key("thinkingBudget").raw("-1"),
            Some(Budget::Tokens(tokens)) => self.out.writer.key("thinkingBudget").count(tokens),
            None => {}
        }
        if let Some(level) = plan.level {
            self.out.writer.key("thinkingLevel").text(level_word(level));
        }
        self.inside(path);
        self.out.writer.end_object();
    }

    /// Decides how another format's wish to think is said to this model.
    fn plan(&mut self, mode: Option<Given<ReasoningMode>>, effort: Option<Given<Effort>>) -> Plan {
        let Some(at) = effort.map(|effort| effort.at).or_else(|| mode.map(|mode| mode.at)) else { return Plan::default() };
        let is_off = matches!(mode, Some(Given { value: ReasoningMode::Off, .. }));
        let budget = mode.and_then(|mode| if let ReasoningMode::Budget(tokens) = mode.value { Some(tokens) } else { None });
        match self.capabilities.thinking {
            Thinking::None => {
                self.out.losses.without(effort.as_ref());
                self.out.losses.without(mode.filter(|_| !is_off).as_ref());
                Plan::default()
            }
            Thinking::Budget { least, most, can_be_off } if is_off => {
                self.out.losses.without(effort.as_ref());
                if !can_be_off {
                    self.out.losses.approximated(mode.map_or(at, |mode| mode.at));
                }
                Plan::tokens(if can_be_off { 0 } else { least.min(most) })
            }
            Thinking::Budget { least, most, .. } => {
                let Some(wanted) = budget.or_else(|| effort.map(|effort| effort.value.budget())) else {
                    return Plan { budget: Some(Budget::Dynamic), level: None };
                };
                let sent = wanted.clamp(least, most);
                if let Some(effort) = effort {
                    self.out.losses.approximated(effort.at);
                } else if sent != wanted {
                    self.out.losses.approximated(at);
                }
                Plan::tokens(sent)
            }
            Thinking::Levels(levels) => {
                self.out.losses.without(effort.filter(|_| is_off).as_ref());
                let wanted = if is_off { Some(Effort::Minimal) } else { effort.map(|effort| effort.value) };
                let wanted = wanted.or_else(|| budget.map(Effort::of_budget));
                // As it sees fit is what it does unless told otherwise.
                let Some(wanted) = wanted else { return Plan::default() };
                let sent = nearest(wanted, levels);
                let is_exact = sent == wanted && effort.is_some();
                if budget.is_some() || is_off {
                    self.out.losses.approximated(mode.map_or(at, |mode| mode.at));
                }
                if !is_exact && !is_off {
                    self.out.losses.approximated(at);
                }
                Plan { budget: None, level: Some(sent) }
            }
        }
    }

    pub(super) fn identity(&mut self, identity: &Identity<'_>, tier: Option<&Given<ServiceTier<'_>>>) {
        let Identity { user, safety_id, metadata, store } = identity;
        self.out.losses.without(user.as_ref());
        self.out.losses.without(safety_id.as_ref());
        self.out.losses.without(metadata.as_ref());
        match store {
            Some(store) if self.out.is_same => self.out.writer.key("store").bool(store.value),
            store => self.out.losses.without(store.filter(|store| store.value).as_ref()),
        }
        let word = match tier.map(|tier| (&tier.value, tier.at)) {
            // The project's own setting, which is what comes without the word too.
            None | Some((ServiceTier::Auto, _)) => return,
            Some((ServiceTier::Standard, _)) => "standard",
            Some((ServiceTier::Flex, _)) => "flex",
            Some((ServiceTier::Priority, _)) => "priority",
            Some((ServiceTier::Other(word), _)) if self.out.is_same => word,
            Some((ServiceTier::Other(_), at)) => return self.out.losses.unsupported(at),
        };
        self.out.writer.key("serviceTier").text(word);
    }

    /// The provider caches on its own; what else a client says about it has no place here.
    pub(super) fn caching(&mut self, caching: &Caching<'_>, verbosity: Option<&Given<Text<'_>>>) {
        let Caching { automatic, key, retention, options } = caching;
        if let Some(automatic) = automatic {
            self.out.losses.approximated(automatic.at);
        }
        self.out.losses.without(key.as_ref());
        self.out.losses.without(retention.as_ref());
        self.out.losses.without(options.as_ref());
        self.out.losses.without(verbosity);
    }
}

/// A budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Budget {
    Dynamic,
    Tokens(u64),
}

/// What is said about thinking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Plan {
    budget: Option<Budget>,
    level: Option<Effort>,
}

impl Plan {
    const fn tokens(tokens: u64) -> Self {
        Self { budget: Some(Budget::Tokens(tokens)), level: None }
    }
}

fn same(mode: Option<Given<ReasoningMode>>, effort: Option<Given<Effort>>) -> Plan {
    let budget = mode.map(|mode| match mode.value {
        ReasoningMode::Off => Budget::Tokens(0),
        ReasoningMode::Adaptive => Budget::Dynamic,
        ReasoningMode::Budget(tokens) => Budget::Tokens(tokens),
    });
    Plan { budget, level: effort.map(|effort| effort.value) }
}

/// Returns the level nearest to an effort; of two that are equally near, the cheaper one.
fn nearest(wanted: Effort, levels: &[Effort]) -> Effort {
    let distance = |level: &Effort| (*level as i32).abs_diff(wanted as i32);
    levels.iter().copied().min_by_key(distance).unwrap_or(wanted)
}

const fn level_word(level: Effort) -> &'static str {
    match level {
        Effort::Minimal => "MINIMAL",
        Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High => "HIGH",
        Effort::XHigh | Effort::Max => "XHIGH",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_level_is_chosen_and_the_cheaper_of_two() {
        let all = [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High];
        for (wanted, levels, sent) in [
            (Effort::Max, &all[..], Effort::High),
            (Effort::Minimal, &all[1..], Effort::Low),
            (Effort::Medium, &[Effort::Low, Effort::High][..], Effort::Low),
            (Effort::XHigh, &[Effort::Low, Effort::High][..], Effort::High),
        ] {
            assert_eq!(nearest(wanted, levels), sent, "{wanted:?}");
        }
        let mode = Given::new(ReasoningMode::Adaptive, crate::wire::json::Place::NOWHERE);
        assert_eq!(same(Some(mode), None), Plan { budget: Some(Budget::Dynamic), level: None });
    }
}
