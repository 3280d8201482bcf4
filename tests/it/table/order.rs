//! In which order targets are tried: by every balance, with shares, by session; and that `explain` foretells how often each is first.

use std::collections::BTreeMap;
use std::sync::Arc;

use bifrostctl::provider::{Answered, Running};
use bifrostctl::table::{Ask, Decision, RoutingTable, Size, decide};
use bifrostctl::wire::{Demand, Operation};
use proptest::prelude::*;

use super::explain::{AT, Rig, asks, rig_of};

const TARGETS: [&str; 3] = ["mock/a", "mock/b", "mock/c"];

fn yaml(alias: &str) -> String {
    format!(
        "
version: 1
providers: {{mock: {{api: openai-chat, base_url: http://127.0.0.1:9/v1, credentials: {{one: {{secret: none}}, two: {{secret: none}}}}}}}}
models:
  m: {{{alias}}}
prices:
  mock/a: {{input: $1/Mtok, output: $10/Mtok}}
  mock/b: {{input: $3/Mtok, output: $3/Mtok}}
virtual_keys:
  web: {{hashes: [{{sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b}}], models: [m]}}
"
    )
}

fn rig(alias: &str) -> Rig {
    rig_of(&yaml(alias), |_| {})
}

const THREE: &str = "targets: [mock/a, mock/b, mock/c]";

fn ask(table: &RoutingTable) -> Ask<'_> {
    Ask {
        key: table.keys.values().next().map(Arc::as_ref),
        model: "m",
        rule: None,
        demand: Demand::Any(Operation::Answer),
        now_ms: AT.now_ms,
        unix_ms: AT.unix_ms,
        roll: 0,
        turn: 0,
        size: Size::default(),
        stream: false,
        session: None,
    }
}

fn order(decision: &Decision) -> Vec<String> {
    decision.candidates.iter().map(|candidate| candidate.target.id()).collect()
}

/// The first targets of so many rolls.
fn firsts(table: &RoutingTable, rolls: u64, change: impl Fn(&mut Ask<'_>)) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for roll in 0..rolls {
        let mut ask = Ask { roll: roll.wrapping_mul(0x9E37_79B9_7F4A_7C15), turn: roll, ..ask(table) };
        change(&mut ask);
        *counts.entry(order(&decide(table, &ask).unwrap()).remove(0)).or_default() += 1;
    }
    counts
}

fn run(table: &RoutingTable, target: &str, count: usize) -> Vec<Running> {
    (0..count).map(|_| table.targets[target].health.load.begin()).collect()
}

fn took(table: &RoutingTable, target: &str, how: Answered, ms: u64) {
    (0..100).for_each(|_| table.targets[target].health.load.answered(how, ms * 1_000, AT.now_ms));
}

#[test]
fn least_busy_looks_at_what_runs_for_each_weight() {
    let rig = rig("balance: least_busy, targets: [{provider: mock, model: a, weight: 2}, mock/b, {provider: mock, model: c, weight: 0}]");
    let counts = firsts(&rig.table, 100, |_| {});
    assert_eq!(counts.get("mock/a"), Some(&100), "one request is less of two than of one: {counts:?}");
    let _running = run(&rig.table, "mock/a", 1);
    let counts = firsts(&rig.table, 300, |_| {});
    assert!(counts["mock/a"] > 150 && counts["mock/b"] > 50, "as busy as each other: by weight: {counts:?}");
    let _more = run(&rig.table, "mock/a", 2);
    assert_eq!(firsts(&rig.table, 100, |_| {}).get("mock/b"), Some(&100));
    assert_eq!(order(&decide(&rig.table, &ask(&rig.table)).unwrap())[2], "mock/c", "weight 0 comes last, however idle");
}

#[test]
fn cheapest_depends_on_how_long_the_request_is_and_leaves_what_has_no_price_to_the_end() {
    let rig = rig(&format!("balance: cheapest, {THREE}"));
    let of = |input, max_output| {
        let ask = Ask { size: Size { input, max_output }, ..ask(&rig.table) };
        order(&decide(&rig.table, &ask).unwrap())
    };
    // $1 + $10 against $3 + $3 for each million.
    assert_eq!(of(100_000, Some(100)), ["mock/a", "mock/b", "mock/c"]);
    assert_eq!(of(100, Some(1_000)), ["mock/b", "mock/a", "mock/c"]);
    assert_eq!(of(100, None), ["mock/b", "mock/a", "mock/c"], "an answer of 1,000 tokens is likely");
}

#[test]
fn fastest_counts_the_time_to_first_content_and_who_waits_there_already() {
    let rig = rig("balance: fastest, targets: [mock/a, mock/b]");
    let counts = firsts(&rig.table, 300, |_| {});
    assert!(counts["mock/a"] > 80 && counts["mock/b"] > 80, "nothing is known: {counts:?}");
    took(&rig.table, "mock/a", Answered::Streamed, 300);
    let stream = |ask: &mut Ask<'_>| ask.stream = true;
    assert_eq!(firsts(&rig.table, 50, stream).get("mock/b"), Some(&50), "who is not known is tried");
    let running = run(&rig.table, "mock/b", 1);
    assert_eq!(firsts(&rig.table, 50, stream).get("mock/a"), Some(&50), "by one request at first");
    drop(running);
    took(&rig.table, "mock/b", Answered::Streamed, 100);
    assert_eq!(firsts(&rig.table, 50, stream).get("mock/b"), Some(&50));
    let _running = run(&rig.table, "mock/b", 3);
    assert_eq!(firsts(&rig.table, 50, stream).get("mock/a"), Some(&50), "four times 100 ms is more than 300");
    took(&rig.table, "mock/a", Answered::Whole, 4_000);
    took(&rig.table, "mock/b", Answered::Whole, 10);
    assert_eq!(firsts(&rig.table, 50, |_| {}).get("mock/b"), Some(&50), "answers at once have times of their own");
    let later = |ask: &mut Ask<'_>| {
        stream(ask);
        ask.now_ms += 10 * 60_000;
    };
    assert!(firsts(&rig.table, 300, later).len() <= 2, "what was known has faded");
}

#[test]
fn adaptive_gives_less_to_whoever_fails_is_slow_or_busy_and_never_nothing() {
    let rig = rig(&format!("balance: adaptive, {THREE}"));
    let even = firsts(&rig.table, 3_000, |_| {});
    assert!(even.values().all(|count| (900..1_100).contains(count)), "{even:?}");
    TARGETS.iter().for_each(|target| took(&rig.table, target, Answered::Whole, 300));
    rig.table.targets["mock/a"].health.load.failed(AT.now_ms);
    let once = firsts(&rig.table, 3_000, |_| {});
    assert!((650..950).contains(&once["mock/a"]), "one failure costs a quarter: {once:?}");
    (0..20).for_each(|_| rig.table.targets["mock/a"].health.load.failed(AT.now_ms));
    let failing = firsts(&rig.table, 10_000, |_| {});
    assert!((50..400).contains(&failing["mock/a"]), "it is looked at now and then: {failing:?}");
    took(&rig.table, "mock/b", Answered::Whole, 900);
    took(&rig.table, "mock/c", Answered::Whole, 300);
    let slow = firsts(&rig.table, 10_000, |_| {});
    assert!(slow["mock/c"] > slow["mock/b"] * 5 / 2 && slow["mock/b"] > 1_500, "three times as slow, a third of the traffic: {slow:?}");
    let _running = run(&rig.table, "mock/c", 5);
    let busy = firsts(&rig.table, 10_000, |_| {});
    assert!(busy["mock/b"] > busy["mock/c"], "{busy:?}");
    assert_eq!(busy, firsts(&rig.table, 10_000, |_| {}), "the same seed gives the same picks");
    let recovered = firsts(&rig.table, 3_000, |ask| ask.now_ms += 10 * 60_000);
    assert!(recovered["mock/a"] > 800, "failures fade: {recovered:?}");
}

#[test]
fn a_share_is_first_so_often_whatever_the_others_balance_and_last_when_they_fail() {
    for balance in ["weighted", "round_robin", "least_busy", "fastest", "cheapest", "adaptive"] {
        let rig = rig(&format!("balance: {balance}, targets: [mock/a, mock/b, {{provider: mock, model: c, share: 5%}}]"));
        let counts = firsts(&rig.table, 20_000, |_| {});
        assert!((850..1_150).contains(&counts["mock/c"]), "{balance}: {counts:?}");
        let others = order(&decide(&rig.table, &Ask { roll: 3, ..ask(&rig.table) }).unwrap());
        assert!(others[0] == "mock/c" || others[2] == "mock/c", "{balance}: {others:?}");
        rig.fail("mock", "c");
        assert_eq!(firsts(&rig.table, 2_000, |_| {}).get("mock/c"), None, "{balance}: the others take it over");
    }
    let rig = rig("targets: [{provider: mock, model: a, share: 99.5%}, {provider: mock, model: b, share: 0.5%}]");
    let counts = firsts(&rig.table, 40_000, |_| {});
    assert!((130..270).contains(&counts["mock/b"]), "{counts:?}");
}

#[test]
fn a_session_keeps_to_its_target_and_credential_and_returns_to_them() {
    let rig = rig("sticky: user, targets: [{provider: mock, model: a, weight: 3}, mock/b, {provider: mock, model: c, share: 20%}]");
    let of = |session: u64| {
        let first = |roll| decide(&rig.table, &Ask { roll, session: Some(session), ..ask(&rig.table) }).unwrap();
        let decision = first(1);
        assert_eq!(order(&decision), order(&first(2)), "chance has no say");
        (order(&decision), decision.candidates[0].credentials[0].name.clone())
    };
    let sessions: Vec<_> = (0..4_000_u64).map(|session| of(session.wrapping_mul(0x0100_0000_01B3))).collect();
    let share = |target: &str| sessions.iter().filter(|(order, _)| order[0] == target).count();
    assert!((2_280..2_520).contains(&share("mock/a")), "60 %: {}", share("mock/a"));
    assert!((700..900).contains(&share("mock/c")), "20 %: {}", share("mock/c"));
    let credentials = sessions.iter().filter(|(_, credential)| credential == "one").count();
    assert!((1_850..2_150).contains(&credentials), "{credentials}");
    rig.fail("mock", "a");
    for (session, (before, _)) in sessions.iter().enumerate().take(500) {
        let now = of((session as u64).wrapping_mul(0x0100_0000_01B3)).0;
        let expected = before.iter().find(|target| *target != "mock/a").unwrap();
        assert_eq!(&now[0], expected, "only whoever was there has moved");
    }
}

#[test]
fn sessions_are_told_by_a_header_or_by_what_each_dialect_calls_the_user() {
    let by_header = rig(&format!("sticky: {{header: x-session-id}}, {THREE}"));
    let first = |rig: &Rig, headers: &[(&str, &str)], body: serde_json::Value| {
        let mut question = asks("web", "m");
        question.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        question.body = Some(body);
        let told = rig.told(&question);
        (told.candidates[0].target.clone(), told.candidates[0].share_percent)
    };
    let message = serde_json::json!([{"role": "user", "content": "hi"}]);
    let of_session = |id: &str| first(&by_header, &[("X-Session-Id", id)], serde_json::json!({"messages": message}));
    let targets: std::collections::BTreeSet<_> = (0..30).map(|id| of_session(&id.to_string())).collect();
    assert_eq!(targets.len(), 3, "{targets:?}");
    assert!(targets.iter().all(|(_, percent)| *percent == 100));
    assert_eq!(of_session("x"), of_session("x"));
    assert_eq!(first(&by_header, &[], serde_json::json!({"messages": message})).1, 33, "without one, as usual");
    let by_user = rig(&format!("sticky: user, {THREE}"));
    for member in ["user", "safety_identifier", "prompt_cache_key"] {
        assert_eq!(first(&by_user, &[], serde_json::json!({"messages": message, member: "ann"})).1, 100, "{member}");
    }
    assert_eq!(first(&by_user, &[], serde_json::json!({"messages": message, "metadata": {"user_id": "ann"}})).1, 100);
    assert_eq!(first(&by_user, &[], serde_json::json!({"messages": message, "user": ""})).1, 33);
}

#[test]
fn what_explain_says_of_shares_is_how_often_each_is_first() {
    let aliases = [
        "balance: BALANCE, targets: [{provider: mock, model: a, weight: 3}, mock/b, mock/c]",
        "balance: BALANCE, targets: [{provider: mock, model: a, share: 30%}, {provider: mock, model: b, weight: 2}, mock/c]",
        "balance: BALANCE, targets: [{provider: mock, model: a, share: 60%}, {provider: mock, model: b, share: 40%}]",
    ];
    for balance in ["weighted", "round_robin", "least_busy", "fastest", "cheapest", "adaptive"] {
        for (index, alias) in aliases.iter().enumerate() {
            let rig = rig(&alias.replace("BALANCE", balance));
            took(&rig.table, "mock/a", Answered::Whole, 200);
            took(&rig.table, "mock/b", Answered::Whole, 350);
            let _running = run(&rig.table, "mock/b", 1);
            let mut question = asks("web", "m");
            question.body = Some(serde_json::json!({"messages": [{"role": "user", "content": "hi"}]}));
            let told = rig.told(&question);
            let size = Size { input: 20, max_output: None };
            let counts = firsts(&rig.table, 6_000, |ask| ask.size = size);
            for candidate in &told.candidates {
                let seen = counts.get(&candidate.target).copied().unwrap_or(0) as f64 / 60.0;
                let said = candidate.share_percent as f64;
                assert!((seen - said).abs() < 6.0, "{balance} {index}: {} is told {said}, seen {seen}", candidate.target);
            }
            rig.fail("mock", "b");
            let sum: u64 = rig.told(&question).candidates.iter().map(|candidate| candidate.share_percent).sum();
            assert!((99..=101).contains(&sum), "{balance} {index}: without one, {sum}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn every_order_holds_every_target_once(
        balance in prop::sample::select(&["weighted", "round_robin", "least_busy", "fastest", "cheapest", "adaptive"][..]),
        parts in prop::sample::select(&["weight: 0", "weight: 1", "weight: 1000000", "share: 0.01%", "share: 33%"][..]),
        news in prop::collection::vec((0_usize..3, 1_u64..1 << 34, 0_usize..4), 0..20),
        roll in any::<u64>(),
        session in prop::option::of(any::<u64>()),
        later in 0_u64..1 << 32,
    ) {
        let rig = rig(&format!("balance: {balance}, targets: [{{provider: mock, model: a, {parts}}}, mock/b, mock/c]"));
        let mut running = Vec::new();
        for (target, took, what) in news {
            let load = &rig.table.targets[TARGETS[target]].health.load;
            match what {
                0 => load.answered(Answered::Streamed, took, AT.now_ms),
                1 => load.answered(Answered::Whole, took, AT.now_ms),
                2 => load.failed(AT.now_ms),
                _ => running.push(load.begin()),
            }
        }
        for stream in [false, true] {
            let ask = Ask { roll, session, stream, turn: roll, now_ms: AT.now_ms + later, ..ask(&rig.table) };
            let mut all = order(&decide(&rig.table, &ask).unwrap());
            all.sort();
            prop_assert_eq!(all, TARGETS);
        }
    }
}
