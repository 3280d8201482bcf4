//! Recorded exchanges of endpoints that are only relayed: the bodies of Bedrock's makers, sound, edits of pictures, compacted answers.

use std::path::Path;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::super::harness::{KEY, Rig};
use super::{Service, answer};

fn read(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recorded").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn recorded_exchanges_pass_byte_for_byte_but_for_the_model() {
    let index = String::from_utf8(read("RELAY.tsv")).unwrap();
    let mut passed = 0;
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, path, status, body, content_type, ..] = columns[..] else { panic!("{line}") };
        let (request, recorded) = (read(&format!("{name}.request.json")), read(&format!("{name}.response.{body}")));
        let service = Service::start(vec![answer(status.parse().unwrap(), content_type, &recorded)]).await;
        let url = service.url();
        let is_bedrock = name.starts_with("bedrock/");
        let rig = Rig::start_with(|plan| {
            let one = &mut plan["providers"]["one"];
            one["api"] = json!(if is_bedrock { "bedrock" } else { "openai-chat" });
            one["base_url"] = json!(if is_bedrock { url } else { format!("{url}/v1") });
            plan["virtual_keys"]["web"]["models"] = json!(["*"]);
        })
        .await;
        // In Bedrock's API the path has the model, elsewhere the body.
        let (called, sent) = match path.strip_prefix("/model/").and_then(|rest| rest.split_once('/')) {
            Some((model, call)) => (format!("/bedrock/model/one%2F{model}/{call}"), request.clone()),
            None => {
                let mut value: Value = serde_json::from_slice(&request).unwrap();
                value["model"] = json!(format!("one/{}", value["model"].as_str().unwrap()));
                (path.to_owned(), value.to_string().into_bytes())
            }
        };
        let seen = rig.call("POST", &called, &[("x-api-key", KEY)], Bytes::from(sent)).await;
        assert_eq!(seen.status.as_u16(), status.parse::<u16>().unwrap(), "{name}: {}", String::from_utf8_lossy(&seen.body));
        assert!(seen.body == recorded, "{name}: the answer: {}", String::from_utf8_lossy(&seen.body));
        assert_eq!(seen.headers["content-type"], content_type, "{name}");
        assert_eq!(service.lines(), [format!("POST {path}")], "{name}");
        let up: Value = service.bodies().remove(0);
        assert_eq!(up, serde_json::from_slice::<Value>(&request).unwrap(), "{name}: the request");
        passed += 1;
    }
    assert_eq!(passed, 10);
}

#[tokio::test]
async fn sound_is_sent_as_a_form_whose_other_fields_stay() {
    let service = Service::start(vec![answer(200, "application/json", r#"{"text":"hi"}"#)]).await;
    let url = service.url();
    let rig = Rig::start_with(|plan| {
        plan["providers"]["one"]["base_url"] = json!(format!("{url}/v1"));
        plan["virtual_keys"]["web"]["models"] = json!(["*"]);
    })
    .await;
    let part = |name: &str, value: &str| format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let form = |model: &str| format!("{}{}--x--\r\n", part("file", "ID3\u{0}sound"), part("model", model));
    let request = http::Request::builder()
        .method("POST")
        .uri("/v1/audio/transcriptions")
        .header("x-api-key", KEY)
        .header("content-type", "multipart/form-data; boundary=x")
        .body(bifrostctl::server::RequestBody::from(Bytes::from(form("one/whisper-1"))))
        .unwrap();
    let response = bifrostctl::server::Handler::handle(&rig.gateway, request, bifrostctl::server::Peer::default()).await;
    assert_eq!(response.status(), StatusCode::OK);
    let asked = service.asked();
    assert!(asked[0].ends_with(&form("whisper-1")), "{}", asked[0]);
}
