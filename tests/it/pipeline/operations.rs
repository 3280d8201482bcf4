//! What is asked of a model besides an answer, and the drop-in paths: vectors, orders of documents, lengths of prompts, across formats.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::harness::{KEY, Rig, Seen};
use super::lanes::{JSON, Upstream, answer};

/// Provider `one` speaks a format at `url`; `two` is the mock, which speaks OpenAI.
async fn rig(api: &str, url: &str, change: impl FnOnce(&mut Value)) -> Rig {
    Rig::start_with(|plan| {
        let one = &mut plan["providers"]["one"];
        (one["api"], one["base_url"]) = (json!(api), json!(url));
        plan["virtual_keys"]["web"]["models"] = json!(["*"]);
        change(plan);
    })
    .await
}

async fn post(rig: &Rig, path: &str, body: &Value) -> Seen {
    rig.call("POST", path, &[("x-api-key", KEY)], Bytes::from(body.to_string())).await
}

fn loss(seen: &Seen) -> Option<&str> {
    seen.headers.get("x-bifrost-loss").map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_client_of_openais_gets_vectors_from_gemini_in_its_own_spelling() {
    let vectors = r#"{"embeddings":[{"values":[1,-2]},{"values":[0.5,0]}],"usageMetadata":{"promptTokenCount":4}}"#;
    let upstream = Upstream::start(vec![answer(200, JSON, vectors)]).await;
    let rig = rig("gemini", &upstream.url, |_| {}).await;
    // What OpenAI's SDKs ask for unless they are told otherwise.
    let ask = json!({"model": "one/e", "input": ["a", "b"], "dimensions": 2, "encoding_format": "base64", "user": "u"});
    let seen = post(&rig, "/v1/embeddings", &ask).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
    let told = seen.json();
    assert_eq!((&told["data"][0]["embedding"], &told["data"][1]["index"]), (&json!("AACAPwAAAMA="), &json!(1)));
    assert_eq!((&told["model"], &told["usage"]), (&json!("e"), &json!({"prompt_tokens": 4, "total_tokens": 4})));
    assert_eq!(loss(&seen), Some("user=unsupported"));
    let (head, body) = &upstream.asked()[0];
    assert!(head.starts_with("post /v1/models/e:batchembedcontents http"), "{head}");
    assert_eq!(body["requests"][1]["content"]["parts"][0]["text"], "b");
}

#[tokio::test]
async fn clients_of_every_format_get_vectors_from_a_server_like_openais() {
    let rig = Rig::start_with(|plan| plan["virtual_keys"]["web"]["models"] = json!(["*"])).await;
    let one = post(&rig, "/genai/v1beta/models/two%2Fe:embedContent", &json!({"content": {"parts": [{"text": "a"}]}})).await.json();
    let length = one["embedding"]["values"].as_array().unwrap().len();
    let requests = json!([{"model": "models/x", "content": {"parts": [{"text": "a"}]}}, {"content": {"parts": [{"text": "b"}]}}]);
    let several = post(&rig, "/v1beta/models/two%2Fe:batchEmbedContents", &json!({"requests": requests})).await.json();
    assert_eq!(several["embeddings"][0], one["embedding"], "one text has one vector");
    assert_eq!(several["embeddings"][1]["values"].as_array().unwrap().len(), length);
    let ask = json!({"model": "two/e", "texts": ["a"], "input_type": "search_query", "embedding_types": ["float"]});
    let seen = post(&rig, "/cohere/v2/embed", &ask).await;
    assert_eq!(seen.json()["embeddings"]["float"][0], one["embedding"]["values"]);
    assert_eq!(loss(&seen), Some("input_type=unsupported"));
    let seen = post(&rig, "/bedrock/model/two%2Fe/invoke", &json!({"inputText": "a"})).await;
    assert_eq!(seen.json()["embedding"], one["embedding"]["values"], "{}", seen.text());
    assert!(rig.mock.requests().iter().all(|request| request.path().ends_with("/embeddings")));
}

#[tokio::test]
async fn a_strict_alias_refuses_what_vectors_and_orders_would_lose() {
    let upstream = Upstream::start(vec![answer(200, JSON, r#"{"embeddings":[{"values":[1]}]}"#)]).await;
    let rig = rig("gemini", &upstream.url, |plan| {
        plan["models"]["fast"]["strict_translation"] = json!(true);
        plan["models"]["fast"]["fallbacks"] = json!([]);
    })
    .await;
    let seen = post(&rig, "/v1/embeddings", &json!({"model": "fast", "input": "a", "user": "u"})).await;
    assert_eq!((seen.status, &seen.json()["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("lossy_translation")));
    assert!(seen.text().contains("`user` (unsupported)") && upstream.asked().is_empty(), "{}", seen.text());
    assert_eq!(post(&rig, "/v1/embeddings", &json!({"model": "fast", "input": "a"})).await.status, StatusCode::OK);
    let words = |plan: &mut Value| {
        plan["providers"]["one"]["quirks"]["rerank"] = json!("voyage");
        plan["models"]["fast"]["strict_translation"] = json!(true);
        plan["models"]["fast"]["fallbacks"] = json!([]);
    };
    let rig = self::rig("openai-chat", &upstream.url, words).await;
    let seen = post(&rig, "/v1/rerank", &json!({"model": "fast", "query": "q", "documents": ["a"], "max_tokens_per_doc": 9})).await;
    assert!(seen.text().contains("`max_tokens_per_doc` (unsupported)"), "{}", seen.text());
}

#[tokio::test]
async fn nobody_is_asked_for_vectors_who_has_none() {
    let upstream = Upstream::start(vec![answer(200, JSON, "{}")]).await;
    let rig = rig("anthropic", &upstream.url, |_| {}).await;
    let seen = post(&rig, "/v1/embeddings", &json!({"model": "one/m", "input": "a"})).await;
    assert_eq!(seen.status, StatusCode::BAD_REQUEST, "{}", seen.text());
    let seen = post(&rig, "/v1/embeddings", &json!({"model": "fast", "input": "a"})).await;
    assert_eq!((seen.status, upstream.asked().len()), (StatusCode::OK, 0), "the chain's next target has them");
}

#[tokio::test]
async fn an_order_of_documents_passes_or_is_put_into_the_servers_words() {
    let data = r#"{"object":"list","data":[{"relevance_score":0.690,"index":1}],"usage":{"total_tokens":4}}"#;
    let upstream = Upstream::start(vec![answer(200, JSON, data)]).await;
    let ask = json!({"model": "one/r", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 1, "return_documents": true});
    {
        let rig = rig("openai-chat", &upstream.url, |_| {}).await;
        assert_eq!(post(&rig, "/v1/rerank", &ask).await.text(), data, "bytes pass");
        let (_, body) = &upstream.asked()[0];
        assert_eq!((&body["model"], &body["documents"]), (&json!("r"), &ask["documents"]));
    }
    let rig = rig("openai-chat", &upstream.url, |plan| plan["providers"]["one"]["quirks"]["rerank"] = json!("voyage")).await;
    for path in ["/v1/rerank", "/cohere/v2/rerank", "/v2/rerank"] {
        let told = post(&rig, path, &ask).await.text();
        assert!(told.contains(r#""results":[{"index":1,"relevance_score":0.690,"document":{"text":"b"}}]"#), "{path}: {told}");
        let asked = upstream.asked();
        let (head, body) = asked.last().unwrap();
        assert!(head.starts_with("post /v1/rerank "), "{head}");
        assert_eq!(*body, json!({"model": "r", "query": "q", "documents": ["a", "b"], "top_k": 1}));
    }
    let seen = post(&rig, "/cohere/v2/rerank", &json!({"model": "one/r", "query": "q", "documents": [7]})).await;
    assert_eq!(seen.status, StatusCode::BAD_REQUEST);
    assert!(seen.json()["message"].as_str().unwrap().contains("documents[0]"), "{}", seen.text());
}

#[tokio::test]
async fn a_prompt_is_counted_by_whoever_counts_and_guessed_for_the_others() {
    let upstream = Upstream::start(vec![answer(200, JSON, r#"{"totalTokens":31}"#), answer(404, JSON, "{}")]).await;
    let rig = rig("gemini", &upstream.url, |_| {}).await;
    let tool = json!({"name": "t", "description": "d", "input_schema": {"type": "object"}});
    let ask = |model: &str| json!({"model": model, "system": "s", "messages": [{"role": "user", "content": "Hi there"}], "tools": [tool]});
    let seen = post(&rig, "/v1/messages/count_tokens", &ask("one/m")).await;
    assert_eq!((seen.text().as_str(), loss(&seen)), (r#"{"input_tokens":31}"#, None));
    let (head, body) = &upstream.asked()[0];
    assert!(head.starts_with("post /v1/models/m:counttokens "), "{head}");
    assert_eq!(body["generateContentRequest"]["systemInstruction"]["parts"][0]["text"], "s");
    // Whoever turns out to count nothing, and whoever is known to.
    for model in ["one/m", "two/m"] {
        let seen = post(&rig, "/anthropic/v1/messages/count_tokens", &ask(model)).await;
        assert_eq!(loss(&seen), Some("input_tokens=approximated"), "{model}: {}", seen.text());
        assert!((100..180).contains(&seen.json()["input_tokens"].as_u64().unwrap()), "{}", seen.text());
    }
    assert!(rig.mock.requests().is_empty());
    let input = json!({"model": "two/m", "input": "Hi there"});
    let told = post(&rig, "/v1/responses/input_tokens", &input).await.json();
    assert_eq!(told["object"], "response.input_tokens");
    let converse = json!({"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "Hi there"}]}]}}});
    let told = post(&rig, "/bedrock/model/two%2Fm/count-tokens", &converse).await.json();
    assert_eq!(told["inputTokens"], json!(6));
    let seen = post(&rig, "/bedrock/model/two%2Fm/count-tokens", &json!({"input": {}})).await;
    assert_eq!((seen.status, &seen.json()["__type"]), (StatusCode::BAD_REQUEST, &json!("ValidationException")));
}

#[tokio::test]
async fn a_client_of_bedrocks_is_served_by_a_server_like_openais() {
    let rig = Rig::start().await;
    let ask = json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}], "inferenceConfig": {"maxTokens": 9}});
    let seen = post(&rig, "/bedrock/model/fast/converse", &ask).await;
    assert_eq!(seen.json()["stopReason"], "end_turn", "{}", seen.text());
    assert!(seen.json()["output"]["message"]["content"][0]["text"].is_string());
    assert_eq!(rig.mock.requests()[0].json()["max_tokens"], 9);
    let seen = post(&rig, "/bedrock/model/fast/converse-stream", &ask).await;
    assert_eq!(seen.headers["content-type"], "application/vnd.amazon.eventstream");
    let text = String::from_utf8_lossy(&seen.body).into_owned();
    assert!(text.contains("messageStart") && text.contains("messageStop") && text.contains("metadata"), "{text}");
    let signed = format!("AWS4-HMAC-SHA256 Credential={KEY}/20261125/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=ab");
    let body = Bytes::from(ask.to_string());
    let seen = rig.call("POST", "/bedrock/model/fast/converse", &[("authorization", &signed)], body.clone()).await;
    assert_eq!(seen.status, StatusCode::OK);
    // The provider's own refusal, in the words of the client's format.
    let refused = post(&rig, "/bedrock/model/two%2Fm@status=422/converse", &ask).await;
    assert_eq!((refused.status.as_u16(), &refused.headers["x-amzn-errortype"]), (422, &"ValidationException".parse().unwrap()));
    let seen = rig.call("POST", "/bedrock/model/nope/converse", &[("authorization", &signed)], body.clone()).await;
    assert_eq!((seen.status, &seen.headers["x-amzn-errortype"]), (StatusCode::NOT_FOUND, &"ResourceNotFoundException".parse().unwrap()));
    let seen = rig.call("POST", "/bedrock/model/fast/converse", &[], body).await;
    assert_eq!((seen.status, &seen.headers["x-amzn-errortype"]), (StatusCode::FORBIDDEN, &"UnrecognizedClientException".parse().unwrap()));
}

#[tokio::test]
async fn a_client_of_coheres_is_served_by_a_server_like_openais() {
    let rig = Rig::start().await;
    let ask = json!({"model": "fast", "messages": [{"role": "user", "content": "Hi"}]});
    let told = post(&rig, "/cohere/v2/chat", &ask).await.json();
    assert_eq!((&told["finish_reason"], told["message"]["content"][0]["type"].as_str()), (&json!("COMPLETE"), Some("text")), "{told}");
    let text = post(&rig, "/v2/chat", &json!({"model": "fast", "stream": true, "messages": ask["messages"]})).await.text();
    assert!(text.contains("message-start") && text.contains("message-end"), "{text}");
    let listed = rig.call("GET", "/cohere/v1/models", &[("x-api-key", KEY)], Bytes::new()).await.json();
    assert_eq!(listed["models"][0]["name"], "fast");
    let told = post(&rig, "/cohere/v2/chat", &json!({"model": "nope", "messages": []})).await;
    assert!((told.status, told.json()["message"].is_string()) == (StatusCode::NOT_FOUND, true), "{}", told.text());
}

#[tokio::test]
async fn a_conversation_goes_on_where_its_last_answer_is_kept() {
    let rig = Rig::start_with(|plan| {
        for name in ["one", "two"] {
            plan["providers"][name]["quirks"]["responses"] = json!(true);
        }
        plan["models"]["fast"]["targets"] =
            json!([{"provider": "one", "model": "m", "weight": 1}, {"provider": "two", "model": "m", "weight": 1}]);
        plan["models"]["fast"]["fallbacks"] = json!([]);
        plan["virtual_keys"]["web"]["models"] = json!(["*"]);
    })
    .await;
    let mut served = std::collections::BTreeSet::new();
    for number in 0..24 {
        let first = post(&rig, "/v1/responses", &json!({"model": "fast", "input": "Hi", "stream": number % 2 == 0})).await;
        let target = first.headers["x-bifrost-target"].clone();
        let text = first.text();
        let at = text.find("\"id\":\"resp_").unwrap() + 6;
        let id = text[at..].split('"').next().unwrap();
        let more = json!({"model": "fast", "input": "More", "previous_response_id": id});
        let seen = post(&rig, "/v1/responses", &more).await;
        assert_eq!((seen.status, &seen.headers["x-bifrost-target"]), (StatusCode::OK, &target), "{}", seen.text());
        let tried = rig.tried();
        let [.., first, second] = tried.as_slice() else { panic!("{tried:?}") };
        assert_eq!(first, second, "the same credential");
        served.insert((target.to_str().unwrap().to_owned(), second.clone()));
        // What names no model finds its provider by the answer, though the key covers two.
        let seen = rig.call("GET", &format!("/v1/responses/{id}"), &[("x-api-key", KEY)], Bytes::new()).await;
        assert_eq!(rig.tried().last(), Some(second), "{}", seen.text());
        let none = rig.call("GET", "/v1/responses/resp_unknown", &[("x-api-key", KEY)], Bytes::new()).await;
        assert_eq!(none.status, StatusCode::BAD_REQUEST, "{}", none.text());
    }
    assert_eq!(served.len(), 3, "{served:?}");
}

#[tokio::test]
async fn what_a_server_refuses_is_left_out_and_told_in_both_lanes() {
    let rig = Rig::start_with(|plan| {
        plan["providers"]["one"]["quirks"]["refuses"] = json!(["store", "user"]);
        plan["providers"]["one"]["quirks"]["tool_call_ids"] = json!("nine_alphanumerics");
    })
    .await;
    let ask = json!({"model": "fast", "messages": [{"role": "user", "content": "Hi"}], "user": "u", "temperature": 0.5, "store": true});
    let seen = post(&rig, "/v1/chat/completions", &ask).await;
    assert_eq!((seen.status, loss(&seen)), (StatusCode::OK, Some("user=unsupported, store=unsupported")));
    let sent = rig.mock.requests()[0].json();
    assert_eq!((sent.get("user"), sent.get("store"), &sent["temperature"]), (None, None, &json!(0.5)));
    let message = json!({"model": "fast", "max_tokens": 9, "metadata": {"user_id": "u"}, "messages": [{"role": "user", "content": "Hi"}]});
    let seen = post(&rig, "/v1/messages", &message).await;
    assert_eq!((seen.status, loss(&seen)), (StatusCode::OK, Some("user=unsupported")));
    assert_eq!(rig.mock.requests()[1].json().get("user"), None);
    // Ids that another provider gave.
    let call = json!({"id": "call_abcdefghijk", "type": "function", "function": {"name": "t", "arguments": "{}"}});
    let turns = json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_abcdefghijk", "content": "done"}]);
    let seen = post(&rig, "/v1/chat/completions", &json!({"model": "fast", "messages": turns, "x": 1.10})).await;
    assert_eq!((seen.status, loss(&seen)), (StatusCode::OK, None), "{}", seen.text());
    let sent = rig.mock.requests()[2].json();
    let id = sent["messages"][2]["tool_call_id"].as_str().unwrap();
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    assert_eq!((&sent["messages"][1]["tool_calls"][0]["id"], &sent["x"]), (&json!(id), &json!(1.10)));
    let rig = Rig::start_with(|plan| {
        plan["providers"]["one"]["quirks"]["refuses"] = json!(["user"]);
        plan["models"]["fast"]["strict_translation"] = json!(true);
    })
    .await;
    let seen = post(&rig, "/v1/chat/completions", &ask).await;
    assert_eq!((seen.status, &seen.headers["x-bifrost-target"]), (StatusCode::OK, &"two/m".parse().unwrap()), "the next one takes it");
    // What the client is told names no provider: which one serves is not every client's to know.
    let rig = Rig::start_with(|plan| {
        plan["providers"]["one"]["quirks"]["refuses"] = json!(["user"]);
        plan["models"]["fast"]["strict_translation"] = json!(true);
        plan["models"]["fast"]["fallbacks"] = json!([]);
        plan["virtual_keys"]["web"]["routing_headers"] = json!(false);
    })
    .await;
    let text = post(&rig, "/v1/chat/completions", &ask).await.text();
    assert!(text.contains("`user` (unsupported)") && !text.contains("one"), "{text}");
}
