//! What may be a secret in a text that nobody has understood yet, so that no report shows it.
//!
//! Not a check: `plan` has that. This masks too much rather than too little, because a report shows whole lines, also of files
//! that do not parse.

use std::ops::Range;

use super::node::{Kind, Node};
use super::shape::{Spot, shape};
use crate::base::suspicion;
use crate::spec::Sources;

/// Shorter texts are words.
const SHORTEST: usize = 12;
/// Hexadecimal digits of this number and more are a key to some providers.
const HEX: usize = 32;

/// Finds what may be a secret, as byte ranges of `text`.
pub(in crate::spec) fn secret_like(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, byte) in text.bytes().enumerate().chain([(text.len(), b' ')]) {
        let inside = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+' | b'=' | b'/');
        match (inside, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                if text.get(from..at).is_some_and(looks_secret) {
                    found.push(from..at);
                }
                start = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    found
}

fn looks_secret(word: &str) -> bool {
    if word.len() < SHORTEST {
        return false;
    }
    let known = |part: &str| part.len() >= SHORTEST && suspicion::begins_like_key(part);
    word.split(['/', '=']).any(|part| known(part) || is_hex_key(part)) || suspicion::suspect(word).is_some()
}

fn is_hex_key(part: &str) -> bool {
    // A SHA-256 digest is what the spec holds instead of a key.
    part.len() >= HEX && part.len() != 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Masks what stands behind names for secrets in a text that is not YAML, so that nobody knows what is a value in it.
pub(super) fn unread(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // How far the line is indented whose block text follows.
    let mut block: Option<usize> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        match block {
            Some(outer) if indent > outer || line.trim().is_empty() => {
                found.push(start + indent..start + line.trim_end().len().max(indent))
            }
            Some(_) | None => {
                block = None;
                for value in secret_values(line) {
                    let written = line.get(value.clone()).unwrap_or_default();
                    if written.starts_with(['|', '>']) {
                        block = Some(indent);
                    } else {
                        found.push(start + value.start..start + value.end);
                    }
                }
            }
        }
        start += line.len();
    }
    found
}

/// Returns a text with `…` for what looks like a key, for who shows lines of a spec that is valid.
pub fn masked(text: &str) -> String {
    without(text, secret_like(text))
}

/// Returns a text with `…` for what looks like a key, and for what stands behind a name for secrets: for who shows lines of any file.
pub fn concealed(text: &str) -> String {
    let mut ranges = secret_like(text);
    ranges.extend(unread(text));
    without(text, ranges)
}

fn without(text: &str, mut ranges: Vec<Range<usize>>) -> String {
    ranges.sort_by_key(|range| range.start);
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for range in ranges {
        if range.end > at {
            out.push_str(text.get(at..range.start.max(at)).unwrap_or_default());
            out.push('…');
            at = range.end;
        }
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// Finds the values of names for secrets in a line; references stay readable.
fn secret_values(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(colon) = line.get(from..).and_then(|rest| rest.find(':')).map(|at| from + at) {
        let name = line.get(from..colon).unwrap_or_default().trim_end_matches(['"', '\'', ' ']);
        let name = name.rsplit(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).next().unwrap_or_default();
        from = colon + 1;
        let rest = line.get(from..).unwrap_or_default();
        let value = rest.trim_start();
        if !is_secret_name(name) || value.starts_with(['{', '[', '&', '*']) {
            continue;
        }
        let begin = from + rest.len() - value.len();
        let quoted = value.starts_with(['"', '\'']);
        let end = if quoted { None } else { value.find([',', '}', ']']) };
        let length = value.get(..end.unwrap_or(value.len())).unwrap_or_default().trim_end().len();
        if length > 0 && value.get(..length) != Some("none") {
            found.push(begin..begin + length);
        }
        // What was looked at is not looked at again, or a line of nothing but colons would take for ever.
        from = begin + length;
    }
    found
}

/// Masks what cannot be judged where a secret belongs, and texts in fields that do not exist but are called like a secret.
///
/// What does not fit a place for secrets is masked where it is reported.
pub(super) fn sensitive(root: &Node, sources: &mut Sources) {
    walk(root, &shape().top(), sources);
}

fn walk(node: &Node, spot: &Spot<'_>, sources: &mut Sources) {
    if spot.is_sensitive() && node.doubtful {
        whole(node, sources);
    }
    match &node.kind {
        Kind::Scalar(_) => {}
        Kind::List(nodes) => nodes.iter().for_each(|node| walk(node, &spot.member("0"), sources)),
        Kind::Map(entries) => {
            for entry in entries {
                let known = spot.is_named() || spot.fields().contains(&entry.name.as_str());
                if !known && is_secret_name(&entry.name) {
                    whole(&entry.node, sources);
                }
                walk(&entry.node, &spot.member(&entry.name), sources);
            }
        }
    }
}

/// Masks every text in a value.
pub(super) fn whole(node: &Node, sources: &mut Sources) {
    match &node.kind {
        Kind::Scalar(_) => {
            if let Some(source) = sources.0.get_mut(node.at.file) {
                source.redacted.push(node.at.start..node.at.end);
            }
        }
        Kind::List(nodes) => nodes.iter().for_each(|node| whole(node, sources)),
        Kind::Map(entries) => entries.iter().for_each(|entry| whole(&entry.node, sources)),
    }
}

/// Names under which people keep secrets: `secret`, `api_key`, `x-api-key`, `clientSecret`.
fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = ["secret", "key", "token", "password", "passwd", "credential", "authorization", "bearer", "sha256"];
    last.iter().any(|word| name.ends_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_text_that_is_not_yaml_what_is_called_a_secret_is_masked() {
        let text =
            "a: {secret: hunter2, b: 1}\n  api_key: \"x, y\n  secret: {env: NAME}\n  key: |\n    one\n    two\n  c: d\n  secret: none\n";
        let masked: Vec<&str> = unread(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(masked, ["hunter2", "\"x, y", "one", "two"]);
    }

    #[test]
    fn a_concealed_text_holds_no_secret_and_all_else() {
        let text = "a: sk-proj-abcdefgh12345678 # x\napi_key: hunter2\nb: {secret: {env: NAME}}\n";
        assert_eq!(concealed(text), "a: … # x\napi_key: …\nb: {secret: {env: NAME}}\n");
    }

    #[test]
    fn keys_are_masked_and_names_are_not() {
        for secret in [
            "sk-proj-abcdefgh12345678",
            "gsk_0123456789abcdef",
            "AKIAIOSFODNN7EXAMPLE",
            "sk-short-example",
            "0123456789abcdef0123456789abcdef",
            "Qb7xK2mW9rTz4LpV8nHc3JyF",
        ] {
            let line = format!("key: \"{secret}\" # x");
            assert_eq!(secret_like(&line), vec![6..6 + secret.len()], "{secret}");
        }
        for name in [
            "meta-llama/Llama-3.3-70B-Instruct-Turbo",
            "http://127.0.0.1:8000/v1",
            "OPENAI_API_KEY",
            "prompts/customer-support-assistant.md.j2",
            "0000000000000000000000000000000000000000000000000000000000000001",
            "claude-sonnet-4-20250514",
            "DeepSeekR1DistillQwen32BInstructAWQ4bit",
        ] {
            assert!(secret_like(name).is_empty(), "{name}");
        }
    }
}
