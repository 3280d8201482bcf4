//! What requests teach about targets, and what that changes: load that is counted and freed, retries that do not drown anybody, accounts that
//! fail alone.

use bifrostctl::base::{Clock as _, ManualClock};
use bifrostctl::mock::{Behaviour, Rule, Script};
use bifrostctl::provider::{Admit, Answered, LoadSnapshot};
use bifrostctl::server::{Handler as _, Peer, RequestBody};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use std::sync::Arc;

use super::harness::{KEY, Rig};

const WHOLE: &str = r#"{"model":"fast","messages":[{"role":"user","content":"hi"}]}"#;
const STREAM: &str = r#"{"model":"fast","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

fn load(rig: &Rig, provider: &str) -> LoadSnapshot {
    rig.gateway.services.health.target(provider, "m").load.snapshot(rig.gateway.clock.monotonic_ms())
}

fn fault(text: &str) -> Behaviour {
    text.parse().unwrap()
}

/// Both providers in one stage.
fn two_targets(plan: &mut Value) {
    plan["models"]["fast"]["targets"] =
        json!([{"provider": "one", "model": "m", "weight": 1}, {"provider": "two", "model": "m", "weight": 1}]);
    plan["models"]["fast"]["fallbacks"] = json!([]);
}

#[tokio::test]
async fn an_attempt_counts_while_it_runs_and_is_freed_however_it_ends() {
    let rig = Rig::start().await;
    let request = || Request::post("/v1/chat/completions").header("x-api-key", KEY).body(RequestBody::from(Bytes::from(STREAM))).unwrap();
    let running = rig.gateway.handle(request(), Peer::default()).await;
    assert_eq!(load(&rig, "one").in_flight, 1, "until its end, not its head");
    let left = rig.gateway.handle(request(), Peer::default()).await;
    assert_eq!(load(&rig, "one").in_flight, 2);
    drop(left);
    assert_eq!(load(&rig, "one").in_flight, 1, "the client has left");
    Rig::read(running).await;
    assert_eq!(load(&rig, "one").in_flight, 0);
    for faults in ["status=500", "status=429;retry_after=1", "reset_at=start", "error=bad_request", "cut_at=event:3", "status=401"] {
        rig.mock.script(Script::sequence([fault(faults)]));
        for body in [WHOLE, STREAM] {
            rig.chat(body).await;
        }
        assert_eq!((load(&rig, "one").in_flight, load(&rig, "two").in_flight), (0, 0), "{faults}");
    }
    let metrics = rig.gateway.services.metrics.encode();
    assert!(metrics.contains("bifrost_retries_total"), "{metrics}");
}

#[tokio::test]
async fn times_are_taken_to_the_first_content_or_to_the_end_and_never_from_an_error() {
    let rig = Rig::start().await;
    rig.mock.script(Script::sequence([fault("status=429;retry_after=1"), fault("status=400")]));
    rig.chat(WHOLE).await;
    let known = load(&rig, "one");
    assert_eq!((known.streamed_us, known.whole_us), (None, None), "{known:?}");
    assert!(known.failure_share > 0.0);
    let rig = Rig::start().await;
    rig.mock.script(Script::sequence([fault("first_token_delay=80ms;chunk_delay=40ms;chunks=4"), fault("delay=30ms")]));
    rig.chat(STREAM).await;
    let streamed = load(&rig, "one").streamed_us.unwrap();
    assert!((75_000..200_000).contains(&streamed), "not to its end: {streamed}");
    rig.chat(WHOLE).await;
    assert!(load(&rig, "one").whole_us.unwrap() >= 29_000);
    let told = rig.gateway.services.health.target("one", "m");
    let now = rig.gateway.clock.monotonic_ms();
    assert_ne!(told.load.latency_us(Answered::Streamed, now), told.load.latency_us(Answered::Whole, now));
}

#[tokio::test]
async fn the_fastest_is_found_and_a_quick_429_attracts_nobody() {
    let rig = Rig::start_with(|plan| {
        two_targets(plan);
        plan["models"]["fast"]["balance"] = json!("fastest");
    })
    .await;
    // Provider two says no at once, again and again; provider one takes its time.
    rig.mock.script(
        Script::default()
            .rule(Rule::credential("secret-C").then(fault("status=429;retry_after_ms=1")))
            .rule(Rule::default().then(fault("delay=20ms"))),
    );
    for _ in 0..60 {
        assert_eq!(rig.chat(WHOLE).await.status, 200);
    }
    let refused = rig.tried().iter().filter(|credential| *credential == "C").count();
    assert!(refused <= 45, "{refused} of 60");
    let rig = Rig::start_with(|plan| {
        two_targets(plan);
        plan["models"]["fast"]["balance"] = json!("fastest");
    })
    .await;
    rig.mock.script(
        Script::default().rule(Rule::credential("secret-C").then(fault("delay=1ms"))).rule(Rule::default().then(fault("delay=60ms"))),
    );
    for _ in 0..40 {
        rig.chat(WHOLE).await;
    }
    let quick = rig.tried().iter().filter(|credential| *credential == "C").count();
    assert!(quick >= 38, "{quick} of 40");
}

#[tokio::test]
async fn when_all_are_overloaded_retries_do_not_drown_them() {
    let rig = Rig::start_with(two_targets).await;
    rig.mock.script(Script::always(fault("status=503")));
    let requests = 400;
    for _ in 0..requests {
        assert_eq!(rig.chat(WHOLE).await.status, 503);
    }
    let sent = rig.mock.requests().len();
    // Ten of each target are free in any thirty seconds.
    assert!(sent <= requests * 12 / 10 + 20, "{sent} attempts for {requests} requests");
    let metrics = rig.gateway.services.metrics.encode();
    assert!(metrics.contains("bifrost_retries_denied_total{provider=\"one\"}"), "{metrics}");
}

