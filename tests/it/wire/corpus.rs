//! The recordings, and what every test of formats needs of them.

use std::path::{Path, PathBuf};

use bifrostctl::wire::Format;
use bifrostctl::wire::codec::{Reply, Target};
use bifrostctl::wire::quirks::Quirks;

/// One recorded exchange.
pub(super) struct Recording {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) status: u16,
    pub(super) request: Option<String>,
    pub(super) answer: Vec<u8>,
    /// The answer came in pieces.
    pub(super) is_stream: bool,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recorded")
}

fn read(path: &str) -> Vec<u8> {
    std::fs::read(folder().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn read_text(path: &str) -> String {
    String::from_utf8(read(path)).unwrap()
}

/// Reads every recording of every format.
pub(super) fn recordings() -> Vec<Recording> {
    let index = read_text("TRANSLATION.tsv");
    let recording = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, format, has_request, status, body, ..] = columns[..] else { panic!("{line}") };
        Recording {
            name: name.to_owned(),
            format: Format::ALL.into_iter().find(|known| known.as_str() == format).unwrap_or_else(|| panic!("{line}")),
            status: status.parse().unwrap(),
            request: (has_request == "yes").then(|| read_text(&format!("{name}.request.json"))),
            answer: read(&format!("{name}.response.{body}")),
            is_stream: body != "json",
        }
    };
    let all: Vec<Recording> = index.lines().skip(1).map(recording).collect();
    assert!(all.len() > 140, "the corpus is there: {}", all.len());
    all
}

/// Reads the request of a format that uses everything the format has.
pub(super) fn fullest_request(format: Format) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/requests/{}.json", format.as_str()));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A model of the format's own maker.
pub(super) fn target(format: Format) -> Target<'static> {
    let model = match format {
        Format::OpenaiChat | Format::OpenaiResponses => "gpt-4.1",
        Format::Anthropic => "claude-sonnet-4-5",
        Format::Gemini => "gemini-3-flash-preview",
        Format::Ollama => "gpt-oss:20b",
        Format::Cohere => "command-a-reasoning-08-2025",
        Format::Bedrock => "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    };
    Target { model, max_output_tokens: None, quirks: &Quirks::OPENAI }
}

/// A client that wants everything it can have.
pub(super) const REPLY: Reply<'static> =
    Reply { request_id: "r1", created: 1_700_000_000, model: "alias", include_usage: true, latency_ms: 0, asked: "" };
