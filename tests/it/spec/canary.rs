//! Secrets in wrong places never show up in a report, in any format.

use bifrostctl::spec::report;
use bifrostctl::spec::{Diagnostic, Sources};

use super::support::{Given, given};

/// What looks like a key.
const KEY: &str = "sk-proj-Qb7xK2mW9rTz4LpV8nHc3JyF6dGs1XaE5uRk0MwB";
/// What looks like nothing: only its place tells.
const WORD: &str = "correct-horse-battery";

const TOP: &str = "version: 1\nproviders:\n  openai:\n";

/// Specs with a canary where no canary belongs.
fn spots() -> Vec<(&'static str, Given)> {
    let provider = |line: &str| given(format!("{TOP}{line}\n"));
    let credential = |secret: &str| given(format!("{TOP}    credentials:\n      a: {{weight: x, secret: {secret}}}\n"));
    vec![
        ("plain secret", credential(WORD)),
        ("quoted secret", credential(&format!("'{WORD}'"))),
        ("secret in a block", given(format!("{TOP}    credentials:\n      a:\n        secret: |\n          {WORD}\n          {WORD}\n"))),
        ("secret in a list", credential(&format!("[{WORD}, {WORD}]"))),
        ("secret under an unknown field", credential(&format!("{{value: {WORD}}}"))),
        ("secret as the name of a variable", credential(&format!("{{env: {WORD}}}"))),
        ("secret under two fields", credential(&format!("{{env: A, file: {WORD}}}"))),
        ("secret with a tag", credential(&format!("!vault {WORD}"))),
        ("tag that is a secret", credential(&format!("!{KEY} x"))),
        ("secret by its old name", provider(&format!("    api_key: {WORD}"))),
        ("secret in a map by its old name", provider(&format!("    api_key: {{value: {WORD}}}"))),
        ("secret as a default", credential(&format!("\"${{env:A:-{WORD}}}\""))),
        ("key as the default of something else", provider(&format!("    base_url: \"${{env:1:-{KEY}}}\""))),
        ("key as a variable's name", provider(&format!("    base_url: \"${{env:{KEY}}}\""))),
        ("key as a file's name", provider(&format!("    base_url: \"${{file:{KEY}}}\""))),
        ("key as an interpolation", provider(&format!("    base_url: \"${{{KEY}}}\""))),
        ("key in a header that is a list", provider(&format!("    headers: {{authorization: [Bearer {KEY}]}}"))),
        ("key as a choice", provider(&format!("    auth: {KEY}"))),
        ("key as a duration", provider(&format!("    timeouts: {{connect: {KEY}}}"))),
        ("key as a target", given(format!("version: 1\nproviders: {{mock: {{}}}}\nmodels: {{m: {{targets: [{KEY}]}}}}\n"))),
        ("key as a name", given(format!("version: 1\nproviders:\n  {KEY}: {{x: y}}\n  {KEY}: {{}}\n"))),
        ("key as a field", provider(&format!("    {KEY}: 1"))),
        ("key as a section", given(format!("version: 1\nproviders: {{}}\n{KEY}: 1\n"))),
        (
            "key instead of its digest",
            given(format!("version: 1\nproviders: {{}}\nvirtual_keys: {{k: {{hashes: [{{sha256: {WORD}}}]}}}}\n")),
        ),
        ("key in a list of digests", given(format!("version: 1\nproviders: {{}}\nvirtual_keys: {{k: {{hashes: [{KEY}]}}}}\n"))),
        ("key in a comment beside a fault", provider(&format!("    colour: red # {KEY}"))),
        ("key on a line that is not YAML", provider(&format!("    base_url: {KEY}: x"))),
        ("secret on a line that is not YAML", provider(&format!("    credentials: {{a: {{secret: {WORD}: x}}}}"))),
        ("secret in an open quote", provider(&format!("    credentials: {{a: {{secret: \"{WORD}"))),
        ("secret in a file that is not YAML", given(format!("{TOP}    credentials:\n      a:\n        secret: {WORD}\n       b: x\n"))),
        ("key in a second document", given(format!("{TOP}    {{}}\n--- {KEY}\n"))),
        ("key as a number", provider(&format!("    retries: {{max: {KEY}}}"))),
        ("key instead of a spec", given(KEY)),
        ("key as an alias", provider(&format!("    base_url: *{KEY}"))),
        ("key in a file that is not UTF-8", given([format!("a: {KEY}").as_bytes(), b"\xFF"].concat())),
        ("key as the path to include", given(format!("version: 1\ninclude: [{KEY}, \"{KEY}*\"]\nproviders: {{}}\n"))),
        ("key that a variable holds", provider("    retries: {max: \"${env:N}\"}\n    auth: ${env:N}").env("N", KEY)),
        (
            "key that a variable holds, as a target",
            given("version: 1\nproviders: {mock: {}}\nmodels: {m: {targets: [\"${env:N}\"]}}\n").env("N", KEY),
        ),
        ("key that a file holds", provider("    retries: {max: \"${file:n}\"}").file("n", KEY)),
        (
            "secret in an overlay",
            given(format!("{TOP}    {{}}\n"))
                .main("b.yaml", format!("providers: {{openai: {{credentials: {{a: {{secret: {WORD}}}}}}}}}\n")),
        ),
        (
            "secret in an included file",
            given("version: 1\ninclude: [p.yaml]\n").file("p.yaml", format!("providers: {{openai: {{token: {WORD}}}}}\n")),
        ),
    ]
}