#[tokio::test]
async fn a_retry_that_is_denied_moves_on_only_where_the_alias_lets_it() {
    let rig = Rig::start_with(|plan| plan["models"]["fast"]["fallback_on"] = json!(["timeout"])).await;
    // It fails too often to take many retries, and not so often that it is out.
    let health = rig.gateway.services.health.target("one", "m");
    let (breaker, now) = (&health.breaker, rig.gateway.clock.monotonic_ms());
    (0..100).for_each(|turn| if turn % 7 == 0 { breaker.failure(now, now, 0.0) } else { breaker.success(now, now) });
    assert!((0..100).any(|_| !breaker.may_retry(now)));
    rig.mock.script(Script::sequence([fault("status=503")]));
    assert_eq!(rig.chat(WHOLE).await.status, 503);
    assert_eq!(rig.tried().len(), 1, "neither again nor elsewhere: {:?}", rig.tried());
    assert!(rig.gateway.services.metrics.encode().contains("bifrost_retries_denied_total{provider=\"one\"}"));
}

#[tokio::test]
async fn an_account_that_fails_alone_is_still_tried_when_the_others_cannot_be() {
    let rig = Rig::start_with(|plan| plan["providers"]["one"]["retries"]["max"] = json!(0)).await;
    rig.mock.script(Script::default().rule(Rule::credential("secret-A").then(fault("status=500"))));
    for _ in 0..40 {
        rig.chat(WHOLE).await;
    }
    rig.mock.script(Script::default().rule(Rule::credential("secret-B").then(fault("status=429;retry_after=60"))));
    let before = rig.tried().len();
    assert_eq!(rig.chat(WHOLE).await.headers["x-bifrost-target"], "one/m");
    assert_eq!(rig.tried()[before..], ["B", "A"], "behind the other, not out");
}

#[tokio::test]
async fn whoever_answers_well_takes_all_that_others_drop() {
    let rig = Rig::start_with(two_targets).await;
    let down = Script::default()
        .rule(Rule::credential("secret-A").then(fault("status=503")))
        .rule(Rule::credential("secret-B").then(fault("status=503")));
    rig.mock.script(down);
    for _ in 0..200 {
        assert_eq!(rig.chat(WHOLE).await.status, 200);
    }
}

#[tokio::test]
async fn an_account_that_fails_alone_goes_behind_the_others_and_does_not_take_its_target_out() {
    let mut rig = Rig::start_with(|plan| {
        plan["models"]["fast"]["fallbacks"] = json!(["two/m"]);
        plan["providers"]["one"]["retries"]["max"] = json!(0);
    })
    .await;
    let clock = Arc::new(ManualClock::at(1_000_000));
    rig.gateway.clock = Arc::clone(&clock) as _;
    rig.mock.script(Script::default().rule(Rule::credential("secret-A").then(fault("status=500"))));
    for _ in 0..60 {
        assert_eq!(rig.chat(WHOLE).await.status, 200);
    }
    let of = |credential: &str| rig.tried().iter().filter(|tried| *tried == credential).count();
    assert_eq!(of("A"), 5, "after five in a row, the other one");
    assert_eq!(rig.gateway.services.health.target("one", "m").breaker.admits(clock.monotonic_ms()), Admit::Yes);
    // One request looks again when its time has come, and again later after that.
    clock.advance(8_000);
    for _ in 0..40 {
        rig.chat(WHOLE).await;
    }
    assert_eq!(of("A"), 6);
    rig.mock.script(Script::default());
    clock.advance(16_000);
    for _ in 0..40 {
        rig.chat(WHOLE).await;
    }
    assert!(of("A") > 15, "it answers again: {}", of("A"));
}

#[tokio::test]
async fn the_last_account_is_used_however_often_it_failed() {
    let rig = Rig::start_with(|plan| {
        two_targets(plan);
        plan["models"]["fast"]["targets"] = json!([{"provider": "two", "model": "m", "weight": 1}]);
    })
    .await;
    rig.mock.script(Script::sequence(vec![fault("status=500"); 12]));
    for _ in 0..6 {
        assert_eq!(rig.chat(WHOLE).await.status, 502);
    }
    for _ in 0..6 {
        rig.chat(WHOLE).await;
    }
    assert_eq!(rig.chat(WHOLE).await.status, 200, "its breaker and its target's are open, and there is nobody else");
}

#[tokio::test]
async fn sessions_stay_with_one_account_and_move_together_when_it_rests() {
    let rig = Rig::start_with(|plan| {
        two_targets(plan);
        plan["models"]["fast"]["sticky"] = json!({"header": "x-session-id"});
    })
    .await;
    let call = async |session: &str| {
        let key = format!("Bearer {KEY}");
        rig.call("POST", "/v1/chat/completions", &[("authorization", &key), ("x-session-id", session)], WHOLE.into()).await;
        rig.tried().pop().unwrap()
    };
    let mut first = Vec::new();
    for session in 0..12 {
        let session = session.to_string();
        let credential = call(&session).await;
        for _ in 0..3 {
            assert_eq!(call(&session).await, credential);
        }
        first.push(credential);
    }
    assert!(first.iter().any(|credential| credential == "C") && first.iter().any(|credential| credential != "C"), "{first:?}");
    let session = first.iter().position(|credential| credential != "C").unwrap();
    let limited = Rule::credential(format!("secret-{}", first[session])).times(1).then(fault("status=429;retry_after=60"));
    rig.mock.script(Script::default().rule(limited));
    let session = session.to_string();
    let moved = call(&session).await;
    assert_ne!(moved, first[session.parse::<usize>().unwrap()]);
    assert_eq!(call(&session).await, moved, "the next in its own order, for all of its requests");
}
