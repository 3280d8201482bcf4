//! Diagnostics on their way out: in every format at once, as data or as messages.

use std::collections::BTreeMap;

use serde_json::Value;

use super::context::Context;
use super::output::{Details, Format, color, pretty};
use super::table_text::count;
use super::validate::explain;
use crate::spec::codes::Code;
use crate::spec::report;
use crate::spec::{Diagnostic, Severity, Sources};

/// What the checks found, with the texts in which they found it.
#[derive(Debug, Clone)]
pub(crate) struct Findings<'s> {
    list: Vec<Diagnostic>,
    sources: &'s Sources,
}

impl<'s> Findings<'s> {
    /// Holds findings together with their sources.
    pub(crate) const fn new(list: Vec<Diagnostic>, sources: &'s Sources) -> Self {
        Self { list, sources }
    }

    /// Counts findings of a severity.
    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|found| found.severity == severity).count()
    }

    /// Says how many of what there are: `2 errors, 1 warning`; empty when there is nothing to mention.
    pub(crate) fn tally(&self) -> String {
        let kinds = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "note")];
        let parts = kinds.iter().map(|(severity, noun)| (self.count(*severity), noun)).filter(|(number, _)| *number > 0);
        parts.map(|(number, noun)| count(number, noun)).collect::<Vec<_>>().join(", ")
    }

    /// Returns the code of the worst finding, the first of several.
    pub(crate) fn first_code(&self) -> Option<&'static str> {
        let mentioned = self.list.iter().filter(|found| found.severity != Severity::Info);
        mentioned.min_by_key(|found| std::cmp::Reverse(found.severity)).map(|found| found.code)
    }

    /// Renders for a person. The count at the end is left to the summary.
    pub(crate) fn human(&self, color: bool) -> String {
        let text = report::human(&self.list, self.sources, color);
        text.rsplit_once("\n\n").map_or(String::new(), |(findings, _)| format!("{findings}\n\n"))
    }

    /// Renders for machines only.
    pub(crate) fn details(&self) -> Details {
        let renditions = BTreeMap::from([
            (Format::Github, report::github(&self.list, self.sources)),
            (Format::Sarif, pretty(&report::sarif(&self.list, self.sources, &explained))),
            (Format::Markdown, report::markdown(&self.list, self.sources)),
        ]);
        let diagnostics = match report::json(&self.list, self.sources) {
            Value::Array(diagnostics) => diagnostics,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Vec::new(),
        };
        Details { diagnostics, renditions, ..Details::default() }
    }

    /// Renders for machines, and for a person as messages: for commands whose data is something else.
    pub(crate) fn messages(&self, context: &Context<'_>) -> Details {
        let color = color(context.global.color, context.io.terminal.stderr, context.io);
        Details { messages: self.human(color), ..self.details() }
    }
}

/// Explains a code to code scanning.
pub(crate) fn explained(code: &str) -> Option<Code> {
    explain::find(code).ok()
}

/// Makes a JSON pointer from its members.
pub(crate) fn pointer(members: &[&str]) -> String {
    members.iter().map(|member| format!("/{}", member.replace('~', "~0").replace('/', "~1"))).collect()
}
