//! Reading a spec as it stands in a Git commit, what is staged, and which commit the working copy stands at.
//!
//! It runs the `git` of the machine: no library reads every repository that there is (worktrees, partial clones, alternates).
//! Rule: it reads, and changes nothing; a reference that begins with `-` is never taken for an option.

use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::exit::CommandError;
use crate::spec::Files;

/// The repository that holds a directory.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    root: PathBuf,
    cwd: PathBuf,
}

impl Repository {
    /// Finds the repository that holds `dir`.
    ///
    /// # Errors
    /// A failure when there is no `git`, or no repository.
    pub(crate) fn of(dir: &Path) -> Result<Self, CommandError> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let output = git(dir, &["rev-parse", "--show-toplevel"]).map_err(|error| missing(&error))?;
        if !output.status.success() {
            return Err(CommandError::failure(format!("{} is in no Git repository: {}", dir.display(), complaint(&output)))
                .hint("`--against FILE` compares with a file instead"));
        }
        let cwd = std::env::current_dir().and_then(|cwd| cwd.canonicalize());
        let cwd = cwd.map_err(|error| CommandError::failure(format!("cannot tell the current directory: {error}")))?;
        let root = PathBuf::from(text(&output));
        Ok(Self { root: root.canonicalize().unwrap_or(root), cwd })
    }

    /// Finds the commit that a branch, a tag or any other name of Git's stands for.
    ///
    /// # Errors
    /// A failure that names the reference.
    pub(crate) fn tree(&self, reference: &str) -> Result<Tree<'_>, CommandError> {
        let wanted = format!("{reference}^{{commit}}");
        let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted];
        let output = git(&self.root, &args).map_err(|error| missing(&error))?;
        if !output.status.success() || reference.is_empty() {
            let wrong = CommandError::failure(format!("Git knows no commit `{reference}` in {}", self.root.display()));
            return Err(match reference.split_once('/') {
                Some((remote, branch)) => wrong
                    .hint(format!("fetch it first: `git fetch {remote} {branch}`; a CI checkout that is one commit deep does not have it")),
                None => wrong.hint("name a branch, a tag or a commit, such as `git:origin/main`"),
            });
        }
        Ok(Tree { repository: self, commit: text(&output) })
    }

    /// Returns the commit that is checked out, with `-dirty` where one of `paths` is not as it was committed.
    /// `None` where there is no commit yet.
    pub(crate) fn head(&self, paths: &[PathBuf]) -> Option<String> {
        let output = git(&self.root, &["rev-parse", "--verify", "--quiet", "HEAD"]).ok().filter(|output| output.status.success())?;
        let commit = text(&output);
        let mut args = vec!["status".to_owned(), "--porcelain".to_owned(), "--untracked-files=all".to_owned(), "--".to_owned()];
        args.extend(paths.iter().filter_map(|path| self.within(path)).map(|path| format!(":(literal){path}")));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let status = git(&self.root, &args).ok().filter(|output| output.status.success())?;
        Some(if status.stdout.is_empty() { commit } else { format!("{commit}-dirty") })
    }

    /// Reads what is staged for the next commit, as it is staged, by paths below the root; `paths` narrow that, seen from the current
    /// directory. What is staged as removed is not there, nor are submodules.
    ///
    /// # Errors
    /// A failure with Git's words.
    pub(crate) fn staged(&self, paths: &[PathBuf]) -> Result<Vec<(PathBuf, Vec<u8>)>, CommandError> {
        let mut args = vec!["diff", "--cached", "--name-only", "-z", "--no-renames", "--diff-filter=ACMT", "--ignore-submodules", "--"];
        let named: Vec<&str> = paths.iter().filter_map(|path| path.to_str()).filter(|path| *path != ".").collect();
        args.extend(&named);
        let output = asked(&self.cwd, &args)?;
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut files = Vec::new();
        for name in names.split('\0').filter(|name| !name.is_empty()) {
            let output = asked(&self.root, &["cat-file", "blob", &format!(":{name}")])?;
            files.push((PathBuf::from(name), output.stdout));
        }
        Ok(files)
    }

    /// Turns a path, as it is seen from the current directory, into one below the root of the repository.
    fn within(&self, path: &Path) -> Option<String> {
        let whole = tidy(&self.cwd.join(path));
        // A directory on the way may be a link; the file itself need not exist in the working copy.
        let real = match (whole.parent(), whole.file_name()) {
            (Some(parent), Some(name)) => deepest(parent).join(name),
            _ => whole.clone(),
        };
        let below = real.strip_prefix(&self.root).or_else(|_| whole.strip_prefix(&self.root)).ok()?;
        below.to_str().filter(|below| !below.contains('\n')).map(ToOwned::to_owned)
    }
}

