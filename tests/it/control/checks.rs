//! Providers that are asked whether they are there: others are tried first while they are not, and none is left out as the last.

use bifrostctl::mock::{Behaviour, Config, Mock, Rule, Script, When};
use serde_json::json;

use super::lab::{KEY, Lab, Place, ask, spec_with};

/// A provider that is checked every second, before the built-in one.
async fn lab(far: &Mock) -> Lab {
    let place = Place::with(|root| {
        let provider = format!(
            "far: {{api: openai-chat, base_url: \"{}\", auth: none, credentials: {{none: {{secret: none}}}}, health_check: {{every: 1s}}}}",
            far.base_url()
        );
        spec_with(root, "near", "")
            .replace("providers: {mock: {}}", &format!("providers: {{mock: {{}}, {provider}}}"))
            .replace("models: {fast", "models: {both: {targets: [far/m], fallbacks: [fast]}, only: {targets: [far/m]}, fast")
    });
    place.start().await
}

fn no_models(fault: &str) -> Script {
    let when = When { path: Some("/v1/models".to_owned()), ..When::default() };
    Script::default().rule(Rule { when, times: None, then: vec![fault.parse::<Behaviour>().unwrap()] })
}

#[tokio::test]
async fn a_provider_that_answers_no_checks_is_tried_last_and_comes_back_with_its_first_answer() {
    let far = Mock::start(Config::default()).await.unwrap();
    let lab = lab(&far).await;
    let there = |is_there: bool| move |status: &serde_json::Value| status["providers"]["far"]["is_there"] == json!(is_there);
    lab.until("a provider that is there", there(true)).await;
    assert_eq!(lab.post(KEY, &ask("both", false)).await.headers()["x-bifrost-target"], "far/m");
    for fault in ["status=503", "reset_at=start"] {
        far.script(no_models(fault));
        lab.until("a provider that is away", there(false)).await;
        let before = far.requests().iter().filter(|request| request.path().ends_with("/chat/completions")).count();
        assert_eq!(lab.post(KEY, &ask("both", false)).await.headers()["x-bifrost-target"], "mock/mock-small@text=near", "{fault}");
        let told = lab.post(KEY, &ask("only", false)).await;
        assert_eq!((told.status().as_u16(), &told.headers()["x-bifrost-target"]), (200, &"far/m".parse().unwrap()), "nobody else is left");
        let after = far.requests().iter().filter(|request| request.path().ends_with("/chat/completions")).count();
        assert_eq!(after - before, 1, "{fault}");
        // Whatever a server says that is well is an answer.
        far.script(no_models("status=404"));
        lab.until("a provider that is back", there(true)).await;
        assert_eq!(lab.post(KEY, &ask("both", false)).await.headers()["x-bifrost-target"], "far/m");
    }
    let metrics = lab.get("/metrics").await.text;
    assert!(metrics.contains("bifrost_provider_there{provider=\"far\"} 1"), "{metrics}");
    assert!(!metrics.contains("bifrost_provider_there{provider=\"mock\"}"), "it is not checked");
    lab.end().await;
}
