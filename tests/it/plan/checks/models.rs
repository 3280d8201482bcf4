//! Aliases, their targets and their chains.

use super::super::support::findings;
use super::{expect, spec};

#[test]
fn what_is_named_exists() {
    expect(&[
        ("models: {m: {targets: [mok/x]}}", &["BF0207 /models/m/targets/0"]),
        ("models: {m: {targets: [mock/x], fallbacks: [mok/y]}}", &["BF0207 /models/m/fallbacks/0"]),
        ("rules: [{name: r, when: stream, targets: [mok/x]}]", &["BF0207 /rules/0/targets/0"]),
        ("models: {m: {targets: [mock/x], fallbacks: [o]}}", &["BF0208 /models/m/fallbacks/0"]),
        ("rules: [{name: r, when: stream, use: o}]", &["BF0208 /rules/0/use"]),
    ]);
    for (sections, help) in [
        ("models: {m: {targets: [mok/x]}}", "did you mean `mock`?"),
        ("models: {m: {targets: [groq/x]}}", "add it: `providers: {groq: {credentials: {default: {secret: {env: GROQ_API_KEY}}}}}`"),
        ("models: {fast: {targets: [mock/x]}, m: {targets: [mock/y], fallbacks: [fats]}}", "did you mean `fast`?"),
        ("models: {fast: {targets: [mock/x], fallbacks: [mock]}}", "an upstream model is written `mock/MODEL`"),
        ("models: {fast: {targets: [mock/x], fallbacks: [completely-different]}}", "aliases: `fast`"),
    ] {
        let found = findings(&spec(sections));
        assert_eq!(found[0].help.as_deref(), Some(help), "{sections} {found:?}");
    }
}

#[test]
fn a_chain_ends() {
    expect(&[
        ("models: {a: {targets: [mock/x], fallbacks: [a]}}", &["BF0210 /models/a/fallbacks/0"]),
        (
            "models: {a: {targets: [mock/x], fallbacks: [b]}, b: {targets: [mock/y], fallbacks: [mock/z, a]}}",
            &["BF0210 /models/b/fallbacks/1"],
        ),
        (
            "models: {a: {targets: [mock/x], fallbacks: [b, c]}, b: {targets: [mock/y], fallbacks: [c]}, c: {targets: [mock/z], fallbacks: [a]}}",
            &["BF0210 /models/c/fallbacks/0"],
        ),
        (
            "models: {a: {targets: [mock/x], fallbacks: [b, c]}, b: {targets: [mock/y], fallbacks: [c]}, c: {targets: [mock/z]}}",
            &["BF0229 /models/a/fallbacks/1"],
        ),
        ("models: {a: {targets: [mock/x], fallbacks: [c]}, b: {targets: [mock/y], fallbacks: [c]}, c: {targets: [mock/z]}}", &[]),
    ]);
    let circle = findings(&spec("models: {a: {targets: [mock/x], fallbacks: [b]}, b: {targets: [mock/y], fallbacks: [a]}}"));
    assert!(circle[0].message.ends_with("`a` → `b` → `a`"), "{circle:?}");
}

#[test]
fn a_chain_as_long_as_a_file_is_no_problem() {
    use std::fmt::Write as _;
    let mut yaml = String::from("models:\n");
    for n in 0..3_000 {
        let _ = writeln!(yaml, "  m{n}: {{targets: [mock/x{n}], fallbacks: [m{}]}}", (n + 1) % 3_000);
    }
    let found = findings(&spec(&yaml));
    assert_eq!(found.iter().map(|found| found.code).collect::<Vec<_>>(), ["BF0210"]);
}

