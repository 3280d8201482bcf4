//! For a terminal: one line per change in columns, the consequence below it where it does not fit.

use std::fmt::Write as _;

use super::escape::cut;
use super::{Place, risk_word};
use crate::base::visible;
use crate::plan::diff::{Action, Change, Diff, Risk};

/// Widths up to which columns are lined up; what is longer pushes its own line only.
const WIDTHS: [usize; 3] = [56, 56, 44];
/// Characters of one summary.
const SUMMARY: usize = 160;

/// Writes a diff for a terminal.
pub fn human(diff: &Diff, title: &str, place: &Place<'_>, color: bool) -> String {
    let paint = Paint(color);
    let mut text = format!("{}\n", paint.bold(&visible(title)));
    if diff.is_empty() {
        text.push_str("no difference\n");
        return text;
    }
    let rows: Vec<Row<'_>> = diff.changes.iter().map(|change| Row::new(change, place)).collect();
    let mut widths = [0; 3];
    for (column, width) in widths.iter_mut().enumerate() {
        let most = WIDTHS.get(column).copied().unwrap_or_default();
        *width = rows.iter().filter_map(|row| row.cells.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0).min(most);
    }
    for row in &rows {
        row.write(&mut text, widths, paint);
    }
    text.push_str(&last_line(diff, paint));
    text
}

struct Row<'a> {
    change: &'a Change,
    /// Path, summary, note.
    cells: [String; 3],
    below: Option<String>,
}

impl<'a> Row<'a> {
    fn new(change: &'a Change, place: &Place<'_>) -> Self {
        let reason = change.reason.as_deref().map(visible);
        let (note, below) = match (place(change), reason) {
            (Some(place), reason) => (visible(&place), reason),
            (None, Some(reason)) if reason.chars().count() <= WIDTHS[2] => (reason, None),
            (None, reason) => (String::new(), reason),
        };
        Self { change, cells: [visible(&change.path), cut(&visible(&change.summary), SUMMARY), note], below }
    }

    fn write(&self, text: &mut String, widths: [usize; 3], paint: Paint) {
        let sign = match self.change.action {
            Action::Added => paint.green("+"),
            Action::Removed => paint.red("-"),
            Action::Changed => paint.yellow("~"),
        };
        let _ = write!(text, "  {sign} ");
        for (cell, width) in self.cells.iter().zip(widths) {
            let _ = write!(text, "{cell:<width$}");
            if width > 0 {
                text.push_str("   ");
            }
        }
        text.push_str(&paint.risk(self.change.risk));
        text.push('\n');
        if let Some(below) = &self.below {
            let _ = writeln!(text, "      {}", paint.dim(below));
        }
    }
}

fn last_line(diff: &Diff, paint: Paint) -> String {
    let risk = diff.risk();
    let count = diff.changes.iter().filter(|change| change.risk == risk).count();
    let restart: Vec<String> = diff.needs_restart().iter().map(|change| visible(&change.path)).collect();
    let restart = if restart.is_empty() {
        "nothing needs a restart".to_owned()
    } else {
        paint.yellow(&format!("needs a restart: {}", restart.join(", ")))
    };
    format!("{} · risk {} ({count}) · {restart}\n", diff.summary(), paint.risk(risk))
}

/// Colours words, or leaves them.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn code(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.code("2", text)
    }

    fn red(self, text: &str) -> String {
        self.code("31", text)
    }

    fn green(self, text: &str) -> String {
        self.code("32", text)
    }

    fn yellow(self, text: &str) -> String {
        self.code("33", text)
    }

    fn risk(self, risk: Risk) -> String {
        let word = risk_word(risk);
        match risk {
            Risk::High => self.code("1;31", word),
            Risk::Medium => self.yellow(word),
            Risk::Low => word.to_owned(),
            Risk::None => self.dim(word),
        }
    }
}
