//! Scenarios: what a test says, and that `explain` foretells what the data path does.

mod law;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bifrostctl::plan::{self, Plan};
use bifrostctl::scenario::{Ran, Seen, Verdict, run};
use bifrostctl::spec::{Inputs, Memory, TestFile, load, load_tests, report};
use serde_json::Value;

/// The time at which nothing says when it is asked: 15 January 2027, 08:00 UTC.
const NOW_MS: u64 = 1_800_000_000_000;

fn plan_of(spec: &Value) -> Plan {
    let path = PathBuf::from("gateway.yaml");
    let files = Memory(BTreeMap::from([(path.clone(), spec.to_string().into_bytes())]));
    let inputs = Inputs { files: &files, paths: &[path], env: &BTreeMap::<String, String>::new(), strict_env: true };
    let loaded = load(&inputs).unwrap_or_else(|rejected| panic!("{}", report::human(&rejected.diagnostics, &rejected.sources, false)));
    plan::compile(&loaded).unwrap_or_else(|found| panic!("{}", report::human(&found, &loaded.sources, false))).plan
}

fn tests(text: &str) -> TestFile {
    let path = PathBuf::from("a.test.yaml");
    let files = Memory(BTreeMap::from([(path.clone(), text.as_bytes().to_vec())]));
    let loaded = load_tests(&files, &path);
    loaded.unwrap_or_else(|rejected| panic!("{}", report::human(&rejected.diagnostics, &rejected.sources, false))).file
}

fn ran(spec: &Value, text: &str) -> Ran {
    run(&plan_of(spec), &tests(text), NOW_MS, |_| true)
}

/// Returns what came of the only test.
fn seen(spec: &Value, text: &str) -> Seen {
    match &ran(spec, text).verdicts[..] {
        [(0, Verdict::Done(_, seen))] => Seen::clone(seen),
        other => panic!("{other:#?}"),
    }
}
