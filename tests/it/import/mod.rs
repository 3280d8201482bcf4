//! Configurations of other gateways: every fixture comes out as a spec that validates, with each of its values told of and no secret shown.
//!
//! The fixtures are of the shapes that the other projects document, and none of theirs. Every secret in them holds the word `CANARY`.

mod laws;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bifrostctl::import::{Class, Finding, Imported, Peer, Unread, import};
use bifrostctl::plan;
use bifrostctl::spec::{Diagnostic, Disk, Inputs, Memory, Severity, load, report};
use serde_json::{Value, json};

use crate::architecture::files_under;

/// What no output may hold.
const SECRET: &str = "CANARY";

/// Every fixture of a source, by its path from the root, which is where tests run. What is included lies in folders of its own.
fn fixtures(peer: Peer) -> Vec<PathBuf> {
    let folder = format!("tests/fixtures/import/{}", peer.name());
    files_under(&folder).into_iter().filter(|path| path.parent() == Some(Path::new(&folder))).collect()
}

fn read(peer: Peer, path: &Path) -> Imported {
    import(peer, &Disk, path).unwrap_or_else(|error| panic!("{}: {error:?}", path.display()))
}

/// Checks a spec as `validate` does, and returns what is wrong with it.
fn errors(yaml: &str) -> Vec<String> {
    let path = PathBuf::from("gateway.yaml");
    let files = Memory(BTreeMap::from([(path.clone(), yaml.as_bytes().to_vec())]));
    let inputs = Inputs { files: &files, paths: std::slice::from_ref(&path), env: &BTreeMap::new(), strict_env: false };
    let (found, sources) = match load(&inputs) {
        Err(rejected) => (rejected.diagnostics, rejected.sources),
        Ok(loaded) => (plan::compile(&loaded).err().unwrap_or_default(), loaded.sources),
    };
    let errors: Vec<Diagnostic> = found.into_iter().filter(|it| it.severity == Severity::Error).collect();
    if errors.is_empty() { Vec::new() } else { vec![report::human(&errors, &sources, false)] }
}

/// The leaves of a value that say something, by their pointers.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    let below = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Null => {}
        Value::String(text) if text.is_empty() => {}
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| leaves(item, &below(&index.to_string()), found)),
        Value::Object(members) => members.iter().for_each(|(name, item)| leaves(item, &below(name), found)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => found.push(at.to_owned()),
    }
}

