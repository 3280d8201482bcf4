//! Values from variables that are not set, as `validate` sees them without an environment: nothing is said of what nobody knows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bifrostctl::plan::compile;
use bifrostctl::spec::{Inputs, Memory, load};

fn codes(yaml: &str, env: &[(&str, &str)]) -> Vec<&'static str> {
    let files = Memory(BTreeMap::from([(PathBuf::from("gateway.yaml"), yaml.as_bytes().to_vec())]));
    let env: BTreeMap<String, String> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let paths = [PathBuf::from("gateway.yaml")];
    let loaded = load(&Inputs { files: &files, paths: &paths, env: &env, strict_env: false }).map_err(|it| it.diagnostics).unwrap();
    let found = compile(&loaded).map_or_else(|found| found, |compiled| compiled.warnings);
    found.into_iter().map(|found| found.code).collect()
}

const SPEC: &str = "version: 1
gateway: {listen: '${env:LISTEN}', auth: '${env:AUTH}'}
providers:
  mock:
    base_url: ${env:URL}
    timeouts: {connect: '${env:CONNECT}', first_byte: 1s}
    headers: {x-a: '${env:TEMPLATE}'}
  ollama: {credentials: {a: {secret: none, weight: '${env:WEIGHT}'}}}
teams: {growth: {models: ['${env:PATTERN}']}}
models:
  m:
    targets: ['${env:TARGET}', {provider: mock, model: x, weight: '${env:WEIGHT}'}]
    fallbacks: ['${env:LINK}']
rules: [{name: r, when: '${env:WHEN}', use: '${env:ALIAS}'}, {name: s, when: \"key.team == 'other'\", use: m}]
virtual_keys: {k: {hashes: [{sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}], team: '${env:TEAM}', models: ['${env:PATTERN}'], expires: '${env:DAY}'}}
";

#[test]
fn what_is_not_known_is_not_judged() {
    assert_eq!(codes(SPEC, &[]), [""; 0]);
}

#[test]
fn what_is_known_is_judged() {
    let wrong = [
        ("LISTEN", "here"),
        ("AUTH", "required"),
        ("URL", "there"),
        ("CONNECT", "5s"),
        ("TEMPLATE", "{{"),
        ("WEIGHT", "0"),
        ("PATTERN", "nothing"),
        ("TARGET", "nowhere/x"),
        ("LINK", "nobody"),
        ("WHEN", "=="),
        ("ALIAS", "none"),
        ("TEAM", "strangers"),
        ("DAY", "never"),
    ];
    let found = codes(SPEC, &wrong);
    for code in [
        "BF0421", "BF0204", "BF0227", "BF0224", "BF0213", "BF0206", "BF0403", "BF0207", "BF0208", "BF0303", "BF0209", "BF0406", "BF0307",
        "BF0408",
    ] {
        assert!(found.contains(&code), "{code} is not in {found:?}");
    }
}
