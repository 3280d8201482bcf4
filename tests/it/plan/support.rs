//! Specs without positions, for tests that look at values alone.

use std::collections::BTreeMap;

use bifrostctl::plan::{self, Compiled, Plan};
use bifrostctl::spec::{Diagnostic, Loaded, Sources, Spans, Spec};
use serde::Deserialize as _;

/// Loads YAML without the loader: no interpolation, no includes, no places.
pub(crate) fn loaded(yaml: &str) -> Loaded {
    loaded_value(serde_yaml::from_str(yaml).unwrap())
}

/// Loads a spec in its JSON form.
pub(crate) fn loaded_value(value: serde_json::Value) -> Loaded {
    let spec = Spec::deserialize(&value).unwrap_or_else(|error| panic!("{error}\n{value:#}"));
    Loaded { spec, value, spans: Spans::default(), sources: Sources::default(), warnings: Vec::new(), prompts: BTreeMap::new() }
}

/// Compiles YAML that is right; warnings are welcome.
pub(crate) fn plan(yaml: &str) -> Plan {
    compiled(yaml).plan
}

/// Compiles YAML that is right.
pub(crate) fn compiled(yaml: &str) -> Compiled {
    plan::compile(&loaded(yaml)).unwrap_or_else(|found| panic!("{found:#?}\n{yaml}"))
}

/// Returns what refuses YAML that is wrong, or what is suspicious about YAML that is right.
pub(crate) fn findings(yaml: &str) -> Vec<Diagnostic> {
    match plan::compile(&loaded(yaml)) {
        Ok(compiled) => compiled.warnings,
        Err(found) => found,
    }
}