/// Returns the leaves of which no finding tells. One of a map tells of what is in it only where nothing of it was carried over.
fn untold(source: &Value, findings: &[Finding]) -> Vec<String> {
    let mut all = Vec::new();
    leaves(source, "", &mut all);
    let tells = |finding: &Finding, leaf: &str| {
        let covers = leaf.strip_prefix(&finding.pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let is_list = source.pointer(&finding.pointer).is_some_and(Value::is_array);
        covers
            && !finding.pointer.is_empty()
            && (leaf == finding.pointer || is_list || matches!(finding.class, Class::Manual | Class::Unsupported))
    };
    all.retain(|leaf| !findings.iter().any(|finding| tells(finding, leaf)));
    all
}

fn listed(findings: &[Finding]) -> String {
    let line = |it: &Finding| {
        let place = it.place.as_ref().map_or_else(String::new, |place| format!("{}:{}", place.line, place.column));
        let became = it.became.as_deref().map(|became| format!(" → {became}")).unwrap_or_default();
        let why = if it.why.is_empty() { String::new() } else { format!(": {}", it.why) };
        format!("{:<11} {place:>6} {}{became}{why}\n", it.class.word(), it.path)
    };
    findings.iter().map(line).collect()
}

#[test]
fn every_fixture_becomes_a_spec_that_validates() {
    for peer in Peer::ALL {
        for path in fixtures(peer) {
            let imported = read(peer, &path);
            let wrong = errors(&imported.yaml);
            assert!(wrong.is_empty(), "{}:\n{}\n{}", path.display(), wrong.concat(), imported.yaml);
            assert!(!imported.findings.iter().any(|it| it.why.contains("not valid here yet")), "{}", path.display());
            assert_eq!(bifrostctl::spec::format(&imported.yaml).as_ref(), Ok(&imported.yaml), "`fmt` changes nothing");
        }
    }
}

#[test]
fn every_value_of_every_fixture_is_told_of() {
    for peer in Peer::ALL {
        for path in fixtures(peer) {
            let text = std::fs::read_to_string(&path).unwrap();
            let source: Value = serde_yaml::from_str(&text).unwrap();
            let imported = read(peer, &path);
            let hidden = untold(&source, &imported.findings);
            let hidden: Vec<&String> = hidden.iter().filter(|leaf| !leaf.contains(SECRET)).collect();
            assert!(hidden.is_empty(), "{}: {hidden:#?}", path.display());
        }
    }
}

#[test]
fn no_fixture_gives_a_secret_away() {
    let mut with_secrets = 0;
    for peer in Peer::ALL {
        for path in fixtures(peer) {
            let text = std::fs::read_to_string(&path).unwrap();
            with_secrets += usize::from(text.contains(SECRET));
            let imported = read(peer, &path);
            let shown = format!("{}{}{:?}", imported.yaml, listed(&imported.findings), imported.spec);
            assert!(!shown.contains(SECRET), "{}:\n{shown}", path.display());
        }
    }
    assert!(with_secrets >= 20, "the test has teeth: {with_secrets} fixtures with secrets");
}

#[test]
fn every_fixture_becomes_what_was_read_and_agreed_to() {
    for peer in Peer::ALL {
        for path in fixtures(peer) {
            let imported = read(peer, &path);
            let name = format!("{}-{}", peer.name(), path.file_stem().unwrap().to_str().unwrap());
            insta::assert_snapshot!(name, format!("{}\n---\n{}", imported.yaml, listed(&imported.findings)));
        }
    }
}

/// What a fixture became.
fn spec_of(peer: Peer, name: &str) -> Value {
    read(peer, &PathBuf::from(format!("tests/fixtures/import/{}/{name}", peer.name()))).spec
}

#[test]
fn budgets_stay_those_of_their_own_customer() {
    let spec = spec_of(Peer::Bifrost, "regions.json");
    for (team, limit, period) in [("one", "$10", "month"), ("two", "$20", "day"), ("three", "$30", "week")] {
        let [budget] = spec["teams"][team]["budgets"].as_array().unwrap().as_slice() else { panic!("{team} has one budget: {spec}") };
        let budget = &spec["budgets"][budget.as_str().unwrap()];
        assert_eq!((budget["limit"].as_str(), budget["period"].as_str()), (Some(limit), Some(period)), "{team}");
    }
}

#[test]
fn rules_of_a_key_come_before_those_of_its_team_and_of_all() {
    let spec = spec_of(Peer::Bifrost, "regions.json");
    let names: Vec<&str> = spec["rules"].as_array().unwrap().iter().filter_map(|rule| rule["name"].as_str()).collect();
    assert_eq!(names, ["of-key", "of-team", "for-all"], "whatever their priorities are");
}

#[test]
fn a_key_gets_no_more_than_it_had() {
    let spec = spec_of(Peer::Bifrost, "regions.json");
    let models = |spec: &Value, key: &str| spec["virtual_keys"][key]["models"].clone();
    assert_eq!(models(&spec, "european"), json!(["azure-eu/*", "openai/*"]), "it was kept to the key of one region");
    assert_eq!((models(&spec, "nothing"), models(&spec, "empty")), (json!([]), json!([])));
    let older = spec_of(Peer::Bifrost, "lists-of-1-4.json");
    assert_eq!(models(&older, "nothing"), json!(["*"]), "before 1.5 no list was one of all");
}

#[test]
fn what_cannot_be_read_is_refused_without_being_shown() {
    let read = |text: &str| {
        let files = Memory([(PathBuf::from("x"), text.as_bytes().to_vec())].into());
        import(Peer::Litellm, &files, Path::new("x"))
    };
    match read("model_list: [{litellm_params: {api_key: CANARY-key\n") {
        Err(Unread::Rejected(rejected)) => {
            let shown = report::human(&rejected.diagnostics, &rejected.sources, false);
            assert!(shown.contains("x:1:") && !shown.contains(SECRET), "{shown}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(read("providers: {}"), Err(Unread::NotOf { rather: Some(Peer::Bifrost), .. })));
    assert!(matches!(read("[1, 2]"), Err(Unread::NotOf { rather: None, .. })));
}
