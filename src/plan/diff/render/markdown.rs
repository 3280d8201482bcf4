//! For a comment on a pull request: the headline, a table with the riskiest changes first, details collapsed, and a fixed size.

use super::escape::{cell, code, cut, sentence};
use super::{Place, detail, risk_word};
use crate::plan::diff::{Action, Change, Diff, Risk};

/// Characters that a comment may have; GitHub refuses more than 65,536.
pub const MARKDOWN_MAX_CHARS: usize = 60_000;
/// Characters kept free for saying what did not fit.
const RESERVE: usize = 400;
/// Characters of one cell, before escaping.
const CELL: usize = 200;
/// Lines of one change's details.
const DETAIL_LINES: usize = 400;
/// Characters of one of these lines.
const DETAIL_CHARS: usize = 500;

/// Writes a diff as a comment of at most `max_chars` characters.
pub fn markdown(diff: &Diff, title: &str, place: &Place<'_>, max_chars: usize) -> String {
    let mut comment = Comment { text: String::new(), chars: 0, limit: max_chars.saturating_sub(RESERVE) };
    comment.push(&headline(diff, title));
    if !diff.is_empty() {
        let mut changes: Vec<&Change> = diff.changes.iter().collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.risk));
        let shown = table(&mut comment, &changes, place);
        details(&mut comment, &changes, shown);
    }
    // Only a limit too small for the headline itself gets here.
    if let Some((end, _)) = comment.text.char_indices().nth(max_chars) {
        comment.text.truncate(end);
    }
    comment.text
}

/// Text that knows its size in characters.
struct Comment {
    text: String,
    chars: usize,
    limit: usize,
}

impl Comment {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.chars += text.chars().count();
    }

    /// Adds a text if all of it fits.
    fn try_push(&mut self, text: &str) -> bool {
        let fits = self.chars + text.chars().count() <= self.limit;
        if fits {
            self.push(text);
        }
        fits
    }
}

fn headline(diff: &Diff, title: &str) -> String {
    let title = sentence(&cut(title, CELL));
    if diff.is_empty() {
        return format!("### {title}\n\nNo difference.\n");
    }
    let risk = diff.risk();
    let of_it = diff.changes.iter().filter(|change| change.risk == risk).count();
    let mut text = format!("### {title}\n\n**Risk {}** ({of_it} of {}) · {}\n", risk_word(risk), diff.changes.len(), diff.summary());
    let restart: Vec<String> = diff.needs_restart().iter().map(|change| code(&cut(&change.path, CELL))).collect();
    match restart.split_at_checked(8) {
        _ if restart.is_empty() => text.push_str("\nNothing needs a restart.\n"),
        Some((first, rest)) if !rest.is_empty() => {
            text.push_str(&warning(&format!("{} and {} more", first.join(", "), rest.len())));
        }
        Some(_) | None => text.push_str(&warning(&restart.join(", "))),
    }
    text
}

fn warning(paths: &str) -> String {
    format!("\n> [!WARNING]\n> Needs a restart: {paths}. A running gateway refuses the whole file until then.\n")
}

/// Writes the rows that fit; returns how many.
fn table(comment: &mut Comment, changes: &[&Change], place: &Place<'_>) -> usize {
    comment.push("\n| | where | what | risk | why |\n|---|---|---|---|---|\n");
    let mut shown = 0;
    for change in changes {
        if !comment.try_push(&row(change, place)) {
            break;
        }
        shown += 1;
    }
    let left_out = changes.get(shown..).unwrap_or_default();
    if !left_out.is_empty() {
        let counts: Vec<String> = [Risk::High, Risk::Medium, Risk::Low, Risk::None]
            .into_iter()
            .map(|risk| (risk, left_out.iter().filter(|change| change.risk == risk).count()))
            .filter(|(_, count)| *count > 0)
            .map(|(risk, count)| format!("{count} {}", risk_word(risk)))
            .collect();
        let more = if left_out.len() == 1 { "1 more change does" } else { &format!("{} more changes do", left_out.len()) };
        comment.push(&format!("\n**{more} not fit here** ({}).\n", counts.join(", ")));
    }
    shown
}

fn row(change: &Change, place: &Place<'_>) -> String {
    let sign = match change.action {
        Action::Added => "+",
        Action::Removed => "−",
        Action::Changed => "~",
    };
    let risk = match change.risk {
        Risk::High => "**HIGH**",
        Risk::None | Risk::Low | Risk::Medium => risk_word(change.risk),
    };
    let at = place(change).map(|place| format!("<br>{}", cell(&cut(&place, CELL)))).unwrap_or_default();
    format!(
        "| {sign} | {}{at} | {} | {risk} | {} |\n",
        code(&cut(&change.path, CELL)),
        cell(&cut(&change.summary, CELL)),
        sentence(change.reason.as_deref().unwrap_or_default()),
    )
}

fn details(comment: &mut Comment, changes: &[&Change], shown: usize) {
    const OPEN: &str = "\n<details><summary>Details</summary>\n";
    const CLOSE: &str = "\n</details>\n";
    let with_details = changes.iter().take(shown).map(|change| (change, detail::lines(change))).filter(|(_, lines)| !lines.is_empty());
    let (mut opened, mut left_out) = (false, 0);
    for (change, lines) in with_details {
        let block = block(change, &lines);
        let whole = if opened { block } else { format!("{OPEN}{block}") };
        if comment.try_push(&whole) {
            opened = true;
        } else {
            left_out += 1;
        }
    }
    if opened {
        comment.push(CLOSE);
    }
    if left_out > 0 {
        let changes = if left_out == 1 { "1 change" } else { &format!("{left_out} changes") };
        comment.push(&format!("\nThe details of {changes} do not fit here.\n"));
    }
}

fn block(change: &Change, lines: &[String]) -> String {
    let shown: Vec<String> = lines.iter().take(DETAIL_LINES).map(|line| cut(line, DETAIL_CHARS)).collect();
    let more = match lines.len() - shown.len() {
        0 => String::new(),
        more => format!("@@ {more} more lines @@\n"),
    };
    let body = shown.join("\n");
    let fence = "`".repeat(longest_run(&body).max(2) + 1);
    format!("\n{}\n\n{fence}diff\n{body}\n{more}{fence}\n", code(&cut(&change.path, CELL)))
}

/// Returns the length of the longest run of backticks: a fence must be longer than all that it holds.
fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for character in text.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}
