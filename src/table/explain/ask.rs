//! A question, made into what the data path would have in its hands.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{HeaderMap, HeaderName, HeaderValue};
use minijinja::Value as Fact;
use serde_json::Value;

use super::{Moment, Question, Unanswerable, key_named};
use crate::plan::Auth;
use crate::plan::expr::{ENDPOINTS, Endpoint};
use crate::table::refusal::{self, Refusal};
use crate::table::{Ask, Key, Request, RoutingTable, Rule, Size, estimated_tokens, max_output_tokens, session};
use crate::wire::edit::Object;
use crate::wire::{Demand, Format, Operation};

pub(super) struct Asked<'q> {
    key: Option<Arc<Key>>,
    pub(super) model: Option<&'q str>,
    pub(super) endpoint: Endpoint,
    /// The client's format, where the request can be translated.
    format: Option<Format>,
    headers: Arc<HeaderMap>,
    body: Option<&'q Value>,
    stream: bool,
}

/// Headers that carry keys; who asks is said by name.
const CARRIERS: [&str; 4] = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];

impl<'q> Asked<'q> {
    pub(super) fn read(table: &RoutingTable, question: &'q Question) -> Result<Self, Unanswerable> {
        let wanted = question.endpoint.as_deref().unwrap_or("chat");
        let chats = [
            ("chat", Format::OpenaiChat),
            ("responses", Format::OpenaiResponses),
            ("messages", Format::Anthropic),
            ("generate_content", Format::Gemini),
            ("converse", Format::Bedrock),
            ("cohere_chat", Format::Cohere),
        ];
        let format = chats.iter().find(|(name, _)| *name == wanted).map(|(_, format)| *format);
        let endpoint = match format {
            Some(_) => Endpoint::Chat,
            None => ENDPOINTS.into_iter().find(|endpoint| endpoint.name() == wanted).ok_or_else(|| {
                let known = chats.iter().map(|(name, _)| *name).chain(ENDPOINTS.into_iter().map(Endpoint::name));
                let help = crate::spec::suggest::suggest(wanted, "endpoints", known);
                Unanswerable(format!("there is no endpoint `{wanted}`; {help}"))
            })?,
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &question.headers {
            match (HeaderName::try_from(name), HeaderValue::from_str(value)) {
                (Ok(name), _) if CARRIERS.contains(&name.as_str()) => {
                    return Err(Unanswerable(format!("the header `{name}` carries a key; name the virtual key instead")));
                }
                (Ok(name), Ok(value)) => _ = headers.append(name, value),
                (Err(_), _) | (_, Err(_)) => return Err(Unanswerable(format!("the header `{name}` cannot be sent"))),
            }
        }
        let key = question.key.as_deref().map(|name| key_named(table, name).map(Arc::clone)).transpose()?;
        let model = question.model.as_deref();
        if model.is_none() && !matches!(endpoint, Endpoint::Other) {
            return Err(Unanswerable(format!(
                "a request of `{wanted}` names a model; only `other` ones, such as files and batches, may name none"
            )));
        }
        let body = question.body.as_ref();
        let stream = question.stream || body.and_then(|body| body.get("stream")).and_then(Value::as_bool).unwrap_or(false);
        Ok(Self { key, model, endpoint, format, headers: Arc::new(headers), body, stream })
    }

    /// Returns the key, where the gateway looks at keys at all.
    pub(super) fn authenticated(&self, table: &RoutingTable, unix_ms: u64) -> Result<Option<&Arc<Key>>, Refusal> {
        match (table.plan.gateway.auth, &self.key) {
            (Auth::Off, _) | (Auth::Optional, None) => Ok(None),
            (Auth::Required, None) => Err(refusal::no_key().into()),
            (Auth::Required | Auth::Optional, Some(key)) if key.is_valid(unix_ms) => Ok(Some(key)),
            (Auth::Required | Auth::Optional, Some(key)) => {
                let why = if key.spec.disabled { "the key is disabled" } else { "the key, or every digest of it, has expired" };
                Err(refusal::bad_key("authorization").detail(why).into())
            }
        }
    }

    /// Returns the provider that the request names in place of a model.
    pub(super) fn provider(&self) -> Option<&str> {
        self.headers.get("x-bifrost-provider").and_then(|value| value.to_str().ok())
    }

    /// Returns the client's format, where the request can be translated.
    pub(super) const fn format(&self) -> Option<Format> {
        self.format
    }

    /// Returns which formats can serve what is asked.
    pub(super) const fn demand(&self) -> Demand {
        match self.endpoint {
            Endpoint::Chat => Demand::Any(Operation::Answer),
            Endpoint::Embeddings => Demand::Any(Operation::Embed),
            Endpoint::Completions | Endpoint::Other => Demand::Only(Format::OpenaiChat),
        }
    }

    pub(super) const fn is_chat(&self) -> bool {
        matches!(self.endpoint, Endpoint::Chat)
    }

    pub(super) const fn is_embedding(&self) -> bool {
        matches!(self.endpoint, Endpoint::Embeddings)
    }

    /// Returns whether a stream is asked for.
    pub(super) const fn is_stream(&self) -> bool {
        self.stream
    }

    pub(super) const fn has_body(&self) -> bool {
        self.body.is_some()
    }

    pub(super) fn body_bytes(&self) -> Vec<u8> {
        self.body.map(|body| body.to_string().into_bytes()).unwrap_or_default()
    }

    /// Returns the body with a model's name in it, where the format has it there.
    pub(super) fn body_for(&self, model: &str, format: Format) -> Option<Vec<u8>> {
        let mut body = self.body?.as_object()?.clone();
        match format {
            Format::Gemini | Format::Bedrock => {}
            Format::OpenaiChat | Format::OpenaiResponses | Format::Anthropic | Format::Cohere | Format::Ollama => {
                body.insert("model".to_owned(), Value::from(model));
            }
        }
        serde_json::to_vec(&body).ok()
    }

    /// Returns whether answers to such requests say how many tokens were used, so that limits count them.
    pub(super) fn is_metered(&self) -> bool {
        self.endpoint != Endpoint::Other
    }

    /// Says what the decision depends on.
    pub(super) fn ask<'a>(
        &'a self,
        (table, model, key): (&'a RoutingTable, &'a str, Option<&'a Key>),
        (rule, object, bytes): (Option<&'a Rule>, Option<&Object<'_>>, &[u8]),
        at: Moment,
    ) -> Ask<'a> {
        let alias = table.serving(model, rule);
        Ask {
            key,
            model,
            rule,
            demand: self.demand(),
            now_ms: at.now_ms,
            unix_ms: at.unix_ms,
            roll: at.roll,
            // Without using one up.
            turn: alias.map_or(0, |alias| alias.turn.load(Ordering::Relaxed)),
            size: Size { input: estimated_tokens(bytes), max_output: object.and_then(max_output_tokens) },
            stream: self.stream,
            session: alias.and_then(|alias| session(alias, key, &self.headers, object)),
        }
    }

    /// Scans the body as the data path does; none where the question has none.
    pub(super) fn object<'b>(&self, bytes: &'b [u8]) -> Result<Option<Object<'b>>, Refusal> {
        if self.body.is_none() {
            return Ok(None);
        }
        Object::scan(bytes).map(Some).map_err(|error| refusal::bad_body(&error).into())
    }

    pub(super) fn facts(&self, table: &RoutingTable, key: Option<&Arc<Key>>, object: Option<&Object<'_>>, unix_ms: u64) -> Fact {
        let request = Request {
            key: key.map_or(&table.anonymous, |key| &key.facts),
            model: self.model.unwrap_or_default(),
            endpoint: self.endpoint,
            stream: self.stream,
            body: object,
            body_bytes: self.body_bytes().len() as u64,
            headers: &self.headers,
            unix_ms,
        };
        request.facts().into_value()
    }
}

/// Returns whether a body has a list of messages that a prompt could be added to.
pub(super) fn has_messages(object: &Object<'_>) -> bool {
    object.get("messages").is_some_and(|raw| raw.starts_with(b"["))
}
