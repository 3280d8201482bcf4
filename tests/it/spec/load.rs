//! What a spec is after loading.

use std::io;
use std::path::{Path, PathBuf};

use bifrostctl::spec::{self, Balance, Files, Inputs, Location};
use serde_json::json;

use super::support::{given, lines};

const SMALL: &str = "version: 1\nproviders:\n  mock: {}\nmodels:\n  m:\n    targets: [mock/x]\n";

#[test]
fn a_small_spec_loads_without_a_word() {
    let loaded = given(SMALL).loaded();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.value, json!({"version": 1, "providers": {"mock": {}}, "models": {"m": {"targets": ["mock/x"]}}}));
    assert_eq!(loaded.spec.models["m"].targets[0].to_string(), "mock/x");
    assert_eq!(loaded.sources.0[0].path, PathBuf::from("gateway.yaml"));
}

#[test]
fn every_value_and_key_has_its_place() {
    let loaded = given(SMALL).loaded();
    let text = |place: Option<Location>| place.map(|place| &SMALL[place.start..place.end]);
    assert_eq!(text(loaded.spans.key("/models/m")), Some("m"));
    assert_eq!(text(loaded.spans.value("/models/m/targets")), Some("[mock/x]"));
    assert_eq!(text(loaded.spans.value("/models/m/targets/0")), Some("mock/x"));
    assert_eq!(text(loaded.spans.value("/models/m/targets/0/weight")), Some("mock/x"), "the nearest that has a place");
    assert_eq!(text(loaded.spans.value("/models")), Some("m:\n    targets: [mock/x]"));
}

#[test]
fn a_byte_order_mark_and_crlf_change_nothing() {
    let plain = given(SMALL).loaded();
    let dressed = given(format!("\u{FEFF}{}", SMALL.replace('\n', "\r\n"))).loaded();
    assert_eq!(dressed.value, plain.value);
    assert_eq!(dressed.sources.place(dressed.spans.value("/models/m/targets/0").unwrap()).unwrap(), "gateway.yaml:6:15");
    assert_ne!(dressed.sources.digest(), plain.sources.digest());
}

#[test]
fn included_files_add_their_names_and_sections() {
    let spec = given("version: 1\ninclude: [models/*.yaml, rules.yaml]\nproviders: {mock: {}}\nmodels: {a: {targets: [mock/a]}}\n")
        .file("models/b.yaml", "models: {b: {targets: [mock/b]}}\n")
        .file("models/c.yaml", "models: {c: {targets: [mock/c]}}\nteams: {t: {}}\n")
        .file("models/.hidden.yaml", "models: {a: {targets: [mock/twice]}}\n")
        .file("models/notes.txt", "not yaml: [")
        .file("rules.yaml", "rules: [{name: r, when: 'true', use: a}]\n");
    let loaded = spec.loaded();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.spec.models.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!((loaded.spec.teams.len(), loaded.spec.rules.len()), (1, 1));
    assert_eq!(loaded.value.get("include"), None, "what was included is here");
    let place = |pointer| loaded.sources.place(loaded.spans.value(pointer).unwrap()).unwrap();
    assert_eq!(place("/models/c/targets/0"), "models/c.yaml:1:24");
    assert_eq!(loaded.sources.0.len(), 4);
}

#[test]
fn a_pattern_without_files_is_a_warning_and_a_name_without_a_file_an_error() {
    let spec = given("version: 1\ninclude: [teams/*.yaml]\nproviders: {mock: {}}\n");
    assert_eq!(spec.findings(), ["BF0033@gateway.yaml:2:11: no file matches `teams/*.yaml`"]);
    assert!(spec.load().is_ok());
    let spec = given("version: 1\ninclude: [teams/a.yaml]\nproviders: {mock: {}}\n");
    assert_eq!(spec.findings(), ["BF0001@gateway.yaml:2:11: `teams/a.yaml` does not exist"]);
}

