//! Several limits at once, and the counters behind them.

use std::sync::Arc;

use bifrostctl::base::Digest;
use bifrostctl::limit::{Counters, Identity, Limiter, Measure, Scope, admit, room};
use bifrostctl::plan::RateLimits;
use serde_json::{Value, json};

const SECOND: u64 = 1_000_000_000;

fn rate(rate: &str, burst: u64) -> Value {
    json!({"rate": rate, "burst": burst})
}

fn limiter(counters: &Counters, scope: Scope, name: &str, limits: Value) -> Arc<Limiter> {
    let limits: RateLimits = serde_json::from_value(limits).unwrap();
    Arc::new(Limiter::new(Identity::new(scope, name), &limits, counters).expect("something is limited"))
}

#[test]
fn a_scope_without_limits_has_no_limiter() {
    assert!(Limiter::new(Identity::new(Scope::Key, "web"), &RateLimits::default(), &Counters::default()).is_none());
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
    counters.forget_unused(|_, _| false, 0);
    let again = limiter(&counters, Scope::Key, "web", limits());
    assert_eq!((again.in_use(), again.level(Measure::Requests, 0).unwrap().remaining), (Some(1), 0));
    drop((running, again));
    // It counts for two seconds more.
    counters.forget_unused(|_, _| false, 2 * SECOND - 1);
    let again = limiter(&counters, Scope::Key, "web", limits());
    assert_eq!(again.level(Measure::Requests, 0).unwrap().full_in_ns, 2 * SECOND);
    drop(again);
    counters.forget_unused(|_, _| false, 2 * SECOND);
    assert_eq!(
        limiter(&counters, Scope::Key, "web", limits()).level(Measure::Requests, 0).unwrap().full_in_ns,
        0,
        "forgotten once it is full"
    );
    let other = limiter(&counters, Scope::Team, "web", limits());
    assert_eq!(other.level(Measure::Requests, 0).unwrap().remaining, 2, "a team of the same name is another scope");
}

#[test]
fn what_is_renamed_goes_on_with_what_it_has_used() {
    let counters = Counters::default();
    let [old, new, other, third] = ["old", "new", "other", "third"].map(|key| [Digest::of(key.as_bytes())]);
    let both = [old[0], new[0]];
    let limits: RateLimits = serde_json::from_value(json!({"requests": rate("60/min", 2)})).unwrap();
    let left = |identity: Identity<'_>| {
        let limiter = Limiter::new(identity, &limits, &counters).unwrap();
        limiter.level(Measure::Requests, 0).unwrap().remaining
    };
    let key = |name, digests| Identity { digests, ..Identity::new(Scope::Key, name) };
    drop(admit(&[Arc::new(Limiter::new(key("web", &old), &limits, &counters).unwrap())], None, 0).unwrap());
    // In a rotation the name stays, then the name changes and the digest stays.
    assert_eq!((left(key("web", &both)), left(key("site", &new)), left(key("third", &third))), (1, 1, 2));
    let renamed = |scope, name| Identity { renamed_from: Some("site"), ..Identity::new(scope, name) };
    assert_eq!((left(renamed(Scope::Key, "shop")), left(renamed(Scope::Team, "shop"))), (1, 2), "a team of that name is another");
    counters.forget_unused(|_, name| name == "shop", SECOND - 1);
    assert_eq!((left(key("shop", &[])), left(key("web", &other))), (1, 2), "the old name is free");
    counters.forget_unused(|_, _| false, SECOND - 1);
    assert_eq!(left(key("fourth", &new)), 1, "it still counts");
    counters.forget_unused(|_, _| false, SECOND);
    assert_eq!((left(key("fifth", &new)), left(renamed(Scope::Key, "sixth"))), (2, 2));
}

/// `cargo test --release --test it -- --ignored --nocapture what_admission_costs`.
#[test]
#[ignore = "prints times, which depend on the machine"]
fn what_admission_costs() {
    const ROUNDS: u64 = 1_000_000;
    let counters = Counters::default();
    let wide = || json!({"requests": rate("999M/s", 900_000_000), "tokens": rate("999M/s", 900_000_000), "concurrency": 1_000_000});
    let all = [
        limiter(&counters, Scope::Key, "web", wide()),
        limiter(&counters, Scope::Team, "all", wide()),
        limiter(&counters, Scope::Alias, "fast", wide()),
    ];
    for count in 0..=all.len() {
        let began = std::time::Instant::now();
        for round in 0..ROUNDS {
            let now = (count as u64 * ROUNDS + round) * 1_000;
            admit(&all[..count], Some(100), now).unwrap().settle(90, now + 500);
        }
        let each = began.elapsed().as_nanos() / u128::from(ROUNDS);
        println!("{count} scopes with requests, tokens and concurrency: admit and settle in {each} ns");
    }
}
