//! How a wish to think is said to a Claude model, wherever it runs.

use super::models::Capabilities;
use crate::wire::ir::{Content, Effort, Losses, Reasoning, ReasoningMode};
use crate::wire::json::{Given, Place};
use crate::wire::turns::{Conversation, Speaker};

/// The smallest budget that is accepted.
const LEAST_BUDGET: u64 = 1_024;

/// What is said about thinking.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::wire) struct Thinking {
    pub(in crate::wire) mode: Option<ReasoningMode>,
    pub(in crate::wire) effort: Option<Effort>,
}

impl Thinking {
    /// Says what the client said in Anthropic's own words.
    pub(in crate::wire) fn as_asked(reasoning: &Reasoning<'_>) -> Self {
        Self { mode: reasoning.mode.map(|mode| mode.value), effort: reasoning.effort.map(|effort| effort.value) }
    }

    /// Returns whether the model will think.
    pub(in crate::wire) const fn thinks(&self) -> bool {
        matches!(self.mode, Some(ReasoningMode::Adaptive | ReasoningMode::Budget(_)))
    }
}

/// Decides what is said.
pub(in crate::wire) struct Planner<'p, 'c> {
    pub(in crate::wire) losses: &'p mut Losses,
    pub(in crate::wire) capabilities: Capabilities,
    pub(in crate::wire) conversation: &'p Conversation<'c, 'c>,
}

impl Planner<'_, '_> {
    /// Decides how another format's wish to think is said to this model.
    pub(in crate::wire) fn plan(&mut self, reasoning: &Reasoning<'_>, limit: u64) -> Thinking {
        let Reasoning { mode, effort, display: _ } = reasoning;
        let (mode, effort) = (*mode, *effort);
        let Some(at) = effort.map(|effort| effort.at).or_else(|| mode.map(|mode| mode.at)) else {
            return Thinking::default();
        };
        if let Some(Given { value: ReasoningMode::Off, .. }) = mode {
            self.losses.without(effort.as_ref());
            // Older models think only when they are told to.
            return Thinking { mode: self.capabilities.adaptive.then_some(ReasoningMode::Off), effort: None };
        }
        let wanted = effort.map(|effort| effort.value);
        let budget = mode.and_then(|mode| if let ReasoningMode::Budget(tokens) = mode.value { Some(tokens) } else { None });
        if self.capabilities.adaptive {
            let effort = wanted.or_else(|| budget.map(Effort::of_budget));
            if budget.is_some() {
                self.losses.approximated(mode.map_or(at, |mode| mode.at));
            }
            return Thinking { mode: Some(ReasoningMode::Adaptive), effort: effort.map(|effort| self.effort(effort, at)) };
        }
        let tokens = budget.or_else(|| wanted.map(Effort::budget)).unwrap_or_else(|| Effort::Medium.budget());
        let budget_at = mode.filter(|_| budget.is_some()).map_or(at, |mode| mode.at);
        let mut thinking = self.budget(tokens, budget.is_some(), limit, budget_at);
        match effort.filter(|_| budget.is_some()) {
            // Some models take both.
            Some(effort) if self.capabilities.effort => thinking.effort = Some(self.effort(effort.value, effort.at)),
            other => self.losses.without(other.as_ref()),
        }
        thinking
    }

    fn budget(&mut self, tokens: u64, is_exact: bool, limit: u64, at: Place) -> Thinking {
        // Thinking in the middle of a loop of tools needs the thoughts that began it, and another format's history has none.
        let lacks_thoughts = self.is_in_tool_loop_without_thoughts();
        if !self.capabilities.budget || limit <= LEAST_BUDGET || lacks_thoughts {
            self.losses.unsupported(at);
            return Thinking::default();
        }
        // The budget is part of the limit, and the limit is the client's money: it is never raised.
        let most = (limit / 2).max(LEAST_BUDGET);
        let sent = if tokens < limit { tokens.max(LEAST_BUDGET) } else { most };
        if !is_exact || sent != tokens {
            self.losses.approximated(at);
        }
        Thinking { mode: Some(ReasoningMode::Budget(sent)), effort: None }
    }

    fn is_in_tool_loop_without_thoughts(&self) -> bool {
        let turns = &self.conversation.turns;
        let Some(last) = turns.iter().rev().find(|turn| turn.speaker == Speaker::Assistant) else { return false };
        let calls = last.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
        let is_open = turns.last().is_some_and(|turn| turn.parts.iter().any(|part| matches!(part.content, Content::ToolResult(_))));
        let thinks = last.parts.iter().any(|part| matches!(part.content, Content::Thinking { .. } | Content::RedactedThinking { .. }));
        calls && is_open && !thinks
    }

    fn effort(&mut self, effort: Effort, at: Place) -> Effort {
        let sent = match effort {
            Effort::Minimal => Effort::Low,
            Effort::XHigh if !self.capabilities.xhigh => Effort::Max,
            Effort::Low | Effort::Medium | Effort::High | Effort::XHigh | Effort::Max => effort,
        };
        if sent != effort {
            self.losses.approximated(at);
        }
        sent
    }
}