#[test]
fn include_is_relative_to_the_file_that_includes() {
    let loaded = given_at("conf/gateway.yaml", "version: 1\ninclude: [../shared.yaml, ./x/../local.yaml]\n")
        .file("shared.yaml", "providers: {mock: {}}\n")
        .file("conf/local.yaml", "teams: {t: {}}\n")
        .loaded();
    let paths: Vec<_> = loaded.sources.0.iter().map(|source| source.path.to_str().unwrap()).collect();
    assert_eq!(paths, ["conf/gateway.yaml", "shared.yaml", "conf/local.yaml"]);
}

fn given_at(path: &str, text: &str) -> super::support::Given {
    super::support::Given::default().main(path, text)
}

#[test]
fn overlays_merge_maps_replace_the_rest_and_delete_with_null() {
    let base = "version: 1\nproviders:\n  mock: {timeouts: {connect: 1s, total: 9s}}\nmodels:\n  a: {targets: [mock/a, mock/b], description: base}\n  b: {targets: [mock/b]}\n";
    let over = "providers:\n  mock:\n    timeouts: {total: 8s}\nmodels:\n  a: {targets: [mock/c], balance: round_robin, description: null}\n  b: null\n  c: {targets: [mock/c], prompt: null}\n";
    let spec = given(base).main("prod.yaml", over);
    let loaded = spec.loaded();
    assert_eq!(
        loaded.value,
        json!({
            "version": 1,
            "providers": {"mock": {"timeouts": {"connect": "1s", "total": "8s"}}},
            "models": {"a": {"targets": ["mock/c"], "balance": "round_robin"}, "c": {"targets": ["mock/c"]}}
        })
    );
    assert_eq!(loaded.spec.models["a"].balance, Some(Balance::RoundRobin));
    assert_eq!(spec.findings(), ["BF0041@prod.yaml:7:26: the overlay deletes `models.c.prompt`, which is not there"]);
    let place = |pointer| loaded.sources.place(loaded.spans.value(pointer).unwrap()).unwrap();
    assert_eq!(place("/providers/mock/timeouts/connect"), "gateway.yaml:3:30");
    assert_eq!(place("/providers/mock/timeouts/total"), "prod.yaml:3:23");
    assert_eq!(place("/models/a/targets"), "prod.yaml:5:16");
}

#[test]
fn an_overlay_replaces_a_choice_as_a_whole() {
    let base = "version: 1\nproviders: {openai: {auth: {header: a}, credentials: {k: {secret: {env: DEV}, weight: 2}}}}\n";
    let over = "providers: {openai: {auth: bearer, credentials: {k: {secret: {file: /run/key}}}}}\n";
    let loaded = given(base).main("prod.yaml", over).loaded();
    assert_eq!(
        loaded.value["providers"],
        json!({"openai": {"auth": "bearer", "credentials": {"k": {"secret": {"file": "/run/key"}, "weight": 2}}}})
    );
}

#[test]
fn an_overlay_may_include_and_is_judged_with_what_it_includes() {
    let loaded = given(SMALL)
        .main("env/prod.yaml", "include: [teams.yaml]\nmodels: {m: {description: prod}}\n")
        .file("env/teams.yaml", "teams: {t: {}}\n")
        .loaded();
    assert_eq!(loaded.spec.teams.len(), 1);
    assert_eq!(loaded.spec.models["m"].description.as_deref(), Some("prod"));
}

#[test]
fn interpolation_stays_inside_its_scalar() {
    let yaml = "version: 1\nproviders:\n  mock:\n    base_url: http://${env:HOST}:${env:PORT:-8000}/v1\n    headers: {x-a: \"${env:TEXT}\", x-b: '$${env:HOST}', x-c: \"${file:note.txt}\"}\nmodels:\n  m:\n    targets: [mock/x]\n    description: ${env:TEXT}\n";
    let loaded = given(yaml).env("HOST", "vllm").env("TEXT", "a: b\n- ${env:HOST} #").file("note.txt", "first\nsecond\n").loaded();
    let mock = &loaded.spec.providers["mock"];
    assert_eq!(mock.base_url.as_deref(), Some("http://vllm:8000/v1"));
    assert_eq!(mock.headers["x-a"], "a: b\n- ${env:HOST} #", "what is put in is not looked at again");
    assert_eq!(mock.headers["x-b"], "${env:HOST}");
    assert_eq!(mock.headers["x-c"], "first\nsecond");
    assert_eq!(loaded.spec.models["m"].description.as_deref(), Some("a: b\n- ${env:HOST} #"));
    assert!(loaded.sources.0.iter().any(|source| source.path.ends_with("note.txt")));
}

