//! Puts the parts of a stream one behind the other, for formats whose clients read one part at a time.
//!
//! Rule: the part that opened first is told as it comes; those that open meanwhile wait for it, and what waits is counted.

use std::collections::VecDeque;

use super::ir::{Delta, PartStart};

/// What a waiting part counts for, besides what is said in it.
const PART_BYTES: usize = 256;

/// What is told of the part whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::wire) enum Step<'s, 'e> {
    /// It begins.
    Start(&'s PartStart<'e>),
    /// More of it.
    Delta(&'s Delta<'e>),
    /// It is whole.
    End,
}

/// Takes the steps, one by one.
pub(in crate::wire) type Steps<'f> = dyn FnMut(Step<'_, '_>) + 'f;

/// The open part, and those that wait for it.
#[derive(Debug, Default)]
pub(in crate::wire) struct Sequence {
    parts: VecDeque<Part>,
    held: usize,
}

#[derive(Debug)]
struct Part {
    number: u32,
    /// Where the part still waits.
    start: Option<PartStart<'static>>,
    waiting: Vec<Delta<'static>>,
    has_ended: bool,
}

impl Sequence {
    /// A part opens.
    pub(in crate::wire) fn start(&mut self, number: u32, start: &PartStart<'_>, steps: &mut Steps<'_>) {
        let waits = !self.parts.is_empty();
        if waits {
            self.held += PART_BYTES;
        } else {
            steps(Step::Start(start));
        }
        let start = waits.then(|| start.clone().into_owned());
        self.parts.push_back(Part { number, start, waiting: Vec::new(), has_ended: false });
    }

    /// More of an open part.
    pub(in crate::wire) fn delta(&mut self, number: u32, delta: &Delta<'_>, steps: &mut Steps<'_>) {
        let Some(part) = self.parts.iter_mut().find(|part| part.number == number) else { return };
        if part.start.is_none() {
            return steps(Step::Delta(delta));
        }
        self.held += delta.bytes();
        part.waiting.push(delta.clone().into_owned());
    }

    /// A part is whole.
    pub(in crate::wire) fn end(&mut self, number: u32, steps: &mut Steps<'_>) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.number == number) {
            part.has_ended = true;
        }
        while self.parts.pop_front_if(|part| part.has_ended).is_some() {
            steps(Step::End);
            let Some(next) = self.parts.front_mut() else { return };
            self.held = self.held.saturating_sub(PART_BYTES);
            if let Some(start) = next.start.take() {
                steps(Step::Start(&start));
            }
            for delta in std::mem::take(&mut next.waiting) {
                self.held = self.held.saturating_sub(delta.bytes());
                steps(Step::Delta(&delta));
            }
        }
    }

    /// Returns the bytes that wait.
    pub(in crate::wire) const fn held_bytes(&self) -> usize {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_interleave_are_told_one_behind_the_other() {
        let mut sequence = Sequence::default();
        let mut told = Vec::new();
        let mut steps = |step: Step<'_, '_>| {
            told.push(match step {
                Step::Start(PartStart::ToolCall { name, .. }) => format!("start {name}"),
                Step::Start(_) => "start".to_owned(),
                Step::Delta(Delta::Input(input)) => format!("input {input}"),
                Step::Delta(_) => "delta".to_owned(),
                Step::End => "end".to_owned(),
            });
        };
        let call = |name: &'static str| PartStart::ToolCall { id: "".into(), name: name.into(), is_custom: false };
        let input = |text: &'static str| Delta::Input(text.into());
        sequence.start(0, &call("a"), &mut steps);
        sequence.start(1, &call("b"), &mut steps);
        sequence.start(2, &call("c"), &mut steps);
        sequence.delta(1, &input("1"), &mut steps);
        sequence.delta(0, &input("0"), &mut steps);
        sequence.end(1, &mut steps);
        assert_eq!(sequence.held_bytes(), 2 * PART_BYTES + 1);
        sequence.end(0, &mut steps);
        sequence.delta(2, &input("2"), &mut steps);
        sequence.end(2, &mut steps);
        assert_eq!(sequence.held_bytes(), 0);
        assert_eq!(told, ["start a", "input 0", "end", "start b", "input 1", "end", "start c", "input 2", "end"]);
    }
}
