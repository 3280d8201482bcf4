//! Specs that are wrong, each with every finding that it must give: `tests/fixtures/bad-specs/NAME/expected`.
//!
//! `expected` has one `CODE@file:line:col` per line, in order. Lines that begin with `#` set the stage: `# paths: a.yaml b.yaml` names
//! the files of the command line, `# env: NAME=value` sets a variable. What loads is compiled, so that the semantic checks have
//! their cases here too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bifrostctl::plan;
use bifrostctl::spec::{self, Diagnostic, Inputs, Loaded, Rejected, Sources};

use super::support::{Folder, coordinate};
use crate::plan::prepared::prepared;

/// When the cases are judged: 2026-07-01T00:00:00Z.
const NOW_UNIX_MS: u64 = 1_782_864_000_000;

struct Case {
    name: String,
    folder: PathBuf,
    paths: Vec<PathBuf>,
    env: BTreeMap<String, String>,
    expected: Vec<String>,
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bad-specs");
    let mut folders: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.into_iter().map(case).collect()
}

fn case(folder: PathBuf) -> Case {
    let text = fs::read_to_string(folder.join("expected")).unwrap();
    let mut case = Case {
        name: folder.file_name().unwrap().to_str().unwrap().to_owned(),
        folder,
        paths: vec!["gateway.yaml".into()],
        env: BTreeMap::new(),
        expected: Vec::new(),
    };
    for line in text.lines() {
        if let Some(paths) = line.strip_prefix("# paths: ") {
            case.paths = paths.split(' ').map(PathBuf::from).collect();
        } else if let Some((name, value)) = line.strip_prefix("# env: ").and_then(|line| line.split_once('=')) {
            case.env.insert(name.to_owned(), value.to_owned());
        } else if !line.starts_with('#') && !line.is_empty() {
            case.expected.push(line.to_owned());
        }
    }
    case
}

impl Case {
    fn load(&self) -> Result<Loaded, Rejected> {
        let files = Folder(self.folder.clone());
        spec::load(&Inputs { files: &files, paths: &self.paths, env: &self.env, strict_env: true })
    }

    /// Loads and, if that succeeds, compiles.
    fn judge(&self) -> (Vec<Diagnostic>, Sources) {
        match self.load() {
            Err(rejected) => (rejected.diagnostics, rejected.sources),
            Ok(loaded) => {
                let mut found = loaded.warnings.clone();
                found.extend(plan::compile_at(&loaded, NOW_UNIX_MS).map_or_else(|found| found, |compiled| compiled.warnings));
                (found, loaded.sources)
            }
        }
    }
}

#[test]
fn every_bad_spec_gives_exactly_its_findings() {
    let mut wrong = String::new();
    let cases = cases();
    assert!(cases.len() >= 120, "{} cases", cases.len());
    for case in &cases {
        let (found, sources) = case.judge();
        let found: Vec<String> = found.iter().map(|found| coordinate(found, &sources)).collect();
        if found != case.expected || found.is_empty() {
            let _ = writeln!(wrong, "{}\n  expected {:?}\n  found    {found:?}", case.name, case.expected);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_code_has_a_case() {
    let mut codes: BTreeSet<&str> = plan::codes::CODES.iter().chain(spec::codes::CODES).map(|code| code.code).collect();
    for case in cases() {
        for line in &case.expected {
            codes.remove(line.split('@').next().unwrap());
        }
    }
    // A file of more than 2 MiB, or with more than 500 faults, is no fixture; what the schema accepts fits the types; the loader misses a prompt before the plan does.
    let elsewhere = ["BF0003", "BF0020", "BF0114", "BF0226"];
    assert_eq!(codes, BTreeSet::from(elsewhere), "codes without a case");
}

#[test]
fn every_bad_spec_is_explained_in_words() {
    let mut told = String::new();
    for case in cases() {
        let (found, sources) = case.judge();
        let _ = writeln!(told, "== {}", case.name);
        for found in &found {
            let _ = writeln!(told, "{:?} {}: {}", found.severity, coordinate(found, &sources), found.message);
            for (place, label) in &found.related {
                let _ = writeln!(told, "    {}: {label}", sources.place(*place).unwrap());
            }
            if let Some(help) = &found.help {
                let _ = writeln!(told, "    help: {help}");
            }
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn what_is_only_suspicious_runs() {
    let plans = cases().into_iter().filter_map(|case| Some((case.load().ok()?, case.name)));
    let plans: Vec<_> = plans.filter_map(|(loaded, name)| Some((plan::compile(&loaded).ok()?.plan, name))).collect();
    assert!(plans.len() >= 10, "{}", plans.len());
    for (plan, name) in plans {
        let refused = prepared(plan);
        assert!(refused.is_empty(), "{name}: {refused:#?}");
    }
}

#[test]
fn no_bad_spec_takes_long() {
    for case in cases() {
        let started = Instant::now();
        case.judge();
        assert!(started.elapsed().as_secs() < 5, "{} took {:?}", case.name, started.elapsed());
    }
}
