//! Gives signatures back to the parts that they came with.
//!
//! In the middle form a signature of a call or a text is a part of its own, in front of it. Formats that keep the order of parts bring it back
//! there; OpenAI's chat keeps thoughts, text and calls in three members, so that a signature may come back too early.

use std::collections::BTreeSet;

use crate::wire::Format;
use crate::wire::gemini::signature;
use crate::wire::ir::{Content, Maker, Part, Signature};
use crate::wire::json::Text;

/// For each part of a turn, the signature that is written with it; for a signature that belongs to no part, the signature itself.
pub(in crate::wire::gemini) fn place<'r>(parts: &[&'r Part<'_>], format: Format) -> Vec<Option<Text<'r>>> {
    let mut placed: Vec<Option<&Signature<'_>>> = vec![None; parts.len()];
    let mut pending: Option<(usize, &Signature<'_>)> = None;
    for (index, part) in parts.iter().enumerate() {
        let at = match &part.content {
            Content::RedactedThinking { data } if data.maker == Maker::Gemini => {
                if let Some((alone, earlier)) = pending.replace((index, data)) {
                    set(&mut placed, alone, earlier);
                }
                continue;
            }
            // Thoughts have signatures of their own, and one that stands before them is no part's.
            Content::Thinking { .. } | Content::RedactedThinking { .. } | Content::Opaque { .. } | Content::ToolResult(_) => {
                if let Some((alone, earlier)) = pending.take() {
                    set(&mut placed, alone, earlier);
                }
                continue;
            }
            Content::Text { .. }
            | Content::Refusal { .. }
            | Content::Image { .. }
            | Content::Audio { .. }
            | Content::Video { .. }
            | Content::Document { .. }
            | Content::ToolCall(_) => index,
        };
        if let Some((_, data)) = pending.take() {
            set(&mut placed, at, data);
        }
    }
    if let Some((alone, data)) = pending {
        set(&mut placed, alone, data);
    }
    if format == Format::OpenaiChat {
        give_to_first_call(&mut placed, parts);
    }
    forget_doubles(&mut placed, parts);
    placed.into_iter().map(|signature| signature.map(signature::spell)).collect()
}

fn set<'s, 'a>(placed: &mut [Option<&'s Signature<'a>>], index: usize, signature: &'s Signature<'a>) {
    if let Some(place) = placed.get_mut(index) {
        *place = Some(signature);
    }
}

const fn is_call(part: &Part<'_>) -> bool {
    matches!(part.content, Content::ToolCall(_))
}

/// The provider signs the first call of a turn that has calls, and refuses the turn where the signature stands elsewhere.
fn give_to_first_call(placed: &mut [Option<&Signature<'_>>], parts: &[&Part<'_>]) {
    let Some(first) = parts.iter().position(|part| is_call(part)) else { return };
    if placed.get(first).is_none_or(|signature| signature.is_some()) {
        return;
    }
    let before = placed.get_mut(..first).unwrap_or_default();
    let last = before.iter_mut().rev().find_map(Option::take);
    if let (Some(signature), Some(place)) = (last, placed.get_mut(first)) {
        *place = Some(signature);
    }
}

/// A client may send one signature in two spellings; the call's own counts.
fn forget_doubles(placed: &mut [Option<&Signature<'_>>], parts: &[&Part<'_>]) {
    let of_calls: BTreeSet<&str> =
        placed.iter().zip(parts).filter(|(_, part)| is_call(part)).filter_map(|(place, _)| place.map(|it| &*it.value)).collect();
    for (place, _) in placed.iter_mut().zip(parts).filter(|(_, part)| !is_call(part)) {
        if place.is_some_and(|signature| of_calls.contains(&*signature.value)) {
            *place = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ir::ToolCall;
    use crate::wire::json::Place;

    fn signed(value: &'static str) -> Part<'static> {
        Part::new(Content::RedactedThinking { data: Signature { value: value.into(), maker: Maker::Gemini } }, Place::NOWHERE)
    }

    fn text() -> Part<'static> {
        Part::text("t".into(), Place::NOWHERE)
    }

    fn call() -> Part<'static> {
        let call = ToolCall { id: "".into(), name: "f".into(), input: "{}".into(), is_custom: false };
        Part::new(Content::ToolCall(call), Place::NOWHERE)
    }

    fn placed(parts: &[Part<'static>], format: Format) -> Vec<Option<String>> {
        place(&parts.iter().collect::<Vec<_>>(), format).into_iter().map(|text| text.map(Text::into_owned)).collect()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_signature_goes_to_the_next_part_or_stands_alone_at_the_end() {
        let parts = [signed("a"), text(), signed("b"), call(), call(), signed("c")];
        let expected = [None, some("a"), None, some("b"), None, some("c")];
        assert_eq!(placed(&parts, Format::Gemini), expected);
        assert_eq!(placed(&parts, Format::Anthropic), expected);
        assert_eq!(placed(&[signed("a"), signed("b"), text()], Format::Gemini), [some("a"), None, some("b")]);
    }

    #[test]
    fn a_signature_that_came_back_too_early_goes_to_the_first_call() {
        assert_eq!(placed(&[signed("a"), text(), call(), call()], Format::OpenaiChat), [None, None, some("a"), None]);
        assert_eq!(placed(&[signed("a"), text()], Format::OpenaiChat), [None, some("a")]);
    }

    #[test]
    fn a_signature_that_came_twice_is_the_calls() {
        assert_eq!(placed(&[signed("a"), text(), signed("a"), call()], Format::OpenaiChat), [None, None, None, some("a")]);
    }
}
