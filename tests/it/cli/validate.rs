//! `validate`.

use serde_json::{Value, json};

use super::fake::Fake;
use super::{Place, run};

/// Fine.
pub(super) const GOOD: &str = "version: 1
gateway: {admin: \"unix:admin.sock\"}
providers:
  mock: {}
models:
  fast: {targets: [mock/mock-small]}
virtual_keys:
  web:
    hashes: [{sha256: \"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"}]
    models: [fast]
";

/// Wrong in meaning twice: a provider that nobody knows, and a day that is none.
pub(super) const BAD: &str = "version: 1
providers:
  mock: {}
  groqq: {credentials: {default: {secret: {env: GROQ_API_KEY}}}}
models:
  fast: {targets: [mock/mock-small, groqq/llama]}
virtual_keys:
  web:
    hashes: [{sha256: \"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"}]
    models: [fast]
    expires: next year
";

fn place(text: &str) -> Place {
    Place::new().file("gateway.yaml", text)
}

#[test]
fn a_valid_spec_is_told_with_what_it_holds() {
    let done = place(GOOD).run(&["validate"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""), "{done:?}");
    assert_eq!(done.stderr, "gateway.yaml: valid (1 provider, 1 model, 1 key)\n");
    let envelope = place(GOOD).run(&["validate", "-o", "json"]).json();
    assert_eq!(envelope["result"]["contents"]["providers"], 1);
    assert_eq!(envelope["diagnostics"], json!([]));
}

#[test]
fn everything_wrong_comes_out_at_once_for_people() {
    let done = place(BAD).run(&["validate"]);
    assert_eq!(done.code, 3);
    insta::assert_snapshot!("validate_bad_stdout", done.stdout);
    insta::assert_snapshot!("validate_bad_stderr", done.stderr);
}

#[test]
fn everything_wrong_comes_out_at_once_for_machines() {
    let place = place(BAD);
    let done = place.run(&["validate", "-o", "json", "-o", "github=gh.txt", "-o", "sarif=out.sarif", "-o", "markdown=comment.md"]);
    assert_eq!(done.code, 3);
    let envelope = done.json();
    let found: Vec<(&str, u64)> = envelope["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| (found["code"].as_str().unwrap(), found["line"].as_u64().unwrap()))
        .collect();
    assert!(found.contains(&("BF0202", 4)) && found.contains(&("BF0406", 11)), "{found:?}");
    assert_eq!(envelope["result"]["valid"], false);
    let sarif: Value = serde_json::from_str(&place.read("out.sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), found.len());
    assert!(place.read("gh.txt").starts_with("::error file=gateway.yaml,line=4,"), "{}", place.read("gh.txt"));
    assert!(place.read("comment.md").contains("BF0202"));
}

#[test]
fn a_level_holds_those_before_it_and_no_more() {
    let place = place(BAD).file("syntax.yaml", "version: 1\nproviders: {mock: {}\n").file("schema.yaml", "version: 1\nprovidrs: {}\n");
    for (file, passes, fails) in [
        ("gateway.yaml", &["syntax", "schema"] as &[&str], &["semantic", "env"] as &[&str]),
        ("schema.yaml", &["syntax"], &["schema", "semantic", "env"]),
        ("syntax.yaml", &[], &["syntax", "schema", "semantic", "env"]),
    ] {
        for level in passes {
            let done = place.run(&["validate", "-f", file, "--level", level]);
            assert_eq!((done.code, done.stderr.as_str()), (0, format!("{file}: valid {level}\n").as_str()), "{file} {level}");
        }
        for level in fails {
            assert_eq!(place.run(&["validate", "-f", file, "--level", level]).code, 3, "{file} {level}");
        }
    }
}

#[test]
fn the_environment_is_looked_at_from_level_env_on() {
    let spec = GOOD.replace(
        "mock: {}",
        "mock: {}\n  openai: {credentials: {a: {secret: {env: UPSTREAM_KEY}}, b: {secret: {file: b.key}, optional: true}}}",
    );
    let spec = format!("{spec}    labels: {{zone: \"${{env:ZONE}}\"}}\n").replace("models: [fast]", "models: [fast, \"openai/*\"]");
    let place = place(&spec);
    assert_eq!(place.run(&["validate"]).code, 0, "{:?}", place.run(&["validate"]));
    let done = place.run(&["validate", "--level", "env"]);
    assert_eq!(done.code, 3);
    assert!(done.stdout.contains("ZONE"), "the variable is what the loader lacks: {}", done.stdout);

    let place = place.env("ZONE", "eu");
    let envelope = place.run(&["validate", "--level", "env", "-o", "json"]).json();
    assert_eq!(envelope["exit_code"], 3);
    let found = envelope["diagnostics"].as_array().unwrap();
    let of = |code: &str| found.iter().find(|found| found["code"] == code).unwrap_or_else(|| panic!("{code} in {found:#?}"));
    assert_eq!(of("BF0501")["pointer"], "/providers/openai/credentials/a/secret");
    assert_eq!(of("BF0501")["line"], 5);
    assert_eq!(of("BF0601")["severity"], "info");

    let place = place.env("UPSTREAM_KEY", "CANARY-upstream").file("b.key", "CANARY-file\n");
    let done = place.run(&["validate", "--level", "env"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""), "{done:?}");
}

#[test]
fn warnings_pass_unless_denied_and_allowances_drop_them() {
    let place = place(&GOOD.replace("version: 1", "version: 1\ninclude: [teams/*.yaml]")).file("good.yaml", GOOD);
    let done = place.run(&["validate"]);
    assert_eq!(done.code, 0);
    assert!(done.stderr.starts_with("gateway.yaml: valid (1 provider, 1 model, 1 key), 1 warning\n"), "{}", done.stderr);
    let done = place.run(&["validate", "--deny-warnings"]);
    assert_eq!(done.code, 3);
    assert!(done.stderr.contains("1 warning (--deny-warnings)"), "{}", done.stderr);

    let done = place.run(&["validate", "--deny-warnings", "--allow", "BF0033"]);
    assert_eq!(done.code, 0);
    assert!(done.stderr.contains("1 warning allowed"), "{}", done.stderr);
    let done = place.run(&["validate", "--deny-warnings", "--allow", "BF0033=until:2020-01-01"]);
    assert_eq!(done.code, 3);
    assert!(done.stdout.contains("the allowance of BF0033 ended on 2020-01-01"), "{}", done.stdout);
    let done = place.run(&["validate", "-f", "good.yaml", "--allow", "BF0033"]);
    assert!(done.stdout.contains("nothing of code BF0033 was found"), "{}", done.stdout);
}

#[test]
fn keys_that_are_over_are_told_by_the_clock() {
    // Over in every year in which this test may run; the process's own clock decides.
    let done = place(&GOOD.replace("models: [fast]", "models: [fast]\n    expires: 2020-01-01")).run(&["validate", "-o", "github"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("BF0404"), "{done:?}");
}

#[test]
fn an_allowance_of_an_unknown_code_is_a_usage_error() {
    let done = run(&["validate", "--allow", "BF0403x"]);
    assert_eq!(done.code, 64);
    assert!(done.stderr.contains("did you mean `BF0403`?"), "{}", done.stderr);
}

#[test]
fn a_code_is_explained_and_all_are_listed() {
    let done = run(&["validate", "--explain", "bf0207"]);
    assert_eq!(done.code, 0);
    assert!(done.stdout.starts_with("BF0207: unknown provider\n\nA target, written `provider/model`"), "{}", done.stdout);
    assert!(done.stdout.lines().all(|line| line.len() <= 80));
    let list = run(&["validate", "--explain", "list"]).stdout;
    assert!(list.lines().count() > 60 && list.contains("BF0001") && list.contains("BF0604"), "{list}");
    let done = run(&["validate", "--explain", "BF0999"]);
    assert_eq!(done.code, 64);
    assert!(done.stderr.contains("no such code"), "{}", done.stderr);
    assert_eq!(run(&["validate", "--explain", "BF0207", "-o", "json"]).json()["result"]["title"], "unknown provider");
}

#[test]
fn a_spec_that_is_not_there_is_a_failure_and_not_an_invalid_spec() {
    let done = Place::new().run(&["validate"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("cannot read gateway.yaml") && done.stderr.contains("bifrostctl init"), "{}", done.stderr);
    let done = Place::new().run(&["validate", "-f", "nope.yaml", "-o", "sarif"]);
    assert_eq!(done.code, 1);
    let sarif: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(sarif["runs"][0]["invocations"][0]["executionSuccessful"], false, "or code scanning takes every finding for fixed");
    let done = place(GOOD).run(&["validate", "-f", "."]);
    assert!(done.code == 1 && done.stderr.contains(". is a directory"), "{done:?}");
}

#[test]
fn a_spec_may_come_from_standard_input_with_overlays_over_it() {
    let place = Place::new().file("env/prod.yaml", "models: {smart: {targets: [mock/mock-large]}}\n");
    let done = place.feed(&["validate", "-f", "-", "--env", "prod"], GOOD);
    assert_eq!((done.code, done.stderr.as_str()), (0, "<stdin> + env/prod.yaml: valid (1 provider, 2 models, 1 key)\n"), "{done:?}");
    let done = place.feed(&["validate", "-f", "-"], BAD);
    assert!(done.stdout.contains("<stdin>:4:"), "{}", done.stdout);
    assert_eq!(place.feed(&["validate", "-f", "-", "-f", "-"], GOOD).code, 64);
}

#[test]
fn level_live_asks_the_running_gateway_and_applies_nothing() {
    let place = place(GOOD);
    let fake = Fake::start(place.path(), |_, asked| match asked.line.as_str() {
        "GET /v1/spec HTTP/1.1" => (200, json!({"revision": 7, "files": {}, "paths": [], "plan": {}})),
        _ => (
            422,
            json!({"error": {"code": "invalid", "message": "1 error"}, "diagnostics": [{
                "code": "BF0501", "severity": "error", "message": "environment variable `X` is not set", "file": "gateway.yaml",
                "line": 4, "column": 3, "end_line": 4, "end_column": 7, "pointer": "/providers/mock", "related": []}]}),
        ),
    });
    let done = place.run(&["validate", "--level", "live"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.stdout.contains("environment variable `X` is not set") && done.stdout.contains("gateway.yaml:4:3"), "{}", done.stdout);
    let asked = fake.asked();
    assert_eq!(asked[1].line, "POST /v1/apply?dry_run=true HTTP/1.1");
    assert!(asked[1].headers.contains(&"if-match: \"7\"".to_owned()), "{asked:?}");
    assert_eq!(asked[1].body, json!({"files": {"gateway.yaml": GOOD}, "paths": ["gateway.yaml"]}));
}

#[test]
fn level_live_tells_what_needs_a_restart() {
    let place = place(GOOD);
    let _fake = Fake::start(place.path(), |_, asked| match asked.line.as_str() {
        "GET /v1/spec HTTP/1.1" => (200, json!({"revision": 7, "files": {}, "paths": [], "plan": {}})),
        _ => (
            409,
            json!({"error": {"code": "needs_restart", "message": "needs a restart"},
                "changes": [{"pointer": "/gateway/admin", "path": "gateway.admin"}]}),
        ),
    });
    let envelope = place.run(&["validate", "--level", "live", "-o", "json"]).json();
    assert_eq!(envelope["exit_code"], 0);
    assert_eq!(envelope["diagnostics"][0]["code"], "BF0502");
    assert_eq!(envelope["diagnostics"][0]["line"], 2);

    drop(place);
    let done = self::place(GOOD).run(&["validate", "--level", "live"]);
    assert_eq!(done.code, 1, "no gateway is no invalid spec");
}

/// A spec whose credentials are clouds'.
const CLOUDS: &str = "mock: {}
  bedrock:
    region: eu-central-1
    credentials:
      keys: {aws: {access_key_id: {env: KEY_ID}, secret_access_key: {file: aws.key}}}
      profile: {aws: {profile: p, shared_credentials_file: credentials}}
      role: {aws: {web_identity: {role_arn: \"arn:aws:iam::1:role/r\", token_file: token}}, optional: true}
      chain: {aws: environment, optional: true}
  vertex:
    project: p-1
    location: eu
    credentials: {file: {google: {service_account: {file: sa.json}}}, found: {google: environment, optional: true}}";

#[test]
fn what_a_clouds_credential_needs_is_looked_at_from_level_env_on() {
    let spec = GOOD.replace("mock: {}", CLOUDS).replace("models: [fast]", "models: [fast, \"bedrock/*\", \"vertex/*\"]");
    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "CANARY", "refresh_token": "CANARY"}).to_string();
    let place = place(&spec).file("credentials", "[other]\n").file("sa.json", "CANARY");
    assert_eq!(place.run(&["validate"]).code, 0, "{:?}", place.run(&["validate"]));
    let done = place.run(&["validate", "--level", "env", "-o", "json"]);
    assert!(!done.stdout.contains("CANARY"), "{}", done.stdout);
    let envelope = done.json();
    let found = envelope["diagnostics"].as_array().unwrap().iter();
    let mut found: Vec<String> = found.map(|it| format!("{} {}", it["code"].as_str().unwrap(), it["pointer"].as_str().unwrap())).collect();
    found.sort();
    assert_eq!(
        found,
        [
            "BF0501 /providers/bedrock/credentials/keys/aws/access_key_id",
            "BF0501 /providers/bedrock/credentials/profile/aws/profile",
            "BF0501 /providers/vertex/credentials/file/google/service_account",
            "BF0601 /providers/bedrock/credentials/chain/aws",
            "BF0601 /providers/bedrock/credentials/role/aws/web_identity",
            "BF0601 /providers/vertex/credentials/found/google",
        ]
    );

    let profile = "[p]\naws_access_key_id = ID\naws_secret_access_key = CANARY\n";
    let place = place.env("KEY_ID", "ID").file("aws.key", "CANARY\n").file("credentials", profile).file("token", "CANARY");
    let key = place.path().join("sa.json");
    let place = place.file("sa.json", &user).env("AWS_ACCESS_KEY_ID", "ID").env("AWS_SECRET_ACCESS_KEY", "CANARY");
    let place = place.env("GOOGLE_APPLICATION_CREDENTIALS", key.to_str().unwrap());
    let done = place.run(&["validate", "--level", "env"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""), "{done:?}");
}
