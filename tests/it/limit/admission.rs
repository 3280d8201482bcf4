//! Several limits at once, and the counters behind them.

use std::sync::Arc;

use bifrostctl::base::Digest;
use bifrostctl::limit::{Counters, Limiter, Measure, Scope, admit, room};
use bifrostctl::plan::RateLimits;
use serde_json::{Value, json};

const SECOND: u64 = 1_000_000_000;

fn rate(rate: &str, burst: u64) -> Value {
    json!({"rate": rate, "burst": burst})
}

fn limiter(counters: &Counters, scope: Scope, name: &str, limits: Value) -> Arc<Limiter> {
    let limits: RateLimits = serde_json::from_value(limits).unwrap();
    Arc::new(Limiter::new(scope, name, &limits, counters).expect("something is limited"))
}

#[test]
fn a_scope_without_limits_has_no_limiter() {
    assert!(Limiter::new(Scope::Key, "web", &RateLimits::default(), &Counters::default()).is_none());
}

#[test]
fn a_refusal_by_one_limit_takes_nothing_from_the_others() {
    let counters = Counters::default();
    let key =
        limiter(&counters, Scope::Key, "web", json!({"requests": rate("60/min", 6), "tokens": rate("600/min", 60), "concurrency": 5}));
    let team = limiter(&counters, Scope::Team, "web", json!({"requests": rate("60/min", 1)}));
    let alias = limiter(&counters, Scope::Alias, "fast", json!({"tokens": rate("60/min", 20)}));
    let all = [Arc::clone(&key), Arc::clone(&team), Arc::clone(&alias)];
    let first = admit(&all, Some(10), 0).unwrap();
    let state = || (key.level(Measure::Requests, 0), key.level(Measure::Tokens, 0), alias.level(Measure::Tokens, 0), key.in_use());
    let before = state();
    let refused = admit(&all, Some(1), 0).unwrap_err();
    assert_eq!((refused.scope, refused.measure, refused.wait_ns), (Scope::Team, Measure::Requests, SECOND));
    assert_eq!((refused.limit.as_str(), refused.remaining), ("60/min, 1 at once", 0));
    assert_eq!(state(), before);
    drop(first);
    assert_eq!(key.in_use(), Some(0));
}

#[test]
fn the_limit_that_keeps_a_request_out_for_the_longest_is_named() {
    let counters = Counters::default();
    let key = limiter(&counters, Scope::Key, "web", json!({"requests": rate("1/s", 1), "tokens": rate("1/min", 1)}));
    let team = limiter(&counters, Scope::Team, "all", json!({"requests": rate("1/h", 1)}));
    let both = [key, team];
    assert!(admit(&both, Some(1), 0).is_ok());
    assert_eq!(admit(&both, Some(1), 0).unwrap_err().wait_ns, 3_600 * SECOND);
    assert_eq!(admit(&both[..1], Some(1), 0).unwrap_err().measure, Measure::Tokens);
    assert_eq!(admit(&both[..1], None, 0).unwrap_err().measure, Measure::Requests, "what has no tokens waits for none");
}

#[test]
fn permits_come_free_when_the_grant_goes_and_tokens_stay_taken() {
    let counters = Counters::default();
    let key = [limiter(&counters, Scope::Key, "web", json!({"tokens": rate("60/min", 10), "concurrency": 2}))];
    let first = admit(&key, Some(3), 0).unwrap();
    let second = admit(&key, Some(3), 0).unwrap();
    let refused = admit(&key, Some(3), 0).unwrap_err();
    assert_eq!((refused.measure, refused.limit.as_str(), refused.wait_ns), (Measure::Concurrency, "2 at once", SECOND));
    drop(first);
    assert_eq!((key[0].in_use(), room(&key, Measure::Tokens, 0).unwrap().remaining), (Some(1), 4));
    second.settle(1, 0);
    assert_eq!((key[0].in_use(), room(&key, Measure::Tokens, 0).unwrap().remaining), (Some(0), 6));
    admit(&key, Some(3), 0).unwrap().settle(8, 0);
    assert_eq!(room(&key, Measure::Tokens, 0).unwrap().full_in_ns, 12 * SECOND, "what the answer used beyond it is owed");
}

