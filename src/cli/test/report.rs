//! What came of the tests of all files, told in every format.

use serde_json::{Value, json};

use crate::base::visible;
use crate::cli::codes;
use crate::cli::output::Paint;
use crate::scenario::{Coverage, Part, Ran, Verdict};
use crate::spec::{Diagnostic, LoadedTests, Location, Sources};

/// Names that are shown of what no test uses; more are counted.
const MOST_UNUSED: usize = 8;

/// The tests of a file, and what came of them.
pub(super) struct Suite {
    pub(super) loaded: LoadedTests,
    ran: Ran,
}

/// All of them.
#[derive(Default)]
pub(super) struct Report {
    pub(super) suites: Vec<Suite>,
    /// The files, in the order of the suites.
    pub(super) sources: Sources,
    pub(super) coverage: Option<Coverage>,
}

impl Suite {
    pub(super) const fn new(loaded: LoadedTests, ran: Ran) -> Self {
        Self { loaded, ran }
    }

    /// Returns the name of its file.
    pub(super) fn name(&self) -> String {
        self.loaded.sources.0.first().map(|source| source.path.display().to_string()).unwrap_or_default()
    }

    /// Lists what came, with the places of the tests in the file.
    pub(super) fn verdicts(&self) -> impl Iterator<Item = (usize, &Verdict)> {
        self.ran.verdicts.iter().map(|(place, verdict)| (*place, verdict))
    }

    pub(super) fn test(&self, place: usize) -> &str {
        self.loaded.file.tests.get(place).map(|test| test.name.as_str()).unwrap_or_default()
    }

    /// Returns the line where a test begins, from 1.
    pub(super) fn line(&self, place: usize) -> Option<usize> {
        let at = self.loaded.spans.value(&format!("/tests/{place}/name"))?;
        let text = &self.loaded.sources.0.first()?.text;
        Some(text.get(..at.start)?.matches('\n').count() + 1)
    }
}

impl Report {
    pub(super) fn add(&mut self, suite: Suite) {
        self.sources.0.extend(suite.loaded.sources.0.iter().take(1).cloned());
        if let Some(more) = &suite.ran.coverage {
            self.coverage.get_or_insert_default().add(more);
        }
        self.suites.push(suite);
    }

    pub(super) fn total(&self) -> usize {
        self.suites.iter().map(|suite| suite.ran.verdicts.len()).sum()
    }

    pub(super) fn failed(&self) -> usize {
        self.suites.iter().flat_map(|suite| suite.verdicts()).filter(|(_, verdict)| !verdict.is_passed()).count()
    }

    /// Makes a finding of everything that came otherwise, at its place.
    pub(super) fn diagnostics(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for (file, suite) in self.suites.iter().enumerate() {
            let at = |pointer: &str| suite.loaded.spans.value(pointer).map(|at| Location { file, ..at });
            for (place, verdict) in suite.verdicts() {
                let name = visible(suite.test(place));
                match verdict {
                    Verdict::Done(misses, seen) => found.extend(misses.iter().map(|miss| {
                        let pointer = format!("/tests/{place}/expect/{}", miss.member);
                        let said = Diagnostic::error(codes::TEST_FAILED, format!("{name}: {}", visible(&miss.message)));
                        said.at(at(&pointer)).pointer(pointer).help(format!("what came: {}", visible(&seen.way())))
                    })),
                    Verdict::Broken(member, why) => {
                        let pointer = format!("/tests/{place}{member}");
                        found.push(
                            Diagnostic::error(codes::TEST_BROKEN, format!("{name}: {}", visible(why))).at(at(&pointer)).pointer(pointer),
                        );
                    }
                }
            }
        }
        found
    }

    /// Lists the tests by file.
    pub(super) fn human(&self, color: bool) -> String {
        let paint = Paint(color);
        let mut text = String::new();
        for suite in &self.suites {
            text.push_str(&format!("{}\n", visible(&suite.name())));
            for (place, verdict) in suite.verdicts() {
                let word = match verdict {
                    Verdict::Done(misses, _) if misses.is_empty() => paint.green("ok    "),
                    Verdict::Done(..) => paint.red("FAILED"),
                    Verdict::Broken(..) => paint.red("BROKEN"),
                };
                text.push_str(&format!("  {word}  {}\n", visible(suite.test(place))));
            }
        }
        for (part, unused) in self.unused() {
            text.push_str(&format!("no test uses these {part}: {}\n", visible(&unused)));
        }
        text
    }