#[test]
fn every_link_of_a_chain_adds_something() {
    expect(&[
        ("models: {m: {targets: [mock/x], fallbacks: [mock/x]}}", &["BF0229 /models/m/fallbacks/0"]),
        ("models: {m: {targets: [mock/x], fallbacks: [o]}, o: {targets: [mock/x]}}", &["BF0229 /models/m/fallbacks/0"]),
        (
            "models: {m: {targets: [mock/x], fallbacks: [o, mock/y]}, o: {targets: [mock/x], fallbacks: [mock/y]}}",
            &["BF0229 /models/m/fallbacks/1"],
        ),
        ("models: {m: {targets: [mock/x], fallbacks: [o]}, o: {targets: [mock/x, mock/y]}}", &[]),
        ("models: {m: {targets: [mock/x], fallbacks: [mock/y, mock/y]}}", &["BF0214 /models/m/fallbacks/1"]),
        ("models: {m: {targets: [mock/x, mock/y, {provider: mock, model: x, weight: 3}]}}", &["BF0214 /models/m/targets/2"]),
        ("rules: [{name: r, when: stream, targets: [mock/x, mock/x]}]", &["BF0214 /rules/0/targets/1"]),
    ]);
}

#[test]
fn there_is_something_to_pick() {
    expect(&[
        ("models: {m: {targets: []}}", &["BF0228 /models/m/targets"]),
        ("rules: [{name: r, when: stream, targets: []}]", &["BF0228 /rules/0/targets"]),
        ("models: {m: {targets: [{provider: mock, model: x, weight: 0}]}}", &["BF0213 /models/m/targets"]),
        ("models: {m: {targets: [{provider: mock, model: x, weight: 0}, mock/y]}}", &[]),
        ("models: {m: {balance: round_robin, targets: [{provider: mock, model: x, weight: 0}]}}", &[]),
        ("rules: [{name: r, when: stream, targets: [{provider: mock, model: x, weight: 0}]}]", &["BF0213 /rules/0/targets"]),
    ]);
}

#[test]
fn members_that_the_gateway_sets_are_reserved() {
    for member in ["model", "messages", "input", "prompt", "stream", "stream_options"] {
        expect(&[
            (
                &format!("models: {{m: {{targets: [mock/x], defaults: {{{member}: 1}}}}}}"),
                &[&format!("BF0221 /models/m/defaults/{member}")],
            ),
            (
                &format!("models: {{m: {{targets: [mock/x], overrides: {{{member}: 1}}}}}}"),
                &[&format!("BF0221 /models/m/overrides/{member}")],
            ),
        ]);
    }
    expect(&[("models: {m: {targets: [mock/x], defaults: {temperature: 0.2, max_tokens: 5}, overrides: {store: false, seed: 1}}}", &[])]);
}

#[test]
fn names_hold_nothing_that_means_something_else() {
    let long = "n".repeat(129);
    for bad in ["a b", "a/b", "a*", "a?", "a\\tb", ""] {
        expect(&[
            (
                &format!("models: {{m: {{targets: [mock/x]}}, \"{bad}\": {{targets: [mock/x]}}}}"),
                &[&format!("BF0212 /models/{}", bad.replace("\\t", "\t").replace('/', "~1"))],
            ),
            (&format!("rules: [{{name: \"{bad}\", when: stream, use: m}}]"), &["BF0212 /rules/0/name"]),
        ]);
    }
    expect(&[
        ("providers: {mock: {}, \"o x\": {preset: ollama}}", &["BF0212 /providers/o x"]),
        ("providers: {mock: {credentials: {\"a b\": {secret: none}}}}", &["BF0212 /providers/mock/credentials/a b"]),
        ("teams: {\"a b\": {}}\nvirtual_keys: {k: {hashes: [], team: a b, models: [m]}}", &["BF0212 /teams/a b"]),
        ("virtual_keys: {\"a b\": {hashes: [], models: [m]}}", &["BF0212 /virtual_keys/a b"]),
        (&format!("virtual_keys: {{{long}: {{hashes: [], models: [m]}}}}"), &[&format!("BF0212 /virtual_keys/{long}")]),
        ("models: {m: {targets: [mock/x]}, gpt-4.1_mini:latest: {targets: [mock/x]}, größe: {targets: [mock/x]}}", &[]),
        ("models: {mock: {targets: [mock/x]}}", &["BF0211 /models/mock"]),
    ]);
}
