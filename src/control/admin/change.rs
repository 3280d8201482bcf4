//! What `apply` and `rollback` are asked, from HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;
use http::header::IF_MATCH;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::caller::Caller;
use crate::control::apply::{Apply, Reply};
use crate::control::origin::Texts;
use crate::control::shared::Shared;
use crate::control::writer::Provenance;
use crate::server::{BodyError, RequestBody};

/// Largest body. Bytes. A spec with its includes and prompts is far smaller.
const BODY_LIMIT: u64 = 16 << 20;
/// Longest name or reason that is kept, in characters.
const LONGEST: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApplyBody {
    files: BTreeMap<String, String>,
    paths: Vec<String>,
    reason: Option<String>,
    actor: Option<String>,
    git_commit: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackBody {
    to: u64,
    reason: Option<String>,
    actor: Option<String>,
}

/// Reads what `POST /v1/apply` asks for.
///
/// # Errors
/// 400, 408, 413 for the body; 428 where a real change does not say which revision it is for.
pub(super) async fn apply(headers: &HeaderMap, query: &str, body: RequestBody, caller: &Caller) -> Result<Apply, Reply> {
    let dry_run = flag(query, "dry_run")?;
    let base = base(headers, dry_run)?;
    let asked: ApplyBody = read(body).await?;
    let who = Provenance {
        trigger: "apply",
        actor: actor(asked.actor.as_deref(), caller),
        reason: asked.reason.as_deref().and_then(line),
        git_commit: asked.git_commit.as_deref().and_then(line),
        note: None,
    };
    Ok(Apply { base, dry_run, texts: Texts { files: asked.files, paths: asked.paths }, who })
}

/// Reads what `POST /v1/rollback` asks for: the files of an earlier revision.
///
/// # Errors
/// As [`apply`]; 404 where there is no such revision.
pub(super) async fn rollback(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    query: &str,
    body: RequestBody,
    caller: &Caller,
) -> Result<Apply, Reply> {
    let dry_run = flag(query, "dry_run")?;
    let base = base(headers, dry_run)?;
    let asked: RollbackBody = read(body).await?;
    let revision = super::status::stored(shared, asked.to).await?;
    let who = Provenance {
        trigger: "rollback",
        actor: actor(asked.actor.as_deref(), caller),
        reason: asked.reason.as_deref().and_then(line),
        git_commit: revision.info.git_commit,
        note: Some(format!("rollback to {}", asked.to)),
    };
    Ok(Apply { base, dry_run, texts: Texts { files: revision.files, paths: revision.paths }, who })
}

/// Reads a JSON body.
pub(super) async fn read<T: DeserializeOwned>(body: RequestBody) -> Result<T, Reply> {
    let bytes = body.collect_capped(BODY_LIMIT).await.map_err(|error| match error {
        BodyError::TooLarge { .. } => Reply::error(413, "request_too_large", error.to_string()),
        BodyError::Timeout | BodyError::Disconnected => Reply::error(408, "client_timeout", error.to_string()),
        BodyError::Malformed => Reply::error(400, "bad_request", error.to_string()),
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Reply::error(400, "bad_request", format!("the body is not what this path takes: {error}")))
}

/// Reads `name=true` out of a query; the bare name counts as true.
fn flag(query: &str, name: &str) -> Result<bool, Reply> {
    match parameter(query, name) {
        None | Some("false") => Ok(false),
        Some("true" | "") => Ok(true),
        Some(_) => Err(Reply::error(400, "bad_request", format!("`{name}` is true or false"))),
    }
}

/// Finds a parameter of a query. Values here are numbers and words, which nobody needs to encode.
pub(super) fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| match pair.split_once('=') {
        Some((key, value)) => (key == name).then_some(value),
        None => (pair == name).then_some(""),
    })
}

/// Reads which revision the change is for: `"41"`, or `*` for whichever runs.
fn base(headers: &HeaderMap, dry_run: bool) -> Result<Option<u64>, Reply> {
    let Some(value) = headers.get(IF_MATCH) else {
        if dry_run {
            return Ok(None);
        }
        let message = "a change must say which revision it was made for: send `If-Match: \"N\"`, with N from /v1/spec";
        return Err(Reply::error(428, "precondition_required", message));
    };
    match value.to_str().map(|text| text.trim().trim_matches('"')) {
        Ok("*") => Ok(None),
        Ok(number) => number.parse().map(Some).map_err(|_| not_a_revision()),
        Err(_) => Err(not_a_revision()),
    }
}

fn not_a_revision() -> Reply {
    Reply::error(400, "bad_request", "`If-Match` takes the number of a revision in quotes, such as \"41\"")
}

/// Names who did it: what they say of themselves, and how they are known here.
pub(super) fn actor(claimed: Option<&str>, caller: &Caller) -> String {
    match claimed.and_then(line) {
        Some(claimed) => format!("{claimed} ({})", caller.name),
        None => caller.name.clone(),
    }
}

/// Makes a text one line of bounded length; none where nothing is left.
pub(super) fn line(text: &str) -> Option<String> {
    let line: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(LONGEST).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn matching(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_change_says_which_revision_it_is_for() {
        assert_eq!(base(&matching("\"41\""), false).unwrap(), Some(41));
        assert_eq!(base(&matching("*"), false).unwrap(), None);
        assert_eq!(base(&HeaderMap::new(), true).unwrap(), None);
        assert_eq!(base(&HeaderMap::new(), false).unwrap_err().status, 428);
        for bad in ["\"x\"", "W/\"1\"", "\"1\", \"2\"", "-1"] {
            assert_eq!(base(&matching(bad), false).unwrap_err().status, 400, "{bad}");
        }
    }

    #[test]
    fn parameters_are_found_by_their_whole_name() {
        assert!(flag("dry_run=true", "dry_run").unwrap());
        assert!(flag("a=b&dry_run", "dry_run").unwrap());
        assert!(!flag("not_dry_run=true", "dry_run").unwrap());
        assert_eq!(flag("dry_run=maybe", "dry_run").unwrap_err().status, 400);
        assert_eq!(parameter("revision=7", "revision"), Some("7"));
    }

    #[test]
    fn what_somebody_writes_into_the_history_stays_one_line() {
        assert_eq!(line("  more\ngroq\u{1b}[31m "), Some("more groq [31m".to_owned()));
        assert_eq!(line(" \n "), None);
        assert_eq!(line(&"ä".repeat(600)).unwrap().chars().count(), LONGEST);
    }
}
