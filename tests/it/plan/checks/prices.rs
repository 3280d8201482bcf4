//! Prices, and models that are about to be gone.

use bifrostctl::plan::compile_at;

use super::super::support::{findings, loaded, plan};
use super::{expect, spec};

#[test]
fn a_price_is_for_a_model_of_a_provider_that_there_is() {
    expect(&[
        ("prices: {mock/x: {input: $1/Mtok}}", &[]),
        ("prices: {mock/*: {input: $1/Mtok}}", &[]),
        ("prices: {mock: {input: $1/Mtok}}", &["BF0451 /prices/mock"]),
        ("prices: {\"*/x\": {input: $1/Mtok}}", &["BF0451 /prices/*~1x"]),
        ("prices: {mock/a*b: {input: $1/Mtok}}", &["BF0451 /prices/mock~1a*b"]),
        ("prices: {mok/x: {input: $1/Mtok}}", &["BF0207 /prices/mok~1x"]),
    ]);
    let misspelt = findings(&spec("prices: {mok/x: {input: $1/Mtok}}"));
    assert_eq!(misspelt[0].help.as_deref(), Some("did you mean `mock`?"));
}

#[test]
fn a_price_says_one_thing() {
    expect(&[
        ("prices: {mock/x: {free: true}}", &[]),
        ("prices: {mock/x: {as: openai/gpt-4o}}", &[]),
        ("prices: {mock/x: {}}", &["BF0452 /prices/mock~1x"]),
        ("prices: {mock/x: {input: $0/Mtok}}", &["BF0452 /prices/mock~1x"]),
        ("prices: {mock/x: {free: true, input: $1/Mtok}}", &["BF0453 /prices/mock~1x"]),
        ("prices: {mock/x: {as: openai/gpt-4o, batch: {input: $1/Mtok}}}", &["BF0453 /prices/mock~1x"]),
        ("prices: {mock/x: {free: true, as: openai/gpt-4o}}", &["BF0453 /prices/mock~1x"]),
        ("prices: {mock/x: {input: $1/Mtok, from: tomorrow}}", &["BF0406 /prices/mock~1x/from"]),
    ]);
}

#[test]
fn what_is_different_has_a_usual_rate() {
    let good = "prices: {mock/x: {input: $1/Mtok, output: $2/Mtok, above: {200k: {input: $2/Mtok}}, batch: {output: $1/Mtok}}}";
    expect(&[
        (good, &[]),
        ("prices: {mock/x: {input: $1/Mtok, above: {many: {input: $2/Mtok}}}}", &["BF0455 /prices/mock~1x/above/many"]),
        (
            "prices: {mock/x: {input: $1/Mtok, above: {200k: {input: $2/Mtok}, 200000: {input: $3/Mtok}}}}",
            &["BF0455 /prices/mock~1x/above/200k"],
        ),
        ("prices: {mock/x: {input: $1/Mtok, above: {1k: {output: $2/Mtok}}}}", &["BF0455 /prices/mock~1x/above/1k/output"]),
        ("prices: {mock/x: {input: $1/Mtok, flex: {}}}", &["BF0452 /prices/mock~1x/flex"]),
        ("prices: {mock/x: {input: $1/Mtok, priority: {output: $2/Mtok}}}", &["BF0455 /prices/mock~1x/priority/output"]),
    ]);
}

#[test]
fn as_names_a_price_of_the_catalogue() {
    expect(&[
        ("prices: {mock/*: {as: \"openai/*\"}}\nmodels: {m: {targets: [mock/gpt-4o]}}", &[]),
        ("prices: {mock/x: {as: gemini/gemini-2.5-pro}}", &[]),
        ("prices: {mock/x: {as: azure/gpt-4o}}", &[]),
        ("prices: {mock/x: {as: opnai/gpt-4o}}", &["BF0454 /prices/mock~1x/as"]),
        ("prices: {mock/x: {as: openai/gpt-44}}", &["BF0454 /prices/mock~1x/as"]),
        ("prices: {mock/x: {as: \"openai/*\"}}", &["BF0454 /prices/mock~1x/as"]),
        ("prices: {mock/*: {as: \"openai/*\"}}", &["BF0454 /prices/mock~1*/as"]),
    ]);
    assert_eq!(findings(&spec("prices: {mock/x: {as: opnai/gpt-4o}}"))[0].help.as_deref(), Some("did you mean `openai`?"));
}

#[test]
fn a_price_that_nobody_needs_is_reported() {
    let keys = "virtual_keys: {k: {hashes: [{sha256: \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"}], models: [m, \"mock/y*\"]}}\n";
    let with = |prices: &str| format!("{keys}prices: {prices}");
    expect(&[
        (&with("{mock/x: {input: $1/Mtok}, mock/y1: {input: $1/Mtok}, mock/*: {input: $1/Mtok}}"), &[]),
        (&with("{mock/z: {input: $1/Mtok}}"), &["BF0456 /prices/mock~1z"]),
    ]);
}

#[test]
fn the_longest_key_holds() {
    let plan = plan(&spec("prices: {mock/*: {input: $1/Mtok}, mock/ab*: {input: $2/Mtok}, mock/abc: {input: $3/Mtok}}"));
    let rate = |model: &str| {
        let (price, _) = plan.terms_of("mock", model);
        price.unwrap().at(0).unwrap().standard.base.iter().next().unwrap().1.pico()
    };
    assert_eq!(["abc", "abcd", "ab", "a"].map(rate), [3_000_000, 2_000_000, 2_000_000, 1_000_000]);
}

#[test]
fn a_price_of_the_spec_holds_from_its_day_on() {
    let yaml = spec(
        "providers: {openai: {credentials: {default: {secret: {env: K}}}}}\nmodels: {m: {targets: [openai/gpt-4o]}}\n\
         prices: {openai/gpt-4o: {input: $9/Mtok, output: $9/Mtok, from: 2026-12-01}}",
    );
    let (price, capacity) = plan(&yaml).terms_of("openai", "gpt-4o");
    let input = |day: &str| {
        let at: jiff::Timestamp = format!("{day}T12:00:00Z").parse().unwrap();
        let card = price.as_ref().unwrap().at(u64::try_from(at.as_millisecond()).unwrap()).unwrap();
        card.standard.base.iter().next().unwrap().1.pico()
    };
    assert_eq!(["2026-11-30", "2026-12-01"].map(input), [2_500_000, 9_000_000]);
    assert_eq!(capacity.output, Some(16_384));
}

#[test]
fn a_model_that_is_about_to_be_gone_is_reported_by_its_day() {
    let yaml = spec(
        "providers: {anthropic: {credentials: {default: {secret: {env: K}}}}}\nmodels: {m: {targets: [anthropic/claude-sonnet-4-5-20250929]}}",
    );
    let codes = |day: &str| {
        let now: jiff::Timestamp = format!("{day}T00:00:00Z").parse().unwrap();
        let compiled = compile_at(&loaded(&yaml), u64::try_from(now.as_millisecond()).unwrap()).unwrap();
        compiled.warnings.iter().map(|found| found.code).collect::<Vec<_>>()
    };
    assert_eq!(codes("2026-08-31"), Vec::<&str>::new());
    assert_eq!(codes("2026-09-02"), ["BF0458"]);
    assert_eq!(codes("2026-11-29"), ["BF0458"]);
    assert_eq!(codes("2026-11-30"), ["BF0457"]);
}
