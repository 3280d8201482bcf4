//! Conditions: what is reported of them, and that nothing is reported without proof.

use super::super::support::findings;
use super::{expect, places, spec};

/// Three keys: `web` and `ci` in team `growth`, of which `ci` has the label; `lab` in team `research`. Team `later` has no key yet, and
/// is used by nothing else.
const KEYS: &str = "teams: {growth: {}, research: {}, later: {}}
virtual_keys:
  web: {hashes: [], team: growth, models: [\"*\"]}
  ci: {hashes: [], team: growth, models: [\"*\"], labels: {env: prod}}
  lab: {hashes: [], team: research, models: [\"*\"]}
";

/// Returns the codes of rules with these conditions, each with the rule's place in the list.
fn codes(conditions: &[&str]) -> Vec<String> {
    let rules: Vec<String> = conditions
        .iter()
        .enumerate()
        .map(|(index, condition)| format!("  - {{name: r{index}, when: {}, use: m}}\n", serde_json::json!(condition)))
        .collect();
    let found = places(&format!("{KEYS}rules:\n{}", rules.concat()));
    found
        .into_iter()
        .filter(|place| !place.ends_with("/teams/later"))
        .map(|place| place.replace(" /rules/", " ").replace("/when", ""))
        .collect()
}

#[test]
fn a_condition_is_checked_on_its_own() {
    for (condition, code) in [
        ("key.team ==", "BF0303"),
        ("key.team = 'growth'", "BF0303"),
        ("model | lowr == 'x'", "BF0303"),
        ("key.taem == 'growth'", "BF0304"),
        ("team == 'growth'", "BF0304"),
        ("model", "BF0305"),
        ("tokens.input", "BF0305"),
        ("key.team and model", "BF0305"),
        ("tools and 'yes'", "BF0305"),
        ("tokens.input > 8000 and model", "BF0305"),
        ("key.labels.env == 'prod'", "BF0306"),
        ("headers['x-tier'] == 'gold'", "BF0306"),
        ("tokens.input > 8000 and key.labels.env == 'prod'", "BF0306"),
        ("hour_utc == 3 and headers['x-tier'] == 'gold'", "BF0306"),
        ("model == 'special' and headers['x-tier'] == 'gold'", "BF0306"),
    ] {
        assert_eq!(codes(&[condition]), [format!("{code} 0")], "{condition}");
    }
}

#[test]
fn a_guarded_condition_is_right() {
    for condition in [
        "key.labels.env | default('') == 'prod'",
        "key.labels.env is defined and key.labels.env == 'prod'",
        "key.name == 'ci' and key.labels.env == 'prod'",
        "header('x-tier', '') == 'gold'",
        "headers['x-tier'] is defined and headers['x-tier'] in ['gold', 'silver']",
        "not (headers['x-tier'] is not defined or headers['x-tier'] != 'gold')",
        "(key.labels.env == 'prod') if key.labels.env is defined else false",
        "key.team == 'research' and tokens.input > 8000",
        "model in ['fast', 'gpt-4o'] or model is startingwith 'claude'",
        "endpoint == 'embeddings' or (stream and not tools)",
        "hour_utc >= 22 or hour_utc < 6",
        "vision and json_schema and body_bytes > 100000",
        "key.team == 'later'",
        "key.team == 'later' and key.labels.env | default('') == 'prod'",
        "(model | length) > 10",
    ] {
        assert_eq!(codes(&[condition]), [""; 0], "{condition}");
    }
}

#[test]
fn a_condition_that_nobody_meets_is_reported() {
    for condition in [
        "false",
        "key.name == 'anyone' and key.team == 'later'",
        "key.team == 'grwoth'",
        "key.team == 'grwoth' and tokens.input > 8000",
        "tokens.input > 8000 and key.team == 'grwoth'",
        "key.team == 'research' and key.name == 'web' and headers['x-tier'] is defined",
        "endpoint == 'chats'",
        "endpoint == 'chat' and endpoint == 'embeddings'",
        "hour_utc > 23",
        "hour_utc > 18 and hour_utc < 6",
        "stream and not stream",
        "not (stream or not stream)",
        "key.team not in ['growth', 'research', 'later', '']",
        "(model == 'a' or model == 'b') and key.team == 'x'",
    ] {
        assert_eq!(codes(&[condition]), ["BF0307 0"], "{condition}");
    }
}

#[test]
fn what_cannot_be_proved_is_not_reported() {
    for condition in [
        "model == 'a' and model == 'b'",
        "tokens.input > 8000 and tokens.input < 10",
        "body_bytes < 0",
        "header('x-tier', '') == 'a' and header('x-tier', '') == 'b'",
        "model == 'no-such-alias'",
        "tokens.input > 8000 or key.team == 'grwoth'",
    ] {
        assert_eq!(codes(&[condition]), [""; 0], "{condition}");
    }
}

#[test]
fn a_rule_that_earlier_ones_leave_nothing_to_is_reported() {
    for (conditions, expected) in [
        (&["true", "stream"][..], &["BF0308 1"][..]),
        (&["stream", "stream"], &["BF0308 1"]),
        (&["stream", "stream and tools"], &["BF0308 1"]),
        (&["stream", "tools and stream and tokens.input > 5"], &["BF0308 1"]),
        (&["stream", "not stream", "tools"], &["BF0308 2"]),
        (&["key.team == 'growth'", "key.name == 'web'"], &["BF0308 1"]),
        (&["key.team == 'growth'", "key.name in ['web', 'ci'] and model == 'x'"], &["BF0308 1"]),
        (&["hour_utc < 12", "hour_utc >= 12", "tools"], &["BF0308 2"]),
        (&["hour_utc > 5", "hour_utc > 10"], &["BF0308 1"]),
        (&["tokens.input > 8000", "tokens.input  >  8000"], &["BF0308 1"]),
        (&["tokens.input > 8000 and stream", "stream and tools and tokens.input > 8000"], &["BF0308 1"]),
        (&["header('x-tier', '') == 'gold'", "header('x-tier', '') == 'gold' and (tools or vision)"], &["BF0308 1"]),
        (&["stream or tools", "tools and vision"], &["BF0308 1"]),
        (&["endpoint in ['chat', 'completions', 'embeddings', 'other']", "model == 'x'"], &["BF0308 1"]),
    ] {
        assert_eq!(codes(conditions), expected, "{conditions:?}");
    }
}

#[test]
fn a_rule_that_some_request_may_reach_is_not_reported() {
    for conditions in [
        &["stream", "tools"][..],
        &["stream and tools", "stream"],
        &["tokens.input > 8000", "tokens.input > 9000"],
        &["tokens.input > 8000 or stream", "tools"],
        &["key.team == 'growth'", "key.team == 'research'", "key.team == 'later'"],
        &["key.team == 'growth'", "key.team == 'research'", "tools"],
        &["model == 'x' and stream", "stream"],
        &["hour_utc < 12", "hour_utc > 12", "tools"],
        &["model == 'a b'", "model == 'a  b'"],
    ] {
        assert_eq!(codes(conditions), [""; 0], "{conditions:?}");
    }
}

#[test]
fn a_rule_that_is_wrong_has_one_finding_and_hides_no_other() {
    assert_eq!(codes(&["model", "true"]), ["BF0305 0"]);
    assert_eq!(codes(&["false", "false"]), ["BF0307 0", "BF0307 1"]);
    assert_eq!(codes(&["key.team == 'x'", "stream"]), ["BF0307 0"]);
}

#[test]
fn a_rule_that_covers_says_so() {
    let yaml = spec("rules: [{name: all, when: \"true\", use: m}, {name: late, when: stream, use: m}]");
    assert_eq!(findings(&yaml)[0].message, "rule `late` is never reached: rule `all` holds wherever it would");
    let both = spec("rules: [{name: a, when: stream, use: m}, {name: b, when: not stream, use: m}, {name: c, when: tools, use: m}]");
    assert_eq!(findings(&both)[0].message, "rule `c` is never reached: some earlier rule holds wherever it would");
}

#[test]
fn requests_without_keys_count_where_they_are_allowed() {
    let rule = |auth: &str, condition: &str| format!("gateway: {{auth: \"{auth}\"}}\nrules: [{{name: r, when: \"{condition}\", use: m}}]");
    expect(&[
        (&rule("required", "key.name == ''"), &["BF0307 /rules/0/when"]),
        (&rule("optional", "key.name == ''"), &[]),
        (&rule("off", "key.name == ''"), &[]),
        (&rule("off", "key.name == 'k'"), &["BF0307 /rules/0/when"]),
    ]);
}

#[test]
fn rules_have_names_of_their_own_and_one_action() {
    expect(&[
        ("rules: [{name: r, when: stream, use: m}, {name: r, when: tools, use: m}]", &["BF0301 /rules/1/name"]),
        ("rules: [{name: r, when: stream}]", &["BF0302 /rules/0"]),
        ("rules: [{name: r, when: stream, use: m, deny: {message: nope}}]", &["BF0302 /rules/0"]),
        (
            "rules: [{name: r, when: stream, use: m}, {name: s, when: tools, deny: {message: nope}}, {name: t, when: vision, targets: [mock/y]}]",
            &[],
        ),
    ]);
}

#[test]
fn many_keys_and_rules_are_checked_quickly() {
    use std::fmt::Write as _;
    let mut yaml = String::from(
        "version: 1\nproviders: {mock: {}}\nmodels: {m: {targets: [mock/x]}}\nteams: {t0: {}, t1: {}, t2: {}}\nvirtual_keys:\n",
    );
    for n in 0..2_000 {
        let _ = writeln!(yaml, "  k{n}: {{hashes: [], team: t{}, models: [m], labels: {{env: e{}}}}}", n % 3, n % 7);
    }
    yaml.push_str("rules:\n");
    for n in 0..60 {
        let _ = writeln!(
            yaml,
            "  - {{name: r{n}, when: \"key.team == 't{}' and key.labels.env == 'e{}' and hour_utc == {} and stream and tokens.input > {n}\", use: m}}",
            n % 3,
            n % 7,
            n % 24
        );
    }
    let started = std::time::Instant::now();
    let found = findings(&yaml);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    assert!(found.is_empty(), "{:?}", found.first());
}
