//! Every shipped spec: valid under both schemas, and compiled without a warning.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bifrostctl::base::Digest;
use bifrostctl::plan::{self, Compiled};
use bifrostctl::scenario;
use bifrostctl::spec::{Disk, Draft, Inputs, Loaded, Severity, load, load_tests, report, schema};
use serde_json::Value;

use crate::architecture::{files_under, root};

/// Every spec that is shipped, each as the files of one command line.
const SPECS: &[&[&str]] = &[
    &["gateway.yaml"],
    &["examples/minimal.yaml"],
    &["examples/failover.yaml"],
    &["examples/formats.yaml"],
    &["examples/clouds.yaml"],
    &["examples/credentials.yaml"],
    &["examples/rules.yaml"],
    &["examples/vllm.yaml"],
    &["examples/budgets.yaml"],
    &["examples/teams.yaml"],
    &["examples/replicas.yaml"],
    &["examples/kubernetes/gateway.yaml"],
    &["examples/kubernetes/gateway.yaml", "examples/kubernetes/env/prod.yaml"],
];
/// Tests of shipped specs, with the spec that they are of.
const TESTS: &[(&str, &str)] = &[
    ("examples/failover.yaml", "examples/failover.test.yaml"),
    ("examples/budgets.yaml", "examples/budgets.test.yaml"),
    ("examples/rules.yaml", "examples/rules.test.yaml"),
];
/// Files beside the specs that are none.
const OTHERS: &[&str] = &[
    "examples/kubernetes/deployment.yaml",
    "examples/kubernetes/kustomization.yaml",
    "examples/kubernetes/networkpolicy.yaml",
    "examples/kubernetes/service.yaml",
    "examples/kubernetes/servicemonitor.yaml",
    "examples/prompts/support.md.j2",
];

#[test]
fn every_file_among_the_examples_is_tested() {
    let tests = TESTS.iter().map(|(_, tests)| tests);
    let listed: BTreeSet<PathBuf> = SPECS.iter().copied().flatten().chain(OTHERS).chain(tests).map(PathBuf::from).collect();
    let mut found: BTreeSet<PathBuf> = files_under("examples").into_iter().collect();
    found.insert("gateway.yaml".into());
    assert_eq!(found, listed);
}

#[test]
fn every_spec_is_valid_under_both_drafts_and_names_its_schema() {
    for draft in [Draft::Latest, Draft::Seven] {
        let validator = jsonschema::validator_for(&schema(draft)).unwrap();
        for path in SPECS.iter().filter_map(|files| files.first()) {
            let text = std::fs::read_to_string(root().join(path)).unwrap();
            let value: Value = serde_yaml::from_str(&text).unwrap();
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert_eq!(errors, [""; 0], "{path}");
            let named = text.lines().next().and_then(|line| line.strip_prefix("# yaml-language-server: $schema=")).unwrap();
            assert!(root().join(path).parent().unwrap().join(named).is_file(), "{path} names {named}");
        }
    }
}

fn loaded(files: &[&str]) -> Loaded {
    let paths: Vec<PathBuf> = files.iter().map(|file| root().join(file)).collect();
    let inputs = Inputs { files: &Disk, paths: &paths, env: &BTreeMap::new(), strict_env: true };
    load(&inputs).unwrap_or_else(|rejected| panic!("{}", report::human(&rejected.diagnostics, &rejected.sources, false)))
}

fn compiled(loaded: &Loaded) -> Compiled {
    plan::compile(loaded).unwrap_or_else(|found| panic!("{}", report::human(&found, &loaded.sources, false)))
}

#[test]
fn every_spec_compiles_without_a_warning() {
    for files in SPECS {
        let loaded = loaded(files);
        let mut found = loaded.warnings.clone();
        found.extend(compiled(&loaded).warnings);
        found.retain(|finding| finding.severity > Severity::Info);
        assert!(found.is_empty(), "{}", report::human(&found, &loaded.sources, false));
    }
}

#[test]
fn the_key_that_the_shipped_spec_prints_is_the_key_that_it_admits() {
    let text = std::fs::read_to_string(root().join("gateway.yaml")).unwrap();
    let key: String = text.split("Bearer ").nth(1).unwrap().chars().take_while(|c| *c != '\'').collect();
    let loaded = loaded(&["gateway.yaml"]);
    assert_eq!(loaded.spec.virtual_keys["demo"].hashes[0].sha256, Digest::of(key.as_bytes()));
}

#[test]
fn every_test_of_a_shipped_spec_passes() {
    for (spec, tests) in TESTS {
        let plan = plan::compile(&loaded(&[spec])).unwrap().plan;
        let file = load_tests(&Disk, &root().join(tests)).unwrap_or_else(|rejected| {
            panic!("{}", report::human(&rejected.diagnostics, &rejected.sources, false));
        });
        let ran = scenario::run(&plan, &file.file, 1_800_000_000_000, |_| true);
        let failed: Vec<_> = ran.verdicts.iter().filter(|(_, verdict)| !verdict.is_passed()).collect();
        assert!(failed.is_empty() && !ran.verdicts.is_empty(), "{tests}: {failed:#?}");
    }
}
