//! The canonical form: what it looks like, and the laws that it obeys on everything there is.

use std::collections::BTreeMap;

use bifrostctl::spec::{FormatError, Memory, format, texts};
use proptest::prelude::*;
use serde_json::Value;

use super::nasty;
use crate::architecture::{files_under, root};

/// What a text means to the YAML crate; nothing where our loader does not take it.
fn value(text: &str) -> Option<Value> {
    let files = Memory(BTreeMap::from([("a.yaml".into(), text.as_bytes().to_vec())]));
    texts(&files, &["a.yaml".into()], false).ok()?;
    Some(serde_yaml::from_str_with_options(text, serde_yaml::options! { strict_booleans: true }).unwrap())
}

/// The comments that begin with `#c`, found without the code under test. Those of one section are numbered in order.
fn comments(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.find("#c").map(|at| line[at..].trim_end().to_owned())).collect()
}

/// The comments beside values, by the section of the top level in which they stand: those belong to nobody else.
fn beside(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines() {
        if let Some(name) = nasty::SECTIONS.iter().find(|name| line.strip_prefix(**name).is_some_and(|rest| rest.starts_with(':'))) {
            section = (*name).to_owned();
        }
        let at = line.find("#c").filter(|at| !line[..*at].trim().is_empty());
        found.entry(section.clone()).or_default().extend(at.map(|at| line[at..].trim_end().to_owned()));
    }
    found.retain(|_, comments| !comments.is_empty());
    found
}

/// Returns whether the comments are the same ones, in order but for whole sections that moved.
fn same_comments(before: &str, after: &str) -> bool {
    let (said, says) = (comments(before), comments(after));
    let sorted = |comments: &[String]| {
        let mut sorted = comments.to_vec();
        sorted.sort();
        sorted
    };
    // A step back in the numbers is where a section begins.
    let number = |comment: &String| comment[2..].split(' ').next().and_then(|digits| digits.parse::<usize>().ok()).unwrap_or(0);
    let back = says.windows(2).filter(|pair| number(&pair[1]) < number(&pair[0])).count();
    sorted(&said) == sorted(&says) && back <= 8 && beside(before) == beside(after)
}

/// Formats, and checks the laws. Nothing where the text does not parse.
fn lawful(text: &str) -> Result<Option<String>, String> {
    let Some(before) = value(text) else { return Ok(None) };
    let once = format(text).map_err(|error| format!("{error}\n{text}"))?;
    let after = value(&once).ok_or_else(|| format!("does not parse any more:\n{text}\n->\n{once}"))?;
    if before != after {
        return Err(format!("means something else:\n{text}\n->\n{once}"));
    }
    let twice = format(&once).map_err(|error| format!("the second time: {error}\n{once}"))?;
    if !once.ends_with('\n') || once.ends_with("\n\n") && !text.contains('+') {
        return Err(format!("does not end with one line end:\n{text}\n->\n{once}"));
    }
    if once != twice {
        return Err(format!("is not stable:\n{text}\n->\n{once}\n->\n{twice}"));
    }
    if !same_comments(text, &once) {
        return Err(format!("comments differ:\n{text}\n->\n{once}"));
    }
    Ok(Some(once))
}

fn formatted(text: &str) -> String {
    lawful(text).unwrap().unwrap_or_else(|| panic!("does not parse:\n{text}"))
}

fn yaml_files() -> Vec<(String, String)> {
    let folders = ["examples", "tests/fixtures", "tests/it", "src"].into_iter().flat_map(files_under);
    let files = folders.chain(["gateway.yaml".into()]).filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    files.filter_map(|path| Some((path.display().to_string(), std::fs::read_to_string(root().join(&path)).ok()?))).collect()
}

fn blocks_of_pages() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in files_under("docs") {
        let page = std::fs::read_to_string(root().join(&path)).unwrap();
        for block in page.split("```yaml\n").skip(1) {
            found.push((path.display().to_string(), block.split("```").next().unwrap().to_owned()));
        }
    }
    found
}

