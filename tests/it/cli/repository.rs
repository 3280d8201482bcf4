//! A Git repository for tests: its own identity, its own configuration.

use std::process::Command;

use super::Place;

impl Place {
    /// Runs Git here; panics with what it said when it fails.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.current_dir(self.path()).args(args).env("HOME", self.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "ana").env(format!("GIT_{who}_EMAIL"), "ana@example.com");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Makes this directory a repository with everything in it committed on `main`.
    pub(crate) fn repository(self) -> Self {
        self.git(&["init", "--quiet", "--initial-branch=main"]);
        self.commit()
    }

    pub(crate) fn commit(self) -> Self {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=x"]);
        self
    }
}
