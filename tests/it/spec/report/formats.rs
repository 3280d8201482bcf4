//! The same findings in every format.

use bifrostctl::spec::codes::Code;
use bifrostctl::spec::report::{github, human, json, markdown, sarif};
use bifrostctl::spec::{Diagnostic, Severity, Sources};

use super::{at, sources};

const MAIN: &str = "version: 1
providers:
  groq:
    credentials:
      default: {secret: {env: GROQ_API_KEY}}
models:
  fast:
    targets: [groqq/llama-3.3-70b-versatile]
  slow: {targets: [groq/a|b]}
";
const TEAM: &str = "virtual_keys:\n  web: {hashes: [], models: [fast], expires: tomorow}\n";

fn findings() -> (Vec<Diagnostic>, Sources) {
    let sources = sources(&[("./gateway.yaml", MAIN), ("teams/web app.yaml", TEAM)]);
    let mut note = Diagnostic::warning("BF0220", "every credential of `groq` is optional").pointer("/providers/groq/credentials");
    note.severity = Severity::Info;
    let findings = vec![
        Diagnostic::error("BF0406", "`expires` of key `web` is neither a day nor a time: 100%, really")
            .at(Some(at(&sources, 1, "tomorow")))
            .pointer("/virtual_keys/web/expires")
            .help("write a day, such as `2027-06-30`"),
        Diagnostic::error("BF0207", "alias `fast` targets provider `groqq`, which does not exist")
            .at(Some(at(&sources, 0, "groqq/llama-3.3-70b-versatile")))
            .pointer("/models/fast/targets/0")
            .related(at(&sources, 0, "groq"), "a provider of a similar name")
            .help("did you mean `groq`?"),
        Diagnostic::warning("BF0403", "the pattern `a|b*` of <team> @acme matches nothing").at(Some(at(&sources, 0, "groq/a|b"))),
        Diagnostic::error("BF0207", "alias `slow` targets provider `x`, which does not exist").at(Some(at(&sources, 0, "slow"))),
        note,
    ];
    (findings, sources)
}

fn explain(code: &str) -> Option<Code> {
    const KNOWN: Code = Code { code: "BF0207", title: "unknown provider", explanation: "A target names a provider that is not there." };
    (code == KNOWN.code).then_some(KNOWN)
}

#[test]
fn a_person_reads_what_rustc_would_print() {
    let (findings, sources) = findings();
    insta::assert_snapshot!(human(&findings, &sources, false));
}

#[test]
fn colour_changes_nothing_but_colour() {
    let (findings, sources) = findings();
    let colored = human(&findings, &sources, true);
    assert!(colored.contains("\u{1b}["));
    let mut plain = String::new();
    let mut rest = colored.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    assert_eq!(plain, human(&findings, &sources, false));
}

#[test]
fn a_program_reads_flat_objects() {
    let (findings, sources) = findings();
    let objects = json(&findings, &sources);
    let schema: serde_json::Value = serde_json::from_str(include_str!("../../../../schemas/cli-output.v1.schema.json")).unwrap();
    let each = serde_json::json!({"$ref": "#/$defs/diagnostic", "$defs": schema["$defs"]});
    for object in objects.as_array().unwrap() {
        jsonschema::validate(&each, object).unwrap();
    }
    insta::assert_json_snapshot!(objects);
}

#[test]
fn a_workflow_annotates_lines_with_errors_and_rare_codes_first() {
    let (findings, sources) = findings();
    insta::assert_snapshot!(github(&findings, &sources));
}

#[test]
fn github_shows_every_code_within_its_first_ten() {
    let sources = sources(&[("gateway.yaml", "a: 1\n")]);
    let many = |code, count| (0..count).map(move |n| Diagnostic::error(code, format!("number {n}")));
    let findings: Vec<Diagnostic> = many("BF0207", 50).chain(many("BF0208", 50)).chain(many("BF0301", 1)).collect();
    let text = github(&findings, &sources);
    let first: Vec<&str> = text.lines().take(3).collect();
    assert_eq!(
        first,
        [
            "::error file=gateway.yaml,line=1,title=BF0207::number 0",
            "::error file=gateway.yaml,line=1,title=BF0208::number 0",
            "::error file=gateway.yaml,line=1,title=BF0301::number 0",
        ]
    );
    assert_eq!(text.lines().count(), 101);
}

#[test]
fn code_scanning_reads_one_log() {
    let (findings, sources) = findings();
    let mut log = sarif(&findings, &sources, &explain);
    log["runs"][0]["tool"]["driver"]["semanticVersion"] = "[version]".into();
    insta::assert_json_snapshot!(log);
}

#[test]
fn a_fingerprint_survives_an_edit_above_it() {
    let (findings, sources) = findings();
    let prints = |log: serde_json::Value| -> Vec<serde_json::Value> {
        log["runs"][0]["results"].as_array().unwrap().iter().map(|result| result["partialFingerprints"].clone()).collect()
    };
    let before = prints(sarif(&findings, &sources, &explain));
    let mut moved = sources;
    moved.0[0].text.insert_str(0, "# one more line\n");
    let shifted: Vec<Diagnostic> = findings
        .into_iter()
        .map(|mut finding| {
            if let Some(location) = finding.location.as_mut().filter(|location| location.file == 0) {
                location.start += 16;
                location.end += 16;
            }
            finding
        })
        .collect();
    assert_eq!(prints(sarif(&shifted, &moved, &explain)), before);
    let distinct: std::collections::BTreeSet<String> = before.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), before.len());
}

#[test]
fn a_pull_request_reads_a_table() {
    let (findings, sources) = findings();
    insta::assert_snapshot!(markdown(&findings, &sources));
}

#[test]
fn a_comment_is_never_longer_than_github_takes() {
    let sources = sources(&[("gateway.yaml", "a: 1\n")]);
    let long = "`|<&".repeat(400);
    let mut findings: Vec<Diagnostic> = (0..500).map(|_| Diagnostic::error("BF0207", long.clone()).help(long.clone())).collect();
    findings.push(Diagnostic::warning("BF0409", "the last one"));
    let text = markdown(&findings, &sources);
    assert!(text.chars().count() <= 60_000, "{}", text.chars().count());
    assert!(text.contains("1 warning more that did not fit: <code>BF0207</code> × "), "{}", text.lines().last().unwrap());
    assert!(text.contains("<code>BF0409</code> × 1"));
}

#[test]
fn nothing_found_is_said_only_where_something_must_be() {
    let none = Sources::default();
    assert_eq!(human(&[], &none, false), "");
    assert_eq!(json(&[], &none), serde_json::json!([]));
    assert_eq!(github(&[], &none), "");
    assert_eq!(markdown(&[], &none), "**No errors, no warnings**\n");
    assert_eq!(sarif(&[], &none, &explain)["runs"][0]["results"], serde_json::json!([]));
}