#[test]
fn the_tightest_limit_is_the_one_that_is_shown() {
    let counters = Counters::default();
    let wide = limiter(&counters, Scope::Team, "all", json!({"requests": rate("600/min", 60)}));
    let tight = limiter(&counters, Scope::Key, "web", json!({"requests": rate("60/min", 6), "concurrency": 1}));
    let both = [wide, tight];
    let shown = room(&both, Measure::Requests, 0).unwrap();
    assert_eq!((shown.limit, shown.remaining, shown.full_in_ns), (60, 6, 0));
    assert_eq!((room(&both, Measure::Tokens, 0), room(&both, Measure::Concurrency, 0)), (None, None));
}

#[test]
fn threads_that_race_get_exactly_the_burst_and_the_permits() {
    let counters = Counters::default();
    let key = limiter(&counters, Scope::Key, "web", json!({"requests": rate("1/day", 500), "concurrency": 400}));
    let team = limiter(&counters, Scope::Team, "all", json!({"requests": rate("1/day", 300)}));
    let both = [key, team];
    let grants: Vec<_> = std::thread::scope(|scope| {
        let ask = || (0..200).filter_map(|_| admit(&both, None, 0).ok()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!((grants.len(), both[0].in_use()), (300, Some(300)));
    assert_eq!(room(&both[..1], Measure::Requests, 0).unwrap().remaining, 200);
}

#[test]
fn a_scope_that_goes_and_comes_back_finds_what_it_has_used() {
    let counters = Counters::default();
    let limits = || json!({"requests": rate("60/min", 2), "concurrency": 3});
    let key = limiter(&counters, Scope::Key, "web", limits());
    let running = admit(std::slice::from_ref(&key), None, 0).unwrap();
    drop(admit(std::slice::from_ref(&key), None, 0).unwrap());
    drop(key);
    // The spec no longer has it; a request of before still runs.
    counters.forget_unused(0);
    let again = limiter(&counters, Scope::Key, "web", limits());
    assert_eq!((again.in_use(), again.level(Measure::Requests, 0).unwrap().remaining), (Some(1), 0));
    drop((running, again));
    // It counts for two seconds more.
    counters.forget_unused(2 * SECOND - 1);
    let again = limiter(&counters, Scope::Key, "web", limits());
    assert_eq!(again.level(Measure::Requests, 0).unwrap().full_in_ns, 2 * SECOND);
    drop(again);
    counters.forget_unused(2 * SECOND);
    assert_eq!(
        limiter(&counters, Scope::Key, "web", limits()).level(Measure::Requests, 0).unwrap().full_in_ns,
        0,
        "forgotten once it is full"
    );
    let other = limiter(&counters, Scope::Team, "web", limits());
    assert_eq!(other.level(Measure::Requests, 0).unwrap().remaining, 2, "a team of the same name is another scope");
}

#[test]
fn a_key_under_another_name_goes_on_with_what_it_has_used() {
    let counters = Counters::default();
    let (old, new, other) = (Digest::of(b"old"), Digest::of(b"new"), Digest::of(b"other"));
    let limits: RateLimits = serde_json::from_value(json!({"requests": rate("60/min", 2)})).unwrap();
    let left = |name: &str, digests: &[Digest]| {
        let limiter = Limiter::of_key(name, digests, &limits, &counters).unwrap();
        limiter.level(Measure::Requests, 0).unwrap().remaining
    };
    let first = Arc::new(Limiter::of_key("web", &[old], &limits, &counters).unwrap());
    drop(admit(&[first], None, 0).unwrap());
    // In a rotation the name stays, then the name changes and the digest stays.
    assert_eq!((left("web", &[old, new]), left("site", &[new]), left("web", &[other])), (1, 1, 1));
    assert_eq!((left("site", &[other]), left("third", &[Digest::of(b"third")])), (1, 2));
    counters.forget_unused(SECOND - 1);
    assert_eq!(left("fourth", &[new]), 1, "it still counts");
    counters.forget_unused(SECOND);
    assert_eq!(left("fifth", &[new]), 2);
}