    /// Lists what no test uses, by part.
    fn unused(&self) -> Vec<(&'static str, String)> {
        let Some(coverage) = &self.coverage else { return Vec::new() };
        let told = |part: Part| {
            let names: Vec<&str> = coverage.unused(part).collect();
            let more = names.len().checked_sub(MOST_UNUSED).filter(|more| *more > 0);
            let shown = names.iter().take(MOST_UNUSED).copied().collect::<Vec<_>>().join(", ");
            let more = more.map_or_else(String::new, |more| format!(", and {more} more"));
            (!names.is_empty()).then(|| (part.word(), format!("{shown}{more}")))
        };
        Part::ALL.into_iter().filter_map(told).collect()
    }

    /// Tells how much of the spec is used: `; coverage 85% (rules 2 of 3, …)`.
    pub(super) fn told_coverage(&self) -> String {
        let Some(coverage) = &self.coverage else { return String::new() };
        let part = |part: Part| {
            let (used, all) = coverage.count(part);
            (all > 0).then(|| format!("{} {used} of {all}", part.word()))
        };
        let parts: Vec<String> = Part::ALL.into_iter().filter_map(part).collect();
        format!("; coverage {}% ({})", coverage.percent(), parts.join(", "))
    }

    /// Renders what came for a comment.
    pub(super) fn markdown(&self, summary: &str) -> String {
        let mark = if self.failed() == 0 { "✅" } else { "❌" };
        let mut text = format!("**{mark} {}**\n", md(summary));
        for suite in &self.suites {
            for (place, verdict) in suite.verdicts().filter(|(_, verdict)| !verdict.is_passed()) {
                let line = suite.line(place).unwrap_or(1);
                text.push_str(&format!("\n- **{}** ({}:{line})\n", md(suite.test(place)), md(&suite.name())));
                match verdict {
                    Verdict::Done(misses, seen) => {
                        text.extend(misses.iter().map(|miss| format!("  - {}\n", md(&miss.message))));
                        text.push_str(&format!("  - what came: {}\n", md(&seen.way())));
                    }
                    Verdict::Broken(_, why) => text.push_str(&format!("  - {}\n", md(why))),
                }
            }
        }
        for (part, unused) in self.unused() {
            text.push_str(&format!("\nNo test uses these {part}: {}\n", md(&unused)));
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let mut tests = Vec::new();
        for suite in &self.suites {
            for (place, verdict) in suite.verdicts() {
                let head =
                    json!({"file": suite.name(), "line": suite.line(place), "name": suite.test(place), "passed": verdict.is_passed()});
                let rest = match verdict {
                    Verdict::Done(misses, seen) => {
                        let told =
                            |miss: &crate::scenario::Miss| json!({"member": miss.member, "expected": miss.expected, "was": miss.was});
                        let attempts: Vec<Value> = seen.attempts.iter().map(|tried| json!({"target": tried.target, "credential": tried.credential, "outcome": tried.outcome, "status": tried.status, "ms": tried.ms})).collect();
                        json!({"misses": misses.iter().map(told).collect::<Vec<_>>(), "status": seen.status, "error": seen.error,
                            "rule": seen.rule, "alias": seen.alias, "target": seen.target, "attempts": attempts,
                            "duration_ms": seen.duration_ms, "cost": seen.cost})
                    }
                    Verdict::Broken(member, why) => json!({"broken": {"member": member, "why": why}}),
                };
                tests.push(merged(head, rest));
            }
        }
        let coverage = self.coverage.as_ref().map(|coverage| {
            let part = |part: Part| {
                let (used, all) = coverage.count(part);
                (part.word().to_owned(), json!({"used": used, "all": all, "unused": coverage.unused(part).collect::<Vec<_>>()}))
            };
            let parts: serde_json::Map<String, Value> = Part::ALL.into_iter().map(part).collect();
            merged(json!({"percent": coverage.percent()}), Value::Object(parts))
        });
        json!({"total": self.total(), "failed": self.failed(), "tests": tests, "coverage": coverage})
    }
}

fn merged(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut first), Value::Object(second)) => {
            first.extend(second);
            Value::Object(first)
        }
        (first, _) => first,
    }
}

/// Escapes what would be markup in a comment.
fn md(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '@' | '#' | '!' | '$' => out.extend(['\\', character]),
            plain => out.push(plain),
        }
    }
    out
}
