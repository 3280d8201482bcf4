//! Puts a conversation into turns: instructions apart, neighbours of one speaker together, results of functions in a turn of their own.

use std::collections::BTreeMap;

use crate::wire::ir::{Content, Losses, Message, Part, Role};
use crate::wire::json::{Extras, Place, Text};

/// Who has a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    User,
    Model,
    /// The client's functions, in the user's role: all results of one turn of calls, and nothing else.
    Functions,
}

/// What one speaker says until another one does.
#[derive(Debug)]
pub(super) struct Turn<'r, 'a> {
    pub(super) speaker: Speaker,
    pub(super) parts: Vec<&'r Part<'a>>,
    /// What nobody understood of the message; of several messages in one turn, the first one's.
    pub(super) extras: Option<&'r Extras<'a>>,
    /// Where the turn's last message stands.
    pub(super) at: Place,
}

/// A conversation in turns.
#[derive(Debug)]
pub(super) struct Conversation<'r, 'a> {
    /// The operator's instructions before the conversation.
    pub(super) system: Vec<&'r Part<'a>>,
    /// What nobody understood of them.
    pub(super) system_extras: Option<&'r Extras<'a>>,
    pub(super) turns: Vec<Turn<'r, 'a>>,
    /// The function of each call, by the call's id.
    pub(super) names: BTreeMap<&'r str, &'r str>,
}

/// Stands where the provider wants a user's turn and the client had none.
pub(super) static PLACEHOLDER: Part<'static> = Part::text(Text::Borrowed("."), Place::NOWHERE);

/// Puts messages into turns. `is_same` says that the client speaks this format: its turns stay as they are.
pub(super) fn conversation<'r, 'a>(messages: &'r [Message<'a>], is_same: bool, losses: &mut Losses) -> Conversation<'r, 'a> {
    let mut conversation = Conversation { system: Vec::new(), system_extras: None, turns: Vec::new(), names: BTreeMap::new() };
    for message in messages {
        let Message { role, parts, name, extras, at } = message;
        losses.without(name.as_ref());
        let is_left_out = |part: &&Part<'_>| !is_same && is_blank(part);
        parts.iter().filter(is_left_out).for_each(|part| losses.blank(part));
        let speaker = match role {
            Role::System | Role::Developer if conversation.turns.is_empty() => {
                match conversation.system_extras {
                    None => conversation.system_extras = Some(extras),
                    Some(_) => losses.extras(extras),
                }
                conversation.system.extend(parts.iter().filter(|part| !is_left_out(part)));
                continue;
            }
            // There is no place for instructions in the middle; the user says them.
            Role::System | Role::Developer => {
                losses.approximated(*at);
                Speaker::User
            }
            Role::User => Speaker::User,
            Role::Tool => Speaker::Functions,
            Role::Assistant => Speaker::Model,
        };
        let said: Vec<&Part<'_>> = parts.iter().filter(|part| !is_left_out(part)).collect();
        if said.is_empty() && extras.is_empty() && !is_same {
            continue;
        }
        conversation.names.extend(said.iter().filter_map(|part| match &part.content {
            Content::ToolCall(call) => Some((&*call.id, &*call.name)),
            _ => None,
        }));
        let joins = |turn: &&mut Turn<'_, '_>| if is_same { turn.at == *at } else { turn.speaker == speaker };
        match conversation.turns.last_mut().filter(joins) {
            Some(turn) => {
                turn.parts.extend(said);
                turn.at = *at;
                losses.extras(extras);
            }
            None => conversation.turns.push(Turn { speaker, parts: said, extras: Some(extras), at: *at }),
        }
    }
    if !is_same && conversation.turns.first().is_none_or(|turn| turn.speaker == Speaker::Model) {
        let turn = Turn { speaker: Speaker::User, parts: vec![&PLACEHOLDER], extras: None, at: Place::NOWHERE };
        conversation.turns.insert(0, turn);
    }
    order_results(&mut conversation.turns);
    conversation
}

/// Puts results into the order of their calls, where the provider looks for them.
fn order_results<'r>(turns: &mut [Turn<'r, '_>]) {
    let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
    for turn in turns {
        if turn.speaker == Speaker::Functions {
            turn.parts.sort_by_key(|part| match &part.content {
                Content::ToolResult(result) => calls.get(&*result.id).copied().unwrap_or(calls.len()),
                _ => usize::MAX,
            });
        }
        let ids = turn.parts.iter().filter_map(|part| match &part.content {
            Content::ToolCall(call) => Some(&*call.id),
            _ => None,
        });
        calls = ids.enumerate().map(|(number, id)| (id, number)).collect();
    }
}

fn is_blank(part: &Part<'_>) -> bool {
    matches!(&part.content, Content::Text { text, .. } if text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Format;
    use crate::wire::codec::Route;

    fn shape(format: Format, body: &str) -> (usize, Vec<(Speaker, usize)>) {
        let request = format.codec().decode_request(body.as_bytes(), &Route::default()).unwrap();
        let told = conversation(&request.messages, format == Format::Gemini, &mut Losses::default());
        (told.system.len(), told.turns.iter().map(|turn| (turn.speaker, turn.parts.len())).collect())
    }

    #[test]
    fn neighbours_merge_and_results_have_a_turn_of_their_own_in_the_order_of_the_calls() {
        let body = r#"{"model":"m","messages":[{"role":"system","content":"a"},{"role":"assistant","content":" "},{"role":"developer","content":"b"},
            {"role":"assistant","content":null,"tool_calls":[{"id":"1","function":{"name":"f"}},{"id":"2","function":{"name":"g"}}]},
            {"role":"tool","tool_call_id":"2","content":"y"},{"role":"tool","tool_call_id":"1","content":"x"},
            {"role":"user","content":"d"},{"role":"system","content":"e"}]}"#;
        let expected = vec![(Speaker::User, 1), (Speaker::Model, 2), (Speaker::Functions, 2), (Speaker::User, 2)];
        assert_eq!(shape(Format::OpenaiChat, body), (2, expected));
        let request = Format::OpenaiChat.codec().decode_request(body.as_bytes(), &Route::default()).unwrap();
        let told = conversation(&request.messages, false, &mut Losses::default());
        let ids = told.turns[2].parts.iter().map(|part| match &part.content {
            Content::ToolResult(result) => &*result.id,
            _ => "",
        });
        assert_eq!(ids.collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(told.names.get("2"), Some(&"g"));
    }

    #[test]
    fn turns_of_a_client_of_this_format_stay_as_they_are() {
        let body = r#"{"contents":[{"role":"user","parts":[{"text":""}]},{"parts":[{"text":"a"}]},
            {"role":"user","parts":[{"functionResponse":{"name":"f"}},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}]}"#;
        let expected = vec![(Speaker::User, 1), (Speaker::User, 1), (Speaker::Functions, 2)];
        assert_eq!(shape(Format::Gemini, body), (0, expected));
    }
}
