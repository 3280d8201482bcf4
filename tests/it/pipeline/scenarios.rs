//! Upstreams that die, limit and flap while many clients ask at once: what those notice, and how often whoever is down is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use bifrostctl::base::{ManualClock, SystemClock};
use bifrostctl::mock::{Behaviour, Rule, Script, When};
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use super::harness::Rig;

const WHOLE: &str = r#"{"model":"fast","messages":[{"role":"user","content":"hi"}]}"#;
const STREAM: &str = r#"{"model":"fast","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

/// Clients at once.
const CLIENTS: usize = 64;

/// Three targets that share the traffic, each tried once.
fn three(plan: &mut Value) {
    let target = |model: &str| json!({"provider": "two", "model": model, "weight": 1});
    plan["models"]["fast"]["targets"] = json!([target("m1"), target("m2"), target("m3")]);
    plan["models"]["fast"]["fallbacks"] = json!([]);
    plan["providers"]["two"]["retries"]["max"] = json!(0);
}

/// Sends requests, every second one streamed; returns how many clients did not get a whole answer.
async fn failures(rig: &Rig, requests: usize) -> usize {
    let one = async |number: usize| {
        let seen = rig.chat(if number.is_multiple_of(2) { WHOLE } else { STREAM }).await;
        let is_whole = number.is_multiple_of(2) || seen.text().ends_with("data: [DONE]\n\n");
        usize::from(seen.status != 200 || !is_whole)
    };
    stream::iter((0..requests).map(one)).buffer_unordered(CLIENTS).fold(0, async |sum, failed| sum + failed).await
}

/// How often a model was asked for since the last look.
fn asked(rig: &Rig, model: &str) -> usize {
    let count = rig.mock.requests().iter().filter(|request| request.json()["model"] == model).count();
    rig.mock.clear();
    count
}

#[tokio::test]
async fn nobody_notices_that_one_of_three_targets_dies_and_one_probe_finds_it_well_again() {
    let mut rig = Rig::start_with(three).await;
    let clock = Arc::new(ManualClock::at(1_000_000));
    rig.gateway.clock = Arc::clone(&clock) as _;
    assert_eq!(failures(&rig, 300).await, 0);
    assert!(asked(&rig, "m2") > 50);
    let dead: Behaviour = "reset_at=start".parse().unwrap();
    rig.mock.script(Script::default().rule(Rule::model("m2").then(dead)));
    assert_eq!(failures(&rig, 900).await, 0);
    let until_out = asked(&rig, "m2");
    assert!((5..=5 + CLIENTS).contains(&until_out), "those that were on their way when it went out: {until_out}");
    assert_eq!((failures(&rig, 300).await, asked(&rig, "m2")), (0, 0), "out");
    clock.advance(8_000);
    assert_eq!((failures(&rig, 300).await, asked(&rig, "m2")), (0, 1), "one probe, which it fails");
    rig.mock.script(Script::default());
    assert_eq!((failures(&rig, 300).await, asked(&rig, "m2")), (0, 0), "well, and nobody knows yet");
    clock.advance(16_000);
    assert_eq!(failures(&rig, 600).await, 0);
    assert!(asked(&rig, "m2") > 50, "one probe was enough");
}

#[tokio::test]
async fn a_storm_of_429_at_one_of_four_credentials_is_not_felt_and_not_fed() {
    let env: BTreeMap<String, String> = ["A", "B", "C", "D"].iter().map(|name| ((*name).to_owned(), format!("secret-{name}"))).collect();
    let rig = Rig::start_in(env, Arc::new(SystemClock::default()), |plan| {
        let credentials = &mut plan["providers"]["one"]["credentials"];
        for name in ["c", "d"] {
            credentials[name] = credentials["a"].clone();
            credentials[name]["secret"]["env"] = json!(name.to_uppercase());
        }
        plan["models"]["fast"]["fallbacks"] = json!([]);
    })
    .await;
    let limited: Behaviour = "status=429;retry_after=60".parse().unwrap();
    rig.mock.script(Script::default().rule(Rule::credential("secret-A").then(limited)));
    let at_limited = |rig: &Rig| rig.tried().iter().filter(|name| *name == "A").count();
    while at_limited(&rig) == 0 {
        assert_eq!(rig.chat(WHOLE).await.status, 200);
    }
    rig.mock.clear();
    let requests = 1_000;
    assert_eq!(failures(&rig, requests).await, 0);
    let picks = at_limited(&rig);
    assert!(picks * 100 <= requests, "{picks} of {requests}");
    assert_eq!(rig.tried().len(), requests + picks);
}

#[tokio::test]
async fn an_upstream_that_flaps_is_not_felt_and_asked_little_more() {
    let rig = Rig::start_with(three).await;
    let rule = |every: u64, fault: &str| Rule {
        when: When { model: Some("m1".to_owned()), every: Some(every), ..When::default() },
        times: None,
        then: vec![fault.parse().unwrap()],
    };
    rig.mock.script(Script::default().rule(rule(5, "status=503")).rule(rule(4, "cut_at=start")).rule(rule(3, "html")));
    let requests = 600;
    assert_eq!(failures(&rig, requests).await, 0);
    let sent = rig.mock.requests().len();
    assert!(sent > requests && sent <= requests * 12 / 10 + 10, "{sent} attempts for {requests} requests");
}
