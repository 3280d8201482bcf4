//! What a budget is to pay for and cannot count.

use super::super::support::findings;
use super::{expect, spec};

const HASH: &str = "hashes: [{sha256: \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"}]";
const OTHER: &str = "hashes: [{sha256: \"0f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"}]";

/// A server without known prices beside those whose prices are.
const SERVERS: &str = "providers: {mock: {}, local: {api: openai-chat, base_url: \"http://127.0.0.1:8000/v1\", \
                       credentials: {default: {secret: none}}}}\n";

fn one(models: &str, key: &str) -> String {
    format!("{SERVERS}models: {{base: {{targets: [mock/x]}}, {models}}}\nvirtual_keys: {{k: {{{HASH}, {key}}}}}\n")
}

const OWN: &str = "budgets: [{limit: $5, period: day}]";
const PLACE: &str = "BF0459 /virtual_keys/k/budgets/0";

#[test]
fn a_budget_is_told_of_models_without_a_price_wherever_they_are_reached() {
    let uses = "m: {targets: [mock/x]}, own: {targets: [local/q]}";
    let when_exhausted = "models: [m], budgets: [{limit: $5, period: day, when_exhausted: {use: own}}]";
    expect(&[
        // A target, a link of the chain, a link of another alias's chain, and where an exhausted budget leads.
        (&one("m: {targets: [local/q]}", &format!("models: [m], {OWN}")), &[PLACE]),
        (&one("m: {targets: [mock/x], fallbacks: [local/q]}", &format!("models: [m], {OWN}")), &[PLACE]),
        (&one("m: {targets: [mock/x], fallbacks: [next]}, next: {targets: [local/q]}", &format!("models: [m], {OWN}")), &[PLACE]),
        (&one(uses, when_exhausted), &[PLACE]),
        // By its own name, and by a pattern over models that all have no price.
        (&one("m: {targets: [mock/x]}", &format!("models: [m, local/q], {OWN}")), &[PLACE]),
        (&one("m: {targets: [mock/x]}", &format!("models: [\"*\"], {OWN}")), &[PLACE]),
        // What the key may not ask for is not reached, nor is anything without a budget.
        (&one(uses, &format!("models: [m], {OWN}")), &[]),
        (&one(uses, &format!("models: [m, own], disabled: true, {OWN}")), &[]),
        (&one("m: {targets: [local/q]}", "models: [m]"), &[]),
    ]);
}

#[test]
fn a_price_of_the_spec_is_a_price_and_one_of_another_model_is_none() {
    let spec = |prices: &str, models: &str| {
        format!("{}prices: {{{prices}}}\n", one("m: {targets: [local/q]}", &format!("models: {models}, {OWN}")))
    };
    expect(&[
        (&spec("local/q: {input: $1/Mtok}", "[m]"), &[]),
        (&spec("local/*: {free: true}", "[\"*\"]"), &[]),
        (&spec("local/q: {free: true}", "[\"*\"]"), &[]),
        (&spec("local/r: {free: true}", "[\"*\"]"), &[PLACE]),
    ]);
}

#[test]
fn rules_lead_to_models_for_those_for_whom_they_can_hold() {
    let rules = |when: &str, action: &str| {
        let keys = one("m: {targets: [mock/x]}, own: {targets: [local/q]}", &format!("models: [m], {OWN}"));
        format!("{keys}rules: [{{name: r, when: {when:?}, {action}}}]\n")
    };
    expect(&[
        (&rules("tokens.input > 8000", "use: own"), &[PLACE]),
        (&rules("stream and key.name == 'k'", "targets: [local/z]"), &[PLACE]),
        (&rules("key.name == 'somebody'", "use: own"), &["BF0307 /rules/0/when"]),
    ]);
}

#[test]
fn one_finding_stands_at_a_budget_for_all_who_draw_on_it() {
    let models: Vec<String> = (0..7).map(|number| format!("local/q{number}")).collect();
    let yaml = format!(
        "{SERVERS}models: {{base: {{targets: [mock/x]}}, m: {{targets: [{}]}}}}\nteams: {{t: {{budgets: [shared, {{limit: $9, period: week}}]}}}}\n\
         virtual_keys: {{k: {{{HASH}, models: [m], team: t}}, l: {{{OTHER}, models: [m], team: t}}}}\n\
         budgets: {{shared: {{limit: $5, period: month, unpriced: allow}}}}\n",
        models.join(", ")
    );
    expect(&[(&yaml, &["BF0459 /budgets/shared", "BF0459 /teams/t/budgets/1"])]);
    let found = findings(&spec(&yaml));
    let said: Vec<String> = found.iter().map(|found| format!("{:?}: {}", found.severity, found.message)).collect();
    assert!(
        said.contains(&"Info: budget `shared` does not count `local/q0`, `local/q1`, `local/q2`, `local/q3`, `local/q4` and 2 more, which have no price".to_owned()),
        "{said:#?}"
    );
    let two = one("m: {targets: [local/a, local/b]}", &format!("models: [m], {OWN}"));
    let found = &findings(&spec(&two))[0];
    let expected = "the budget of key `k` per day serves no model without a price, and `local/a` and `local/b` have none";
    assert_eq!(found.message, expected);
    let help = found.help.as_deref().unwrap();
    assert!(help.contains("prices: {local/a: {input: $0.10/Mtok, output: $0.40/Mtok}}"), "{help}");
}

#[test]
fn a_strict_budget_is_told_of_models_whose_answers_have_no_known_end() {
    let spec = |capacity: &str, price: &str, budget: &str| {
        let keys = one("m: {targets: [local/q]}", &format!("models: [m], budgets: [{{limit: $5, period: day{budget}}}]"));
        keys.replace("secret: none}}", &format!("secret: none}}}}, capacity: {capacity}")) + &format!("prices: {{local/*: {{{price}}}}}\n")
    };
    let paid = "input: $1/Mtok, output: $2/Mtok";
    let place = "BF0460 /virtual_keys/k/budgets/0";
    expect(&[
        (&spec("{}", paid, ""), &[place]),
        (&spec("{}", paid, ", mode: progressive"), &[]),
        (&spec("{}", paid, ", mode: soft"), &[]),
        (&spec("{q: {max_output_tokens: 8192}}", paid, ""), &[]),
        (&spec("{\"*\": {max_output_tokens: 8192}}", paid, ""), &[]),
        (
            &spec("{q: {max_input_tokens: 8192}, \"*\": {max_output_tokens: 8192}}", paid, ""),
            &["BF0237 /providers/local/capacity/*", place],
        ),
        // What costs nothing, costs nothing at any length, and what is paid by its input alone has a known cost.
        (&spec("{}", "free: true", ""), &[]),
        (&spec("{}", "input: $1/Mtok", ""), &[]),
        (&spec("{}", "as: openai/gpt-4o-mini", ""), &[]),
    ]);
    let found = &findings(&super::spec(&spec("{}", paid, "")))[0];
    assert_eq!(
        found.message,
        "the budget of key `k` per day is strict, and how long an answer of `local/q` can be is not known: requests must say `max_tokens`"
    );
    assert!(found.help.as_deref().unwrap().contains("`capacity: {q: {max_output_tokens: …}}` in provider `local`"));
}