/// Specs with a canary in what a cloud's credential says.
fn cloud_spots() -> Vec<(&'static str, Given)> {
    vec![
        ("secret instead of an account", given(format!("{TOP}    credentials: {{a: {{aws: {WORD}}}}}\n"))),
        ("secret as a key of AWS", given(format!("{TOP}    credentials: {{a: {{aws: {{secret_access_key: {WORD}}}}}}}\n"))),
        ("secret instead of a key file", given(format!("{TOP}    credentials: {{a: {{google: {{service_account: {WORD}}}}}}}\n"))),
        ("secret in a web identity", given(format!("{TOP}    credentials: {{a: {{aws: {{web_identity: {{token: {WORD}}}}}}}}}\n"))),
    ]
}

/// Specs with a canary beside something that was dropped or cut short.
fn broken_spots() -> Vec<(&'static str, Given)> {
    let provider = |line: &str| given(format!("{TOP}{line}\n"));
    vec![
        ("secret that stands twice", provider(&format!("    credentials: {{a: {{secret: none, secret: {WORD}}}}}"))),
        ("secret beside a key that is no text", provider(&format!("    credentials: {{a: {{1: {{secret: {WORD}}}}}}}"))),
        ("secret instead of its credential", provider(&format!("    credentials: {{a: {WORD}}}"))),
        ("secrets instead of credentials", provider(&format!("    credentials: [{WORD}]"))),
        ("secret instead of all credentials", provider(&format!("    credentials: {WORD}"))),
        ("secret in a list of digests", given(format!("version: 1\nproviders: {{}}\nvirtual_keys: {{k: {{hashes: [{WORD}]}}}}\n"))),
    ]
}

fn reports(found: &[Diagnostic], sources: &Sources) -> Vec<(&'static str, String)> {
    vec![
        ("human", report::human(found, sources, false)),
        ("colour", report::human(found, sources, true)),
        ("json", report::json(found, sources).to_string()),
        ("github", report::github(found, sources)),
        ("sarif", report::sarif(found, sources, &|_| None).to_string()),
        ("markdown", report::markdown(found, sources)),
        ("debug", format!("{found:?}")),
    ]
}

#[test]
fn a_secret_in_a_wrong_place_is_refused_and_never_shown() {
    let mut shown = Vec::new();
    for (spot, given) in spots().into_iter().chain(cloud_spots()).chain(broken_spots()) {
        let Err(rejected) = given.load() else { panic!("{spot} is accepted") };
        for (format, text) in reports(&rejected.diagnostics, &rejected.sources) {
            for canary in [KEY, WORD, &KEY[20..], &WORD[8..]] {
                if text.contains(canary) {
                    shown.push(format!("{spot} in {format}: {text}"));
                    break;
                }
            }
        }
    }
    assert!(shown.is_empty(), "{} reports show a secret:\n{}", shown.len(), shown.join("\n"));
}

#[test]
fn the_canary_would_be_seen() {
    let given = given(format!("{TOP}    description: {WORD}\n"));
    let rejected = given.load().unwrap_err();
    let seen = reports(&rejected.diagnostics, &rejected.sources).into_iter().filter(|(_, text)| text.contains(WORD)).count();
    assert!(seen >= 1, "nothing shows the line of a fault any more, so the test above tests nothing");
}
