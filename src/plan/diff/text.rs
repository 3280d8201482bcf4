//! Texts compared line by line.

use similar::{ChangeTag, TextDiff};

use super::shown;

/// Returns `2 lines added, 1 removed`.
pub(super) fn summary(base: &str, new: &str) -> String {
    let (mut added, mut removed) = (0, 0);
    for (tag, _) in lines(base, new) {
        match tag {
            ChangeTag::Insert => added += 1,
            ChangeTag::Delete => removed += 1,
            ChangeTag::Equal => {}
        }
    }
    match (added, removed) {
        (0, removed) => format!("{} removed", shown::count(removed, "line")),
        (added, 0) => format!("{} added", shown::count(added, "line")),
        (added, removed) => format!("{} added, {removed} removed", shown::count(added, "line")),
    }
}

/// Lines between the common ends of two texts beyond which they count as replaced: the exact way takes time in their product.
const EXACT: usize = 2_000;

/// Returns the lines of both texts with what happened to them.
pub(super) fn lines<'t>(base: &'t str, new: &'t str) -> Vec<(ChangeTag, &'t str)> {
    let (old, young): (Vec<&str>, Vec<&str>) = (base.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let head = old.iter().zip(&young).take_while(|(a, b)| a == b).count();
    let tail = old.iter().rev().zip(young.iter().rev()).take_while(|(a, b)| a == b).count().min(old.len().min(young.len()) - head);
    let middle = |lines: &[&'t str]| lines.get(head..lines.len() - tail).unwrap_or_default().to_vec();
    let (old_middle, new_middle) = (middle(&old), middle(&young));
    let mut lines: Vec<(ChangeTag, &str)> = old.iter().take(head).map(|line| (ChangeTag::Equal, *line)).collect();
    if old_middle.len().max(new_middle.len()) > EXACT {
        lines.extend(old_middle.into_iter().map(|line| (ChangeTag::Delete, line)));
        lines.extend(new_middle.into_iter().map(|line| (ChangeTag::Insert, line)));
    } else {
        let found = TextDiff::from_slices(&old_middle, &new_middle);
        lines.extend(found.iter_all_changes().map(|change| (change.tag(), change.value())));
    }
    lines.extend(old.iter().skip(old.len() - tail).map(|line| (ChangeTag::Equal, *line)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_as_added_and_removed() {
        for (base, new, expected) in [
            ("a\nb\nc\n", "a\nB\nx\nc\n", "2 lines added, 1 removed"),
            ("a\n", "a\nb\n", "1 line added"),
            ("a\nb\n", "a\n", "1 line removed"),
            ("a", "a\n", "1 line added, 1 removed"),
            ("", "a", "1 line added"),
            ("a\na\n", "a\n", "1 line removed"),
        ] {
            assert_eq!(summary(base, new), expected, "{base:?} {new:?}");
        }
    }

    #[test]
    fn two_huge_texts_without_a_common_line_are_compared_quickly() {
        let text = |from: u32| (from..from + 300_000).fold(String::new(), |text, n| text + &n.to_string() + "\n");
        let started = std::time::Instant::now();
        assert_eq!(summary(&text(0), &text(1_000_000)), "300000 lines added, 300000 removed");
        assert!(started.elapsed().as_secs() < 5);
    }
}
