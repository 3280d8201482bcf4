//! What a look means. Decides, does no I/O: looks and time are arguments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::look::{Look, Seen, matches};
use super::{Read, Trigger, WatchSet};

/// For how many quiet periods a file must have been missing before that is said: an editor's rename takes microseconds.
const MISSING_FOR: u32 = 2;
/// For how many quiet periods a file must have been empty before that is said: a slow writer truncates, thinks, and writes.
const EMPTY_FOR: u32 = 4;

/// What to do after a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing new, or this.
    Settled(Option<Trigger>),
    /// Somebody seems to be in the middle of something: look again after a quiet period.
    Again,
}

/// What was settled, and what was said about it.
#[derive(Debug, Default)]
pub(super) struct Settled {
    set: WatchSet,
    /// What the last settled look saw, corrected by what loaders have read since.
    look: Look,
    /// What is missing or empty, since when.
    problem: Option<(Trigger, Instant)>,
    /// The missing or empty file that was reported and has not come back.
    reported: Option<Trigger>,
    /// The last change that was reported, as what was expected and what was seen. If a load expects and sees the same again,
    /// reporting it again would go round in a circle.
    told: Option<(Look, Look)>,
}

impl Settled {
    /// Returns the set that is judged.
    pub(super) const fn set(&self) -> &WatchSet {
        &self.set
    }

    /// Takes over another set: what its loader read is now what is expected.
    pub(super) fn replace(&mut self, set: WatchSet) {
        let known = |path: &PathBuf| self.look.files.get(path).copied();
        let files = set.files.iter().filter_map(|(path, file)| {
            let expected = match file.read {
                Read::Content(digest) => Some(Seen::of_digest(digest)),
                Read::Absent => Some(Seen::Absent),
                Read::Unknown => known(path),
            };
            Some((path.clone(), expected?))
        });
        let files: BTreeMap<PathBuf, Seen> = files.collect();
        let names = set.globs.iter().map(|glob| {
            // What was settled stays expected, so that a file which came during the load is not lost.
            let before = self.look.names.get(glob).cloned();
            (glob.clone(), before.unwrap_or_else(|| read_names(&set, glob)))
        });
        self.look = Look { files, names: names.collect() };
        self.set = set;
    }

    /// Returns whether a look differs from what was settled.
    pub(super) fn is_news(&self, look: &Look) -> bool {
        self.look != *look
    }

    /// Judges one look, taken at `now`. `quiet` is the quiet period.
    pub(super) fn judge(&mut self, look: Look, now: Instant, quiet: Duration) -> Verdict {
        for (path, seen) in &look.files {
            // What no load has read and no look has seen is taken as it is first found.
            self.look.files.entry(path.clone()).or_insert(*seen);
        }
        if let Some(problem) = self.problem_of(&look) {
            return self.wait_for(problem, now, quiet);
        }
        self.problem = None;
        let restored = self.reported.take().is_some();
        let told = self.told.as_ref().is_some_and(|(expected, seen)| *expected == self.look && *seen == look);
        if look == self.look || told {
            self.look = look;
            return Verdict::Settled(restored.then_some(Trigger::Restored));
        }
        self.told = Some((std::mem::replace(&mut self.look, look.clone()), look));
        Verdict::Settled(Some(Trigger::FilesChanged))
    }

    /// The first file that is missing or empty and was not so when things were settled.
    fn problem_of(&self, look: &Look) -> Option<Trigger> {
        let news = look.files.iter().filter(|(path, seen)| self.look.files.get(*path) != Some(*seen));
        let mut problems = news.filter_map(|(path, seen)| match seen {
            Seen::Empty => Some(Trigger::Empty(path.clone())),
            Seen::Absent if self.is_needed(path) => Some(Trigger::Missing(path.clone())),
            Seen::Absent | Seen::Content(_) | Seen::Unreadable => None,
        });
        problems.next()
    }

    /// A file that came by a pattern may go as it came; so may an optional one.
    fn is_needed(&self, path: &Path) -> bool {
        let by_pattern = self.set.globs.iter().any(|(dir, pattern)| is_member(path, dir, pattern));
        !by_pattern && self.set.files.get(path).is_some_and(|file| file.required)
    }

    fn wait_for(&mut self, problem: Trigger, now: Instant, quiet: Duration) -> Verdict {
        if self.reported.as_ref() == Some(&problem) {
            return Verdict::Settled(None);
        }
        let since = match &self.problem {
            Some((before, since)) if *before == problem => *since,
            _ => now,
        };
        let patience = quiet * if matches!(problem, Trigger::Empty(_)) { EMPTY_FOR } else { MISSING_FOR };
        if now < since + patience {
            self.problem = Some((problem, since));
            return Verdict::Again;
        }
        self.problem = None;
        self.reported = Some(problem.clone());
        Verdict::Settled(Some(problem))
    }
}

fn read_names(set: &WatchSet, (dir, pattern): &(PathBuf, String)) -> std::collections::BTreeSet<std::ffi::OsString> {
    let members = set.files.keys().filter(|path| is_member(path, dir, pattern));
    members.filter_map(|path| path.file_name().map(ToOwned::to_owned)).collect()
}

