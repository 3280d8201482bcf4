//! The parts of pages that are written from the code.

use std::fmt::Write as _;

use bifrostctl::catalog::{Cloud, CredentialNeed, presets};
use bifrostctl::cli;
use bifrostctl::control;
use bifrostctl::plan::{self, expr::FACTS};
use bifrostctl::spec::{self, Api, AuthScheme};
use bifrostctl::telemetry::names::ALL;
use bifrostctl::telemetry::{AccessEntry, AttemptEntry, Endpoint};

/// Writes the block of this name.
pub(super) fn block(name: &str) -> String {
    match name {
        "spec" => crate::spec::reference::reference(),
        "tests" => crate::spec::reference::reference_of(&spec::test_schema(spec::Draft::Latest)),
        "walk" => super::walk::walk(),
        "facts" => facts(),
        "exit-codes" => exit_codes(),
        "presets" => the_presets(),
        "codes" => codes(),
        "metrics" => metrics(),
        "access-log" => access_log(),
        other => panic!("no part of a page is called `{other}`"),
    }
}

fn exit_codes() -> String {
    let mut out = "\n| code | means |\n|---|---|\n".to_owned();
    for exit in cli::Exit::ALL {
        let _ = writeln!(out, "| {} | {} |", exit.code(), exit.meaning());
    }
    out + "\n"
}

fn facts() -> String {
    let mut out = "\n| fact | kind | is |\n|---|---|---|\n".to_owned();
    for fact in FACTS {
        let _ = writeln!(out, "| `{}` | {} | {} |", fact.path, fact.kind, fact.about);
    }
    out + "\n"
}

fn the_presets() -> String {
    let mut out = "\n| name | provider | key | note |\n|---|---|---|---|\n".to_owned();
    for (name, preset) in presets() {
        let variable = preset.env.as_deref().map(|name| format!("`{name}`")).unwrap_or_default();
        let key = match preset.credential {
            CredentialNeed::Required => variable,
            CredentialNeed::Optional => format!("optional: {variable}"),
            CredentialNeed::None => "none".to_owned(),
        };
        let header = match &preset.auth {
            AuthScheme::Header(header) => format!(" in the header `{header}`"),
            AuthScheme::Bearer | AuthScheme::None => String::new(),
        };
        let is_cloud = preset.api == Api::Bedrock || preset.cloud == Some(Cloud::Vertex);
        let address = if preset.base_url.is_none() && !is_cloud { "Needs `base_url`. " } else { "" };
        let key = if is_cloud { format!("[several ways](clouds.md); {key}") } else { key };
        let _ = writeln!(out, "| `{name}` | {} | {key}{header} | {address}{} |", preset.title, preset.note.trim());
    }
    out + "\n"
}

fn codes() -> String {
    let mut out = String::new();
    let sections = [
        ("Files and fields", spec::codes::CODES),
        ("Meaning", plan::codes::CODES),
        ("A running gateway", control::codes::CODES),
        ("The command line", cli::codes::CODES),
    ];
    for (title, codes) in sections {
        let _ = write!(out, "\n## {title}\n");
        for code in codes {
            let _ = write!(out, "\n### {}: {}\n\n{}\n", code.code, code.title, code.explanation);
        }
    }
    out + "\n"
}

fn metrics() -> String {
    let mut out = "\n| metric | labels | is |\n|---|---|---|\n".to_owned();
    for name in ALL {
        let labels: Vec<String> = name.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(out, "| `{}` | {} | {} |", name.full(), labels.join(" "), name.help);
    }
    out + "\n"
}

fn access_log() -> String {
    let attempts = [
        AttemptEntry {
            target: ("openai", "gpt-4.1-mini"),
            credential: Some("default"),
            outcome: "upstream_overload",
            detail: Some("upstream status 503 Service Unavailable"),
            status: Some(503),
            ms: 41,
            is_hedge: false,
        },
        AttemptEntry {
            target: ("mistral", "mistral-small-latest"),
            credential: Some("default"),
            outcome: "ok",
            status: Some(200),
            ms: 702,
            ..AttemptEntry::default()
        },
    ];
    let entry = AccessEntry {
        unix_ms: 1_795_608_000_123,
        request_id: "9c5b94b1d4f24f2c",
        revision: 7,
        method: "POST",
        path: "/v1/chat/completions",
        endpoint: Some(Endpoint::ChatCompletions),
        key: Some("web-app"),
        team: Some("growth"),
        model: Some("fast"),
        alias: Some("fast"),
        target: Some(attempts[1].target),
        credential: attempts[1].credential,
        attempts: &attempts,
        fallbacks: 1,
        status: 200,
        stream: true,
        duration_ms: 744,
        overhead_us: 310,
        ttft_ms: Some(388),
        tokens_in: Some(812),
        tokens_out: Some(96),
        usage_source: Some("provider"),
        bytes_in: 3_391,
        bytes_out: 18_211,
        ..AccessEntry::default()
    };
    let mut line = Vec::new();
    entry.write(&mut line);
    // A line of the log is one line; a page wants several.
    let line = String::from_utf8(line).unwrap().replace(",\"key\"", ",\n \"key\"").replace(",\"attempts\"", ",\n \"attempts\"");
    let line = line.replace(",{\"target\"", ",\n             {\"target\"").replace(",\"fallbacks\"", ",\n \"fallbacks\"");
    format!("\n```json\n{}```\n\n", line.replace(",\"usage_source\"", ",\n \"usage_source\""))
}
