//! A whole answer.

use super::{Content, Part, Usage};
use crate::wire::Format;
use crate::wire::json::{Extras, Json, Text};

/// An answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Response<'a> {
    /// The upstream's format; only its encoder writes the extras.
    pub format: Format,
    /// The body, which every place points into.
    pub source: &'a str,
    /// The upstream's id of the answer; empty where it gave none.
    pub id: Text<'a>,
    /// The model that answered; empty where the upstream does not say.
    pub model: Text<'a>,
    /// When, in seconds since 1970.
    pub created: Option<u64>,
    /// The answers; one unless more were asked for.
    pub choices: Vec<Choice<'a>>,
    /// What was used, where the upstream says.
    pub usage: Option<Usage>,
    /// How it was queued and billed: in OpenAI's word where it has one, otherwise in the upstream's.
    pub service_tier: Option<Text<'a>>,
    /// What nobody understood.
    pub extras: Extras<'a>,
}

/// One of the answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice<'a> {
    /// What it says.
    pub parts: Vec<Part<'a>>,
    /// Why it ended.
    pub finish: Finish<'a>,
    /// How likely its tokens were, in OpenAI's shape.
    pub logprobs: Option<Json<'a>>,
    /// What nobody understood of it.
    pub extras: Extras<'a>,
    /// What nobody understood of the message in it.
    pub message_extras: Extras<'a>,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish<'a> {
    /// In our words.
    pub reason: FinishReason,
    /// In the upstream's word, where ours is coarser or it has none.
    pub raw: Option<Text<'a>>,
    /// The stop sequence that was met.
    pub stop_sequence: Option<Text<'a>>,
}

impl Response<'_> {
    /// Turns the call of the tool that stands for JSON output back into the text that was asked for.
    pub fn unwrap_tool(&mut self, name: &str) {
        for choice in &mut self.choices {
            let mut others = false;
            for part in &mut choice.parts {
                match &mut part.content {
                    Content::ToolCall(call) if call.name == name => {
                        let text = std::mem::take(&mut call.input);
                        part.content = Content::Text { text, citations: Vec::new() };
                    }
                    Content::ToolCall(_) => others = true,
                    _ => {}
                }
            }
            if !others && choice.finish.reason == FinishReason::ToolCalls {
                choice.finish.reason = FinishReason::Stop;
            }
        }
    }
}

impl<'a> Finish<'a> {
    /// Makes a finish that says no more than its reason.
    pub const fn new(reason: FinishReason) -> Self {
        Self { reason, raw: None, stop_sequence: None }
    }

    /// Copies what is borrowed.
    pub fn into_owned(self) -> Finish<'static> {
        let own = |text: Text<'a>| Text::Owned(text.into_owned());
        Finish { reason: self.reason, raw: self.raw.map(own), stop_sequence: self.stop_sequence.map(own) }
    }

    /// Corrects the reason by what was seen: an answer that calls tools ends with them, whatever the upstream says (Gemini says `STOP`, and
    /// agents that read `stop` never run their tools). An answer that was cut short stays cut short, for its last call may be broken.
    #[must_use]
    pub fn with_tool_calls(mut self, calls_tools: bool) -> Self {
        if calls_tools && matches!(self.reason, FinishReason::Stop | FinishReason::StopSequence | FinishReason::Other) {
            self.reason = FinishReason::ToolCalls;
        }
        self
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// A stop sequence was met.
    StopSequence,
    /// It reached the most tokens that it may have.
    Length,
    /// It reached the end of the model's window.
    ContextWindow,
    /// It calls tools.
    ToolCalls,
    /// The provider's filter cut it.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// The provider pauses a long turn, to be continued by sending it back.
    Pause,
    /// None of these.
    Other,
}
