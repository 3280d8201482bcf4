//! Every check: what it finds, where, and what it leaves alone.

mod budgets;
mod expiry;
mod gateway;
mod keys;
mod limits;
mod models;
mod payable;
mod prices;
mod providers;
mod rules;
mod secrets;
mod sound;
mod templates;
mod unresolved;

use bifrostctl::plan::codes::CODES;

use super::support::findings;

/// Sections that every spec needs, and that are right: provider `mock`, alias `m`, key `k`.
pub(super) const PROVIDERS: &str = "providers: {mock: {}}\n";
pub(super) const MODELS: &str = "models: {m: {targets: [mock/x]}}\n";
pub(super) const KEYS: &str =
    "virtual_keys: {k: {hashes: [{sha256: \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"}], models: [\"*\"]}}\n";

/// Completes a spec with the sections that it does not give itself.
pub(super) fn spec(sections: &str) -> String {
    let mut yaml = String::from("version: 1\n");
    for section in [PROVIDERS, MODELS, KEYS] {
        let name = section.split_once(':').map(|(name, _)| name).unwrap();
        if !sections.lines().any(|line| line.starts_with(&format!("{name}:"))) {
            yaml.push_str(section);
        }
    }
    yaml + sections
}

/// Returns `CODE pointer` of every finding, sorted.
pub(super) fn places(sections: &str) -> Vec<String> {
    let mut places: Vec<String> = findings(&spec(sections))
        .into_iter()
        .map(|found| format!("{} {}", found.code, found.pointer.unwrap_or_default()).trim_end().to_owned())
        .collect();
    places.sort();
    places
}

/// Compares the findings of each spec with what is expected, all of them.
pub(super) fn expect(cases: &[(&str, &[&str])]) {
    let mut wrong = Vec::new();
    for (sections, expected) in cases {
        let places = places(sections);
        if places != *expected {
            wrong.push(format!("{sections}\n  expected {expected:?}\n  found    {places:?}\n  {:#?}", findings(&spec(sections))));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_spec_that_is_right_has_no_findings() {
    expect(&[("", &[])]);
}

/// Every finding says what is wrong in one line, without a final stop, and has a remedy unless it is a note.
#[test]
fn codes_are_known_and_unique() {
    let mut codes: Vec<&str> = CODES.iter().map(|code| code.code).collect();
    codes.dedup();
    assert_eq!(codes.len(), CODES.len());
}
