//! Rate limits.

use super::expect;

#[test]
fn a_limit_lets_something_through() {
    let on = |limits: &str| format!("models: {{m: {{targets: [mock/x], limits: {limits}}}}}");
    expect(&[
        (&on("{requests: 0/min}"), &["BF0431 /models/m/limits/requests"]),
        (&on("{tokens: {rate: 0k/day, burst: 5}, concurrency: 3}"), &["BF0431 /models/m/limits/tokens"]),
        (&on("{requests: 1/day, tokens: 999M/s}"), &[]),
        (
            "teams: {t: {limits: {tokens: 0/h}}}\nvirtual_keys: {k: {hashes: [], team: t, models: [\"mock/*\"]}}",
            &["BF0431 /teams/t/limits/tokens"],
        ),
    ]);
}

#[test]
fn limits_limit_something() {
    expect(&[
        ("models: {m: {targets: [mock/x], limits: {}}}", &["BF0432 /models/m/limits"]),
        ("models: {m: {targets: [mock/x], limits: {concurrency: 1}}}", &[]),
    ]);
}

#[test]
fn a_key_can_reach_its_limits_before_its_team_does() {
    let case = |key: &str, team: &str| {
        format!("virtual_keys: {{k: {{hashes: [], team: t, models: [\"mock/*\"], limits: {key}}}}}\nteams: {{t: {{limits: {team}}}}}")
    };
    expect(&[
        (&case("{requests: 61/min}", "{requests: 1/s}"), &["BF0433 /virtual_keys/k/limits/requests"]),
        (&case("{requests: 60/min}", "{requests: 1/s}"), &[]),
        (&case("{tokens: 1M/day}", "{tokens: 41k/h}"), &["BF0433 /virtual_keys/k/limits/tokens"]),
        (&case("{concurrency: 9}", "{concurrency: 8}"), &["BF0433 /virtual_keys/k/limits/concurrency"]),
        (&case("{requests: 9/s, tokens: 9/s, concurrency: 9}", "{tokens: 10/s}"), &[]),
    ]);
}
