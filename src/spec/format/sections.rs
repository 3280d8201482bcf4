//! The sections of the top level: their order, and the blank lines between them.
//!
//! A section takes along the comments above it. What stands above the first one and is set apart by an empty line, or speaks to an
//! editor, is the head of the file and stays; so does what stands at the end.

use super::super::load::section_rank;
use super::lines::Line;

/// What a comment that tells an editor about the file begins with.
const MODELINE: &str = "# yaml-language-server:";

/// A file, cut up.
struct Parts {
    head: Vec<Line>,
    /// Whether an empty line stands behind the head.
    apart: bool,
    sections: Vec<(String, Vec<Line>)>,
    /// With the empty line before it, if there is one.
    foot: Vec<Line>,
}

/// Puts the sections in order, one empty line between two of them, and drops those around it all.
pub(super) fn arrange(lines: Vec<Line>, movable: bool) -> Vec<Line> {
    let mut parts = cut(lines);
    if movable {
        // Stable: what the schema does not know stays in its order, at the end.
        parts.sections.sort_by_key(|(name, _)| section_rank(name));
    }
    let mut out: Vec<Line> = parts.head;
    let mut gap = parts.apart;
    for (_, lines) in parts.sections {
        // Behind a block text that keeps its empty lines, another one would be text.
        if gap && out.last().is_some_and(|line| !line.keeps) {
            out.push(Line::default());
        }
        out.extend(lines);
        gap = true;
    }
    let blanks = if out.last().is_some_and(|line| line.keeps) { parts.foot.iter().take_while(|line| line.is_blank()).count() } else { 0 };
    out.extend(parts.foot.into_iter().skip(blanks));
    let skipped = out.iter().position(|line| !line.is_blank()).unwrap_or(out.len());
    let kept = out.iter().rposition(|line| !line.is_blank()).map_or(0, |last| last + 1);
    out.into_iter().take(kept).skip(skipped).collect()
}

fn cut(lines: Vec<Line>) -> Parts {
    let starts: Vec<usize> = lines.iter().enumerate().filter(|(_, line)| line.section.is_some()).map(|(at, _)| at).collect();
    let Some(first) = starts.first() else {
        return Parts { head: lines, apart: false, sections: Vec::new(), foot: Vec::new() };
    };
    let head = head_of(&lines, *first);
    let begins: Vec<usize> = starts.iter().enumerate().map(|(number, at)| if number == 0 { head } else { above(&lines, *at) }).collect();
    let foot = foot_of(&lines);
    let mut parts = Parts { head: Vec::new(), apart: false, sections: Vec::new(), foot: Vec::new() };
    let names: Vec<String> = starts.iter().filter_map(|at| lines.get(*at)?.section.clone()).collect();
    for (at, line) in lines.into_iter().enumerate() {
        let number = begins.iter().rposition(|begin| *begin <= at);
        match number.filter(|_| at < foot).and_then(|number| names.get(number).map(|name| (number, name))) {
            Some((number, name)) => {
                if parts.sections.len() == number {
                    parts.sections.push((name.clone(), Vec::new()));
                }
                if let Some((_, section)) = parts.sections.last_mut() {
                    section.push(line);
                }
            }
            None if at < foot => parts.head.push(line),
            None => parts.foot.push(line),
        }
    }
    parts.apart = pop_blank(&mut parts.head);
    parts.sections.iter_mut().for_each(|(_, lines)| {
        pop_blank(lines);
    });
    parts
}

/// Removes the empty lines at the end; returns whether there was one.
fn pop_blank(lines: &mut Vec<Line>) -> bool {
    let length = lines.iter().rposition(|line| !line.is_blank()).map_or(0, |last| last + 1);
    let popped = length < lines.len();
    lines.truncate(length);
    popped
}

/// Returns whether a line is a comment that belongs to the top level.
fn is_outer_comment(line: &Line) -> bool {
    line.own.is_some() && !line.goes_on && line.text.starts_with('#')
}

/// Finds where the comments begin that stand above a section.
fn above(lines: &[Line], at: usize) -> usize {
    let before = lines.get(..at).unwrap_or_default();
    let length = before.iter().rev().take_while(|line| line.is_blank() || is_outer_comment(line)).count();
    let mut begin = at - length;
    while begin < at && lines.get(begin).is_some_and(Line::is_blank) {
        begin += 1;
    }
    begin
}

/// Finds where the head of the file ends.
fn head_of(lines: &[Line], first: usize) -> usize {
    let before = lines.get(..first).unwrap_or_default();
    let near = before.iter().rev().take_while(|line| is_outer_comment(line)).count();
    let spoken = before.iter().rposition(|line| line.text.starts_with(MODELINE)).map_or(0, |last| last + 1);
    (first - near).max(spoken)
}

/// Finds where the last section ends: before the comments and the mark at the end of the file.
fn foot_of(lines: &[Line]) -> usize {
    let outside = |line: &&Line| line.is_blank() || is_outer_comment(line) || line.marker;
    lines.len() - lines.iter().rev().take_while(outside).count()
}
