//! What `/metrics` shows.

use std::time::Duration;

use bifrostctl::base::Usd;
use bifrostctl::error::Kind;
use bifrostctl::telemetry::{BreakerState, CredentialState, DIRECT, Endpoint, Metrics, NONE, Queued, names};

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn everything_that_is_recorded_is_shown_in_openmetrics_text() {
    let metrics = Metrics::new();
    let alias = metrics.alias("fast");
    alias.endpoint(Endpoint::ChatCompletions).record_request(200, MS(300));
    alias.endpoint(Endpoint::ChatCompletions).record_request(503, Duration::from_micros(500));
    alias.endpoint(Endpoint::ChatCompletions).record_request(418, Duration::from_secs(301));
    alias.endpoint(Endpoint::ChatCompletions).overhead(Duration::from_micros(21));
    alias.fallback(Kind::UpstreamOverload);
    metrics.endpoint(Endpoint::Unknown, NONE).record_request(404, Duration::ZERO);
    let target = metrics.target("openai", "gpt \"4\"\\\n");
    target.attempt(None, MS(250));
    target.attempt(Some(Kind::UpstreamRateLimit), MS(10));
    target.time_to_first_token(MS(120));
    target.tokens(10, 32);
    target.retry();
    metrics.refused(Kind::Overloaded);
    let (_request, _stream) = (metrics.admit(9), metrics.stream_open());
    metrics.access_log_dropped().inc_by(3);
    metrics.config().reload("applied", "file", MS(7));
    metrics.config().running("0123456789ab", 4);
    metrics.config().in_step(1_767_323_045_678);
    metrics.add_source(|samples| {
        samples.credential("openai", "b", CredentialState::Absent);
        samples.credential("openai", "a", CredentialState::Cooling);
        samples.credential_model(("openai", "a", "gpt"), CredentialState::Cooling);
        samples.breaker("openai", "gpt", BreakerState::Open);
        samples.connections("clients", 5, 100);
        samples.connections_refused("clients", "cap", 2);
        samples.add(&names::CONFIG_TABLES_ALIVE, &[], 2);
    });
    let text = metrics.encode().replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!(text);
}

#[test]
fn every_name_of_the_list_is_shown_once_it_has_a_value() {
    let metrics = Metrics::new();
    let endpoint = metrics.endpoint(Endpoint::Embeddings, "a");
    endpoint.record_request(200, MS(1));
    endpoint.overhead(MS(1));
    metrics.alias("a").fallback(Kind::UpstreamConnect);
    metrics.alias("a").hedge(bifrostctl::telemetry::HedgeOutcome::Won);
    let target = metrics.target("p", "m");
    target.attempt(None, MS(1));
    target.retry_denied();
    target.time_to_first_token(MS(1));
    target.tokens(1, 1);
    target.cost(Usd::from_nano(1));
    metrics.rule("r").matched();
    metrics.refused(Kind::TooLarge);
    metrics.limited("key", "requests");
    metrics.queued(Queued::Served, MS(1));
    metrics.config().reload("unchanged", "signal", MS(1));
    metrics.config().running("d", 1);
    metrics.add_source(|samples| {
        samples.credential("p", "c", CredentialState::Ready);
        samples.credential_model(("p", "c", "m"), CredentialState::Ready);
        samples.breaker("p", "m", BreakerState::Closed);
        samples.add(&names::MEMORY_USED, &[], 1);
        samples.add(&names::PROVIDER_THERE, &["p"], 1);
        samples.add(&names::MEMORY_LIMIT, &[], 1);
        samples.add(&names::TARGET_IN_FLIGHT, &["p", "m"], 1);
        samples.add(&names::TARGET_LATENCY, &["p", "m", "streamed"], 1);
        samples.add(&names::TARGET_FAILURE_SHARE, &["p", "m"], 1);
        for name in [&names::CONCURRENCY_LIMIT, &names::CONCURRENCY_RUNNING, &names::CONCURRENCY_WAITING] {
            samples.add(name, &["p", "m", "c"], 1);
        }
        samples.connections("clients", 0, 0);
        samples.connections_refused("clients", "cap", 0);
        samples.add(&names::CONFIG_TABLES_ALIVE, &[], 1);
        for name in [&names::BOOK_LINES, &names::BOOK_WAITING, &names::BOOK_FAILED, &names::BOOK_LATE, &names::BOOK_LOST, &names::BOOK_ASKS]
        {
            samples.add(name, &[], 0);
        }
        samples.add(&names::LIMIT_PERMITS, &["key"], 1);
        for name in [&names::BUDGET_LIMIT, &names::BUDGET_SPENT, &names::BUDGET_HELD, &names::BUDGET_ALERTS] {
            samples.add(name, &["b"], 1);
        }
    });
    let text = metrics.encode();
    for name in names::ALL {
        let full = name.full();
        let shown = text.lines().filter(|line| !line.starts_with('#')).any(|line| {
            let series = line.split(['{', ' ']).next().unwrap();
            series == full || series.strip_prefix(full.as_str()).is_some_and(|suffix| ["_sum", "_count", "_bucket"].contains(&suffix))
        });
        assert!(shown, "{full}");
    }
}

