//! What the log and `explain` tell of second tries.

use bifrostctl::provider::Timed;
use bifrostctl::table::explain::{Moment, Question, explain, human};
use bifrostctl::telemetry::{AccessLog, Metrics};
use serde_json::{Value, json};

use super::harness::Rig;
use super::hedge::{SLOW, body, hedged, script};

#[tokio::test]
async fn the_log_tells_both_in_the_order_in_which_they_began_and_which_one_served() {
    for (one, two, outcomes, target) in
        [(SLOW, "", ["hedge_lost", "ok"], "two/m"), ("delay=120ms", "status=503", ["ok", "upstream_overload"], "one/m")]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut rig = Rig::start_with(hedged("10ms")).await;
        let to = bifrostctl::plan::AccessLog::File(path.to_str().unwrap().to_owned());
        rig.gateway.log = AccessLog::open(&to, Metrics::new().access_log_dropped()).unwrap();
        script(&rig, one, two);
        rig.chat(body(false).to_string()).await;
        assert!(rig.gateway.log.flush(std::time::Duration::from_secs(10)));
        let line: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let told = [&line["attempts"][0], &line["attempts"][1]];
        assert_eq!(told.map(|attempt| attempt["outcome"].as_str().unwrap()), outcomes, "{line}");
        assert_eq!(told.map(|attempt| attempt["hedge"].as_bool()), [None, Some(true)], "{line}");
        assert_eq!((line["target"].as_str(), &line["fallbacks"], &line["status"]), (Some(target), &json!(0), &json!(200)), "{line}");
    }
}

#[tokio::test]
async fn explain_tells_how_long_is_waited_now_and_why_a_request_is_not_asked_twice() {
    let rig = Rig::start_with(hedged("p95")).await;
    let explained = |endpoint: Option<&str>| {
        let clock = &rig.gateway.clock;
        let question = Question {
            key: Some("web".to_owned()),
            model: Some("fast".to_owned()),
            body: Some(json!({"messages": []})),
            endpoint: endpoint.map(str::to_owned),
            ..Question::default()
        };
        explain(&rig.gateway.live.load(), &question, Moment { unix_ms: clock.unix_ms(), now_ms: clock.monotonic_ms(), roll: 1 }).unwrap()
    };
    let told = explained(None).hedge.unwrap();
    assert_eq!((told.wait_ms, told.not.as_deref()), (None, Some("too little is known of the first target's times")));
    let target = rig.gateway.services.health.target("one", "m");
    (0..40).for_each(|_| target.times.note(Timed::Whole, 800_000, rig.gateway.clock.monotonic_ms()));
    let known = explained(None);
    let told = known.hedge.clone().unwrap();
    let wait_ms = told.wait_ms.unwrap();
    assert!((720..=900).contains(&wait_ms) && told.not.is_none(), "{told:?}");
    let line = format!("a second is asked where the first takes longer than p95 (now {wait_ms}ms), for up to 100% of the requests");
    assert!(human(&known).contains(&line), "{}", human(&known));
    assert_eq!(explained(Some("completions")).hedge.unwrap().not.as_deref(), Some("what is only relayed is asked once"));
    let plain = Rig::start().await;
    let at = Moment { unix_ms: 0, now_ms: 0, roll: 1 };
    let question = Question { key: Some("web".to_owned()), model: Some("fast".to_owned()), ..Question::default() };
    assert!(explain(&plain.gateway.live.load(), &question, at).unwrap().hedge.is_none());
}

#[tokio::test]
async fn a_second_that_serves_and_is_cut_then_is_told_as_the_one_that_served() {
    let rig = Rig::start_with(hedged("10ms")).await;
    script(&rig, SLOW, "chunks=8;cut_at=event:5");
    let seen = rig.chat(body(true).to_string()).await;
    assert!(seen.status == 200 && seen.text().contains("upstream_truncated"), "{}", seen.text());
    let metrics = rig.gateway.services.metrics.encode();
    let shown = |line: &str| metrics.lines().any(|text| text.starts_with(line) && !text.ends_with(" 0"));
    assert!(shown("bifrost_tokens_total{provider=\"two\",model=\"m\",direction=\"output\"}"), "{metrics}");
    assert!(shown("bifrost_cost_nano_usd_total{provider=\"two\",model=\"m\"}"), "{metrics}");
    assert!(!shown("bifrost_tokens_total{provider=\"one\""), "{metrics}");
}
