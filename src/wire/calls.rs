//! Pairs calls with their results, for formats where ids are optional and a result may name nothing but its function, or nothing at all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::wire::ir::{Content, Message, Role, ToolCall, ToolResult};
use crate::wire::json::Text;

/// Begins the ids that stand for missing ones in conversations of Gemini's. They are counted, so that the same conversation gets the same
/// ids each time and the upstream's cache of prompts stays warm.
pub(in crate::wire) const GEMINI: &str = "gemini_call_";

/// Begins the ids that stand for missing ones in conversations of Ollama's.
pub(in crate::wire) const OLLAMA: &str = "ollama_call_";

/// Returns whether an id stands for one that the client did not give.
pub(in crate::wire) fn is_missing(id: &str) -> bool {
    [GEMINI, OLLAMA].iter().any(|missing| id.starts_with(missing))
}

/// The calls of the last turn of the model, as far as nobody has answered them.
#[derive(Default)]
struct Open {
    ids: BTreeSet<String>,
    /// Ids by the function's name, in the order of the calls. Some may be answered already.
    by_name: BTreeMap<String, Queues>,
    /// Ids in the order of the calls, whatever the function.
    in_order: VecDeque<String>,
}

#[derive(Default)]
struct Queues {
    all: VecDeque<String>,
    /// Those that stand for missing ones.
    missing: VecDeque<String>,
}

impl Open {
    fn add(&mut self, call: &ToolCall<'_>) {
        let queues = self.by_name.entry(call.name.clone().into_owned()).or_default();
        queues.all.push_back(call.id.clone().into_owned());
        if is_missing(&call.id) {
            queues.missing.push_back(call.id.clone().into_owned());
        }
        self.in_order.push_back(call.id.clone().into_owned());
        self.ids.insert(call.id.clone().into_owned());
    }

    /// Takes the first call of a function that is still open; of any, where no function is named. A call with an id of its own is answered
    /// by that id, where the result has one at all.
    fn take(&mut self, name: &str, has_id: bool) -> Option<String> {
        if name.is_empty() && !has_id {
            return std::iter::from_fn(|| self.in_order.pop_front()).find(|id| self.ids.remove(id));
        }
        let queues = self.by_name.get_mut(name)?;
        let queue = if has_id { &mut queues.missing } else { &mut queues.all };
        std::iter::from_fn(|| queue.pop_front()).find(|id| self.ids.remove(id))
    }
}

/// Gives every call and every result an id, so that they can be told apart in formats that need one.
pub(in crate::wire) fn pair(messages: &mut [Message<'_>], missing: &str) {
    let mut count = 0;
    let mut open = Open::default();
    // Ids that only the results had.
    let mut told = BTreeMap::new();
    for message in messages.iter_mut() {
        if message.role == Role::Assistant {
            // What nobody answered by now stays without an answer.
            open = Open::default();
        }
        for part in &mut message.parts {
            match &mut part.content {
                Content::ToolCall(call) => {
                    if call.id.is_empty() {
                        call.id = Text::Owned(format!("{missing}{count}"));
                        count += 1;
                    }
                    open.add(call);
                }
                Content::ToolResult(result) => answer(result, &mut open, &mut told, missing),
                _ => {}
            }
        }
    }
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let Content::ToolCall(call) = &mut part.content
            && let Some(id) = told.remove(&*call.id)
        {
            call.id = Text::Owned(id);
        }
    }
}

/// Finds the call that a result answers: by its id, otherwise the first open one of its function.
fn answer(result: &mut ToolResult<'_>, open: &mut Open, told: &mut BTreeMap<String, String>, missing: &str) {
    if open.ids.remove(&*result.id) {
        return;
    }
    let name = result.name.as_deref().unwrap_or_default();
    match open.take(name, !result.id.is_empty()) {
        Some(id) if result.id.is_empty() => result.id = Text::Owned(id),
        Some(id) => {
            told.insert(id, result.id.clone().into_owned());
        }
        None if result.id.is_empty() => result.id = Text::Owned(format!("{missing}{name}")),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::wire::Format;
    use crate::wire::codec::Route;
    use crate::wire::ir::Content;

    fn ids(contents: &str) -> (Vec<String>, Vec<String>) {
        let body = format!(r#"{{"contents":[{contents}]}}"#);
        let request = Format::Gemini.codec().decode_request(body.as_bytes(), &Route::default()).unwrap();
        let (mut calls, mut results) = (Vec::new(), Vec::new());
        for part in request.messages.iter().flat_map(|message| &message.parts) {
            match &part.content {
                Content::ToolCall(call) => calls.push(call.id.clone().into_owned()),
                Content::ToolResult(result) => results.push(result.id.clone().into_owned()),
                _ => {}
            }
        }
        (calls, results)
    }

    fn call(name: &str, id: &str) -> String {
        format!(r#"{{"functionCall":{{"name":"{name}"{id}}}}}"#)
    }

    fn result(name: &str, id: &str) -> String {
        format!(r#"{{"functionResponse":{{"name":"{name}"{id}}}}}"#)
    }

    fn turns(calls: &[String], results: &[String]) -> String {
        format!(r#"{{"role":"model","parts":[{}]}},{{"role":"user","parts":[{}]}}"#, calls.join(","), results.join(","))
    }

    #[test]
    fn results_without_ids_find_their_calls_by_name_and_order() {
        let calls = [call("f", ""), call("g", ""), call("f", "")];
        let results = [result("g", ""), result("f", ""), result("f", "")];
        let two = format!("{},{}", turns(&calls, &results), turns(&[call("f", "")], &[result("f", "")]));
        let (calls, results) = ids(&two);
        assert_eq!(calls, ["gemini_call_0", "gemini_call_1", "gemini_call_2", "gemini_call_3"]);
        assert_eq!(results, ["gemini_call_1", "gemini_call_0", "gemini_call_2", "gemini_call_3"]);
    }

    #[test]
    fn ids_on_one_side_alone_do_not_keep_a_pair_apart() {
        let id = r#","id":"x""#;
        let (calls, results) = ids(&turns(&[call("f", id), call("f", "")], &[result("f", id), result("f", "")]));
        assert_eq!((calls.clone(), results), (calls.clone(), calls));
        let (calls, results) = ids(&turns(&[call("f", id)], &[result("f", "")]));
        assert_eq!((calls, results), (vec!["x".to_owned()], vec!["x".to_owned()]));
        let (calls, results) = ids(&turns(&[call("f", "")], &[result("f", id)]));
        assert_eq!(calls, results);
    }

    #[test]
    fn a_result_of_nothing_keeps_an_id_of_its_own() {
        let (_, results) = ids(&turns(&[call("f", r#","id":"x""#)], &[result("g", r#","id":"y""#)]));
        assert_eq!(results, ["y"]);
        assert_eq!(ids(&turns(&[], &[result("g", "")])).1, ["gemini_call_g"]);
    }
}
