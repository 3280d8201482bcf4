//! The laws of a stream, checked event by event.

use std::collections::BTreeMap;

use super::{Delta, Event, PartStart};

/// A law that a stream broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// Something before the start.
    #[error("something stands before the start")]
    BeforeStart,
    /// A second start.
    #[error("the stream starts twice")]
    StartTwice,
    /// Something after the end.
    #[error("something stands behind the end")]
    AfterEnd,
    /// A part's number is not the next one.
    #[error("a part's number is not the next one")]
    Number,
    /// A delta or an end for a part that is not open.
    #[error("a part is used that is not open")]
    NotOpen,
    /// A delta of another kind than its part.
    #[error("a delta is of another kind than its part")]
    Kind,
    /// A finish while a part is open.
    #[error("an answer finishes while a part of it is open")]
    OpenAtFinish,
    /// Something of an answer behind its finish.
    #[error("something of an answer stands behind its finish")]
    AfterFinish,
    /// The end comes while an answer has not finished.
    #[error("the stream ends before every answer has finished")]
    Unfinished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Whole,
    Refusal,
    ToolCall,
    Opaque,
}

#[derive(Debug, Default)]
struct ChoiceState {
    parts: u32,
    open: BTreeMap<u32, Kind>,
    finished: bool,
}

/// Watches a stream. Costs a map lookup per event; meant for tests and debug builds.
#[derive(Debug, Default)]
pub struct Laws {
    started: bool,
    ended: bool,
    choices: BTreeMap<u32, ChoiceState>,
}

impl Laws {
    /// Checks the next event.
    ///
    /// # Errors
    /// The law that it breaks.
    pub fn observe(&mut self, event: &Event<'_>) -> Result<(), Breach> {
        if self.ended {
            return Err(Breach::AfterEnd);
        }
        match event {
            Event::Ping => return Ok(()),
            Event::Start { .. } if self.started => return Err(Breach::StartTwice),
            Event::Start { .. } => {
                self.started = true;
                return Ok(());
            }
            _ if !self.started => return Err(Breach::BeforeStart),
            _ => {}
        }
        match event {
            Event::PartStart { choice, part, start } => self.live(*choice)?.begin(*part, kind_of(start)),
            Event::Delta { choice, part, delta } => self.live(*choice)?.delta(*part, delta),
            Event::PartEnd { choice, part } => self.live(*choice)?.open.remove(part).map(|_| ()).ok_or(Breach::NotOpen),
            Event::Logprobs { choice, .. } => self.live(*choice).map(|_| ()),
            Event::Finish { choice, .. } => self.live(*choice)?.finish(),
            Event::End => self.end(),
            Event::Usage(_) | Event::ServiceTier(_) | Event::Start { .. } | Event::Ping => Ok(()),
        }
    }

    fn live(&mut self, choice: u32) -> Result<&mut ChoiceState, Breach> {
        let state = self.choices.entry(choice).or_default();
        if state.finished { Err(Breach::AfterFinish) } else { Ok(state) }
    }

    fn end(&mut self) -> Result<(), Breach> {
        self.ended = true;
        // A stream without an answer has not finished one.
        if self.choices.is_empty() || self.choices.values().any(|choice| !choice.finished) {
            return Err(Breach::Unfinished);
        }
        Ok(())
    }
}

impl ChoiceState {
    fn begin(&mut self, part: u32, kind: Kind) -> Result<(), Breach> {
        if part != self.parts {
            return Err(Breach::Number);
        }
        self.parts += 1;
        self.open.insert(part, kind);
        Ok(())
    }

    fn delta(&self, part: u32, delta: &Delta<'_>) -> Result<(), Breach> {
        let kind = self.open.get(&part).ok_or(Breach::NotOpen)?;
        let fits = match delta {
            Delta::Text(_) => matches!(kind, Kind::Text | Kind::Thinking | Kind::Refusal),
            Delta::Input(_) => matches!(kind, Kind::ToolCall),
            Delta::Signature(_) => matches!(kind, Kind::Thinking),
            Delta::Citation(_) => matches!(kind, Kind::Text),
            Delta::Opaque(_) => matches!(kind, Kind::Opaque),
        };
        if fits { Ok(()) } else { Err(Breach::Kind) }
    }

    fn finish(&mut self) -> Result<(), Breach> {
        self.finished = true;
        if self.open.is_empty() { Ok(()) } else { Err(Breach::OpenAtFinish) }
    }
}

const fn kind_of(start: &PartStart<'_>) -> Kind {
    match start {
        PartStart::Text => Kind::Text,
        PartStart::Thinking => Kind::Thinking,
        PartStart::RedactedThinking(_) | PartStart::Image(_) => Kind::Whole,
        PartStart::Refusal => Kind::Refusal,
        PartStart::ToolCall { .. } => Kind::ToolCall,
        PartStart::Opaque { .. } => Kind::Opaque,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Finish, FinishReason};
    use super::*;

    fn run(events: &[Event<'_>]) -> Result<(), Breach> {
        let mut laws = Laws::default();
        events.iter().try_for_each(|event| laws.observe(event))
    }

    fn start() -> Event<'static> {
        Event::Start { id: "".into(), model: "".into(), created: None }
    }

    fn open(part: u32) -> Event<'static> {
        Event::PartStart { choice: 0, part, start: PartStart::Text }
    }

    fn text(part: u32) -> Event<'static> {
        Event::Delta { choice: 0, part, delta: Delta::Text("a".into()) }
    }

    fn close(part: u32) -> Event<'static> {
        Event::PartEnd { choice: 0, part }
    }

    fn finish() -> Event<'static> {
        Event::Finish { choice: 0, finish: Finish::new(FinishReason::Stop) }
    }

    #[test]
    fn a_lawful_stream_passes_with_parts_that_interleave() {
        let tidy = [Event::Ping, start(), open(0), text(0), open(1), text(0), text(1), close(0), close(1), finish(), Event::End];
        assert_eq!(run(&tidy), Ok(()));
    }

    #[test]
    fn each_law_is_watched() {
        let input = Event::Delta { choice: 0, part: 0, delta: Delta::Input("{".into()) };
        for (events, breach) in [
            (vec![open(0)], Breach::BeforeStart),
            (vec![start(), start()], Breach::StartTwice),
            (vec![start(), open(1)], Breach::Number),
            (vec![start(), open(0), open(0)], Breach::Number),
            (vec![start(), text(0)], Breach::NotOpen),
            (vec![start(), open(0), close(0), text(0)], Breach::NotOpen),
            (vec![start(), open(0), close(0), close(0)], Breach::NotOpen),
            (vec![start(), open(0), input], Breach::Kind),
            (vec![start(), open(0), finish()], Breach::OpenAtFinish),
            (vec![start(), finish(), open(0)], Breach::AfterFinish),
            (vec![start(), finish(), finish()], Breach::AfterFinish),
            (vec![start(), Event::End], Breach::Unfinished),
            (vec![start(), open(0), close(0), Event::End], Breach::Unfinished),
            (vec![start(), finish(), Event::End, Event::Ping], Breach::AfterEnd),
        ] {
            assert_eq!(run(&events), Err(breach), "{events:?}");
        }
    }
}
