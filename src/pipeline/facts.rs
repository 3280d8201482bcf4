//! The facts of the request that is running: read at the first question, then shared.

use std::sync::OnceLock;

use minijinja::Value;

use crate::plan::expr;
use crate::table::Request;
use crate::telemetry::Endpoint;

/// Facts that cost nothing until a rule or a template asks for them.
#[derive(Debug)]
pub(super) struct LazyFacts<'a> {
    request: Request<'a>,
    value: OnceLock<Value>,
}

impl<'a> LazyFacts<'a> {
    pub(super) const fn new(request: Request<'a>) -> Self {
        Self { request, value: OnceLock::new() }
    }

    /// Returns the facts. Cloning the value is a reference count.
    pub(super) fn get(&self) -> Value {
        self.value.get_or_init(|| self.request.facts().into_value()).clone()
    }
}

/// Returns the kind of request as conditions and templates call it.
pub(super) const fn kind(endpoint: Endpoint) -> expr::Endpoint {
    match endpoint {
        Endpoint::ChatCompletions
        | Endpoint::Messages
        | Endpoint::Responses
        | Endpoint::GenerateContent
        | Endpoint::Converse
        | Endpoint::CohereChat => expr::Endpoint::Chat,
        Endpoint::Completions => expr::Endpoint::Completions,
        Endpoint::Embeddings => expr::Endpoint::Embeddings,
        Endpoint::Rerank | Endpoint::CountTokens | Endpoint::Models | Endpoint::Relay | Endpoint::Unknown => expr::Endpoint::Other,
    }
}