#[test]
fn a_duration_on_a_bound_belongs_to_that_bucket_and_one_above_all_to_infinity() {
    let metrics = Metrics::new();
    let endpoint = metrics.endpoint(Endpoint::Responses, "a");
    for took in [MS(1), Duration::from_nanos(1_000_001), Duration::from_secs(300), Duration::from_secs(301)] {
        endpoint.record_request(200, took);
    }
    let text = metrics.encode();
    let count = |bound: &str| {
        let start = format!(r#"bifrost_request_duration_seconds_bucket{{le="{bound}",endpoint="responses",alias="a"}} "#);
        text.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{bound} in {text}")).parse::<u64>().unwrap()
    };
    assert_eq!([count("0.0005"), count("0.001"), count("0.0025"), count("120.0"), count("300.0"), count("+Inf")], [0, 1, 2, 2, 3, 4]);
    assert!(text.contains(r#"bifrost_request_duration_seconds_sum{endpoint="responses",alias="a"} 601.002000001"#), "{text}");
}

#[test]
fn series_of_what_left_the_spec_are_forgotten_and_held_handles_stay_usable() {
    let metrics = Metrics::new();
    let (kept, gone) = (metrics.alias("kept"), metrics.alias("gone"));
    for alias in [&kept, &gone, &metrics.alias(DIRECT)] {
        alias.endpoint(Endpoint::ChatCompletions).record_request(200, MS(1));
        alias.fallback(Kind::UpstreamTimeout);
    }
    let (target, removed) = (metrics.target("p", "kept"), metrics.target("p", "gone"));
    for target in [&target, &removed, &metrics.target("q", "gone")] {
        target.attempt(None, MS(1));
        target.tokens(1, 1);
        target.time_to_first_token(MS(1));
    }
    metrics.retain_aliases(|alias| alias == "kept");
    metrics.retain_targets(|_, model| model == "kept");
    gone.endpoint(Endpoint::ChatCompletions).record_request(200, MS(1));
    removed.attempt(None, MS(1));
    let text = metrics.encode();
    assert!(!text.contains("gone") && !text.contains(r#""q""#), "{text}");
    assert!(text.contains(r#"bifrost_requests_total{endpoint="chat_completions",alias="direct",status="200"} 1"#), "{text}");
    assert!(text.contains(r#"bifrost_attempts_total{provider="p",model="kept",outcome="ok"} 1"#), "{text}");
    // The provider's own histogram has seen both of its targets.
    assert!(text.contains(r#"bifrost_attempt_duration_seconds_count{provider="p"} 3"#), "{text}");
}

#[test]
fn a_guard_gives_back_what_it_holds() {
    let metrics = Metrics::new();
    let first = metrics.admit(2);
    let second = metrics.admit(2);
    assert!(second.is_some() && metrics.admit(2).is_none());
    assert_eq!(metrics.requests_in_flight(), 2);
    drop(first);
    assert_eq!(metrics.requests_in_flight(), 1);
    drop(second);
    assert!(metrics.encode().contains("bifrost_in_flight 0\n"));
}

#[test]
fn a_rejected_file_shows_as_zero_and_its_repair_as_one() {
    let metrics = Metrics::new();
    metrics.config().in_step(1_000);
    metrics.config().out_of_step();
    assert!(metrics.encode().contains("bifrost_config_last_reload_successful 0\n"));
    metrics.config().in_step(2_500);
    let text = metrics.encode();
    assert!(text.contains("bifrost_config_last_reload_successful 1\n"));
    assert!(text.contains("bifrost_config_last_reload_success_timestamp_seconds 2.5\n"), "{text}");
}

#[test]
fn a_new_revision_replaces_the_old_one() {
    let metrics = Metrics::new();
    metrics.config().running("aaaa", 1);
    metrics.config().running("bbbb", 2);
    let text = metrics.encode();
    let shown: Vec<&str> = text.lines().filter(|line| line.starts_with("bifrost_config_info")).collect();
    assert_eq!(shown, [r#"bifrost_config_info{digest="bbbb",revision="2"} 1"#]);
}

#[test]
fn threads_lose_no_count() {
    let metrics = Metrics::new();
    let alias = metrics.alias("a");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| alias.endpoint(Endpoint::Completions).record_request(200, MS(2))));
        }
    });
    let text = metrics.encode();
    assert!(text.contains(r#"bifrost_requests_total{endpoint="completions",alias="a",status="200"} 40000"#), "{text}");
    assert!(text.contains(r#"bifrost_request_duration_seconds_sum{endpoint="completions",alias="a"} 80.0"#), "{text}");
}
