//! The pages under `docs/`: what can be derived is derived, what can be tried is tried.

mod walk;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bifrostctl::plan;
use bifrostctl::spec::{Inputs, Memory, Severity, load, load_tests, report};

use crate::architecture::{files_under, root};

/// Every page by its path from the root, among them the README.
fn pages() -> BTreeMap<PathBuf, String> {
    let paths = files_under("docs").into_iter().chain(["README.md", "charts/bifrostctl/README.md"].map(PathBuf::from));
    paths.map(|path| (path.clone(), std::fs::read_to_string(root().join(path)).unwrap())).collect()
}

/// Returns the fenced blocks of a page in some language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(opened) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
        if opened == language {
            found.push(block.join("\n") + "\n");
        }
    }
    found
}

#[test]
fn what_is_written_from_the_code_is_fresh() {
    for (path, page) in pages() {
        let mut fresh = String::new();
        let mut rest = page.as_str();
        while let Some((before, after)) = rest.split_once("<!-- generated: ") {
            let (name, after) = after.split_once(" -->\n").unwrap();
            let (_, after) = after.split_once("<!-- end -->").unwrap_or_else(|| panic!("{}: `{name}` has no end", path.display()));
            fresh += &format!("{before}<!-- generated: {name} -->\n{}<!-- end -->", written::block(name));
            rest = after;
        }
        fresh += rest;
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(root().join(&path), &fresh).unwrap();
        }
        let committed = std::fs::read_to_string(root().join(&path)).unwrap();
        assert!(committed == fresh, "{} is stale; refresh it with:\n  BLESS=1 cargo test --test it docs::", path.display());
    }
}

#[test]
fn every_link_leads_somewhere_and_every_page_is_in_the_index() {
    let pages = pages();
    let mut linked = BTreeSet::new();
    for (path, page) in &pages {
        for target in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let found = root().join(path).parent().unwrap().join(file);
            assert!(found.exists(), "{} links {target}", path.display());
            if path.ends_with("docs/README.md") {
                linked.insert(format!("docs/{file}"));
            }
        }
    }
    let there = pages.keys().filter(|path| path.starts_with("docs") && !path.ends_with("README.md"));
    for page in there {
        assert!(linked.contains(page.to_str().unwrap()), "{} is not in docs/README.md", page.display());
    }
}

#[test]
fn every_spec_in_a_page_compiles_without_a_warning() {
    let mut seen = 0;
    for (path, page) in pages() {
        for text in blocks(&page, "yaml").into_iter().filter(|text| text.starts_with("version: 1")) {
            seen += 1;
            // A page may shorten a digest for its readers.
            let text = text.replace("3b1f…", &"3b1f".repeat(16));
            let files = Memory(BTreeMap::from([("gateway.yaml".into(), text.into_bytes())]));
            let inputs = Inputs { files: &files, paths: &["gateway.yaml".into()], env: &BTreeMap::new(), strict_env: true };
            let (found, sources) = match load(&inputs) {
                Err(rejected) => (rejected.diagnostics, rejected.sources),
                Ok(loaded) => match plan::compile(&loaded) {
                    Err(errors) => (errors, loaded.sources),
                    Ok(compiled) => (loaded.warnings.into_iter().chain(compiled.warnings).collect(), loaded.sources),
                },
            };
            let shown = report::human(&found, &sources, false);
            assert!(found.iter().all(|finding| finding.severity == Severity::Info), "{}:\n{shown}", path.display());
        }
    }
    assert!(seen >= 3, "the pages have {seen} specs");
}

#[test]
fn every_file_of_tests_in_a_page_is_one() {
    let mut seen = 0;
    for (path, page) in pages() {
        for text in blocks(&page, "yaml").into_iter().filter(|text| text.starts_with("# ") && text.contains("\ntests:\n")) {
            seen += 1;
            let file = PathBuf::from("page.test.yaml");
            let files = Memory(BTreeMap::from([(file.clone(), text.into_bytes())]));
            if let Err(rejected) = load_tests(&files, &file) {
                panic!("{}:\n{}", path.display(), report::human(&rejected.diagnostics, &rejected.sources, false));
            }
        }
    }
    assert!(seen >= 2, "the pages have {seen} files of tests");
}

/// Splits a line as a shell does, as far as the pages need it.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, ' ') => words.push(String::new()),
            (_, c) => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_command_line_in_a_page_is_one() {
    let mut seen = 0;
    for (path, page) in pages() {
        let lines = blocks(&page, "sh").join("");
        for line in lines.lines() {
            // The chart and what it makes have the program's name in theirs.
            let is_program = |(at, _): &(usize, &str)| !line[..*at].ends_with("charts/") && !line[..*at].ends_with('-');
            let Some((at, found)) = line.match_indices("bifrostctl ").find(is_program) else { continue };
            let command = words(&line[at + found.len()..]);
            let end = command.iter().position(|word| ["<", ">", "|", "#"].contains(&word.as_str())).unwrap_or(command.len());
            let mut args: Vec<&str> = command[..end].iter().map(String::as_str).collect();
            // The parser stops at this only when it has taken everything before.
            args.push("--help");
            let done = crate::cli::run(&args);
            assert_eq!(done.code, 0, "{}: {line}\n{}", path.display(), done.stderr);
            seen += 1;
        }
    }
    assert!(seen >= 10, "the pages have {seen} command lines");
}

#[test]
fn every_command_in_the_checklist_is_one() {
    let page = std::fs::read_to_string(root().join("docs/production.md")).unwrap();
    let mut seen = 0;
    // Every second piece between backticks is code.
    for command in page.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("bifrostctl ")) {
        let args = words(command);
        let args: Vec<&str> = args.iter().map(String::as_str).chain(["--help"]).collect();
        let done = crate::cli::run(&args);
        assert_eq!(done.code, 0, "{command}\n{}", done.stderr);
        seen += 1;
    }
    assert!(seen >= 15, "the checklist has {seen} commands");
}
