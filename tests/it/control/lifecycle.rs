//! Start, serve, end.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use bifrostctl::control::{OnInvalid, StartError, start};
use serde_json::json;

use super::lab::{KEY, Lab, OTHER_KEY, Place, ask, said, spec, spec_with};

#[tokio::test]
async fn a_gateway_starts_from_its_file_and_serves() {
    let lab = Lab::new().await;
    assert_eq!(lab.says().await, "one");
    assert_eq!(lab.gateway.revision(), 1);
    let status = lab.status().await;
    assert_eq!((&status["sync"], &status["health"], &status["revision"]), (&json!("synced"), &json!("healthy"), &json!(1)));
    assert_eq!(status["listen"], lab.gateway.address().to_string());
    assert_eq!(status["tables_alive"], 1);
    assert_eq!(status["providers"]["mock"]["credentials"]["default"]["state"], "ready");
    assert_eq!(lab.metric("bifrost_config_last_reload_successful").await, 1.0);
    let socket = lab.place.path("a/admin.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(socket.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    let place = lab.end().await;
    assert!(!place.path("a/admin.sock").exists());
}

#[tokio::test]
async fn probes_answer_on_both_listeners_and_metrics_where_the_spec_says() {
    let lab = Lab::new().await;
    assert_eq!(lab.get("/livez").await.status, 200);
    assert_eq!(lab.get("/readyz").await.json()["status"], "ready");
    let front = |path: &str| lab.http.get(lab.url(path)).send();
    assert_eq!(front("/readyz").await.unwrap().text().await.unwrap(), r#"{"status":"ready","reasons":[]}"#, "strangers get no details");
    assert_eq!(front("/livez").await.unwrap().status(), 200);
    assert_eq!(front("/metrics").await.unwrap().status(), 404);
    let text = lab.place.read("gateway.yaml").replace("access_log: \"off\"", "access_log: \"off\", metrics: gateway");
    assert_eq!(lab.apply(&text).await.status, 200);
    let metrics = front("/metrics").await.unwrap();
    assert_eq!(metrics.status(), 200);
    assert!(metrics.text().await.unwrap().contains("bifrost_config_info{digest="));
}

#[tokio::test]
async fn the_same_spec_keeps_its_revision_over_a_restart_and_another_one_counts_on() {
    let place = Lab::new().await.end().await;
    let lab = place.start().await;
    assert_eq!(lab.gateway.revision(), 1);
    let place = lab.end().await;
    place.write("gateway.yaml", &spec(&place.root, "two"));
    let lab = place.start().await;
    assert_eq!((lab.gateway.revision(), lab.says().await.as_str()), (2, "two"));
    let revisions = lab.get("/v1/revisions").await.json();
    assert_eq!(revisions["revisions"][1]["trigger"], "start");
    assert_eq!(revisions["revisions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn two_gateways_do_not_share_a_state_directory() {
    let lab = Lab::new().await;
    let mut options = lab.place.options();
    options.paths = vec![lab.place.path("other.yaml")];
    lab.place.write("other.yaml", &lab.place.read("gateway.yaml").replace("/a/admin.sock", "/b/admin.sock"));
    let error = start(options).await.unwrap_err();
    assert!(matches!(&error, StartError::Store(_)), "{}", said(&error));
    assert_eq!(lab.says().await, "one");
}

#[tokio::test]
async fn a_bad_spec_at_the_start_fails_loudly_or_serves_the_last_good_one() {
    let place = Lab::new().await.end().await;
    let bad = place.read("gateway.yaml").replace("providers: {mock: {}}", "providers: {mock: {}, nowhere: {}}");
    place.write("gateway.yaml", &bad);
    let error = start(place.options()).await.unwrap_err();
    assert!(matches!(&error, StartError::Invalid(_)) && said(&error).contains("BF0202"), "{}", said(&error));

    let mut options = place.options();
    options.on_invalid = OnInvalid::LastGood;
    let lab = place.start_with(options).await;
    assert_eq!((lab.gateway.revision(), lab.says().await.as_str()), (1, "one"));
    let status = lab.status().await;
    assert_eq!((&status["sync"], &status["last_reload"]["outcome"]), (&json!("out_of_sync"), &json!("rejected")));
    assert_eq!(lab.get("/readyz").await.status, 200);
    assert_eq!(lab.metric("bifrost_config_last_reload_successful").await, 0.0);
    // The file is watched although it never loaded.
    lab.place.write("gateway.yaml", &spec(&lab.place.root, "repaired"));
    lab.until_revision(2).await;
    assert_eq!(lab.says().await, "repaired");
}

/// Leaves revisions 1, 2 and 3, of which 2 and 3 need a file that is gone, and a file that is wrong.
async fn with_revisions_that_cannot_run() -> Place {
    let lab = Lab::new().await;
    let first = lab.place.read("gateway.yaml");
    lab.place.write("local.key", "key");
    let local = "local: {api: openai-chat, base_url: \"http://127.0.0.1:9/v1\", credentials: {main: {secret: {file: local.key}}}}";
    for says in ["two", "three"] {
        let text = first
            .replace("providers: {mock: {}", &format!("providers: {{mock: {{}}, {local}"))
            .replace("text=one", &format!("text={says}"));
        assert_eq!(lab.apply(&text).await.status, 200);
    }
    let place = lab.end().await;
    fs::remove_file(place.path("local.key")).unwrap();
    place.write("gateway.yaml", &first.replace("version: 1", "version: 1\nnonsense: 1"));
    place
}

#[tokio::test]
async fn a_revision_that_cannot_run_any_more_is_passed_over_for_an_older_one() {
    let place = with_revisions_that_cannot_run().await;
    let mut options = place.options();
    options.on_invalid = OnInvalid::LastGood;
    let lab = place.start_with(options).await;
    assert_eq!((lab.gateway.revision(), lab.says().await.as_str()), (1, "one"));
    assert!(!lab.gateway.is_in_step());
    let revisions = lab.get("/v1/revisions").await.json();
    assert_eq!((revisions["revisions"].as_array().unwrap().len(), &revisions["running"]), (3, &json!(1)), "none is made");
    // What comes next is not numbered like what was there before.
    lab.place.write("gateway.yaml", &spec(&lab.place.root, "repaired"));
    lab.until_revision(4).await;
    assert!(lab.gateway.is_in_step());
}

#[tokio::test]
async fn where_no_revision_can_run_each_is_named_with_its_reason() {
    let place = with_revisions_that_cannot_run().await;
    fs::write(place.path("state/revisions/00000001.json"), "{}").unwrap();
    let mut options = place.options();
    options.on_invalid = OnInvalid::LastGood;
    let error = start(options).await.unwrap_err();
    let StartError::NoLastGood { why, .. } = &error else { panic!("{}", said(&error)) };
    let reason = "the secret in file local.key does not exist";
    let reasons: Vec<&str> = why.split("; ").collect();
    assert_eq!(reasons.len(), 2, "{why}");
    for (told, number) in reasons.iter().zip([3, 2]) {
        assert!(told.starts_with(&format!("revision {number}: {reason}")) && told.ends_with("[BF0501]"), "{told}");
    }
}

#[tokio::test]
async fn without_a_last_good_one_there_is_nothing_to_serve() {
    let place = Place::with(|root| spec(root, "x").replace("version: 1", "version: 1\nnonsense: 1"));
    let mut options = place.options();
    options.on_invalid = OnInvalid::LastGood;
    let error = start(options).await.unwrap_err();
    assert!(matches!(&error, StartError::NoLastGood { .. }), "{}", said(&error));
}

#[tokio::test]
async fn a_secret_that_is_not_set_refuses_the_start_at_its_place_unless_it_is_optional() {
    let provider = |optional: bool| {
        move |root: &std::path::Path| {
            let remote =
                format!("providers: {{mock: {{}}, groq: {{credentials: {{main: {{secret: {{env: GROQ_KEY}}, optional: {optional}}}}}}}}}");
            spec(root, "one").replace("providers: {mock: {}}", &remote)
        }
    };
    let error = start(Place::with(provider(false)).options()).await.unwrap_err();
    let text = said(&error);
    assert!(
        text.contains("BF0501") && text.contains("/providers/groq/credentials/main/secret") && text.contains("`GROQ_KEY` is not set"),
        "{text}"
    );

    let lab = Place::with(provider(true)).start().await;
    let status = lab.status().await;
    let main = &status["providers"]["groq"]["credentials"]["main"];
    assert_eq!(main["state"], "absent");
    assert!(main["reason"].as_str().unwrap().contains("GROQ_KEY"), "{main}");
    assert_eq!(status["health"], "healthy", "what was never set is no fault");
    drop(lab);

    let place = Place::with(provider(false));
    let mut options = place.options();
    options.env = Arc::new(BTreeMap::from([("GROQ_KEY".to_owned(), "gsk-CANARY".to_owned())]));
    let lab = place.start_with(options).await;
    assert_eq!(lab.says().await, "one");
    for path in ["/v1/status", "/v1/spec", "/v1/revisions", "/metrics"] {
        assert!(!lab.get(path).await.text.contains("CANARY"), "{path}");
    }
}

#[tokio::test]
async fn a_drain_finishes_streams_and_shows_itself_on_the_admin_api() {
    let lab = Lab::new().await;
    let mut stream = lab.post(KEY, &ask("mock/mock-small@chunks=12;chunk_delay=25ms;text=word", true)).await;
    assert_eq!(stream.status(), 200);
    let mut text = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    lab.gateway.drain();
    let ready = loop {
        let seen = lab.get("/readyz").await;
        if seen.status == 503 {
            break seen;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(ready.json()["status"], "draining");
    let refused = lab.apply(&spec(&lab.place.root, "late")).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (503, &json!("draining")));
    while let Some(piece) = stream.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let ended = lab.gateway.ended().await;
    assert_eq!((ended.drained.aborted, ended.failed), (0, false));
}

#[tokio::test]
async fn a_key_ends_by_the_clock_without_a_reload() {
    let clock = Arc::new(bifrostctl::base::ManualClock::at(1_800_000_000_000));
    let place = Place::with(|root| {
        let end = jiff::Timestamp::from_millisecond(1_800_000_060_000).unwrap();
        spec_with(root, "one", "").replacen("models: [\"*\"]}", &format!("models: [\"*\"], expires: \"{end}\"}}"), 1)
    });
    let mut options = place.options();
    options.clock = Arc::clone(&clock) as Arc<dyn bifrostctl::base::Clock>;
    let lab = place.start_with(options).await;
    assert_eq!(lab.chat(OTHER_KEY, "fast").await.status, 200);
    clock.advance(60_000);
    assert_eq!(lab.chat(OTHER_KEY, "fast").await.status, 401);
    assert_eq!(lab.chat(KEY, "fast").await.status, 200);
    assert_eq!(lab.gateway.revision(), 1);
}
