//! Limits in a running gateway: what is used outlives a reload of the files, `status` shows what is reached, and metrics what runs.

use serde_json::json;

use super::lab::{KEY, Lab, Place, ask, spec};

/// The spec with limits of the first key.
fn limited(text: &str, limits: &str) -> String {
    text.replace("routing_headers: true", &format!("routing_headers: true, limits: {limits}"))
}

async fn status_of(lab: &Lab) -> u16 {
    lab.chat(KEY, "fast").await.status
}

#[tokio::test]
async fn what_is_used_outlives_the_table_and_is_shown() {
    let plain = |root: &std::path::Path| spec(root, "one");
    let place = Place::with(|root| limited(&plain(root), "{requests: {rate: 2/day, burst: 2}, concurrency: 5}"));
    let lab = place.start().await;
    assert_eq!(lab.status().await["limits_reached"], json!([]));
    let running = lab.post(KEY, &ask("mock/mock-small@text=one two three four;stall_at=event:4", true)).await;
    assert_eq!(running.status(), 200);
    assert_eq!(lab.metric("bifrost_limit_permits{scope=\"key\"}").await, 1.0);
    assert_eq!((status_of(&lab).await, status_of(&lab).await), (200, 429));
    let reached = &lab.status().await["limits_reached"][0];
    assert_eq!((&reached["scope"], &reached["limits"], &reached["limit"]), (&json!("key"), &json!("requests"), &json!("2/day, 2 at once")));
    // Faster, without the key's limits, and as it was: nothing refills.
    let text = plain(&lab.place.root);
    for (revision, limits, expected) in
        [(2, "{requests: {rate: 20/day, burst: 20}}", 429), (3, "{concurrency: 9}", 200), (4, "{requests: 2/day}", 429)]
    {
        lab.place.write("gateway.yaml", &limited(&text, limits));
        lab.until_revision(revision).await;
        assert_eq!(status_of(&lab).await, expected, "{limits}");
    }
    assert_eq!(lab.metric("bifrost_limit_permits{scope=\"key\"}").await, 1.0, "the stream of the first table still runs");
    drop(running);
    lab.end().await;
}
