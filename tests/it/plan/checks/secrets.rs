//! Secrets in the spec: found, and never shown.

use std::collections::BTreeMap;

use bifrostctl::plan::compile;
use bifrostctl::spec::{Inputs, Memory, load, report};

use super::super::support::{findings, loaded};
use super::{expect, spec};

/// Made up, and joined here so that scanners of this repository do not find them.
fn anthropic() -> String {
    ["sk-ant-", "api03-", "Qb7xK2mW9rTz4LpV8nHc3JyF6dGs1XaE5uRk0MwB"].concat()
}

fn groq() -> String {
    ["gsk_", "Qb7xK2mW9rTz4LpV8nHc3JyF6dGs1XaE5uRk0MwB"].concat()
}

const RANDOM: &str = "Qb7xK2mW9rTz4LpV8nHc3JyF6dGs1XaE";

#[test]
fn known_keys_are_found_in_values_names_and_references() {
    let key = anthropic();
    let models = |members: &str| format!("models: {{m: {{targets: [mock/x], {members}}}}}");
    expect(&[
        (&models(&format!("description: \"use {key} here\"")), &["BF0411 /models/m/description"]),
        (&models(&format!("defaults: {{metadata: {{a: [1, {key}]}}}}")), &["BF0411 /models/m/defaults/metadata/a/1"]),
        (&models(&format!("prompt: {{system: {{text: \"{key}\"}}}}")), &["BF0411 /models/m/prompt/system/text"]),
        (&format!("rules: [{{name: r, when: \"header('x-key', '') == '{key}'\", use: m}}]"), &["BF0411 /rules/0/when"]),
        (
            &format!("providers: {{mock: {{credentials: {{a: {{secret: {{env: {}}}}}}}}}}}", groq()),
            &["BF0411 /providers/mock/credentials/a/secret/env"],
        ),
        (&models(&format!("description: \"{RANDOM}\"")), &["BF0412 /models/m/description"]),
        (&format!("providers: {{mock: {{credentials: {{a: {{secret: {{file: /run/{RANDOM}}}}}}}}}}}"), &[]),
    ]);
}

#[test]
fn what_is_found_is_shown_by_no_finding() {
    let key = anthropic();
    for sections in [
        format!("models: {{m: {{targets: [mock/x]}}, \"{key}\": {{targets: [nope/x], fallbacks: [\"{key}\"]}}}}"),
        format!("virtual_keys: {{\"{key}\": {{hashes: [], team: \"{key}\", models: [\"{key}\", \"{key}/x\"]}}}}"),
        format!("models: {{m: {{targets: [\"{key}/x\"], fallbacks: [\"{key}\"]}}}}"),
        format!("providers: {{mock: {{}}, \"{key}\": {{preset: \"{key}\"}}}}"),
        format!("providers: {{mock: {{headers: {{\"{key}\": \"{{{{ '{key}' | nope }}}}\"}}}}}}"),
        format!("rules: [{{name: \"{key}\", when: \"{}\", use: \"{key}\"}}]", key.replace('-', "_")),
        format!("models: {{m: {{targets: [mock/x]}}, \"{RANDOM}\": {{targets: [nope/x]}}}}"),
        format!("gateway: {{listen: \"{key}\", admin: \"{key}\"}}"),
    ] {
        let found = findings(&spec(&sections));
        assert!(found.iter().any(|found| matches!(found.code, "BF0411" | "BF0412")), "{found:#?}");
        for secret in [key.as_str(), RANDOM, &key[20..]] {
            assert!(!format!("{found:?}").contains(secret), "{found:#?}");
        }
    }
}

#[test]
fn keys_in_prompt_files_are_found_and_prose_is_not() {
    let yaml = spec("models: {m: {targets: [mock/x], prompt: {system: {file: p.j2}}}}");
    for (prompt, code) in [(anthropic(), Some("BF0411")), (format!("The token is {RANDOM}."), None)] {
        let mut loaded = loaded(&yaml);
        loaded.prompts.insert("p.j2".to_owned(), prompt);
        let found = bifrostctl::plan::compile(&loaded).err().unwrap_or_default();
        assert_eq!(found.first().map(|found| found.code), code);
    }
}

#[test]
fn no_report_shows_what_is_found() {
    let (key, groq) = (anthropic(), groq());
    let prompt = format!("Hi.\nNever say {key}!\n");
    let yaml = spec(&format!(
        "models:\n  m:\n    targets: [mock/x, nope/x]  # next to {key}\n    description: 'use {key}, or {RANDOM}'\n    prompt: {{system: {{file: p.md}}}}\n  {groq}: {{targets: [nope/{key}], description: {RANDOM}}}\n"
    ));
    let files = Memory([("gateway.yaml", yaml), ("p.md", prompt)].map(|(path, text)| (path.into(), text.into_bytes())).into());
    let paths = ["gateway.yaml".into()];
    let loaded = load(&Inputs { files: &files, paths: &paths, env: &BTreeMap::new(), strict_env: true }).unwrap();
    let found = compile(&loaded).unwrap_err();
    assert!(found.iter().filter(|found| found.code == "BF0411").count() >= 4, "{found:#?}");
    let reports = [
        report::human(&found, &loaded.sources, false),
        report::human(&found, &loaded.sources, true),
        report::json(&found, &loaded.sources).to_string(),
        report::github(&found, &loaded.sources),
        report::sarif(&found, &loaded.sources, &|_| None).to_string(),
        report::markdown(&found, &loaded.sources),
    ];
    for report in reports {
        for secret in [key.as_str(), groq.as_str(), RANDOM, &key[15..]] {
            assert!(!report.contains(secret), "{report}");
        }
    }
}
