//! A request of a test, made into what a client would send.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use serde_json::{Map, Value, json};

use super::world::secret_of;
use crate::base::path_segment;
use crate::server::RequestBody;
use crate::spec::{Feature, TestEndpoint, TestRequest};
use crate::table::explain::Question;

/// A request, as often as it is asked, and the question that it is.
#[derive(Debug)]
pub(super) struct Made {
    path: String,
    headers: BTreeMap<String, String>,
    body: Bytes,
    pub(super) question: Question,
}

/// What a body without a length of its own asks.
const PROMPT: &str = "Say hello.";
/// A token by every guess of ours: a word of a vocabulary, and four bytes.
const WORD: &str = "hey ";
/// What Anthropic's API wants to be told.
const MOST: u64 = 1_024;

/// Lays a request over what holds for all of its file.
pub(super) fn over(defaults: &TestRequest, request: &TestRequest) -> TestRequest {
    let by_name = |headers: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect()
    };
    let mut headers = by_name(&defaults.headers);
    headers.extend(by_name(&request.headers));
    // A body of the test's own says itself what those would make one of.
    let made = if request.body.is_some() { &TestRequest::default() } else { defaults };
    TestRequest {
        key: request.key.clone().or_else(|| defaults.key.clone()),
        model: request.model.clone().or_else(|| defaults.model.clone()),
        endpoint: request.endpoint.or(defaults.endpoint),
        headers,
        stream: request.stream.or(defaults.stream),
        prompt_tokens: request.prompt_tokens.or(made.prompt_tokens),
        max_tokens: request.max_tokens.or(made.max_tokens),
        features: if request.features.is_empty() { made.features.clone() } else { request.features.clone() },
        body: request.body.clone().or_else(|| defaults.body.clone()),
    }
}

/// Makes a request.
///
/// # Errors
/// Which field does not fit, by its name, and why.
pub(super) fn make(asked: &TestRequest) -> Result<Made, (&'static str, String)> {
    let endpoint = asked.endpoint.unwrap_or_default();
    let is_stream = asked.stream.unwrap_or(false);
    if !asked.features.is_empty() && (endpoint != TestEndpoint::Chat || asked.body.is_some()) {
        return Err(("features", "features are for requests of `chat` without a body of their own".to_owned()));
    }
    if asked.body.is_some() && (asked.prompt_tokens.is_some() || asked.max_tokens.is_some()) {
        return Err(("body", "a body says itself how long it is: leave out `prompt_tokens` and `max_tokens`".to_owned()));
    }
    let named = || asked.body.as_ref().and_then(|body| body.get("model")).and_then(Value::as_str).map(str::to_owned);
    let Some(model) = asked.model.clone().or_else(named) else {
        return Err(("model", "the request names no model".to_owned()));
    };
    let mut body = asked.body.clone().unwrap_or_else(|| members(asked, endpoint));
    // Others say both in their path.
    if !matches!(endpoint, TestEndpoint::GenerateContent | TestEndpoint::Converse) {
        body.insert("model".to_owned(), model.clone().into());
        if is_stream {
            body.insert("stream".to_owned(), true.into());
        }
    }
    for (name, value) in &asked.headers {
        if HeaderName::try_from(name).is_err() || HeaderValue::try_from(value).is_err() {
            return Err(("headers", format!("the header `{name}` cannot be sent")));
        }
    }
    let question = Question {
        key: asked.key.clone(),
        model: Some(model.clone()),
        headers: asked.headers.clone(),
        body: Some(Value::Object(body.clone())),
        endpoint: Some(name(endpoint).to_owned()),
        stream: is_stream,
    };
    let mut headers = asked.headers.clone();
    if let Some(key) = &asked.key {
        headers.insert("authorization".to_owned(), format!("Bearer {}", secret_of(key)));
    }
    let body = serde_json::to_vec(&body).map_err(|error| ("body", error.to_string()))?;
    Ok(Made { path: path(endpoint, &model, is_stream), headers, body: body.into(), question })
}

/// Makes the question that a request is.
///
/// # Errors
/// Which field does not fit, by its name, and why.
pub fn question(asked: &TestRequest) -> Result<Question, (&'static str, String)> {
    make(asked).map(|made| made.question)
}

