//! The list of models, in the words of whoever asks.

use bytes::Bytes;
use serde_json::json;

use super::harness::{KEY, Rig};

#[tokio::test]
async fn models_are_listed_in_the_words_of_whoever_asks() {
    let rig = Rig::start_with(|plan| plan["virtual_keys"]["web"]["models"] = json!(["fast"])).await;
    let version = ("anthropic-version", "2023-06-01");
    let get = async |path: &str, headers: &[(&str, &str)]| rig.call("GET", path, headers, Bytes::new()).await;
    let entry = json!({"type": "model", "id": "fast", "display_name": "fast", "created_at": "1970-01-01T00:00:00Z"});
    let list = json!({"data": [entry], "has_more": false, "first_id": "fast", "last_id": "fast"});
    assert_eq!(get("/v1/models", &[("x-api-key", KEY), version]).await.json(), list);
    assert_eq!(get("/anthropic/v1/models", &[("x-api-key", KEY)]).await.json(), list);
    assert_eq!(get("/anthropic/v1/models/fast", &[("x-api-key", KEY)]).await.json(), entry);
    let gone = get("/v1/models/nope", &[("x-api-key", KEY), version]).await;
    assert_eq!((gone.status.as_u16(), &gone.json()["error"]["type"]), (404, &json!("not_found_error")));
    for (path, header) in [("/v1/models", ("x-other", "1")), ("/openai/v1/models", version)] {
        let list = get(path, &[("x-api-key", KEY), header]).await.json();
        assert_eq!((&list["object"], &list["data"][0]["object"]), (&json!("list"), &json!("model")), "{path}");
    }
}
