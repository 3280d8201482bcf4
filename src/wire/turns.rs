//! Puts a conversation into turns: instructions first, roles that alternate, results of tools first in their turn.

use crate::wire::ir::{Content, Losses, Message, Part, Role};
use crate::wire::json::{Extras, Place, Text};

/// Who has a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) enum Speaker {
    User,
    Assistant,
    /// The operator, in the middle of the conversation.
    System,
}

/// What one speaker says until another one does.
#[derive(Debug)]
pub(in crate::wire) struct Turn<'r, 'a> {
    pub(in crate::wire) speaker: Speaker,
    pub(in crate::wire) parts: Vec<&'r Part<'a>>,
    /// What nobody understood of the message; of several messages in one turn, the first one's.
    pub(in crate::wire) extras: Option<&'r Extras<'a>>,
    /// Where the turn's last message stands.
    pub(in crate::wire) at: Place,
}

/// A conversation in turns.
#[derive(Debug)]
pub(in crate::wire) struct Conversation<'r, 'a> {
    /// The operator's instructions before the conversation.
    pub(in crate::wire) system: Vec<&'r Part<'a>>,
    pub(in crate::wire) turns: Vec<Turn<'r, 'a>>,
}

/// Stands where the provider wants a user's turn and the client had none.
pub(in crate::wire) const PLACEHOLDER: Part<'static> = Part::text(Text::Borrowed("."), Place::NOWHERE);

/// What decides about turns.
#[derive(Debug, Clone, Copy)]
pub(in crate::wire) struct Rules {
    /// The model takes instructions in the middle where they are; otherwise they are said in the user's next turn.
    pub(in crate::wire) keeps_system: bool,
    /// The client speaks this format: its messages stay as they are, but for the results that were read as messages of their own.
    pub(in crate::wire) is_same: bool,
}

/// Puts messages into turns.
pub(in crate::wire) fn conversation<'r, 'a>(messages: &'r [Message<'a>], rules: Rules, losses: &mut Losses) -> Conversation<'r, 'a> {
    let mut conversation = Conversation { system: Vec::new(), turns: Vec::new() };
    for message in messages {
        let Message { role, parts, name, extras, at } = message;
        losses.without(name.as_ref());
        for part in parts.iter().filter(|part| is_blank(part)) {
            blank(part, losses);
        }
        let speaker = match role {
            Role::System | Role::Developer if conversation.turns.is_empty() => {
                losses.extras(extras);
                conversation.system.extend(parts);
                continue;
            }
            Role::System | Role::Developer if rules.keeps_system => Speaker::System,
            Role::System | Role::Developer => {
                losses.approximated(*at);
                Speaker::User
            }
            Role::User | Role::Tool => Speaker::User,
            Role::Assistant => Speaker::Assistant,
        };
        // A text of nothing is refused, and says nothing.
        parts.iter().filter(|part| is_blank(part)).for_each(|part| losses.blank(part));
        let said = parts.iter().filter(|part| !is_blank(part));
        let mut said = said.peekable();
        if said.peek().is_none() && extras.is_empty() {
            continue;
        }
        match conversation.turns.last_mut() {
            Some(turn) if turn.speaker == speaker && (!rules.is_same || turn.at == *at) => {
                turn.parts.extend(said);
                turn.at = *at;
                losses.extras(extras);
            }
            _ => conversation.turns.push(Turn { speaker, parts: said.collect(), extras: Some(extras), at: *at }),
        }
    }
    conversation.system.iter().filter(|part| is_blank(part)).for_each(|part| losses.blank(part));
    conversation.system.retain(|part| !is_blank(part));
    for turn in &mut conversation.turns {
        turn.parts.sort_by_key(|part| !matches!(part.content, Content::ToolResult(_)));
    }
    conversation
}

/// Tells what hangs on a text of nothing, which is left out.
fn blank(part: &Part<'_>, losses: &mut Losses) {
    losses.without(part.cache.as_ref());
    losses.extras(&part.extras);
    if let Content::Text { text: _, citations } = &part.content {
        for citation in citations {
            losses.unsupported(citation.at);
        }
    }
}

fn is_blank(part: &Part<'_>) -> bool {
    matches!(&part.content, Content::Text { text, .. } if text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::Route;
    use crate::wire::{Format, ir::Request};

    fn request(messages: &str) -> String {
        format!(r#"{{"model":"m","messages":[{messages}]}}"#)
    }

    fn shape(request: &Request<'_>, keeps_system: bool) -> (usize, Vec<(Speaker, usize)>) {
        let told = conversation(&request.messages, Rules { keeps_system, is_same: false }, &mut Losses::default());
        (told.system.len(), told.turns.iter().map(|turn| (turn.speaker, turn.parts.len())).collect())
    }

    #[test]
    fn neighbours_merge_and_results_stand_first_in_one_turn() {
        let body = request(
            r#"{"role":"system","content":"a"},{"role":"developer","content":"b"},{"role":"user","content":"c"},
            {"role":"assistant","content":null,"tool_calls":[{"id":"1","function":{"name":"f"}},{"id":"2","function":{"name":"f"}}]},
            {"role":"tool","tool_call_id":"1","content":"x"},{"role":"user","content":"d"},{"role":"tool","tool_call_id":"2","content":"y"}"#,
        );
        let request = Format::OpenaiChat.codec().decode_request(body.as_bytes(), &Route::default()).unwrap();
        assert_eq!(shape(&request, false), (2, vec![(Speaker::User, 1), (Speaker::Assistant, 2), (Speaker::User, 3)]));
        let told = conversation(&request.messages, Rules { keeps_system: false, is_same: false }, &mut Losses::default());
        assert!(told.turns[2].parts[..2].iter().all(|part| matches!(part.content, Content::ToolResult(_))));
    }

    #[test]
    fn instructions_in_the_middle_stay_where_the_model_takes_them_and_blank_text_goes() {
        let body = request(
            r#"{"role":"user","content":"c"},{"role":"system","content":"a"},{"role":"assistant","content":" "},{"role":"user","content":"d"}"#,
        );
        let request = Format::OpenaiChat.codec().decode_request(body.as_bytes(), &Route::default()).unwrap();
        assert_eq!(shape(&request, true).1, [(Speaker::User, 1), (Speaker::System, 1), (Speaker::User, 1)]);
        assert_eq!(shape(&request, false).1, [(Speaker::User, 3)]);
    }
}
