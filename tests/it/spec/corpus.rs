//! Specs that are wrong, each with every finding that it must give: `tests/fixtures/bad-specs/NAME/expected`.
//!
//! `expected` has one `CODE@file:line:col` per line, in order. Lines that begin with `#` set the stage: `# paths: a.yaml b.yaml` names
//! the files of the command line, `# env: NAME=value` sets a variable. What loads is compiled, so that the semantic checks have
//! their cases here too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bifrostctl::plan;
use bifrostctl::spec::{self, Diagnostic, Inputs, Sources};

use super::support::{Folder, coordinate};

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
    /// Loads and, if that succeeds, compiles.
    fn judge(&self) -> (Vec<Diagnostic>, Sources) {
        let files = Folder(self.folder.clone());
        match spec::load(&Inputs { files: &files, paths: &self.paths, env: &self.env, strict_env: true }) {
            Err(rejected) => (rejected.diagnostics, rejected.sources),
            Ok(loaded) => {
                let mut found = loaded.warnings.clone();
                found.extend(plan::compile(&loaded).map_or_else(|found| found, |compiled| compiled.warnings));
                (found, loaded.sources)
            }
        }
    }
}

#[test]
fn every_bad_spec_gives_exactly_its_findings() {
    let mut wrong = String::new();
    let cases = cases();
    assert!(cases.len() >= 60, "{} cases", cases.len());
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
fn no_bad_spec_takes_long() {
    for case in cases() {
        let started = Instant::now();
        case.judge();
        assert!(started.elapsed().as_secs() < 5, "{} took {:?}", case.name, started.elapsed());
    }
}