/// Takes `.` and `..` out by their spelling alone.
fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                tidied.pop();
            }
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => tidied.push(part),
        }
    }
    tidied
}

/// Resolves links in the part of a directory's path that exists.
fn deepest(dir: &Path) -> PathBuf {
    match (dir.canonicalize(), dir.parent(), dir.file_name()) {
        (Ok(real), _, _) => real,
        (Err(_), Some(parent), Some(name)) => deepest(parent).join(name),
        (Err(_), _, _) => dir.to_owned(),
    }
}

/// The files of one commit, under the paths that they have seen from the current directory.
#[derive(Debug)]
pub(crate) struct Tree<'r> {
    repository: &'r Repository,
    commit: String,
}

impl Tree<'_> {
    /// Names an object of the commit by its path.
    fn object(&self, path: &Path) -> io::Result<String> {
        let outside = || io::Error::new(io::ErrorKind::NotFound, "outside the Git repository");
        Ok(format!("{}:{}", self.commit, self.repository.within(path).ok_or_else(outside)?))
    }
}

impl Files for Tree<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // `--batch` and not `show`: it follows links within the tree, and tells what is missing from what went wrong.
        let args = ["cat-file", "--batch", "--follow-symlinks"];
        let asked = format!("{}\n", self.object(path)?);
        let output = feed(&self.repository.root, &args, asked.as_bytes())?;
        if !output.status.success() {
            return Err(io::Error::other(complaint(&output)));
        }
        let (head, rest) = split_line(&output.stdout);
        let mut words = head.rsplit(' ');
        match (words.next().map(str::parse::<usize>), words.next()) {
            (Some(Ok(size)), Some("blob")) => Ok(rest.get(..size).unwrap_or(rest).to_vec()),
            (Some(Ok(_)), Some("tree")) => Err(io::ErrorKind::IsADirectory.into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let tree = self.object(&dir.join("x")).map(|object| object.strip_suffix('x').unwrap_or(&object).to_owned())?;
        let tree = tree.strip_suffix('/').unwrap_or(&tree);
        let output = git(&self.repository.root, &["ls-tree", "-z", "--end-of-options", tree])?;
        if !output.status.success() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let listing = String::from_utf8_lossy(&output.stdout);
        let entries = listing.split('\0').filter_map(|entry| entry.split_once('\t'));
        let mut names: Vec<PathBuf> =
            entries.filter(|(about, _)| about.split(' ').nth(1) == Some("blob")).map(|(_, name)| PathBuf::from(name)).collect();
        names.sort();
        Ok(names)
    }
}

fn split_line(bytes: &[u8]) -> (String, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (head, rest) = bytes.split_at(end);
    (String::from_utf8_lossy(head).into_owned(), rest.get(1..).unwrap_or_default())
}

fn git(dir: &Path, args: &[&str]) -> io::Result<Output> {
    command(dir, args).stdin(Stdio::null()).output()
}

/// Runs Git; a failure is an error with its words.
fn asked(dir: &Path, args: &[&str]) -> Result<Output, CommandError> {
    let output = git(dir, args).map_err(|error| missing(&error))?;
    if output.status.success() { Ok(output) } else { Err(CommandError::failure(format!("Git failed: {}", complaint(&output)))) }
}

fn feed(dir: &Path, args: &[&str], input: &[u8]) -> io::Result<Output> {
    let mut child = command(dir, args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // One short line: it fits the pipe, so nothing waits for the answer to be read.
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    child.wait_with_output()
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    // Messages in English, and no lock on the index of somebody who is at work.
    command.arg("-C").arg(dir).args(args).env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned()
}

/// Returns the first line of what Git said.
fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().next().unwrap_or("git gave no reason");
    line.strip_prefix("fatal: ").unwrap_or(line).to_owned()
}

fn missing(error: &io::Error) -> CommandError {
    CommandError::failure(format!("cannot run `git`: {error}")).hint("install Git, or compare with a file: `--against FILE`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_tidied_by_its_spelling() {
        for (path, tidied) in [("/a/./b/../c", "/a/c"), ("/a/../../b", "/b"), ("/a/b/", "/a/b")] {
            assert_eq!(tidy(Path::new(path)), Path::new(tidied));
        }
    }
}
