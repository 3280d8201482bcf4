//! What was reviewed is what is applied: saved plans, changes that are taken back, and drift. Against a real gateway.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use super::whole_loop::Loop;

const OLD: &str = "targets: [mock/mock-small]";
const NEW: &str = "targets: [mock/mock-large]";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_plan_is_applied_once_and_names_its_commit() {
    let it = Loop::new().await;
    it.edit(OLD, NEW);
    it.place.git(&["commit", "--quiet", "--all", "--message=larger"]);
    let done = it.ok(&["diff", "--out", "gateway.plan"]);
    assert!(done.stderr.contains("saved for revision 1") && done.stdout.contains("mock/mock-large"), "{done:?}");
    // Whatever is edited afterwards is not what was reviewed.
    it.edit(NEW, "targets: [mock/mock-other]");
    let shown = it.exits(&["apply", "gateway.plan"], 64);
    assert!(shown.stdout.contains("Plan for live revision 1 → gateway.plan") && shown.stderr.contains("--yes"), "{shown:?}");
    let done = it.ok(&["apply", "gateway.plan", "--yes", "--reason", "reviewed"]);
    assert!(done.stderr.contains("revision 2 serves"), "{done:?}");
    assert_eq!(it.chat(), "mock-large");
    let last = it.result(&["history"])["revisions"][0].clone();
    assert!(last["reason"] == "reviewed" && last["git_commit"].as_str().unwrap().len() == 40, "{last}");
    let again = it.ok(&["apply", "gateway.plan", "--yes"]);
    assert!(again.stderr.contains("nothing to apply"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_whose_base_has_moved_is_not_applied_and_shows_what_now_differs() {
    let it = Loop::new().await;
    it.edit(OLD, NEW);
    it.ok(&["diff", "--out", "mine.plan"]);
    it.edit(NEW, "targets: [mock/mock-other]");
    it.ok(&["apply", "--yes"]);
    let done = it.exits(&["apply", "mine.plan", "--yes"], 5);
    assert!(done.stderr.contains("the live revision is now 2; the plan was made for 1"), "{done:?}");
    assert!(done.stderr.contains("mock-other") && done.stderr.contains("mock-large"), "the fresh difference: {done:?}");
    assert_eq!((it.chat(), it.gateway.revision()), (json!("mock-other"), 2));
    // Back at a revision that means the same, the plan is still not what was reviewed.
    it.ok(&["rollback", "--to", "1", "--yes"]);
    it.exits(&["apply", "mine.plan", "--yes"], 5);
    assert_eq!(it.gateway.revision(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_plan_is_refused() {
    let it = Loop::new().await;
    it.edit(OLD, NEW);
    it.ok(&["diff", "--out", "a.plan"]);
    let path = it.place.path().join("checkout/a.plan");
    let plan: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let with = |name: &str, value: Value| {
        let mut plan = plan.clone();
        plan[name] = value;
        std::fs::write(&path, plan.to_string()).unwrap();
    };
    // Somebody changes the text after the review: the change is no longer the one that was shown.
    let other = plan["files"]["gateway.yaml"].as_str().unwrap().replace("mock-large", "mock-evil");
    with("files", json!({"gateway.yaml": other}));
    let done = it.exits(&["apply", "a.plan", "--yes"], 5);
    assert!(done.stderr.contains("something else than what was reviewed"), "{done:?}");
    with("base", json!({"revision": 1, "digest": "0".repeat(64)}));
    let done = it.exits(&["apply", "a.plan", "--yes"], 5);
    assert!(done.stderr.contains("the live revision 1 is not the 1 that the plan was made for: is it another gateway?"), "{done:?}");
    with("files", json!({}));
    assert!(it.exits(&["apply", "a.plan", "--yes"], 3).stderr.contains("it does not hold gateway.yaml"));
    with("paths", json!([]));
    assert!(it.exits(&["apply", "a.plan", "--yes"], 3).stderr.contains("it holds no spec"));
    with("schema", json!("bifrost.dev/plan/v2"));
    assert!(it.exits(&["apply", "a.plan", "--yes"], 3).stderr.contains("its format is `bifrost.dev/plan/v2`"));
    std::fs::write(&path, "providers: {}").unwrap();
    assert!(it.exits(&["apply", "a.plan", "--yes"], 3).stderr.contains("is no saved plan"));
    it.exits(&["apply", "absent.plan", "--yes"], 1);
    it.exits(&["apply", "a.plan", "-f", "gateway.yaml", "--yes"], 64);
    it.exits(&["diff", "--out", "b.plan", "--against", "git:HEAD"], 64);
    assert_eq!(it.gateway.revision(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_that_answers_with_errors_is_taken_back() {
    let it = Loop::new().await;
    it.edit(OLD, "targets: [\"mock/mock-small@status=500\"]");
    let mut command = it.place.command(&["apply", "--yes", "--auto-rollback", "errors>50%/30s", "--timeout", "60s"]);
    let mut apply = command.current_dir(it.place.path().join("checkout")).spawn().unwrap();
    let url = format!("http://{}/v1/chat/completions", it.gateway.address());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    // Clients go on until the gateway serves the old spec again, or nobody watches any more.
    let mut failed = 0;
    while it.gateway.revision() < 3 && apply.try_wait().unwrap().is_none() {
        let body = json!({"model": "fast", "messages": [{"role": "user", "content": "hi"}]}).to_string();
        let sent = client.post(&url).bearer_auth(&it.key).header("content-type", "application/json").body(body).send().await.unwrap();
        failed += u32::from(sent.status().is_server_error());
    }
    let output = apply.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(failed > 10 && said.contains("revision 2 was taken back") && said.contains("answers were errors"), "{failed}: {said}");
    assert_eq!(it.chat(), "mock-small");
    let last = it.result(&["history"])["revisions"][0].clone();
    assert!(last["trigger"] == "rollback" && last["reason"].as_str().unwrap().starts_with("auto-rollback of 2"), "{last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_from_standard_input_stands_in_no_commit() {
    let it = Loop::new().await;
    it.edit(OLD, NEW);
    it.place.git(&["commit", "--quiet", "--all", "--message=larger"]);
    let text = it.place.read("checkout/gateway.yaml");
    let mut command = it.place.command(&["apply", "-f", "-", "--yes"]);
    let mut apply = command.current_dir(it.place.path().join("checkout")).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    apply.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(apply.wait().unwrap().success());
    let last = it.result(&["history"])["revisions"][0].clone();
    assert!(last["number"] == 2 && last["git_commit"].is_null(), "{last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_diff_with_the_running_gateway_tells_what_becomes_suspicious_and_why_no_plan_was_saved() {
    let it = Loop::new().await;
    it.edit(OLD, "targets: [mock/mock-small]\n    fallbacks: [mock/mock-small]");
    let done = it.ok(&["diff"]);
    assert!(done.stderr.contains("warning[BF0229]") && done.stderr.contains("1 new warning with this change"), "{done:?}");
    it.edit("listen: 127.0.0.1:0", "listen: 127.0.0.1:1");
    let done = it.ok(&["diff", "--out", "a.plan"]);
    assert!(done.stderr.contains("no plan was saved: the gateway would not take it"), "{done:?}");
    assert!(!it.place.path().join("checkout/a.plan").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_that_holds_stays() {
    let it = Loop::new().await;
    it.edit(OLD, NEW);
    let done = it.ok(&["apply", "--yes", "--auto-rollback", "errors>5%/1s"]);
    assert!(done.stderr.contains("it holds: 0 of 0 answers were errors"), "{done:?}");
    assert_eq!(it.gateway.revision(), 2);
    it.exits(&["apply", "--yes", "--auto-rollback", "5%"], 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_tells_who_disagrees() {
    let it = Loop::new().await;
    let done = it.ok(&["drift"]);
    assert!(done.stdout.contains("nothing was ever applied") && done.stderr.contains("no drift"), "{done:?}");
    it.edit(OLD, NEW);
    let done = it.exits(&["drift"], 2);
    assert!(done.stdout.contains("differs from live revision 1") && done.stdout.contains("mock-large"), "{done:?}");
    it.ok(&["apply", "--yes"]);
    it.ok(&["drift"]);
    // Somebody on the gateway's machine knows better.
    let live = it.place.path().join("live/gateway.yaml");
    let text = std::fs::read_to_string(&live).unwrap();
    std::fs::write(&live, text.replace("mock-large", "mock-hand")).unwrap();
    it.gateway.hang_up();
    while it.gateway.revision() < 3 {
        tokio::task::yield_now().await;
    }
    let sides = it.exits(&["drift", "-o", "json"], 2).json()["result"]["sides"].take();
    let agrees = ["file_here", "gateway_s_file", "last_applied"].map(|side| sides[side]["agrees"].as_bool().unwrap());
    assert_eq!(agrees, [false, true, false], "{sides:#}");
    let report = it.exits(&["drift", "-o", "markdown"], 2).stdout;
    assert!(report.contains("| last applied | **differs** |") && report.contains("mock-hand"), "{report}");
}