impl Made {
    /// Returns the request once more.
    ///
    /// # Errors
    /// Why it is none, in a sentence.
    pub(super) fn request(&self) -> Result<Request<RequestBody>, String> {
        let mut request = Request::builder().method(Method::POST).uri(&self.path).header("content-type", "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(RequestBody::from(self.body.clone())).map_err(|error| error.to_string())
    }
}

fn path(endpoint: TestEndpoint, model: &str, is_stream: bool) -> String {
    match (endpoint, is_stream) {
        (TestEndpoint::Chat, _) => "/v1/chat/completions".to_owned(),
        (TestEndpoint::Responses, _) => "/v1/responses".to_owned(),
        (TestEndpoint::Messages, _) => "/v1/messages".to_owned(),
        (TestEndpoint::Completions, _) => "/v1/completions".to_owned(),
        (TestEndpoint::Embeddings, _) => "/v1/embeddings".to_owned(),
        (TestEndpoint::CohereChat, _) => "/cohere/v2/chat".to_owned(),
        (TestEndpoint::GenerateContent, false) => format!("/v1beta/models/{}:generateContent", path_segment(model)),
        (TestEndpoint::GenerateContent, true) => format!("/v1beta/models/{}:streamGenerateContent?alt=sse", path_segment(model)),
        (TestEndpoint::Converse, false) => format!("/bedrock/model/{}/converse", path_segment(model)),
        (TestEndpoint::Converse, true) => format!("/bedrock/model/{}/converse-stream", path_segment(model)),
    }
}

const fn name(endpoint: TestEndpoint) -> &'static str {
    match endpoint {
        TestEndpoint::Chat => "chat",
        TestEndpoint::Responses => "responses",
        TestEndpoint::Messages => "messages",
        TestEndpoint::GenerateContent => "generate_content",
        TestEndpoint::Converse => "converse",
        TestEndpoint::CohereChat => "cohere_chat",
        TestEndpoint::Completions => "completions",
        TestEndpoint::Embeddings => "embeddings",
    }
}

/// Writes a body, as the endpoint has it.
fn members(asked: &TestRequest, endpoint: TestEndpoint) -> Map<String, Value> {
    let prompt = asked.prompt_tokens.map_or_else(|| PROMPT.to_owned(), |tokens| WORD.repeat(tokens as usize).trim_end().to_owned());
    let (written, limit) = match endpoint {
        TestEndpoint::Chat => (chat(&prompt, &asked.features), "max_tokens"),
        TestEndpoint::Responses => (json!({"input": prompt}), "max_output_tokens"),
        TestEndpoint::Messages => (json!({"max_tokens": MOST, "messages": [{"role": "user", "content": prompt}]}), "max_tokens"),
        TestEndpoint::Completions => (json!({"prompt": prompt}), "max_tokens"),
        TestEndpoint::CohereChat => (json!({"messages": [{"role": "user", "content": prompt}]}), "max_tokens"),
        TestEndpoint::Embeddings => (json!({"input": prompt}), ""),
        TestEndpoint::GenerateContent => {
            let config = asked.max_tokens.map(|most| json!({"maxOutputTokens": most}));
            let mut body = json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}]});
            if let (Some(config), Some(body)) = (config, body.as_object_mut()) {
                body.insert("generationConfig".to_owned(), config);
            }
            (body, "")
        }
        TestEndpoint::Converse => {
            let mut body = json!({"messages": [{"role": "user", "content": [{"text": prompt}]}]});
            if let (Some(most), Some(body)) = (asked.max_tokens, body.as_object_mut()) {
                body.insert("inferenceConfig".to_owned(), json!({"maxTokens": most}));
            }
            (body, "")
        }
    };
    let Value::Object(mut members) = written else { return Map::new() };
    if let Some(most) = asked.max_tokens.filter(|_| !limit.is_empty()) {
        members.insert(limit.to_owned(), most.into());
    }
    members
}

fn chat(prompt: &str, features: &[Feature]) -> Value {
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}});
    let content = match features.contains(&Feature::Vision) {
        true => json!([{"type": "text", "text": prompt}, picture]),
        false => json!(prompt),
    };
    let mut body = json!({"messages": [{"role": "user", "content": content}]});
    let schema =
        json!({"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"], "additionalProperties": false});
    let Some(members) = body.as_object_mut() else { return body };
    if features.contains(&Feature::Tools) {
        let function = json!({"name": "look_up", "description": "Looks something up.", "parameters": schema});
        members.insert("tools".to_owned(), json!([{"type": "function", "function": function}]));
    }
    if features.contains(&Feature::JsonSchema) {
        let wanted = json!({"name": "answer", "strict": true, "schema": schema});
        members.insert("response_format".to_owned(), json!({"type": "json_schema", "json_schema": wanted}));
    }
    body
}
