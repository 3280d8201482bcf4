//! Keys in AWS's own files: `~/.aws/credentials` and `~/.aws/config`.
//!
//! Source: "Configuration and credential file settings" of the CLI's guide. Rule: keys that are written down, and nothing that would run a
//! program or sign in as somebody else.

use std::path::{Path, PathBuf};

use super::AwsKeys;
use super::source::unusable;
use crate::base::Secret;
use crate::error::GatewayError;
use crate::provider::auth::AuthError;
use crate::provider::auth::refreshing::Fresh;
use crate::spec::Environment;

/// How long what was read is believed: tools that renew temporary keys write the file anew.
const BELIEVED_MS: u64 = 300_000;

/// A profile, and the files that may hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    name: String,
    credentials: PathBuf,
    config: Option<PathBuf>,
}

impl Profile {
    /// Names a profile in one file of credentials.
    pub const fn in_file(name: String, credentials: PathBuf) -> Self {
        Self { name, credentials, config: None }
    }

    /// Names a profile in the files of the environment (`AWS_SHARED_CREDENTIALS_FILE`, `AWS_CONFIG_FILE`, or those under `$HOME/.aws`);
    /// without a name it is `default`.
    pub fn from_environment(name: Option<&str>, env: &dyn Environment) -> Self {
        let home = PathBuf::from(env.get("HOME").unwrap_or_default());
        let file = |variable: &str, default: &str| {
            env.get(variable).filter(|path| !path.is_empty()).map_or_else(|| home.join(".aws").join(default), PathBuf::from)
        };
        Self {
            name: name.unwrap_or("default").to_owned(),
            credentials: file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
            config: Some(file("AWS_CONFIG_FILE", "config")),
        }
    }

    /// Reads the keys.
    ///
    /// # Errors
    /// [`AuthError`] where there are none that can be used.
    fn read(&self) -> Result<AwsKeys, AuthError> {
        let in_credentials = keys_in(&self.credentials, &self.name, &self.name);
        let Some(config) = &self.config else { return in_credentials };
        let section = if self.name == "default" { self.name.clone() } else { format!("profile {}", self.name) };
        match (in_credentials, keys_in(config, &section, &self.name)) {
            (Ok(keys), _) | (Err(_), Ok(keys)) => Ok(keys),
            // What is said about a profile that is there tells more than a file that is not.
            (Err(AuthError::File(..)), Err(second @ AuthError::Profile(..))) => Err(second),
            (Err(AuthError::Profile(_, MISSING)), Err(second @ AuthError::Profile(..))) => Err(second),
            (Err(first), Err(_)) => Err(first),
        }
    }

    /// Reads the keys and says what is wrong with them.
    ///
    /// # Errors
    /// [`AuthError::File`], [`AuthError::Profile`].
    pub fn check(&self) -> Result<(), AuthError> {
        self.read().map(drop)
    }

    pub(super) async fn fetch(&self, now_ms: u64) -> Result<Fresh<AwsKeys>, GatewayError> {
        let profile = self.clone();
        let read = tokio::task::spawn_blocking(move || profile.read()).await;
        let read = read.map_err(|_| unusable(&AuthError::Profile(self.name.clone(), "could not be read")))?;
        let value = read.map_err(|error| unusable(&error))?;
        Ok(Fresh { value, end_ms: now_ms.saturating_add(BELIEVED_MS) })
    }
}

const MISSING: &str = "is not in AWS's files; add it, or name another one";

fn keys_in(file: &Path, section: &str, name: &str) -> Result<AwsKeys, AuthError> {
    let text = std::fs::read_to_string(file).map_err(|error| AuthError::File(file.display().to_string(), error.kind()))?;
    let members = members(&text, section).ok_or_else(|| AuthError::Profile(name.to_owned(), MISSING))?;
    let get = |key: &str| members.iter().rev().find(|(name, _)| *name == key).map(|(_, value)| *value);
    let (Some(id), Some(secret)) = (get("aws_access_key_id"), get("aws_secret_access_key")) else {
        let by_other_means = ["credential_process", "sso_session", "sso_start_url", "role_arn"].iter().any(|key| get(key).is_some());
        let why = if by_other_means {
            "gets its keys by a program, a role or a sign-in, which the gateway does not do; use a profile that holds keys, or a web identity"
        } else {
            "holds no `aws_access_key_id` and `aws_secret_access_key`"
        };
        return Err(AuthError::Profile(name.to_owned(), why));
    };
    let secret_of = |text: &str| Secret::new(text.to_owned());
    AwsKeys::new(secret_of(id), secret_of(secret), get("aws_session_token").map(secret_of))
}

/// Returns the members of a section; `None` where there is no such section. Members that are set in deeper lines are not ours.
fn members<'t>(text: &'t str, section: &str) -> Option<Vec<(&'t str, &'t str)>> {
    let mut found = None;
    let mut is_inside = false;
    for line in text.lines() {
        let is_deeper = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            let name = header.split(']').next().unwrap_or_default();
            is_inside = name.split_whitespace().eq(section.split_whitespace());
            if is_inside {
                found.get_or_insert_with(Vec::new);
            }
        } else if let Some((name, value)) = line.split_once('=').filter(|_| is_inside && !is_deeper) {
            found.get_or_insert_with(Vec::new).push((name.trim(), value.trim()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const CREDENTIALS: &str = "
# comment
[default]
aws_access_key_id = ID
aws_secret_access_key=SECRET/with=sign
s3 =
  aws_access_key_id = deeper

[temporary]
aws_access_key_id = ID2
aws_secret_access_key = SECRET2
aws_session_token = TOKEN
[empty]
region = eu-west-1
";

    fn env(folder: &Path, more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let home = [("HOME", folder.to_str().unwrap())];
        home.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        std::fs::write(folder.path().join(".aws/credentials"), CREDENTIALS).unwrap();
        let config = "[profile  other]\naws_access_key_id = ID3\naws_secret_access_key = SECRET3\n[profile sso]\nsso_session = s\n";
        std::fs::write(folder.path().join(".aws/config"), config).unwrap();
        folder
    }

    #[test]
    fn keys_are_found_in_either_file() {
        let folder = folder();
        for (name, id, token) in [(None, "ID", None), (Some("temporary"), "ID2", Some("TOKEN")), (Some("other"), "ID3", None)] {
            let keys = Profile::from_environment(name, &env(folder.path(), &[])).read().unwrap();
            assert_eq!((keys.id(), keys.token()), (id, token), "{name:?}");
        }
        let keys = Profile::from_environment(None, &env(folder.path(), &[])).read().unwrap();
        assert_eq!(keys.secret(), "SECRET/with=sign");
        let named = Profile::in_file("temporary".to_owned(), folder.path().join(".aws/credentials"));
        assert_eq!(named.check(), Ok(()));
    }

    #[test]
    fn a_profile_without_keys_says_why() {
        let folder = folder();
        let why = |name: &str| Profile::from_environment(Some(name), &env(folder.path(), &[])).check().unwrap_err().to_string();
        assert!(why("missing").contains("is not in AWS's files"), "{}", why("missing"));
        assert!(why("empty").contains("holds no"), "{}", why("empty"));
        assert!(why("sso").contains("a sign-in"), "{}", why("sso"));
        let elsewhere = env(folder.path(), &[("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/a"), ("AWS_CONFIG_FILE", "/nonexistent/b")]);
        let error = Profile::from_environment(None, &elsewhere).check().unwrap_err();
        assert_eq!(error, AuthError::File("/nonexistent/a".to_owned(), std::io::ErrorKind::NotFound));
    }
}