#[test]
fn every_file_and_page_of_this_repository_keeps_its_meaning() {
    let mut seen = 0;
    for (name, text) in yaml_files().into_iter().chain(blocks_of_pages()) {
        let formatted = lawful(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        seen += usize::from(formatted.is_some());
    }
    assert!(seen > 120, "only {seen} texts parse");
}

#[test]
fn what_we_ship_is_canonical() {
    // Manifests of Kubernetes are no specs, nor are tests of one.
    let ours = |name: &str, text: &str| {
        let is_spec = !name.ends_with(".test.yaml") && (text.contains("\nproviders:") || name.contains("/env/"));
        (name.starts_with("examples") && is_spec) || name == "gateway.yaml"
    };
    let mut seen = 0;
    for (name, text) in yaml_files().into_iter().filter(|(name, text)| ours(name, text)) {
        seen += 1;
        assert_eq!(format(&text).unwrap(), text, "{name}");
    }
    assert!(seen >= 10, "only {seen} specs");
}

#[test]
fn a_spec_is_laid_out_as_everybody_does() {
    insta::assert_snapshot!(formatted(include_str!("ugly.yaml")));
}

#[test]
fn what_must_not_change_does_not() {
    for text in [
        "version: 1\n\nmodels:\n  a: |+\n    x\n\n",
        "a: \"x  \\\n  y\"\n",
        "a: {b: , c: [d, e: f]}\n",
        "---\n# head\n\na: &x {b: 1}\n\nc: *x\n...\n# foot\n",
        "base: &b\n  k: 1\n\nmodels:\n  <<: *b\n\nversion: 1\n",
        "a: http://x/y#z\n\nb: 'it''s # no comment'\n",
        "? a\n: b\n",
    ] {
        assert_eq!(formatted(text), text);
    }
}

#[test]
fn sections_stay_where_an_alias_needs_its_anchor_before_it() {
    let text = "models:\n  a: &x {b: 1}\n\ngateway: *x\n";
    assert_eq!(formatted(text), text);
    assert_eq!(formatted("models: [&x a, *x]\ngateway: 1\n"), "gateway: 1\n\nmodels: [&x a, *x]\n", "within a section it does");
}

#[test]
fn blanks_behind_the_last_line_end_mean_what_they_meant() {
    for (text, meant) in [
        ("a: |+\n  ", "\n"),
        ("a: |+\n\n  ", "\n"),
        ("a: |+\n\n\n  ", "\n\n"),
        ("a: |+\n x\n  ", "x\n \n"),
        ("a: |+\n x\n\n ", "x\n\n"),
        ("a: |+\n x\n\n  ", "x\n\n \n"),
        ("a: |\n x\n ", "x\n"),
        ("a: |-\n x", "x"),
    ] {
        assert_eq!(value(&formatted(text)), Some(serde_json::json!({"a": meant})), "{text:?}");
    }
}

#[test]
fn line_ends_and_a_byte_order_mark_stay_what_they_are() {
    assert_eq!(format("\u{feff}b:   1\r\nversion: 1\r\n").unwrap(), "\u{feff}version: 1\r\n\r\nb: 1\r\n");
    assert_eq!(format("a:   |\r\n   x\r\n").unwrap(), "a: |\r\n  x\r\n");
}

#[test]
fn what_does_not_parse_is_not_formatted() {
    for text in ["a: [", "a: 1\na: 2\n", "a: *x\n", "%YAML 1.2\n---\na: 1\n", "", "a: !!str 1\n"] {
        assert_eq!(format(text), Err(FormatError::Syntax), "{text:?}");
    }
}

#[test]
fn more_comments_than_a_parser_holds_back_are_kept() {
    let text: String = (0..300).map(|number| format!("#c{number} x\n")).chain(["a:   1\n".to_owned()]).collect();
    assert_eq!(formatted(&text), text.replace("a:   1", "a: 1"));
}

/// Lines and scraps in any order. No tabs: the parser takes a comment behind one for a part of the text above it.
fn soup() -> impl Strategy<Value = String> {
    let scraps = vec![
        "a",
        "b",
        ": ",
        ":",
        "- ",
        "-",
        "\n",
        "\n  ",
        "\n    ",
        "  ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "'",
        "\"",
        " # x",
        "|",
        ">-",
        "|+",
        "&x ",
        "*x",
        "<<: ",
        "? ",
        "~",
        "1",
        "\\",
        "---\n",
        "...\n",
        "a: ",
        "b: ",
        "c:\n  b: 1\n",
        "- a\n- b\n",
        "{a: 1}",
        "[a, b]",
        "d: 1\n",
        "\n# y\n",
        "é",
    ];
    prop::collection::vec(prop::sample::select(scraps), 1..20).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_spelling_the_laws_hold(text in nasty::texts()) {
        let result = lawful(&text);
        prop_assert!(result.is_ok(), "{}", result.unwrap_err());
    }

    #[test]
    fn soups_keep_the_laws(text in soup()) {
        let result = lawful(&text);
        prop_assert!(result.is_ok(), "{}", result.unwrap_err());
    }
}
