//! Every metric name in one place. A new metric is one line here and one registration in `metrics`.
//!
//! Rule: names are written without the prefix `bifrost_` and, for counters, without `_total`; both are added when the metrics
//! are encoded. A label has few values: never a key, a user, a team, a prompt or a path.

use prometheus_client::metrics::MetricType;

/// What every metric's name begins with.
pub const PREFIX: &str = "bifrost";

/// A metric's name, kind, labels and help.
#[derive(Debug)]
pub struct Name {
    /// Without prefix and without `_total`.
    pub name: &'static str,
    /// Kind.
    pub kind: MetricType,
    /// Label names, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// One sentence without its full stop, which the encoder adds.
    pub help: &'static str,
}

impl Name {
    /// Returns the name as it stands in the exposition: `bifrost_requests_total`.
    pub fn full(&self) -> String {
        let suffix = if matches!(self.kind, MetricType::Counter) { "_total" } else { "" };
        format!("{PREFIX}_{}{suffix}", self.name)
    }
}

macro_rules! names {
    ($($ident:ident $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(
            #[doc = $help]
            pub static $ident: Name =
                Name { name: $name, kind: MetricType::$kind, labels: &[$($label),*], help: $help };
        )+
        /// Every metric, in the order of the exposition.
        pub static ALL: &[&Name] = &[$(&$ident),+];
    };
}

names! {
    REQUESTS Counter "requests" ["endpoint", "alias", "status"] "Requests answered, by the status that the client saw";
    REQUEST_DURATION Histogram "request_duration_seconds" ["endpoint", "alias"] "Time from the request's head to the end of its answer";
    OVERHEAD Histogram "overhead_seconds" ["endpoint"] "Time spent in the gateway itself, outside waits for an upstream";
    TIME_TO_FIRST_TOKEN Histogram "time_to_first_token_seconds" ["provider", "model"] "Time from a streamed request's arrival to its first content";
    ATTEMPTS Counter "attempts" ["provider", "model", "outcome"] "Calls of an upstream; outcome is ok, the error's code, or hedge_lost where another call beside it was quicker";
    ATTEMPT_DURATION Histogram "attempt_duration_seconds" ["provider"] "Time from a call of an upstream to the end of its answer";
    FALLBACKS Counter "fallbacks" ["alias", "reason"] "Moves to the next target of a chain, by the error that caused them";
    HEDGES Counter "hedges" ["alias", "outcome"] "Second tries beside a first one that took long: whether they served (won), were given up (lost), failed or were cancelled by the client; denied are those that were due and not made";
    RULES Counter "rules" ["rule", "outcome"] "Requests that a rule decided (matched), or whose condition failed and so did not match (failed)";
    RETRIES Counter "retries" ["provider"] "Further tries at the same target";
    RETRIES_DENIED Counter "retries_denied" ["provider"] "Further tries, after a failure here or elsewhere, that a failing target was spared";
    PROVIDER_THERE Gauge "provider_there" ["provider"] "1 while a provider answers its health checks, 0 while it does not; absent where it is not checked";
    TARGET_IN_FLIGHT Gauge "target_in_flight" ["provider", "model"] "Attempts that run at a target that the spec names";
    TARGET_LATENCY Gauge "target_latency_microseconds" ["provider", "model", "answer"] "Time to the first content of streams (streamed), or to the end of answers at once (whole), of late; what fastest and adaptive go by";
    TARGET_FAILURE_SHARE Gauge "target_failures_permille" ["provider", "model"] "Failures and refusals among a thousand answers of late; what adaptive goes by";
    CONCURRENCY_LIMIT Gauge "concurrency_limit" ["provider", "model", "credential"] "Attempts that may run at once; where the provider has a limit of that kind";
    CONCURRENCY_RUNNING Gauge "concurrency_running" ["provider", "model", "credential"] "Attempts that run, of those that may";
    CONCURRENCY_WAITING Gauge "concurrency_waiting" ["provider", "model", "credential"] "Requests that wait for one of these to end; one that waits for several counts at each";
    QUEUED Counter "queued" ["outcome"] "Requests that found every target taken, by how their wait ended: served, timed_out, or refused at once because it was likely to be in vain";
    QUEUE_WAIT Histogram "queue_wait_seconds" [] "Time that requests waited for a place at a provider";
    TOKENS Counter "tokens" ["provider", "model", "direction"] "Tokens as the upstream reported them";
    COST Counter "cost_nano_usd" ["provider", "model"] "What answers cost, in billionths of a dollar; nothing for models without a price";
    REFUSED Counter "refused" ["reason"] "Requests that the gateway refused itself, by the error's code";
    LIMITED Counter "limited" ["scope", "limit"] "Requests that a limit of a key, a team or an alias refused, and attempts that one of a provider kept back";
    LIMIT_PERMITS Gauge "limit_permits" ["scope"] "Requests that run where the spec limits how many may at once";
    IN_FLIGHT Gauge "in_flight" [] "Requests being served";
    MEMORY_USED Gauge "memory_used_bytes" [] "Resident memory of the process";
    MEMORY_LIMIT Gauge "memory_limit_bytes" [] "Memory that the process may use, near which requests are turned away; absent where nothing bounds it";
    STREAMS_OPEN Gauge "streams_open" [] "Streamed answers being relayed";
    CREDENTIAL_STATE Gauge "credential_state" ["provider", "credential"] "0 ready, 1 not used for some models, 2 out, 3 absent";
    CREDENTIAL_MODEL_STATE Gauge "credential_model_state" ["provider", "credential", "model"] "0 ready, 1 cooling after a 429, 2 out; models that the spec names";
    BREAKER_STATE Gauge "breaker_state" ["provider", "model"] "0 closed, 1 half-open, 2 open";
    CONNECTIONS_OPEN Gauge "connections_open" ["listener"] "Client connections that are open";
    CONNECTIONS Counter "connections" ["listener"] "Client connections accepted";
    CONNECTIONS_REFUSED Counter "connections_refused" ["listener", "reason"] "Client connections closed by a cap, a timer or the strict gate";
    CONFIG_LAST_RELOAD_SUCCESSFUL Gauge "config_last_reload_successful" [] "1 when the file on disk is what runs, 0 when it was rejected";
    CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP Gauge "config_last_reload_success_timestamp_seconds" [] "Unix time at which the file on disk was last known to be what runs";
    CONFIG_RELOADS Counter "config_reloads" ["outcome", "trigger"] "Reloads, by outcome and by what caused them";
    CONFIG_RELOAD_DURATION Histogram "config_reload_duration_seconds" [] "Time from reading the file to the end of the reload";
    CONFIG_INFO Gauge "config_info" ["digest", "revision"] "1 for the revision that runs";
    CONFIG_TABLES_ALIVE Gauge "config_tables_alive" [] "Routing tables in memory: the live one and those that running requests hold";
    ACCESS_LOG_DROPPED Counter "access_log_dropped" [] "Access log lines lost because the output was too slow or failed";
    BUDGET_LIMIT Gauge "budget_limit_nano_usd" ["budget"] "What a shared budget allows in its window, in billionths of a dollar";
    BUDGET_SPENT Gauge "budget_spent_nano_usd" ["budget"] "What was spent of a shared budget in its window";
    BUDGET_HELD Gauge "budget_held_nano_usd" ["budget"] "What running requests hold of a shared budget";
    BUDGET_ALERTS Counter "budget_alerts" ["budget"] "Shares of a budget that were reached; budgets that keys and teams have of their own are `own`";
    BOOK_LINES Counter "book_lines" [] "Attempts written to the book when they ended";
    BOOK_WAITING Gauge "book_waiting" [] "Entries that wait to be written to the book";
    BOOK_FAILED Gauge "book_failed" [] "1 while the book cannot be written";
    BOOK_LATE Counter "book_late" [] "Attempts that ended after a crash had charged them; that charge stays";
    BOOK_ASKS Counter "book_asks" [] "Times that this gateway asked the book that it shares for more of a budget; 0 where it shares none";
    BOOK_LOST Counter "book_lost" [] "Ends of attempts that could not be kept until the book could be written";
    BUILD_INFO Gauge "build_info" ["version"] "1 for the version that runs";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_snake_case_with_its_unit_and_without_what_the_encoder_adds() {
        for name in ALL {
            assert!(name.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", name.name);
            assert!(!name.name.starts_with(PREFIX) && !name.name.ends_with("_total"), "{}", name.name);
            assert!(!name.help.ends_with('.'), "{}", name.name);
            if matches!(name.kind, MetricType::Histogram) {
                assert!(name.name.ends_with("_seconds"), "{}", name.name);
            }
        }
    }

    #[test]
    fn no_label_could_tell_who_asked() {
        for name in ALL {
            for label in name.labels {
                assert!(!["key", "virtual_key", "user", "team", "path", "request_id"].contains(label), "{}", name.name);
            }
        }
    }

    #[test]
    fn no_name_stands_twice() {
        let mut names: Vec<String> = ALL.iter().map(|name| name.full()).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
