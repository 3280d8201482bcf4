//! The findings of an import: as a list for people, as data, and as a table for a pull request.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::output::{Details, Format, Paint};
use crate::cli::table_text::count;
use crate::cli::written::dotted;
use crate::import::{Class, Finding, Imported};
use crate::spec::report::{code, prose};

/// Places that one sentence names; the others are counted.
const PLACES: usize = 3;
/// Characters of a comment on a pull request, with room for what it stands in.
const LONGEST: usize = 55_000;

/// What was imported, on its way out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report<'i> {
    pub(crate) imported: &'i Imported,
    /// Whether what is exact is listed, too.
    pub(crate) verbose: bool,
}

/// Findings that say the same of several values.
struct Group<'i> {
    first: &'i Finding,
    others: Vec<&'i Finding>,
}

impl<'i> Report<'i> {
    /// Says how many values became what.
    pub(crate) fn summary(&self) -> String {
        let number = |class: Class| self.imported.count(class);
        let parts: Vec<String> = Class::ALL.into_iter().map(|class| format!("{} {}", number(class), class.word())).collect();
        format!("{}: {}", count(self.imported.findings.len(), "finding"), parts.join(", "))
    }

    pub(crate) fn counts(&self) -> Value {
        let counts: BTreeMap<&str, usize> = Class::ALL.into_iter().map(|class| (class.word(), self.imported.count(class))).collect();
        json!(counts)
    }

    pub(crate) fn json(&self) -> Value {
        let finding = |it: &Finding| {
            let place = it.place.as_ref();
            json!({
                "class": it.class,
                "pointer": it.pointer,
                "path": it.path,
                "file": place.map(|place| &place.file),
                "line": place.map(|place| place.line),
                "column": place.map(|place| place.column),
                "became": it.became,
                "why": it.why,
            })
        };
        Value::Array(self.imported.findings.iter().map(finding).collect())
    }

    /// Returns what other formats get.
    pub(crate) fn details(&self) -> Details {
        Details { renditions: BTreeMap::from([(Format::Markdown, self.markdown())]), ..Details::default() }
    }

    /// Lists the findings for a person: what is left to do first.
    pub(crate) fn human(&self, color: bool) -> String {
        let paint = Paint(color);
        let mut out = String::new();
        for class in [Class::Manual, Class::Unsupported, Class::Approximate, Class::Exact] {
            let number = self.imported.count(class);
            if number == 0 || (class == Class::Exact && !self.verbose) {
                continue;
            }
            let title = format!("{} ({number})", class.word());
            let title = match class {
                Class::Manual => paint.red(&title),
                Class::Unsupported | Class::Approximate => paint.yellow(&title),
                Class::Exact => paint.green(&title),
            };
            let _ = writeln!(out, "{title}");
            for group in self.groups(class) {
                // Each value that is lost or left to do has a line: nobody looks for what is not named.
                let lists_all = matches!(class, Class::Manual | Class::Unsupported);
                let _ = writeln!(out, "  {}", group.head(!lists_all));
                for other in group.others.iter().filter(|_| lists_all) {
                    let _ = writeln!(out, "  {}", placed(other));
                }
                if !group.first.why.is_empty() {
                    let _ = writeln!(out, "      {}", group.first.why);
                }
            }
            out.push('\n');
        }
        out
    }

    /// Writes a table for a pull request, which holds all but what is exact.
    fn markdown(&self) -> String {
        let mut out = format!("**{}**\n\n| | Place | Value | Became | |\n|---|---|---|---|---|\n", self.summary());
        let mut left_out = 0;
        for class in [Class::Manual, Class::Unsupported, Class::Approximate] {
            for group in self.groups(class) {
                let row = group.row();
                if out.len() + row.len() > LONGEST {
                    left_out += 1 + group.others.len();
                } else {
                    out.push_str(&row);
                }
            }
        }
        if left_out > 0 {
            let _ = writeln!(out, "\n{} more did not fit.", count(left_out, "finding"));
        }
        out
    }

    /// Puts what says the same together, in the order of the source.
    fn groups(&self, class: Class) -> Vec<Group<'i>> {
        let mut groups: Vec<Group<'i>> = Vec::new();
        for finding in self.imported.findings.iter().filter(|it| it.class == class) {
            match groups.iter_mut().find(|group| !finding.why.is_empty() && group.first.why == finding.why) {
                Some(group) => group.others.push(finding),
                None => groups.push(Group { first: finding, others: Vec::new() }),
            }
        }
        groups
    }
}

impl Group<'_> {
    fn head(&self, with_others: bool) -> String {
        let more = self.more();
        let more = if more.is_empty() || !with_others { String::new() } else { format!("; {more}") };
        format!("{}{more}", placed(self.first))
    }

    /// Names some of the other places, and counts the rest.
    fn more(&self) -> String {
        let named: Vec<String> = self.others.iter().take(PLACES).map(|it| it.path.clone()).collect();
        match self.others.len().saturating_sub(PLACES) {
            0 => named.join(", "),
            more => format!("{} and {more} more", named.join(", ")),
        }
    }

    fn row(&self) -> String {
        let more = self.more();
        let more = if more.is_empty() { String::new() } else { format!(", {}", prose(&more)) };
        let became = self.first.became.as_deref().map(dotted).unwrap_or_default();
        let place = self.first.place.as_ref().map(ToString::to_string).unwrap_or_default();
        let (class, why) = (self.first.class.word(), prose(&self.first.why));
        format!("| {class} | {} | {}{more} | {} | {why} |\n", code(&place), code(&self.first.path), code(&became))
    }
}

/// Names a value with its place, and what it became.
fn placed(finding: &Finding) -> String {
    let became = finding.became.as_deref().map(|became| format!(" → {}", dotted(became))).unwrap_or_default();
    let place = finding.place.as_ref().map(|place| format!("{place}  ")).unwrap_or_default();
    format!("{place}{}{became}", finding.path)
}