fn is_member(path: &Path, dir: &Path, pattern: &str) -> bool {
    path.parent() == Some(dir) && path.file_name().is_some_and(|name| matches(pattern, &name.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Digest;

    const QUIET: Duration = Duration::from_millis(100);

    fn content(text: &str) -> Seen {
        Seen::Content(Digest::of(text.as_bytes()))
    }

    fn set(read: &str) -> WatchSet {
        let mut set = WatchSet::new();
        set.file("spec", Some(Digest::of(read.as_bytes())));
        set.optional("secret", None);
        set.glob("teams", "*.yaml");
        set
    }

    fn look(spec: Seen, secret: Seen, names: &[&str]) -> Look {
        Look {
            files: [("spec".into(), spec), ("secret".into(), secret)].into(),
            names: [(("teams".into(), "*.yaml".to_owned()), names.iter().map(Into::into).collect())].into(),
        }
    }

    fn settled(read: &str) -> (Settled, Instant) {
        let mut settled = Settled::default();
        settled.replace(set(read));
        (settled, Instant::now())
    }

    const CHANGED: Verdict = Verdict::Settled(Some(Trigger::FilesChanged));
    const NOTHING: Verdict = Verdict::Settled(None);

    #[test]
    fn a_change_between_the_load_and_the_first_look_is_not_lost() {
        let (mut settled, now) = settled("read");
        assert_eq!(settled.judge(look(content("newer"), Seen::Absent, &[]), now, QUIET), CHANGED);
        assert_eq!(settled.judge(look(content("newer"), Seen::Absent, &[]), now, QUIET), NOTHING);
    }

    #[test]
    fn a_file_that_a_load_missed_and_that_came_before_the_first_look_is_a_change() {
        let mut set = WatchSet::new();
        set.file("spec", Some(Digest::of(b"read")));
        set.absent("prompt");
        let mut settled = Settled::default();
        settled.replace(set);
        let look = Look { files: [("spec".into(), content("read")), ("prompt".into(), content("new"))].into(), ..Look::default() };
        assert_eq!(settled.judge(look, Instant::now(), QUIET), CHANGED);
    }

    #[test]
    fn an_optional_file_comes_and_goes_as_a_change() {
        let (mut settled, now) = settled("a");
        assert_eq!(settled.judge(look(content("a"), Seen::Absent, &[]), now, QUIET), NOTHING);
        assert_eq!(settled.judge(look(content("a"), content("s"), &[]), now, QUIET), CHANGED);
        assert_eq!(settled.judge(look(content("a"), Seen::Absent, &[]), now, QUIET), CHANGED);
    }

    #[test]
    fn a_file_that_came_during_a_load_is_seen_after_it() {
        let (mut settled, now) = settled("a");
        assert_eq!(settled.judge(look(content("b"), Seen::Absent, &[]), now, QUIET), CHANGED);
        settled.replace(set("b"));
        assert_eq!(settled.judge(look(content("b"), Seen::Absent, &["new.yaml"]), now, QUIET), CHANGED);
    }

    #[test]
    fn a_loader_that_reads_something_else_than_the_watcher_sees_is_not_started_again_and_again() {
        let (mut settled, now) = settled("transformed");
        assert_eq!(settled.judge(look(content("raw"), Seen::Absent, &[]), now, QUIET), CHANGED);
        settled.replace(set("transformed"));
        assert_eq!(settled.judge(look(content("raw"), Seen::Absent, &[]), now, QUIET), NOTHING);
        assert_eq!(settled.judge(look(content("raw 2"), Seen::Absent, &[]), now, QUIET), CHANGED);
    }

    #[test]
    fn a_file_that_stays_empty_is_said_once_and_its_return_is_said_once() {
        let (mut settled, now) = settled("a");
        let empty = || look(Seen::Empty, Seen::Absent, &[]);
        for periods in 0..4 {
            assert_eq!(settled.judge(empty(), now + QUIET * periods, QUIET), Verdict::Again);
        }
        let said = Verdict::Settled(Some(Trigger::Empty("spec".into())));
        assert_eq!(settled.judge(empty(), now + QUIET * 4, QUIET), said);
        assert_eq!(settled.judge(empty(), now + QUIET * 50, QUIET), NOTHING);
        let back = look(content("a"), Seen::Absent, &[]);
        assert_eq!(settled.judge(back.clone(), now, QUIET), Verdict::Settled(Some(Trigger::Restored)));
        assert_eq!(settled.judge(back, now, QUIET), NOTHING);
    }

    #[test]
    fn a_file_that_returns_with_other_content_is_a_change() {
        let (mut settled, now) = settled("a");
        let gone = || look(Seen::Absent, Seen::Absent, &[]);
        assert_eq!(settled.judge(gone(), now, QUIET), Verdict::Again);
        assert_eq!(settled.judge(gone(), now + QUIET * 2, QUIET), Verdict::Settled(Some(Trigger::Missing("spec".into()))));
        assert_eq!(settled.judge(look(content("b"), Seen::Absent, &[]), now, QUIET), CHANGED);
    }

    #[test]
    fn a_file_that_was_loaded_empty_is_no_problem() {
        let (mut settled, now) = settled("");
        assert_eq!(settled.judge(look(Seen::Empty, Seen::Absent, &[]), now, QUIET), NOTHING);
    }
}