#[test]
fn a_whole_interpolation_is_a_number_or_a_boolean_where_the_field_takes_no_text() {
    let yaml = "version: 1\nproviders:\n  mock: {retries: {max: \"${env:N}\"}, quirks: {done_marker: \"${env:B}\"}}\nmodels:\n  m:\n    targets: [mock/x]\n    description: ${env:N}\n    defaults:\n      plain: ${env:N}\n      quoted: \"${env:N}\"\n      more: ${env:N}0\n      null: ${env:NULL}\n"
        .replace("      null:", "      empty:");
    let loaded = given(yaml).env("N", "3").env("B", "false").env("NULL", "null").loaded();
    assert_eq!(loaded.spec.providers["mock"].retries.max, Some(3));
    assert_eq!(loaded.spec.providers["mock"].quirks.done_marker, Some(false));
    let model = &loaded.value["models"]["m"];
    assert_eq!(model["description"], json!("3"));
    assert_eq!(model["defaults"], json!({"plain": 3, "quoted": "3", "more": "30", "empty": "null"}));
}

#[test]
fn a_default_also_stands_in_for_an_empty_variable() {
    let yaml = "version: 1\nproviders: {mock: {headers: {x-a: \"${env:A:-x}\", x-b: \"${env:A}\", x-c: \"${env:A:-}\"}}}\n";
    let loaded = given(yaml).env("A", "").loaded();
    assert_eq!(loaded.value["providers"]["mock"]["headers"], json!({"x-a": "x", "x-b": "", "x-c": ""}));
}

#[test]
fn what_an_overlay_replaces_needs_no_variable() {
    let base = "version: 1\nproviders: {mock: {base_url: \"${env:URL}\"}}\n";
    let loaded = given(base).main("dev.yaml", "providers: {mock: {base_url: \"mock:\"}}\n").loaded();
    assert_eq!(loaded.spec.providers["mock"].base_url.as_deref(), Some("mock:"));
}

#[test]
fn an_unset_variable_is_no_fault_when_the_environment_is_left_out() {
    let yaml = "version: 1\ngateway:\n  drain: ${env:DRAIN}\n  admin: ${env:ADMIN}\n  limits: {in_flight: \"${env:N}\"}\nproviders:\n  mock: {base_url: \"http://${env:HOST}/v1\", api: \"${env:API}\"}\nmodels:\n  m: {targets: [\"${env:TARGET}\"], balance: \"${env:BALANCE}\"}\n";
    assert_eq!(given(yaml).findings().len(), 7);
    let loaded = given(yaml).lenient().loaded();
    assert_eq!(loaded.spec.providers["mock"].base_url.as_deref(), Some("http://${env:HOST}/v1"), "a text keeps its form");
    for pointer in ["/gateway/drain", "/gateway/admin", "/gateway/limits/in_flight", "/providers/mock/base_url", "/models/m/targets/0"] {
        assert!(loaded.spans.is_unresolved(pointer), "{pointer}");
    }
    assert!(!loaded.spans.is_unresolved("/models/m/targets"));
    assert_eq!(given(yaml).lenient().env("N", "0").findings(), ["BF0105@gateway.yaml:5:23: `gateway.limits.in_flight` must be at least 1"]);
}

