//! What a provider bears at once: status, metrics and `explain` show how many run and wait.

use bifrostctl::mock::{Config, Mock, Script};
use bifrostctl::table::explain::{Explanation, human};
use serde_json::json;

use super::lab::{KEY, Lab, Place, ask, spec_with};

/// A provider with one place.
async fn lab(far: &Mock) -> Lab {
    let place = Place::with(|root| {
        let provider = format!(
            "far: {{api: openai-chat, base_url: \"{}\", auth: none, credentials: {{d: {{secret: none}}}}, concurrency: {{max: 1}}}}",
            far.base_url()
        );
        spec_with(root, "near", "")
            .replace("providers: {mock: {}}", &format!("providers: {{mock: {{}}, {provider}}}"))
            .replace("models: {fast", "models: {only: {targets: [far/m]}, fast")
    });
    place.start().await
}

#[tokio::test]
async fn who_runs_and_who_waits_is_shown_everywhere() {
    let far = Mock::start(Config::default()).await.unwrap();
    let lab = lab(&far).await;
    far.script(Script::always("chunks=9;stall_at=event:4".parse().unwrap()));
    let stream = lab.post(KEY, &ask("only", true)).await;
    assert_eq!(stream.status(), 200);
    let runs = |running: u32, waiting: u32| {
        let shown = json!({"d": {"limit": 1, "running": running, "waiting": waiting}});
        move |status: &serde_json::Value| status["providers"]["far"]["targets"]["m"]["concurrency"] == shown
    };
    let watching = async {
        lab.until("one that waits", runs(1, 1)).await;
        let metrics = lab.get("/metrics").await.text;
        for (name, count) in [("limit", 1), ("running", 1), ("waiting", 1)] {
            let line = format!("bifrost_concurrency_{name}{{provider=\"far\",model=\"m\",credential=\"d\"}} {count}");
            assert!(metrics.contains(&line), "{line}: {metrics}");
        }
        let told = lab.send("/v1/explain", None, &json!({"key": "web", "model": "only"})).await.json();
        let page = human(&serde_json::from_value::<Explanation>(told).unwrap());
        assert!(page.contains("with d (1 of 1 at once, 1 waiting)"), "{page}");
        far.script(Script::default());
        drop(stream);
    };
    let body = ask("only", false);
    let (answer, ()) = tokio::join!(lab.post(KEY, &body), watching);
    assert_eq!(answer.status(), 200);
    lab.until("nobody", runs(0, 0)).await;
    lab.end().await;
}
