//! What is handed to CI systems and clusters: what can be told without their tools. `ci/kits` lints it with them, and runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bifrostctl::plan;
use bifrostctl::spec::{Inputs, Memory, load, report};
use serde_json::Value;

use crate::architecture::{files_under, root};
use crate::docs::words;

const GITLAB: &str = "kits/gitlab/bifrostctl.gitlab-ci.yml";
const INIT: &str = "src/cli/init/workflow.yaml";
const HOOKS: &str = ".pre-commit-hooks.yaml";
const WORKFLOW: &str = "kits/github/workflow.yaml";

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn yaml(path: impl AsRef<Path>) -> Value {
    serde_yaml::from_str(&read(path)).unwrap()
}

/// Every text under `run` or in a list `script`, wherever it stands.
fn scripts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|each| scripts(each, found)),
        Value::Object(map) => {
            for (name, each) in map {
                match (name.as_str(), each) {
                    ("run" | "entry", Value::String(text)) => found.push(text.clone()),
                    ("script", Value::Array(lines)) => found.extend(lines.iter().filter_map(Value::as_str).map(str::to_owned)),
                    _ => scripts(each, found),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn scripts_in(path: &str) -> Vec<String> {
    // GitLab's template has its inputs before what the jobs are.
    let text = read(path);
    let body = text.split_once("\n---\n").map_or(text.as_str(), |(_, body)| body);
    let mut found = Vec::new();
    scripts(&serde_yaml::from_str(body).unwrap(), &mut found);
    found
}

/// Returns what bifrostctl is given in a line of a script, without what the shell leaves out or stops at.
fn arguments(line: &str) -> Option<Vec<String>> {
    let command = line.split_once("bifrostctl ").filter(|(before, _)| before.is_empty() || before.ends_with([' ', '&', '|']))?.1;
    let ends = ["||", "&&", "|", ">", "<", ";", "#"];
    let given = words(command).into_iter().take_while(|word| !ends.contains(&word.as_str()));
    Some(given.filter(|word| word != "$@" && !word.starts_with("${")).collect())
}

#[test]
fn every_command_line_in_a_kit_is_one() {
    let mut seen = 0;
    for path in [GITLAB, INIT, HOOKS, WORKFLOW] {
        for script in scripts_in(path) {
            for args in script.lines().map(str::trim).filter_map(arguments) {
                let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
                // The parser stops at this only when it has taken everything before.
                args.push("--help");
                let done = crate::cli::run(&args);
                assert_eq!(done.code, 0, "{path}: {args:?}\n{}", done.stderr);
                seen += 1;
            }
        }
    }
    assert!(seen >= 13, "the kits have {seen} command lines");
}

#[test]
fn no_script_holds_what_somebody_else_may_choose() {
    for path in ["action.yml", INIT, HOOKS, WORKFLOW] {
        for script in scripts_in(path) {
            assert!(!script.contains("${{"), "{path}: an expression would become text of a command:\n{script}");
        }
    }
    for script in scripts_in(GITLAB) {
        assert!(!script.contains("$[["), "an input would become text of a command:\n{script}");
    }
}

#[test]
fn the_action_declares_what_it_uses_and_uses_what_it_declares() {
    let action = yaml("action.yml");
    for field in ["name", "description", "runs"] {
        assert!(!action[field].is_null(), "an action has `{field}`");
    }
    assert_eq!(action["runs"]["using"], "composite");
    let declared: BTreeSet<&str> = action["inputs"].as_object().unwrap().keys().map(String::as_str).collect();
    let text = read("action.yml");
    let used: BTreeSet<&str> =
        text.split("inputs.").skip(1).map(|rest| rest.split([' ', '}']).next().unwrap()).filter(|name| !name.is_empty()).collect();
    assert_eq!(used, declared);
    let script = read("kits/github/check");
    for step in action["runs"]["steps"].as_array().unwrap() {
        assert_eq!(step["shell"], "bash", "a step of a composite action names its shell");
        for variable in step["env"].as_object().unwrap().keys().filter(|name| *name != "KIT_SCRIPT") {
            assert!(script.contains(variable.as_str()), "the script does nothing with {variable}");
        }
    }
    let steps = action["runs"]["steps"].as_array().unwrap();
    for (name, output) in action["outputs"].as_object().unwrap() {
        let from = output["value"].as_str().unwrap();
        let is_written = steps.iter().any(|step| from == format!("${{{{ steps.{}.outputs.{name} }}}}", step["id"].as_str().unwrap()));
        assert!(is_written, "{name} comes from {from}");
        assert!(script.contains(&format!("output {name} ")) || script.contains(&format!("{name}=")), "nobody writes {name}");
    }
}

/// Every value of the chart by its whole name; what users fill in as they like counts as one.
fn leaves(schema: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    for (name, each) in schema["properties"].as_object().unwrap() {
        match &each["properties"] {
            Value::Object(_) => leaves(each, &format!("{prefix}{name}."), found),
            _ => {
                found.insert(format!("{prefix}{name}"));
            }
        }
    }
}

#[test]
fn every_value_of_the_chart_has_a_default_and_a_line_in_its_page() {
    let schema: Value = serde_json::from_str(&read("charts/bifrostctl/values.schema.json")).unwrap();
    let values = yaml("charts/bifrostctl/values.yaml");
    let wrong: Vec<String> = jsonschema::validator_for(&schema).unwrap().iter_errors(&values).map(|error| error.to_string()).collect();
    assert_eq!(wrong, [""; 0]);
    let mut declared = BTreeSet::new();
    leaves(&schema, "", &mut declared);
    declared.remove("global");
    for name in &declared {
        assert!(values.pointer(&format!("/{}", name.replace('.', "/"))).is_some(), "{name} has no default");
    }
    let page = read("charts/bifrostctl/README.md");
    let told: BTreeSet<String> = page.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect();
    assert_eq!(told, declared);
}

#[test]
fn the_chart_is_of_this_version_and_its_spec_compiles_without_a_warning() {
    assert_eq!(yaml("charts/bifrostctl/Chart.yaml")["appVersion"], env!("CARGO_PKG_VERSION"));
    let values = yaml("charts/bifrostctl/values.yaml");
    let files = values["spec"]["files"].as_object().unwrap().iter();
    let files = Memory(files.map(|(name, text)| (PathBuf::from(name), text.as_str().unwrap().into())).collect());
    let paths: Vec<PathBuf> = values["spec"]["order"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().into()).collect();
    let loaded = load(&Inputs { files: &files, paths: &paths, env: &BTreeMap::new(), strict_env: true })
        .unwrap_or_else(|rejected| panic!("{}", report::human(&rejected.diagnostics, &rejected.sources, false)));
    let compiled = plan::compile(&loaded).unwrap_or_else(|found| panic!("{}", report::human(&found, &loaded.sources, false)));
    let found: Vec<_> = loaded.warnings.into_iter().chain(compiled.warnings).collect();
    assert!(found.is_empty(), "{}", report::human(&found, &loaded.sources, false));
}

#[test]
fn kustomize_finds_every_file_that_it_is_told_of() {
    let folder = Path::new("examples/kubernetes");
    let kustomization = yaml(folder.join("kustomization.yaml"));
    let listed = kustomization["resources"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let generated = kustomization["configMapGenerator"][0]["files"].as_array().unwrap().iter().map(|file| {
        let file = file.as_str().unwrap();
        file.split_once('=').map_or(file, |(_, path)| path)
    });
    for file in listed.chain(generated) {
        assert!(root().join(folder).join(file).is_file(), "there is no {file}");
    }
}

#[test]
fn what_stands_beside_the_scripts_of_ci_is_a_script() {
    for path in files_under("ci") {
        let text = read(&path);
        assert!(text.starts_with("#!/usr/bin/env bash\n"), "`ci/check` reads {} as a script", path.display());
    }
}
