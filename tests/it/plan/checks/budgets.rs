//! Budgets.

use super::{KEYS, expect};

const HASH: &str = "hashes: [{sha256: \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"}], models: [m]";
const SHARED: &str = "budgets: {b: {limit: $5, period: month}}\n";

fn key(budgets: &str) -> String {
    format!("virtual_keys: {{k: {{{HASH}, budgets: {budgets}}}}}")
}

#[test]
fn budgets_exist_and_are_used() {
    let team = format!("{SHARED}teams: {{t: {{budgets: [b]}}}}\nvirtual_keys: {{k: {{{HASH}, team: t}}}}");
    expect(&[
        (&format!("{SHARED}{}", key("[b]")), &[]),
        (&team, &[]),
        (&format!("{SHARED}{KEYS}"), &["BF0442 /budgets/b"]),
        (&key("[b]"), &["BF0441 /virtual_keys/k/budgets/0"]),
        (&format!("{SHARED}{}", key("[{limit: $1, period: day}, c, b]")), &["BF0441 /virtual_keys/k/budgets/1"]),
        ("budgets: {\"a b\": {limit: $5, period: month}}", &["BF0212 /budgets/a b", "BF0442 /budgets/a b"]),
    ]);
}

#[test]
fn a_window_has_one_budget() {
    expect(&[
        (&format!("{SHARED}{}", key("[b, b]")), &["BF0443 /virtual_keys/k/budgets/1"]),
        (&key("[{limit: $1, period: day}, {limit: $2, period: day}]"), &["BF0443 /virtual_keys/k/budgets/1"]),
        (&key("[{limit: $1, period: day}, {limit: $2, period: day, timezone: Europe/Berlin}, {limit: $9, period: rolling 24h}]"), &[]),
    ]);
}

#[test]
fn a_budget_can_be_counted_and_leads_somewhere() {
    expect(&[
        (&key("[{limit: $0, period: day}]"), &["BF0444 /virtual_keys/k/budgets/0/limit"]),
        (&key("[{limit: $1, period: day, timezone: Europe/Atlantis}]"), &["BF0445 /virtual_keys/k/budgets/0/timezone"]),
        (&key("[{limit: $1, period: day, when_exhausted: {use: m}}]"), &[]),
        (&key("[{limit: $1, period: day, when_exhausted: {use: nobody}}]"), &["BF0208 /virtual_keys/k/budgets/0/when_exhausted/use"]),
    ]);
}

#[test]
fn where_some_have_budgets_the_others_are_told() {
    let other = HASH.replace("9f86", "0f86");
    let two = |budgets: &str, rest: &str| format!("virtual_keys: {{k: {{{HASH}, budgets: {budgets}}}, l: {{{other}{rest}}}}}");
    expect(&[
        (&two("[]", ""), &[]),
        (&two("[{limit: $1, period: day}]", ""), &["BF0446 /virtual_keys/l"]),
        (&two("[{limit: $1, period: day}]", ", disabled: true"), &[]),
    ]);
}

#[test]
fn an_old_name_is_nobodys_any_more() {
    let budgets = |rest: &str| format!("budgets: {{b: {{limit: $5, period: month, renamed_from: a}}{rest}}}\n{}", key("[b]"));
    expect(&[
        (&budgets(""), &[]),
        (&budgets(", a: {limit: $5, period: month}"), &["BF0442 /budgets/a", "BF0447 /budgets/b/renamed_from"]),
        (&key("[{limit: $5, period: month, renamed_from: a}]"), &["BF0447 /virtual_keys/k/budgets/0/renamed_from"]),
    ]);
}
