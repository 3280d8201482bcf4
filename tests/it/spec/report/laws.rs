//! What holds for any text, any places and any messages.

use bifrostctl::base::Digest;
use bifrostctl::spec::report::{github, human, json, markdown, sarif};
use bifrostctl::spec::{Diagnostic, Location, Severity, Source, Sources};
use proptest::prelude::*;

const CODES: [&str; 5] = ["BF0001", "BF0101", "BF0207", "BF0301", "BF0412"];
/// Never a part of the generated texts, but for where it is planted.
const SECRET: &str = "Q9z";

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-y ]{0,12}",
        2 => "\n",
        1 => Just("\r\n".to_owned()),
        1 => "\t",
        1 => "[日本🦀é\u{301}\u{200d}\u{202e}\u{1b}\u{0}\u{85}]{1,6}",
        1 => "\\PC{0,4}",
        1 => (0_usize..9_000).prop_map(|count| "x".repeat(count)),
        2 => Just(format!("secret: {SECRET}")),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn location() -> impl Strategy<Value = Location> {
    (0_usize..3, prop_oneof![0_usize..200, 0_usize..12_000, Just(usize::MAX)], prop_oneof![0_usize..30, 0_usize..9_000])
        .prop_map(|(file, start, length)| Location { file, start, end: start.saturating_add(length) })
}

fn message() -> impl Strategy<Value = String> {
    prop_oneof!["[a-y `|<>@#%:]{0,40}", "\\PC{0,10}", "[\n\r\u{1b}\u{202e}a]{0,10}", (0_usize..5_000).prop_map(|count| "m".repeat(count))]
}

fn diagnostic() -> impl Strategy<Value = Diagnostic> {
    let severity = prop::sample::select(vec![Severity::Info, Severity::Warning, Severity::Error]);
    let related = prop::collection::vec((location(), message()), 0..4);
    let place = prop::option::of(location());
    (prop::sample::select(&CODES[..]), severity, message(), place, related, prop::option::of(message()), any::<bool>()).prop_map(
        |(code, severity, message, location, related, help, sensitive)| Diagnostic {
            code,
            severity,
            message,
            location,
            pointer: None,
            related,
            help,
            sensitive,
        },
    )
}

fn source() -> impl Strategy<Value = Source> {
    (text(), ".{1,8}").prop_map(|(text, path)| {
        let redacted = text.match_indices(SECRET).map(|(at, found)| at..at + found.len()).collect();
        Source { path: path.into(), digest: Digest::of(text.as_bytes()), text, redacted }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_report_holds_every_code_and_no_secret_and_no_control(
        sources in prop::collection::vec(source(), 0..3),
        diagnostics in prop::collection::vec(diagnostic(), 0..8),
    ) {
        let sources = Sources(sources);
        let reports = [
            human(&diagnostics, &sources, false),
            json(&diagnostics, &sources).to_string(),
            github(&diagnostics, &sources),
            markdown(&diagnostics, &sources),
            sarif(&diagnostics, &sources, &|_| None).to_string(),
        ];
        for (format, report) in ["human", "json", "github", "markdown", "sarif"].iter().zip(&reports) {
            for diagnostic in &diagnostics {
                prop_assert!(report.contains(diagnostic.code), "{format} lost {}", diagnostic.code);
            }
            prop_assert!(!report.contains(SECRET), "{format} shows a secret: {report}");
            prop_assert!(!report.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{format}: {report:?}");
        }
        prop_assert_eq!(reports[2].lines().count(), diagnostics.len());
        prop_assert!(reports[3].chars().count() <= 60_000);
    }
}

#[test]
fn a_finding_costs_the_same_on_a_line_of_two_megabytes() {
    let text = "a: {b: [c, d]}, ".repeat(130_000);
    let (step, count) = (text.len() / 2_000, 2_000);
    let sources = Sources(vec![Source { path: "a.yaml".into(), digest: Digest::of(text.as_bytes()), redacted: Vec::new(), text }]);
    let location = |n: usize| Location { file: 0, start: n * step, end: n * step + 6 };
    let diagnostics: Vec<Diagnostic> = (0..count).map(|n| Diagnostic::error("BF0207", "no such thing").at(Some(location(n)))).collect();
    let started = std::time::Instant::now();
    let lengths = [
        human(&diagnostics, &sources, false).len(),
        json(&diagnostics, &sources).to_string().len(),
        github(&diagnostics, &sources).len(),
        markdown(&diagnostics, &sources).len(),
        sarif(&diagnostics, &sources, &|_| None).to_string().len(),
    ];
    // About a second without optimisation; minutes when each finding reads the line.
    assert!(started.elapsed().as_secs() < 20, "{:?} for {lengths:?}", started.elapsed());
}
