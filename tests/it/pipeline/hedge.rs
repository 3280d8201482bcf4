//! A second try beside a slow first one: whoever answers first serves, the other is given up, both are paid, and nothing fails because of it.

use bifrostctl::base::Usd;
use bifrostctl::mock::{Behaviour, Ending, Recorded, Rule, Script};
use bifrostctl::provider::{Admit, LoadSnapshot, Timed};
use bifrostctl::store::book::{Dimension, Question};
use futures_util::future::join_all;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::harness::{Rig, Seen};
use super::money::{Paid, budget};

pub(super) const SLOW: &str = "delay=60s";
/// So long that no test waits for it.
const NEVER: &str = "50s";

fn fault(text: &str) -> Behaviour {
    text.parse().unwrap()
}

/// `fast` asks `one/m`, and beside it `two/m` after `after`, as often as it likes.
pub(super) fn hedged(after: &'static str) -> impl FnOnce(&mut Value) {
    move |plan| {
        plan["prices"] = json!({"one/*": {"input": "$1/Mtok", "output": "$10/Mtok"}, "two/*": {"input": "$1/Mtok", "output": "$10/Mtok"}});
        plan["models"]["fast"]["fallbacks"] = json!(["two/m"]);
        plan["models"]["fast"]["hedge"] = json!({"after": after, "max_share": "100%"});
        for name in ["one", "two"] {
            plan["providers"][name]["timeouts"] =
                json!({"connect": "5s", "first_byte": "90s", "first_content": "90s", "idle": "90s", "total": "100s"});
        }
    }
}

/// What provider one does, and what provider two does.
pub(super) fn script(rig: &Rig, one: &str, two: &str) {
    rig.mock.script(Script::default().rule(Rule::credential("secret-C").then(fault(two))).rule(Rule::default().then(fault(one))));
}

pub(super) fn body(stream: bool) -> Value {
    json!({"model": "fast", "stream": stream, "max_tokens": 20, "messages": [{"role": "user", "content": "Hi"}]})
}

fn served_by(seen: &Seen) -> (u16, &str, &str) {
    let header = |name: &str| seen.headers.get(name).map_or("", |value| value.to_str().unwrap());
    (seen.status.as_u16(), header("x-bifrost-target"), header("x-bifrost-attempts"))
}

/// What the mock was asked with a credential of provider two, and what with one of provider one.
fn apart(records: Vec<Recorded>) -> (Vec<Recorded>, Vec<Recorded>) {
    records.into_iter().partition(|record| record.header("authorization") == Some("Bearer secret-C"))
}

fn load(rig: &Rig, provider: &str) -> LoadSnapshot {
    rig.gateway.services.health.target(provider, "m").load.snapshot(rig.gateway.clock.monotonic_ms())
}

