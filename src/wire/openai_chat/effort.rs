//! How hard a model is told to think: one decision for both of OpenAI's formats.

use super::models::{self, Reasons};
use crate::wire::ir::{Effort, Losses, ReasoningMode};
use crate::wire::json::{Given, Place};

/// What a model is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) enum Said {
    /// A word: an effort, or `none`.
    Effort(&'static str),
    /// Tokens.
    Budget(u64),
}

/// What a model is told, and whether it reasons then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) struct Plan {
    pub(in crate::wire) said: Option<Said>,
    pub(in crate::wire) reasons: bool,
}

/// For whom the decision is made.
#[derive(Debug, Clone, Copy)]
pub(in crate::wire) struct Thinker<'m> {
    pub(in crate::wire) model: &'m str,
    /// The client speaks the format too.
    pub(in crate::wire) is_same: bool,
    /// The server takes tokens beside efforts.
    pub(in crate::wire) takes_budgets: bool,
}

impl Thinker<'_> {
    /// Decides what is said, and tells what is not said as the client wrote it.
    pub(in crate::wire) fn plan(self, mode: Option<&Given<ReasoningMode>>, effort: Option<&Given<Effort>>, losses: &mut Losses) -> Plan {
        let kind = models::reasons(self.model);
        if kind == Reasons::Never {
            losses.without(effort);
            losses.without(mode.filter(|mode| mode.value != ReasoningMode::Off));
            return Plan { said: None, reasons: false };
        }
        match (mode.map(|mode| (mode.value, mode.at)), effort) {
            (None, None) => Plan { said: None, reasons: matches!(kind, Reasons::Always | Reasons::UnlessOff) },
            (Some((ReasoningMode::Off, at)), effort) => {
                losses.without(effort);
                self.off(kind, at, losses)
            }
            (mode, Some(effort)) => {
                // The effort says it; a budget beside it is only as near as the effort.
                if let Some((ReasoningMode::Budget(_), at)) = mode {
                    losses.approximated(at);
                }
                self.effort(effort.value, effort.at, losses)
            }
            (Some((ReasoningMode::Budget(tokens), _)), None) if self.takes_budgets => {
                Plan { said: Some(Said::Budget(tokens)), reasons: true }
            }
            (Some((ReasoningMode::Budget(tokens), at)), None) => {
                losses.approximated(at);
                self.effort(Effort::of_budget(tokens), at, losses)
            }
            (Some((ReasoningMode::Adaptive, at)), None) => {
                losses.approximated(at);
                self.effort(Effort::Medium, at, losses)
            }
        }
    }

    fn off(self, kind: Reasons, at: Place, losses: &mut Losses) -> Plan {
        let none = Plan { said: Some(Said::Effort("none")), reasons: false };
        match kind {
            // It does not reason unless asked; an older one would refuse the word.
            Reasons::Never | Reasons::WhenAsked => Plan { said: None, reasons: false },
            Reasons::UnlessOff => none,
            // A server that we do not know may refuse the word, so it gets it only from a client that speaks its format.
            Reasons::Unknown if self.is_same => none,
            Reasons::Unknown => {
                losses.unsupported(at);
                Plan { said: None, reasons: false }
            }
            Reasons::Always => {
                losses.approximated(at);
                let least = if models::knows_minimal(self.model) { Effort::Minimal } else { Effort::Low };
                Plan { said: Some(Said::Effort(least.as_str())), reasons: true }
            }
        }
    }

    /// Chooses the nearest effort that the model knows.
    fn effort(self, effort: Effort, at: Place, losses: &mut Losses) -> Plan {
        let known = models::reasons(self.model) != Reasons::Unknown;
        let sent = match effort {
            Effort::Minimal if known && !models::knows_minimal(self.model) => Effort::Low,
            Effort::Minimal if !known && !self.is_same => Effort::Low,
            Effort::XHigh | Effort::Max if known && models::knows_xhigh(self.model) => Effort::XHigh,
            Effort::XHigh | Effort::Max if known || !self.is_same => Effort::High,
            Effort::Minimal | Effort::Low | Effort::Medium | Effort::High | Effort::XHigh | Effort::Max => effort,
        };
        if sent != effort {
            losses.approximated(at);
        }
        Plan { said: Some(Said::Effort(sent.as_str())), reasons: true }
    }
}
