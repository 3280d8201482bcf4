//! Failover beside its table: what an alias lists, open breakers, what is counted.

use bifrostctl::mock::{Behaviour, Script};
use http::StatusCode;
use serde_json::json;

use super::harness::Rig;

const WHOLE: &str = r#"{"model":"fast","messages":[{"role":"user","content":"hi"}]}"#;

fn providers(tried: &[String]) -> String {
    tried.iter().map(|name| if name == "C" { '2' } else { '1' }).collect()
}

#[tokio::test]
async fn a_failure_that_the_alias_does_not_list_ends_the_chain() {
    for (fault, status, path) in [("status=429;retry_after=60", 429, "11"), ("status=401", 502, "11"), ("status=500", 502, "11")] {
        let rig = Rig::start_with(|plan| plan["models"]["fast"]["fallback_on"] = json!(["timeout"])).await;
        rig.mock.script(Script::always(fault.parse().unwrap()));
        let seen = rig.chat(WHOLE).await;
        assert_eq!((seen.status.as_u16(), providers(&rig.tried()).as_str()), (status, path), "{fault}");
    }
}

#[tokio::test]
async fn an_open_breaker_is_passed_over_unless_nobody_else_is_left() {
    let rig = Rig::start().await;
    let break_it = |provider: &str| {
        let now = rig.gateway.clock.monotonic_ms();
        let health = rig.gateway.services.health.target(provider, "m");
        (0..5).for_each(|_| health.breaker.failure(now, now, 0.0));
    };
    break_it("one");
    assert_eq!(rig.chat(WHOLE).await.status, StatusCode::OK);
    break_it("two");
    assert_eq!(rig.chat(WHOLE).await.status, StatusCode::OK);
    assert_eq!(providers(&rig.tried()), "21");
}

#[tokio::test]
async fn a_move_to_the_next_target_is_counted_with_its_reason() {
    let rig = Rig::start().await;
    rig.mock.script(Script::sequence(["status=500", "status=500"].map(|fault| fault.parse::<Behaviour>().unwrap())));
    assert_eq!(rig.chat(WHOLE).await.status, StatusCode::OK);
    let metrics = rig.gateway.services.metrics.encode();
    let line = metrics.lines().find(|line| line.starts_with("bifrost_fallbacks_total{")).expect("a fallback was counted");
    assert!(line.contains("alias=\"fast\"") && line.contains("upstream_server_error") && line.ends_with(" 1"), "{line}");
}
