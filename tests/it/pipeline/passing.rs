//! Endpoints that are relayed without being read: forms, audio, files, and requests that name no model.

use bifrostctl::mock::{Behaviour, Script};
use bifrostctl::server::{Handler as _, Peer, RequestBody};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::harness::{KEY, Rig, Seen};
use super::money::{Paid, budget};

const AUTH: (&str, &str) = ("x-api-key", KEY);

/// A gateway whose key may use these.
async fn allowed(models: Value) -> Rig {
    Rig::start_with(|plan| plan["virtual_keys"]["web"]["models"] = models).await
}

fn message(seen: &Seen) -> String {
    seen.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
}

fn form(model: &str) -> (String, Bytes) {
    let mut body = b"--=_b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\0\xff\r\n--=_ \r\n".to_vec();
    body.extend_from_slice(format!("\r\n--=_b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--=_b--\r\n").as_bytes());
    ("multipart/form-data; boundary=\"=_b\"".to_owned(), Bytes::from(body))
}

#[tokio::test]
async fn the_model_of_a_form_is_replaced_and_every_other_byte_stays() {
    let rig = Rig::start().await;
    let (kind, body) = form("fast");
    let request = Request::post("/v1/audio/transcriptions").header("content-type", &kind).header(AUTH.0, AUTH.1);
    let seen = Rig::read(rig.gateway.handle(request.body(RequestBody::from(body)).unwrap(), Peer::default()).await).await;
    assert_eq!((seen.status, &seen.headers["x-bifrost-target"]), (StatusCode::OK, &"one/m".parse().unwrap()));
    let sent = &rig.mock.requests()[0];
    assert_eq!((sent.body.clone(), sent.header("content-type")), (form("m").1, Some(kind.as_str())));
    assert_eq!(sent.header("content-length"), Some(sent.body.len().to_string().as_str()));
    let broken = Request::post("/v1/audio/transcriptions").header("content-type", kind).header(AUTH.0, AUTH.1);
    let broken = broken.body(RequestBody::from(form("fast").1.slice(..60))).unwrap();
    let seen = Rig::read(rig.gateway.handle(broken, Peer::default()).await).await;
    assert_eq!((seen.status, seen.json()["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("bad_request")));
}

#[tokio::test]
async fn an_answer_is_passed_on_as_it_comes_and_falls_back_until_it_has_begun() {
    let rig = Rig::start().await;
    rig.mock.script(Script::sequence(["status=500", "status=500", "stall_at=3"].map(|fault| fault.parse::<Behaviour>().unwrap())));
    let request = Request::post("/v1/audio/speech").header(AUTH.0, AUTH.1);
    let body = Bytes::from_static(br#"{"model":"fast","input":"hello","voice":"alloy"}"#);
    let response = rig.gateway.handle(request.body(RequestBody::from(body)).unwrap(), Peer::default()).await;
    assert_eq!((response.status(), &response.headers()["x-bifrost-target"]), (StatusCode::OK, &"two/m".parse().unwrap()));
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("audio/"));
    // The upstream is silent from here on, and yet this arrives.
    let mut body = response.into_body();
    let mut came = 0;
    while came < 3 {
        came += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    assert_eq!(came, 3);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_a_clean_end_and_counts_against_the_target() {
    let rig = Rig::start().await;
    // JSON is read for its cost, and so is whole or nothing.
    rig.mock.script(Script::always("cut_at=17".parse().unwrap()));
    let seen = rig.call("POST", "/v1/images/generations", &[AUTH], Bytes::from_static(br#"{"model":"two/m","prompt":"a cat"}"#)).await;
    assert_eq!(seen.status, StatusCode::BAD_GATEWAY);
    let mut sound: Behaviour = "cut_at=17".parse().unwrap();
    sound.headers.insert("content-type".to_owned(), "audio/mpeg".to_owned());
    rig.mock.script(Script::always(sound));
    for _ in 0..5 {
        let request = Request::post("/v1/images/generations").header(AUTH.0, AUTH.1);
        let body = Bytes::from_static(br#"{"model":"fast","prompt":"a cat"}"#);
        let response = rig.gateway.handle(request.body(RequestBody::from(body)).unwrap(), Peer::default()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.into_body().collect().await.unwrap_err().kind, bifrostctl::error::Kind::UpstreamTruncated);
    }
    let now = rig.gateway.clock.monotonic_ms();
    assert!(matches!(rig.gateway.services.health.target("one", "m").breaker.admits(now), bifrostctl::provider::Admit::No { .. }));
}

#[tokio::test]
async fn what_names_no_model_goes_to_the_only_provider_that_the_key_covers() {
    let rig = Rig::start().await;
    for (method, path, body) in [
        ("GET", "/v1/files?limit=2&after=file-a", ""),
        ("DELETE", "/v1/files/file-a", ""),
        ("HEAD", "/v1/files/file-a", ""),
        ("POST", "/v1/batches", r#"{"input_file_id":"f", "endpoint":"/v1/chat/completions"}"#),
        ("POST", "/v1/batches/batch_1/cancel", ""),
        ("GET", "/v1/responses/resp_1/input_items", ""),
        ("POST", "/v1/moderations", r#"{"input" : "x"}"#),
    ] {
        let seen = rig.call(method, path, &[AUTH], Bytes::from(body)).await;
        assert_eq!(seen.headers["x-bifrost-target"], "two/*", "{method} {path} {}", seen.text());
        let sent = rig.mock.requests().pop().unwrap();
        assert_eq!((sent.method.as_str(), sent.target.as_str(), &sent.body[..]), (method, path, body.as_bytes()));
    }
    assert!(rig.tried().iter().all(|credential| credential == "C"));
}

#[tokio::test]
async fn a_provider_that_is_not_clear_must_be_named_and_covered() {
    let named = |name: &'static str| [AUTH, ("x-bifrost-provider", name)];
    let rig = allowed(json!(["*"])).await;
    let seen = rig.call("GET", "/v1/files", &[AUTH], Bytes::new()).await;
    assert_eq!(seen.status, StatusCode::BAD_REQUEST);
    assert!(message(&seen).contains("`x-bifrost-provider` with one of `one`, `two`"), "{}", seen.text());
    assert_eq!(rig.call("GET", "/v1/files", &named("one"), Bytes::new()).await.headers["x-bifrost-target"], "one/*");
    assert_eq!(rig.tried(), ["A"], "credentials in the order of their names");
    let seen = rig.call("GET", "/v1/files", &named("three"), Bytes::new()).await;
    assert_eq!(seen.status, StatusCode::FORBIDDEN);
    assert!(message(&seen).contains("`three`") && message(&seen).contains("`one`, `two`"), "{}", seen.text());
    let rig = allowed(json!(["fast", "one/m"])).await;
    for headers in [&[AUTH][..], &named("one")] {
        let seen = rig.call("GET", "/v1/files", headers, Bytes::new()).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN, "an alias or a model is not the whole provider: {}", seen.text());
    }
    assert!(rig.mock.requests().is_empty());
}

#[tokio::test]
async fn a_rule_can_refuse_what_names_no_model_but_not_move_it() {
    let rig = Rig::start_with(|plan| {
        plan["rules"] = json!([
            {"name": "no-batches", "when": "body_bytes > 0 and endpoint == 'other'", "action": {"deny": {"status": 403, "message": "No."}}},
            {"name": "all", "when": "model == ''", "action": {"use": "fast"}},
        ]);
    })
    .await;
    let seen = rig.call("POST", "/v1/batches", &[AUTH], r#"{"input_file_id":"file-a"}"#.into()).await;
    assert_eq!((seen.status, seen.json()["error"]["code"].as_str()), (StatusCode::FORBIDDEN, Some("denied_by_rule")));
    assert_eq!(rig.call("GET", "/v1/files", &[AUTH], Bytes::new()).await.headers["x-bifrost-target"], "two/*");
}

/// Events of an endpoint that is relayed, as the mock is told to send them.
fn events(body: &str) -> Behaviour {
    let mut events = Behaviour { body: Some(body.to_owned()), ..Behaviour::default() };
    events.headers.insert("content-type".to_owned(), "text/event-stream; charset=utf-8".to_owned());
    events
}

#[tokio::test]
async fn the_last_event_of_a_relayed_stream_says_what_it_cost() {
    let done = "data: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA\"}\n\n\
                data: {\"type\":\"image_generation.completed\",\"b64_json\":\"AA\",\"usage\":{\"input_tokens\":10,\"output_tokens\":4000}}\n\n";
    let paid = Paid::start(json!([budget("$1", "soft")]), |_| {}).await;
    paid.rig.mock.script(Script::always(events(done)));
    let body = Bytes::from_static(br#"{"model":"fast","prompt":"a cat","stream":true}"#);
    let seen = paid.rig.call("POST", "/v1/images/generations", &[AUTH], body).await;
    assert_eq!((seen.status, seen.text()), (StatusCode::OK, done.to_owned()), "it passes byte for byte");
    // $1 for a million tokens in, $10 out.
    assert_eq!(paid.spent().await.nano(), 10 * 1_000 + 4_000 * 10_000);
}

#[tokio::test]
async fn what_a_relayed_stream_said_counts_though_the_client_leaves_before_its_end() {
    let done = "data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":10,\"output_tokens\":40}}\n\n";
    let paid = Paid::start(json!([budget("$1", "soft")]), |_| {}).await;
    let mut stalled = events(&format!("{done}data: more\n\n"));
    stalled.stall_at = format!("{}", done.len()).parse().ok();
    paid.rig.mock.script(Script::always(stalled));
    let request = Request::post("/v1/audio/speech").header(AUTH.0, AUTH.1);
    let body = Bytes::from_static(br#"{"model":"fast","input":"hello","voice":"alloy","stream_format":"sse"}"#);
    let response = paid.rig.gateway.handle(request.body(RequestBody::from(body)).unwrap(), Peer::default()).await;
    let mut body = response.into_body();
    let mut came = 0;
    while came < done.len() {
        came += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    drop(body);
    assert_eq!(paid.spent().await.nano(), 10 * 1_000 + 40 * 10_000);
}
