//! What one choice of a chat says, whole and in pieces.

use serde_json::{Map, Value, json};

use super::Ask;

/// What one choice says.
pub(super) struct Choice {
    /// What the model thinks before it says anything, in pieces.
    pub(super) thoughts: Vec<String>,
    /// Signs the thoughts.
    pub(super) signature: Option<Signature>,
    /// The address that a text cites.
    pub(super) cites: Option<String>,
    pub(super) content: Content,
    pub(super) finish: String,
}

/// A signature, and whose it is, in OpenRouter's words.
#[derive(Clone, Copy)]
pub(in crate::mock) struct Signature {
    pub(in crate::mock) format: &'static str,
    pub(in crate::mock) value: &'static str,
}

/// What stands in the answer.
pub(super) enum Content {
    Text(Vec<String>),
    Tools(Vec<Call>),
}

/// A call of a tool.
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// In pieces.
    pub(super) arguments: Vec<String>,
}

impl Choice {
    /// Counts the tokens of the thoughts.
    pub(super) fn thinking(&self) -> u64 {
        self.thoughts.len() as u64
    }

    /// Counts the tokens, thoughts included.
    pub(super) fn tokens(&self) -> u64 {
        self.thinking()
            + match &self.content {
                Content::Text(pieces) => pieces.len() as u64,
                Content::Tools(calls) => calls.iter().map(|call| call.arguments.len() as u64 + 1).sum(),
            }
    }

    /// Writes the message.
    pub(super) fn message(&self) -> Value {
        let mut message = match &self.content {
            Content::Text(pieces) => {
                json!({"role": "assistant", "content": pieces.concat(), "refusal": null, "annotations": self.annotations()})
            }
            Content::Tools(calls) => {
                let call = |call: &Call| {
                    let function = json!({"name": call.name, "arguments": call.arguments.concat()});
                    json!({"id": call.id, "type": "function", "function": function})
                };
                let calls: Vec<Value> = calls.iter().map(call).collect();
                json!({"role": "assistant", "content": null, "tool_calls": calls, "refusal": null, "annotations": []})
            }
        };
        if let (false, Some(message)) = (self.thoughts.is_empty(), message.as_object_mut()) {
            let thoughts = self.thoughts.concat();
            message.extend(self.signature.map_or_else(|| plain(&thoughts), |signature| signature.sign(&thoughts)));
        }
        message
    }

    /// Writes what the text cites.
    fn annotations(&self) -> Vec<Value> {
        let (Some(url), Content::Text(pieces)) = (&self.cites, &self.content) else { return Vec::new() };
        let end: usize = pieces.iter().map(|piece| piece.chars().count()).sum();
        vec![json!({"type": "url_citation", "url_citation": {"url": url, "title": "mock", "start_index": 0, "end_index": end}})]
    }

    /// Writes the first delta, which has no content.
    pub(super) fn opening(&self) -> Value {
        match &self.content {
            Content::Text(_) => json!({"role": "assistant", "content": "", "refusal": null}),
            Content::Tools(_) => json!({"role": "assistant", "content": null}),
        }
    }

    /// Writes the deltas with content.
    pub(super) fn deltas(&self) -> Vec<Value> {
        let thoughts = self.thoughts.iter().map(|piece| Value::Object(plain(piece)));
        let signed = self.signature.filter(|_| !self.thoughts.is_empty()).map(|signature| Value::Object(signature.sign("")));
        let said: Vec<Value> = match &self.content {
            Content::Text(pieces) => pieces.iter().map(|piece| json!({"content": piece})).collect(),
            Content::Tools(calls) => calls.iter().enumerate().flat_map(|(index, call)| call.deltas(index)).collect(),
        };
        let annotations = self.annotations();
        let cited = (!annotations.is_empty()).then(|| json!({"annotations": annotations}));
        thoughts.chain(signed).chain(said).chain(cited).collect()
    }
}

fn plain(thoughts: &str) -> Map<String, Value> {
    Map::from_iter([("reasoning_content".to_owned(), thoughts.into())])
}

impl Signature {
    fn sign(self, thoughts: &str) -> Map<String, Value> {
        let detail = json!({"type": "reasoning.text", "text": thoughts, "signature": self.value, "format": self.format, "index": 0});
        Map::from_iter([("reasoning_details".to_owned(), json!([detail]))])
    }
}

impl Call {
    /// Makes a call of an offered function, with arguments that fit.
    pub(super) fn of(function: &Value, id: String) -> Self {
        let arguments = super::sample::fit(function.get("parameters").unwrap_or(&Value::Null), "mock").to_string();
        Self {
            id,
            name: function.get("name").and_then(Value::as_str).unwrap_or("mock").to_owned(),
            arguments: super::text::pieces(&arguments).into_iter().map(str::to_owned).collect(),
        }
    }

    fn deltas(&self, index: usize) -> Vec<Value> {
        let Self { id, name, arguments } = self;
        let first = json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
        let rest = arguments.iter().map(|part| json!({"index": index, "function": {"arguments": part}}));
        std::iter::once(first).chain(rest).map(|call| json!({"tool_calls": [call]})).collect()
    }
}

/// Makes the id of a call; none where another format makes its own.
pub(super) fn call_id(ask: &Ask<'_>, choice: u64, turn: usize) -> String {
    let nth = if turn == 0 { String::new() } else { format!("_{turn}") };
    ask.id(&format!("call_{choice}{nth}"), 23)
}
