//! Specs as people write them, which load and compile without a word, and run: `tests/fixtures/good-specs/NAME/`.
//!
//! `setup` may name the files of the command line (`paths: a.yaml b.yaml`) and set variables (`env: NAME=value`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use bifrostctl::plan::{self, Plan};
use bifrostctl::spec::{self, Diagnostic, Environment, Inputs, Sources};

use super::support::{Folder, lines};
use crate::plan::prepared::prepared;

/// 2026-07-01T00:00:00Z.
const NOW_UNIX_MS: u64 = 1_782_864_000_000;

struct Case {
    name: String,
    folder: PathBuf,
    paths: Vec<PathBuf>,
    env: BTreeMap<String, String>,
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/good-specs");
    let mut folders: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.into_iter().map(case).collect()
}

fn case(folder: PathBuf) -> Case {
    let setup = fs::read_to_string(folder.join("setup")).unwrap_or_default();
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let mut case = Case { name, folder, paths: vec!["gateway.yaml".into()], env: BTreeMap::new() };
    for line in setup.lines() {
        if let Some(paths) = line.strip_prefix("paths: ") {
            case.paths = paths.split(' ').map(PathBuf::from).collect();
        } else if let Some((name, value)) = line.strip_prefix("env: ").and_then(|line| line.split_once('=')) {
            case.env.insert(name.to_owned(), value.to_owned());
        } else {
            panic!("{}: {line}", case.name);
        }
    }
    case
}

impl Case {
    /// Loads and compiles, with these variables or as `validate` does without any.
    fn judge(&self, env: &dyn Environment, strict_env: bool) -> (Option<Plan>, Vec<Diagnostic>, Sources) {
        let files = Folder(self.folder.clone());
        match spec::load(&Inputs { files: &files, paths: &self.paths, env, strict_env }) {
            Err(rejected) => (None, rejected.diagnostics, rejected.sources),
            Ok(loaded) => match plan::compile_at(&loaded, NOW_UNIX_MS) {
                Ok(compiled) => (Some(compiled.plan), [loaded.warnings, compiled.warnings].concat(), loaded.sources),
                Err(found) => (None, found, loaded.sources),
            },
        }
    }
}

#[test]
fn nothing_is_said_of_a_good_spec() {
    let mut wrong = String::new();
    let cases = cases();
    assert!(cases.len() >= 10, "{} cases", cases.len());
    for case in &cases {
        for (env, strict) in [(case.env.clone(), true), (BTreeMap::new(), false)] {
            let (_, found, sources) = case.judge(&env, strict);
            if !found.is_empty() {
                let _ = writeln!(wrong, "{}: {:#?}", case.name, lines(&found, &sources));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn a_good_spec_runs_once_its_secrets_are_there() {
    for case in cases() {
        let (plan, ..) = case.judge(&case.env, true);
        let refused = prepared(plan.unwrap());
        assert!(refused.is_empty(), "{}: {refused:#?}", case.name);
    }
}