#[test]
fn merge_keys_work_and_are_frowned_upon() {
    let yaml = "version: 1\nproviders:\n  a: &base {api: openai-chat, base_url: 'http://127.0.0.1:1', auth: none}\n  b: {<<: *base, base_url: 'http://127.0.0.1:2'}\n  c: {auth: bearer, <<: [{auth: none}, *base]}\n";
    let spec = given(yaml);
    let loaded = spec.loaded();
    assert_eq!(loaded.value["providers"]["b"], json!({"api": "openai-chat", "base_url": "http://127.0.0.1:2", "auth": "none"}));
    assert_eq!(loaded.value["providers"]["c"], json!({"api": "openai-chat", "base_url": "http://127.0.0.1:1", "auth": "bearer"}));
    assert_eq!(
        spec.findings().iter().map(|line| &line[..line.find(": ").unwrap()]).collect::<Vec<_>>(),
        ["BF0016@gateway.yaml:4:7", "BF0016@gateway.yaml:5:21"]
    );
}

#[test]
fn what_an_alias_repeats_is_reported_once_at_the_anchor() {
    let yaml = "version: 1\nproviders:\n  a: {timeouts: &t {conect: 1s}}\n  b: {timeouts: *t}\n";
    assert_eq!(given(yaml).findings(), ["BF0101@gateway.yaml:3:21: unknown field `conect` in `providers.a.timeouts`"]);
}

#[test]
fn prompts_are_read_beside_the_file_that_names_them() {
    let loaded = given_at(
        "conf/gateway.yaml",
        "version: 1\ninclude: [teams/a.yaml]\nproviders: {mock: {}}\nmodels:\n  m: {targets: [mock/x], prompt: {system: {file: p.j2}}}\n",
    )
    .file("conf/teams/a.yaml", "models:\n  n: {targets: [mock/x], prompt: {system: {file: p.j2}}}\n")
    .file("conf/p.j2", "main")
    .file("conf/teams/p.j2", "team")
    .loaded();
    assert_eq!(loaded.prompts["p.j2"], "main");
    assert_eq!(loaded.prompts["teams/p.j2"], "team");
    assert_eq!(loaded.value["models"]["n"]["prompt"]["system"], json!({"file": "teams/p.j2"}));
}

#[test]
fn a_file_of_more_than_two_mebibytes_is_refused() {
    let spec = given(format!("version: 1\nproviders: {{mock: {{}}}}\n#{}", "x".repeat(2 << 20)));
    assert_eq!(spec.findings(), ["BF0003: `gateway.yaml` has more than 2 MiB"]);
}

#[test]
fn many_files_together_have_a_limit_too() {
    let mut spec = given("version: 1\ninclude: [\"p/*\"]\nproviders: {mock: {}}\n");
    for number in 0..5 {
        spec = spec.file(&format!("p/{number}.yaml"), format!("teams: {{t{number}: {{}}}}\n#{}", "x".repeat((2 << 20) - 100)));
    }
    assert_eq!(spec.findings(), ["BF0003@gateway.yaml:2:11: `p/4.yaml` takes the spec over 8 MiB"]);
}

#[test]
fn a_path_that_never_ends_is_refused() {
    let paths = [PathBuf::from("/dev/zero")];
    let env = std::collections::BTreeMap::new();
    let rejected = spec::load(&Inputs { files: &spec::Disk, paths: &paths, env: &env, strict_env: true }).unwrap_err();
    assert_eq!(lines(&rejected.diagnostics, &rejected.sources), ["BF0003: `/dev/zero` has more than 2 MiB"]);
}

