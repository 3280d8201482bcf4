//! Headers and prompts.

use super::super::support::{findings, loaded};
use super::{expect, spec};

fn header(members: &str) -> String {
    format!("providers: {{mock: {{headers: {{{members}}}}}}}")
}

#[test]
fn some_headers_are_not_the_specs_to_set() {
    for name in
        ["Host", "connection", "Transfer-Encoding", "content-length", "Authorization", "accept-encoding", "te", "proxy-authorization"]
    {
        expect(&[(&header(&format!("{name}: x")), &[&format!("BF0222 /providers/mock/headers/{name}")])]);
    }
    let azure = |header: &str| {
        format!(
            "providers: {{azure: {{base_url: \"https://x.openai.azure.com/openai/v1\", credentials: {{a: {{secret: {{env: A}}}}}}, headers: {{{header}: x}}}}}}\nmodels: {{m: {{targets: [azure/x]}}}}"
        )
    };
    expect(&[
        (&azure("Api-Key"), &["BF0222 /providers/azure/headers/Api-Key"]),
        (&azure("x-ms-client-request-id"), &[]),
        (&header("x-team: growth, OpenAI-Organization: org-1, content-type: application/json, user-agent: bifrost"), &[]),
    ]);
}

#[test]
fn a_credential_travels_in_a_header_that_can_carry_it() {
    let auth =
        |header: &str| format!("providers: {{mock: {{auth: {{header: \"{header}\"}}, credentials: {{a: {{secret: {{env: A}}}}}}}}}}");
    expect(&[
        (&auth("x-api-key"), &[]),
        (&auth("Authorization"), &[]),
        (&auth("Host"), &["BF0222 /providers/mock/auth/header"]),
        (&auth("x key"), &["BF0223 /providers/mock/auth/header"]),
        (&auth(""), &["BF0223 /providers/mock/auth/header"]),
    ]);
}

#[test]
fn a_header_is_spelt_as_headers_are() {
    expect(&[
        (&header("\"x team\": a"), &["BF0223 /providers/mock/headers/x team"]),
        (&header("\"\": a"), &["BF0223 /providers/mock/headers/"]),
        (&header("x-team: \"a\\nb\""), &["BF0223 /providers/mock/headers/x-team"]),
        (&header("x-team: \"{{ model }}\\nb\""), &["BF0223 /providers/mock/headers/x-team"]),
        (&header("x-team: a, X-Team: b"), &["BF0223 /providers/mock/headers/x-team"]),
        (&header("x-team: \"a\\tb\""), &[]),
    ]);
}

#[test]
fn a_header_template_compiles_and_renders_on_every_request() {
    let at = "/providers/mock/headers/x-a";
    for (template, code) in [
        ("{{ key.team }}", None),
        ("{{ key.name }}/{{ model }}", None),
        ("{{ header('x-tier', '') }}", None),
        ("{{ key.labels.env | default('none') }}", None),
        ("{% if stream %}s{% else %}b{% endif %}", None),
        ("{{ key.team", Some("BF0224")),
        ("{{ key.team | lowr }}", Some("BF0224")),
        ("{{ key.taem }}", Some("BF0304")),
        ("{{ key.labels.env }}", Some("BF0225")),
        ("{{ headers['x-tier'] }}", Some("BF0225")),
        ("{% if tools %}{{ headers['x-tier'] }}{% endif %}", Some("BF0225")),
    ] {
        let expected: Vec<String> = code.iter().map(|code| format!("{code} {at}")).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        expect(&[(&header(&format!("x-a: \"{template}\"")), &expected)]);
    }
}

/// Two keys, of which only `labelled` has the label; `fast` needs it.
fn labelled(models_of_plain: &str, rules: &str) -> String {
    format!(
        "models: {{fast: {{targets: [mock/x], prompt: {{system: {{text: \"{{{{ key.labels.env }}}}\"}}}}}}, slow: {{targets: [mock/y]}}}}\nvirtual_keys: {{labelled: {{hashes: [], models: [fast], labels: {{env: prod}}}}, plain: {{hashes: [], models: [{models_of_plain}]}}}}\nrules: [{rules}]"
    )
}

#[test]
fn a_prompt_is_tried_for_those_who_can_reach_it() {
    let at = "BF0225 /models/fast/prompt/system/text";
    expect(&[
        (&labelled("slow", ""), &[]),
        (&labelled("fast", ""), &[at]),
        (&labelled("slow", "{name: r, when: stream, use: fast}"), &[at]),
        (&labelled("slow", "{name: r, when: key.name == 'labelled', use: fast}"), &[]),
        (&labelled("slow", "{name: r, when: model == 'slow' and tokens.input > 8000, use: fast}"), &[at]),
        (&labelled("slow", "{name: r, when: tools, use: slow}"), &[]),
    ]);
    let found = findings(&spec(&labelled("fast", "")));
    assert!(found[0].message.ends_with("(on a request for key `plain`)"), "{found:?}");
}

#[test]
fn a_prompt_in_a_file_is_checked_like_one_in_the_spec() {
    let yaml = spec("models: {m: {targets: [mock/x], prompt: {system: {file: p.j2}}}}");
    for (prompt, code) in
        [("Be brief.", None), ("{{ key.team }}", None), ("Hi {{ key.tema }}", Some("BF0304")), ("{% if %}", Some("BF0224"))]
    {
        let mut loaded = loaded(&yaml);
        loaded.prompts.insert("p.j2".to_owned(), prompt.to_owned());
        let found = bifrostctl::plan::compile(&loaded).err().unwrap_or_default();
        assert_eq!(found.first().map(|found| found.code), code, "{prompt}");
    }
}

#[test]
fn a_disabled_key_sends_no_requests() {
    let yaml = labelled("fast", "").replace("models: [fast]}", "models: [fast], disabled: true}");
    assert!(yaml.contains("disabled"));
    expect(&[(&yaml, &[])]);
}