fn hedges(rig: &Rig, outcome: &str) -> u64 {
    let metrics = rig.gateway.services.metrics.encode();
    let line = format!("bifrost_hedges_total{{alias=\"fast\",outcome=\"{outcome}\"}} ");
    metrics.lines().find_map(|text| text.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
}

/// Outcomes in the book with the output that was billed, by name.
async fn booked(paid: &Paid) -> Vec<(String, u64)> {
    let question =
        Question { admitted_ms: 0..u64::MAX, by: vec![Dimension::Outcome], only: Vec::new(), account: None, zone: TimeZone::UTC };
    let mut all = paid.billed(&question).await;
    all.sort();
    all
}

async fn paid(limit: &str, after: &'static str) -> Paid {
    Paid::start(json!([budget(limit, "strict")]), hedged(after)).await
}

#[tokio::test]
async fn a_slow_first_is_given_up_for_a_quick_second_and_both_are_booked() {
    for stream in [false, true] {
        let paid = paid("$1", "20ms").await;
        script(&paid.rig, SLOW, "");
        let seen = paid.rig.chat(body(stream).to_string()).await;
        assert_eq!(served_by(&seen), (200, "two/m", "2"), "{}", seen.text());
        let (second, first) = apart(paid.rig.mock.wait_ended(2).await);
        assert_eq!((first[0].ending, second[0].ending), (Ending::ClientClosed, Ending::Completed));
        let outcomes: Vec<String> = booked(&paid).await.into_iter().map(|(outcome, _)| outcome).collect();
        assert_eq!(outcomes, ["hedge_lost", "ok"]);
        // The loser is charged what was sent to it, as where a client leaves.
        let output = i64::try_from(booked(&paid).await.iter().map(|(_, output)| *output).sum::<u64>()).unwrap();
        let input = paid.spent().await.nano() - output * 10_000;
        assert!(input > 2 * 1_000 && input % 1_000 == 0, "the input of both: {input}");
        assert_eq!((paid.held(), paid.is_clean()), (Usd::ZERO, true));
        let rig = &paid.rig;
        assert_eq!((load(rig, "one").in_flight, load(rig, "two").in_flight), (0, 0));
        assert_eq!((hedges(rig, "won"), hedges(rig, "lost")), (1, 0));
        // It was slow, at least so slow; it did not fail.
        let known = load(rig, "one");
        assert!(if stream { known.streamed_us } else { known.whole_us }.unwrap() >= 20_000, "{known:?}");
        assert!(known.failure_share < f64::EPSILON, "{known:?}");
        let breaker = rig.gateway.services.health.target("one", "m").breaker.snapshot(rig.gateway.clock.monotonic_ms());
        assert_eq!((breaker.recent_failures, breaker.recent_successes), (0, 0));
        let metrics = rig.gateway.services.metrics.encode();
        assert!(metrics.contains("outcome=\"hedge_lost\"} 1") && !metrics.contains("bifrost_fallbacks_total{"), "{metrics}");
    }
}

#[tokio::test]
async fn a_quick_first_is_not_hedged_and_an_alias_without_hedge_never_is() {
    let paid = paid("$1", NEVER).await;
    script(&paid.rig, "", "");
    assert_eq!(served_by(&paid.rig.chat(body(false).to_string()).await), (200, "one/m", "1"));
    assert_eq!(served_by(&paid.rig.chat(body(true).to_string()).await), (200, "one/m", "1"));
    assert_eq!(paid.rig.mock.requests().len(), 2);
    let rig = Rig::start().await;
    script(&rig, "delay=300ms", "");
    assert_eq!(served_by(&rig.chat(body(false).to_string()).await), (200, "one/m", "1"));
    assert!(!rig.gateway.services.metrics.encode().contains("bifrost_hedges_total{"));
}

#[tokio::test]
async fn a_second_that_is_slower_is_given_up() {
    for stream in [false, true] {
        let paid = paid("$1", "10ms").await;
        script(&paid.rig, "delay=150ms", SLOW);
        let seen = paid.rig.chat(body(stream).to_string()).await;
        assert_eq!(served_by(&seen), (200, "one/m", "2"), "{}", seen.text());
        let (second, first) = apart(paid.rig.mock.wait_ended(2).await);
        assert_eq!((first[0].ending, second[0].ending), (Ending::Completed, Ending::ClientClosed));
        assert_eq!((hedges(&paid.rig, "lost"), paid.held(), paid.is_clean()), (1, Usd::ZERO, true));
        assert_eq!((load(&paid.rig, "two").streamed_us, load(&paid.rig, "two").whole_us), (None, None), "it ran for too short a time");
        assert_eq!((load(&paid.rig, "one").in_flight, load(&paid.rig, "two").in_flight), (0, 0));
    }
}

#[tokio::test]
async fn of_two_streams_the_first_content_decides_and_nothing_of_the_loser_is_passed_on() {
    let paid = paid("$1", "10ms").await;
    // The first has begun its stream, and says nothing yet.
    script(&paid.rig, "first_token_delay=60s;text=loser", "chunk_delay=5ms;text=winner wins");
    let seen = paid.rig.chat(body(true).to_string()).await;
    assert_eq!(served_by(&seen), (200, "two/m", "2"));
    let text = seen.text();
    assert!(text.contains("winner") && text.ends_with("data: [DONE]\n\n"), "{text}");
    let ids: std::collections::BTreeSet<String> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .map(|event| event["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1, "events of one answer: {text}");
}

#[tokio::test]
async fn if_one_of_two_fails_the_other_is_waited_for() {
    // The first one fails while the second runs.
    let paid = paid("$1", "10ms").await;
    script(&paid.rig, "delay=60ms;status=500", "delay=200ms");
    let seen = paid.rig.chat(body(false).to_string()).await;
    assert_eq!(served_by(&seen), (200, "two/m", "2"), "{}", seen.text());
    assert_eq!(paid.rig.mock.wait_ended(2).await.len(), 2, "and is not tried again meanwhile");
    assert_eq!(hedges(&paid.rig, "won"), 1);
    assert!(load(&paid.rig, "one").failure_share > 0.0, "a failure is one");
    // The second one fails while the first runs.
    script(&paid.rig, "delay=200ms", "status=503");
    let seen = paid.rig.chat(body(false).to_string()).await;
    assert_eq!(served_by(&seen), (200, "one/m", "2"), "{}", seen.text());
    assert_eq!((hedges(&paid.rig, "failed"), paid.held(), paid.is_clean()), (1, Usd::ZERO, true));
}

#[tokio::test]
async fn if_both_fail_the_chain_goes_on_as_after_two_attempts() {
    let paid = Paid::start(json!([budget("$1", "strict")]), |plan| {
        hedged("10ms")(plan);
        plan["providers"]["three"] = plan["providers"]["two"].clone();
        plan["providers"]["three"]["credentials"] = json!({"d": {"secret": {"env": "A"}, "weight": 1, "models": ["*"], "optional": false}});
        plan["models"]["fast"]["fallbacks"] = json!(["two/m", "three/other"]);
        plan["prices"]["three/*"] = plan["prices"]["one/*"].clone();
    })
    .await;
    paid.rig.mock.script(
        Script::default()
            .rule(Rule::model("other").then(fault("")))
            .rule(Rule::credential("secret-C").then(fault("delay=20ms;status=429;retry_after=5")))
            .rule(Rule::default().then(fault("delay=60ms;status=429;retry_after=5"))),
    );
    let seen = paid.rig.chat(body(false).to_string()).await;
    assert_eq!(served_by(&seen), (200, "three/other", "4"), "{}", seen.text());
    // The other account of provider one, and nobody twice.
    let mut tried = paid.rig.tried();
    tried.sort();
    assert_eq!(tried, ["A", "A", "B", "C"]);
    assert_eq!((paid.held(), paid.is_clean()), (Usd::ZERO, true));
    // Where nobody is left, the client is told of it, and what asks again is not asked at once.
    let paid = self::paid("$1", "10ms").await;
    script(&paid.rig, "delay=60ms;status=429;retry_after=5", "status=429;retry_after=7");
    let seen = paid.rig.chat(body(false).to_string()).await;
    assert_eq!((served_by(&seen).0, served_by(&seen).2), (429, "3"), "{}", seen.text());
    assert_eq!(seen.headers["retry-after"], "5");
}

#[tokio::test]
async fn what_the_first_refuses_of_the_request_itself_is_the_answer() {
    let paid = paid("$1", "10ms").await;
    script(&paid.rig, "delay=80ms;error=content_filter", "delay=300ms");
    let seen = paid.rig.chat(body(false).to_string()).await;
    assert_eq!(served_by(&seen), (400, "one/m", "2"), "the alias does not go on from a filter: {}", seen.text());
    let (second, _) = apart(paid.rig.mock.wait_ended(2).await);
    assert_eq!(second[0].ending, Ending::ClientClosed);
    // Where it does, the other answer serves.
    let paid = Paid::start(json!([budget("$1", "strict")]), |plan| {
        hedged("10ms")(plan);
        plan["models"]["fast"]["fallback_on"].as_array_mut().unwrap().push(json!("content_filter"));
    })
    .await;
    script(&paid.rig, "delay=80ms;error=content_filter", "delay=200ms");
    assert_eq!(served_by(&paid.rig.chat(body(false).to_string()).await), (200, "two/m", "2"));
}

#[tokio::test]
async fn where_there_is_no_other_target_another_credential_is_asked() {
    let paid = Paid::start(json!([budget("$1", "strict")]), |plan| {
        hedged("20ms")(plan);
        plan["models"]["fast"]["fallbacks"] = json!([]);
    })
    .await;
    paid.rig.mock.script(Script::sequence([fault(SLOW), fault("")]));
    let seen = paid.rig.chat(body(false).to_string()).await;
    assert_eq!(served_by(&seen), (200, "one/m", "2"), "{}", seen.text());
    let mut tried = paid.rig.tried();
    tried.sort();
    assert_eq!(tried, ["A", "B"]);
}

#[tokio::test]
async fn the_share_bounds_how_many_are_asked_twice() {
    let paid = Paid::start(json!([budget("$10", "strict")]), |plan| {
        hedged("1ms")(plan);
        plan["models"]["fast"]["hedge"]["max_share"] = json!("2%");
    })
    .await;
    script(&paid.rig, "delay=4ms", "delay=4ms");
    let requests = 1_000;
    for _ in 0..requests / 20 {
        let round = (0..20).map(|_| paid.rig.chat(body(false).to_string()));
        for seen in join_all(round).await {
            assert_eq!(seen.status, 200);
        }
    }
    let sent = usize::try_from(paid.rig.mock.arrived()).unwrap();
    assert!((requests + 10..=requests + 20).contains(&sent), "{sent} for {requests}");
    let made = hedges(&paid.rig, "won") + hedges(&paid.rig, "lost");
    assert_eq!(usize::try_from(made).unwrap(), sent - requests);
    assert!(hedges(&paid.rig, "denied") > 500, "nearly all were due");
    assert_eq!((paid.held(), paid.is_clean()), (Usd::ZERO, true));
}

#[tokio::test]
async fn nobody_is_asked_twice_without_room_and_nothing_fails_because_of_it() {
    // The budget has room for one.
    let paid = paid("$0.0005", "5ms").await;
    script(&paid.rig, "delay=120ms", "");
    let seen = paid.rig.chat(body(false).to_string()).await;
    assert_eq!(served_by(&seen), (200, "one/m", "1"), "{}", seen.text());
    assert_eq!((hedges(&paid.rig, "denied"), paid.rig.mock.requests().len()), (1, 1));
    assert!(paid.spent().await <= "$0.0005".parse().unwrap() && paid.is_clean());
    for (what, change) in [
        ("concurrency", (|plan: &mut Value| plan["providers"]["two"]["limits"] = json!({"concurrency": 1})) as fn(&mut Value)),
        ("a place", |plan| plan["providers"]["two"]["concurrency"] = json!({"min": 1, "max": 1})),
        ("the limit of an alias", |plan| {
            plan["models"]["other"] = plan["models"]["fast"].clone();
            plan["models"]["other"]["targets"] = json!([{"provider": "two", "model": "m", "weight": 1}]);
            plan["models"]["other"]["fallbacks"] = json!([]);
            plan["models"]["other"]["limits"] = json!({"concurrency": 1});
            plan["models"]["fast"]["fallbacks"] = json!(["other"]);
        }),
    ] {
        let rig = Rig::start_with(|plan| {
            hedged("5ms")(plan);
            change(plan);
            plan["virtual_keys"]["web"]["models"] = json!(["*"]);
            plan["providers"]["one"]["credentials"].as_object_mut().unwrap().remove("b");
        })
        .await;
        script(&rig, "delay=120ms", "stall_at=event:3");
        let name = if what == "the limit of an alias" { "other" } else { "two/m" };
        let holder = json!({"model": name, "stream": true, "messages": []}).to_string();
        let holding = super::limits::begin(&rig, holder).await;
        assert_eq!(holding.status(), 200, "{what}");
        assert_eq!(served_by(&rig.chat(body(false).to_string()).await), (200, "one/m", "1"), "{what}");
        assert_eq!((hedges(&rig, "denied"), load(&rig, "two").in_flight), (1, 1), "{what}: nobody waits for it");
        assert!(!rig.gateway.services.metrics.encode().contains("bifrost_limited_total{"), "{what}");
        drop(holding);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_budget_is_not_over_by_a_nano_dollar_though_every_request_is_asked_twice() {
    let paid = paid("$0.05", "1ms").await;
    script(&paid.rig, "delay=9ms", "delay=6ms");
    let client = async || {
        let (mut served, mut refused) = (0_u32, 0_u32);
        while refused < 3 {
            match paid.rig.chat(body(false).to_string()).await.status.as_u16() {
                200 => served += 1,
                402 => refused += 1,
                other => panic!("{other}"),
            }
        }
        served
    };
    let served: u32 = join_all((0..8).map(|_| client())).await.into_iter().sum();
    let spent = paid.spent().await;
    assert!(spent <= "$0.05".parse().unwrap() && spent.nano() > 45_000_000, "{spent} for {served} answers");
    let (twice, denied) = (hedges(&paid.rig, "won") + hedges(&paid.rig, "lost"), hedges(&paid.rig, "denied"));
    assert!(twice > u64::from(served / 4), "{twice} of {served} were asked twice, {denied} had no room");
    assert_eq!((paid.held(), paid.is_clean()), (Usd::ZERO, true));
}

#[tokio::test]
async fn a_second_behind_an_alias_with_limits_holds_them_while_it_serves_and_gives_them_back() {
    let rig = Rig::start_with(|plan| {
        hedged("10ms")(plan);
        plan["models"]["other"] = plan["models"]["fast"].clone();
        plan["models"]["other"]["targets"] = json!([{"provider": "two", "model": "m", "weight": 1}]);
        plan["models"]["other"]["fallbacks"] = json!([]);
        plan["models"]["other"]["limits"] = json!({"concurrency": 1});
        plan["models"]["fast"]["fallbacks"] = json!(["other"]);
    })
    .await;
    let in_use = || rig.gateway.services.counters.in_use(bifrostctl::limit::Scope::Alias);
    script(&rig, SLOW, "chunks=2");
    let answer = super::limits::begin(&rig, body(true).to_string()).await;
    assert_eq!((answer.status().as_u16(), in_use()), (200, 1));
    drop(Rig::read(answer).await);
    assert_eq!(in_use(), 0);
    script(&rig, "delay=80ms;chunks=2", SLOW);
    let answer = super::limits::begin(&rig, body(true).to_string()).await;
    assert_eq!((answer.status().as_u16(), in_use()), (200, 0), "the first one won");
    script(&rig, "delay=80ms;status=500", "status=400");
    assert_eq!(rig.chat(body(false).to_string()).await.status, 400);
    assert_eq!(in_use(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_while_both_run_cancels_both_and_each_is_settled_once() {
    let paid = paid("$1", "10ms").await;
    script(&paid.rig, SLOW, SLOW);
    let request = paid.open(body(true));
    let both = paid.rig.mock.wait_for(|records| records.len() == 2);
    tokio::select! {
        biased;
        _ = both => {}
        _ = request => panic!("nobody answers"),
    }
    let records = paid.rig.mock.wait_ended(2).await;
    assert!(records.iter().all(|record| record.ending == Ending::ClientClosed), "{records:?}");
    assert_eq!(booked(&paid).await, [("cancelled".to_owned(), 0)]);
    let spent = paid.spent().await.nano();
    assert!(spent > 0 && spent % 2_000 == 0, "twice the same input: {spent}");
    assert_eq!((paid.held(), paid.is_clean(), hedges(&paid.rig, "cancelled")), (Usd::ZERO, true, 1));
    assert_eq!((load(&paid.rig, "one").in_flight, load(&paid.rig, "two").in_flight), (0, 0));
}

#[tokio::test]
async fn a_quantile_is_the_targets_own_and_unknown_ones_hedge_nothing() {
    let rig = Rig::start_with(hedged("p95")).await;
    script(&rig, "delay=150ms", "");
    assert_eq!(served_by(&rig.chat(body(false).to_string()).await), (200, "one/m", "1"), "too little is known");
    let target = rig.gateway.services.health.target("one", "m");
    let now_ms = rig.gateway.clock.monotonic_ms();
    (0..60).for_each(|_| target.times.note(Timed::Whole, 10_000, now_ms));
    assert!(target.times.quantile_us(Timed::Whole, 950, now_ms).unwrap() < 12_000);
    assert_eq!(served_by(&rig.chat(body(false).to_string()).await), (200, "two/m", "2"), "slower than usual");
    assert_eq!(served_by(&rig.chat(body(true).to_string()).await), (200, "one/m", "1"), "of streams, nothing is known");
}

#[tokio::test]
async fn what_is_given_up_again_and_again_still_counts_as_slow() {
    let rig = Rig::start_with(hedged("p95")).await;
    let target = rig.gateway.services.health.target("one", "m");
    (0..40).for_each(|_| target.times.note(Timed::Whole, 10_000, rig.gateway.clock.monotonic_ms()));
    script(&rig, SLOW, "");
    let mut waits = Vec::new();
    for _ in 0..6 {
        waits.push(target.times.quantile_us(Timed::Whole, 950, rig.gateway.clock.monotonic_ms()).unwrap());
        assert_eq!(served_by(&rig.chat(body(false).to_string()).await).1, "two/m");
    }
    assert!(waits.is_sorted() && waits[5] >= waits[0], "never shorter because nobody waited to the end: {waits:?}");
}

#[tokio::test]
async fn what_is_not_safe_to_ask_twice_is_asked_once() {
    let rig = Rig::start_with(|plan| {
        hedged("10ms")(plan);
        plan["providers"]["one"]["quirks"]["responses"] = json!(true);
        plan["providers"]["two"]["quirks"]["responses"] = json!(true);
    })
    .await;
    script(&rig, "delay=100ms", "");
    let key = format!("Bearer {}", super::harness::KEY);
    for extra in
        [json!({"conversation": "conv_1"}), json!({"background": true}), json!({"tools": [{"type": "mcp", "server_url": "https://x"}]})]
    {
        let mut body = json!({"model": "fast", "input": "Hi"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let seen = rig.call("POST", "/v1/responses", &[("authorization", &key)], body.to_string().into()).await;
        assert_eq!(served_by(&seen), (200, "one/m", "1"), "{extra}");
    }
    let plain = json!({"model": "fast", "input": "Hi"}).to_string();
    assert_eq!(served_by(&rig.call("POST", "/v1/responses", &[("authorization", &key)], plain.into()).await).1, "two/m");
    // What is only relayed may do anything.
    let relayed = json!({"model": "fast", "prompt": "a cat"}).to_string();
    let before = rig.mock.requests().len();
    rig.call("POST", "/v1/images/generations", &[("authorization", &key)], relayed.into()).await;
    assert_eq!(rig.mock.requests().len(), before + 1);
    let vectors = json!({"model": "fast", "input": "Hi"}).to_string();
    assert_eq!(served_by(&rig.call("POST", "/v1/embeddings", &[("authorization", &key)], vectors.into()).await).1, "two/m");
}

#[tokio::test]
async fn a_second_in_another_format_is_translated_and_the_first_may_be_the_last_resort_alone() {
    let rig = Rig::start_with(|plan| {
        hedged("10ms")(plan);
        plan["providers"]["two"]["api"] = json!("anthropic");
    })
    .await;
    script(&rig, SLOW, "");
    for stream in [false, true] {
        let answer = rig.chat(body(stream).to_string()).await;
        assert_eq!(served_by(&answer), (200, "two/m", "2"), "{}", answer.text());
        assert!(answer.text().contains(if stream { "chat.completion.chunk" } else { "chat.completion" }), "{}", answer.text());
    }
    // An open target is not asked beside another one, and one that is asked because nobody else is left is not hedged.
    let two = rig.gateway.services.health.target("two", "m");
    let now_ms = rig.gateway.clock.monotonic_ms();
    (0..5).for_each(|_| two.breaker.failure(now_ms, now_ms, 0.0));
    assert_ne!(two.breaker.admits(now_ms), Admit::Yes);
    script(&rig, "delay=100ms", "");
    assert_eq!(served_by(&rig.chat(body(false).to_string()).await), (200, "one/m", "2"), "the other account of provider one");
}

#[tokio::test]
async fn a_request_that_goes_on_from_what_one_provider_keeps_is_asked_once() {
    let rig = Rig::start_with(|plan| {
        hedged("10ms")(plan);
        for name in ["one", "two"] {
            plan["providers"][name]["quirks"]["responses"] = json!(true);
        }
    })
    .await;
    let key = format!("Bearer {}", super::harness::KEY);
    let ask = async |body: Value| rig.call("POST", "/v1/responses", &[("authorization", &key)], body.to_string().into()).await;
    script(&rig, SLOW, "");
    let first = ask(json!({"model": "fast", "input": "Hi"})).await;
    assert_eq!(served_by(&first).1, "two/m");
    script(&rig, "", "delay=100ms");
    let next = ask(json!({"model": "fast", "input": "Hi", "previous_response_id": first.json()["id"]})).await;
    assert_eq!(served_by(&next), (200, "two/m", "1"), "whoever answered keeps it, the second one too");
}