#[test]
fn what_may_not_be_read_is_refused_with_the_reason() {
    struct Locked(Option<Vec<u8>>);
    impl Files for Locked {
        fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
            self.0.clone().ok_or(io::ErrorKind::PermissionDenied.into())
        }

        fn list(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
    let env = std::collections::BTreeMap::new();
    let refusal = |files: &Locked| {
        let rejected = spec::load(&Inputs { files, paths: &["gateway.yaml".into()], env: &env, strict_env: true }).unwrap_err();
        lines(&rejected.diagnostics, &rejected.sources)
    };
    assert_eq!(refusal(&Locked(None)), ["BF0002: `gateway.yaml` cannot be read: permission denied"]);
    let main = b"version: 1\ninclude: [\"teams/*\"]\nproviders: {}\n".to_vec();
    assert_eq!(refusal(&Locked(Some(main))), ["BF0002@gateway.yaml:2:11: `teams` cannot be read: permission denied"]);
}

#[test]
fn interpolation_has_a_budget() {
    let mut yaml = String::from("version: 1\nproviders: {mock: {headers: {");
    for number in 0..20 {
        yaml += &format!("x-{number}: \"${{file:large}}\", ");
    }
    let spec = given(yaml + "}}}\n").file("large", "x".repeat(1 << 20));
    assert_eq!(spec.findings(), ["BF0003@gateway.yaml:2:211: interpolations put in more than 8 MiB"]);
}

#[test]
fn a_whole_number_is_written_without_a_point() {
    let spec = given("version: 1\nproviders: {mock: {retries: {max: 2.0}}}\n");
    assert_eq!(spec.findings(), ["BF0114@gateway.yaml:2:35: `providers.mock.retries.max` must be a whole number"]);
}

#[test]
fn an_overlay_is_judged_alone_when_its_base_cannot_be_read() {
    let spec = given("version: [\n").main("prod.yaml", "models: {m: null, n: {tragets: []}}\nteams: null\n");
    assert_eq!(
        spec.findings(),
        ["BF0006@gateway.yaml:1:10: the `[` is never closed", "BF0101@prod.yaml:1:23: unknown field `tragets` in `models.n`"]
    );
}

#[test]
fn a_file_of_very_many_values_is_refused_before_it_fills_the_memory() {
    let spec = given(format!("version: 1\nproviders: [{}]\n", "x,".repeat(1_000_000)));
    assert_eq!(spec.findings(), ["BF0003@gateway.yaml:2:500003: the file has more than 250,000 values"]);
    let spec = given(format!("version: 1\nproviders: &a {{x: &b [{}], y: *b}}\n", "x,".repeat(150_000)));
    assert_eq!(spec.findings(), ["BF0014@gateway.yaml:2:300029: aliases repeat more than 100,000 values or 4 MiB of text"]);
}

#[test]
fn very_many_faults_do_not_take_for_ever_and_only_what_somebody_mends_is_told() {
    let count = |yaml: String| {
        let found = given(yaml).load().unwrap_err().diagnostics;
        let more = found.last().filter(|last| last.code == "BF0020").map(|last| last.message.clone());
        (found.len(), more.unwrap_or_default())
    };
    let started = std::time::Instant::now();
    let fields: String = (0..20_000).map(|number| format!("field{number}: 1\n")).collect();
    assert_eq!(count(fields), (501, "19502 further problems are not shown".to_owned()));
    assert_eq!(count(format!("version: 1\n{}", "x: 1\n".repeat(200_000))).0, 501);
    let unset = "${env:X}".repeat(20_000);
    let unset = count(format!("version: 1\nproviders: {{x: {{base_url: \"{unset}\"}}}}\n"));
    assert_eq!(unset, (501, "19500 further problems are not shown".to_owned()));
    assert_eq!(count(format!("{}\n", "key:".repeat(200_000))), (1, String::new()));
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[test]
fn a_file_that_is_refused_is_read_and_reported_once() {
    let yaml = "version: 1\nproviders: {mock: {headers: {x-a: \"${file:bad}\", x-b: \"${file:bad}\", x-c: \"${file:none}\", x-d: \"${file:none}\"}}}\n";
    assert_eq!(
        given(yaml).file("bad", b"\xFF".as_slice()).findings(),
        [
            "BF0001@gateway.yaml:2:76: `none` does not exist",
            "BF0001@gateway.yaml:2:97: `none` does not exist",
            "BF0004@bad:1:1: `bad` is not UTF-8"
        ]
    );
}
