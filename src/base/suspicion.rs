//! What a text looks like that should perhaps not be shown: keys of known kinds, and texts too random to be words.
//!
//! Not a proof in either direction. Rule: what people write into a spec (names of models, digests, UUIDs, links, sentences, images)
//! must not look suspicious, or nobody would read the findings.

use std::collections::BTreeSet;
use std::ops::Range;

use super::key_spelling::{self, Spelling};

/// What a text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// A key or a token of a known kind, in words: `an OpenAI key`.
    Known(&'static str),
    /// Long and random.
    Random,
}

/// A suspicious part of a text. Its bytes are never to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// The bytes in question.
    pub range: Range<usize>,
    /// What they look like.
    pub suspicion: Suspicion,
}

/// Keys by how they begin. More special beginnings stand first. Lengths are what follows the beginning; those of the providers'
/// documentation, or a little less where they have changed over time.
const KNOWN: &[(&str, Range<usize>, &str)] = &[
    ("sk-ant-", 20..512, "an Anthropic key"),
    ("sk-or-v1-", 32..512, "an OpenRouter key"),
    ("sk-lf-", 20..512, "a Langfuse key"),
    ("sk-", 20..512, "a key of OpenAI's form"),
    ("gsk_", 20..512, "a Groq key"),
    ("xai-", 20..512, "an xAI key"),
    ("AIza", 35..36, "a Google API key"),
    ("AKIA", 16..17, "an AWS access key"),
    ("ASIA", 16..17, "an AWS access key"),
    ("ABSK", 60..512, "an Amazon Bedrock key"),
    ("ghp_", 36..512, "a GitHub token"),
    ("gho_", 36..512, "a GitHub token"),
    ("ghu_", 36..512, "a GitHub token"),
    ("ghs_", 36..512, "a GitHub token"),
    ("ghr_", 36..512, "a GitHub token"),
    ("github_pat_", 22..512, "a GitHub token"),
    ("glpat-", 20..512, "a GitLab token"),
    ("hf_", 30..512, "a Hugging Face token"),
    ("pplx-", 32..512, "a Perplexity key"),
    ("nvapi-", 40..512, "an NVIDIA key"),
    ("csk-", 32..512, "a Cerebras key"),
    ("tgp_v1_", 20..512, "a Together key"),
    ("r8_", 37..512, "a Replicate token"),
    ("fw_", 20..512, "a Fireworks key"),
    ("jina_", 32..512, "a Jina key"),
    ("xoxb-", 20..512, "a Slack token"),
    ("xoxp-", 20..512, "a Slack token"),
    ("sk_live_", 20..512, "a Stripe key"),
    ("rk_live_", 20..512, "a Stripe key"),
    ("ya29", 30..2048, "a Google access token"),
];

/// Shortest text whose randomness is judged: below it, names of models are as mixed as keys.
const RANDOM_BYTES: Range<usize> = 24..257;
/// Changes between upper case, lower case and digits, of a hundred neighbours. Random base 62: 62 on average; names of models: below 42.
const CHANGES_PERCENT: usize = 48;
/// How the base64 of pictures begins: PNG, JPEG, GIF, WebP, ICO, SVG, XML.
const PICTURES: [&str; 7] = ["iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "AAABAA", "PHN2Zy", "PD94bW"];
/// What stands before texts that are random and public: digests of subresources, public keys.
const PUBLIC: [&str; 5] = ["sha256-", "sha384-", "sha512-", "ssh-", "ecdsa-"];

/// Finds the first part of `text` that looks like a key of a known kind, else the first that looks random. Linear in `text`.
pub fn suspect(text: &str) -> Option<Suspect> {
    known(text).or_else(|| random(text))
}

/// Finds the first part of `text` that looks like a key of a known kind.
pub fn known(text: &str) -> Option<Suspect> {
    let found = |range, what| Some(Suspect { range, suspicion: Suspicion::Known(what) });
    if let Some(start) = text.find("-----BEGIN ")
        && text.get(start..).is_some_and(|rest| rest.contains("PRIVATE KEY-----"))
    {
        return found(start..text.len(), "a private key");
    }
    if let Some(range) = runs(text, |byte| is_word(byte) || byte == b'.').find(|range| text.get(range.clone()).is_some_and(is_web_token)) {
        return found(range, "a JSON web token");
    }
    runs(text, is_word).find_map(|range| {
        let what = known_kind(text.get(range.clone())?)?;
        found(range, what)
    })
}

/// Returns whether a word begins like a key of a known kind, whatever follows: enough to not show it, too little to complain about it.
pub fn begins_like_key(word: &str) -> bool {
    word.starts_with(key_spelling::PREFIX) || KNOWN.iter().any(|(prefix, _, _)| word.starts_with(prefix))
}

fn known_kind(word: &str) -> Option<&'static str> {
    if let Some(rest) = word.strip_prefix(key_spelling::PREFIX) {
        // Without the checksum it may be an example; then its randomness decides.
        let uuid = rest.len() == 36 && rest.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        return (key_spelling::spelling(word) == Spelling::Sound || uuid).then_some("a virtual key");
    }
    let (_, what) = KNOWN
        .iter()
        .filter_map(|(prefix, length, what)| Some((word.strip_prefix(prefix)?, length, what)))
        .map(|(rest, length, what)| (length.contains(&rest.len()) && is_mixed(rest), what))
        .find(|(is_key, _)| *is_key)?;
    Some(what)
}

/// Returns whether there is something of a key in the rest of a word that begins like one: `sk-your-key-here` and `sk-xxxxxxxx` are none.
fn is_mixed(rest: &str) -> bool {
    let distinct: BTreeSet<u8> = rest.bytes().collect();
    let longest = rest.split(['-', '_']).map(str::len).max().unwrap_or_default();
    distinct.len() >= 8
        && longest >= 12
        && rest.bytes().any(|byte| byte.is_ascii_digit())
        && rest.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn is_web_token(word: &str) -> bool {
    let mut parts = word.split('.');
    let mut part = |begin: &str| parts.next().is_some_and(|part| part.len() >= 12 && part.starts_with(begin));
    // `eyJ` is the base64 of `{"`.
    part("eyJ") && part("eyJ") && part("")
}

/// Finds the first part of `text` that is long and random.
fn random(text: &str) -> Option<Suspect> {
    if text.contains(";base64,") || text.contains("-----BEGIN ") || PICTURES.iter().any(|picture| text.starts_with(picture)) {
        return None;
    }
    let links = links(text);
    let range = runs(text, |byte| is_word(byte) || byte == b'+').find(|range| {
        let is_public = |word: &str| {
            let before = text.get(..range.start).unwrap_or_default();
            PUBLIC
                .iter()
                .any(|public| word.starts_with(public) || before.ends_with(public.trim_end_matches('-')) || before.starts_with(public))
        };
        let is_linked = links.iter().any(|link| link.start <= range.start && range.end <= link.end);
        !is_linked && text.get(range.clone()).is_some_and(|word| is_random(word) && !is_public(word))
    })?;
    Some(Suspect { range, suspicion: Suspicion::Random })
}

fn is_random(word: &str) -> bool {
    if !RANDOM_BYTES.contains(&word.len()) || !word.split(['-', '_', '+']).any(|piece| piece.len() >= 10) {
        return false;
    }
    let class = |byte: u8| match byte {
        b'0'..=b'9' => Some(0_u8),
        b'a'..=b'z' => Some(1),
        b'A'..=b'Z' => Some(2),
        _ => None,
    };
    let classes: Vec<Option<u8>> = word.bytes().map(class).collect();
    // Hexadecimal digests, UUIDs and numbers are identifiers more often than keys, and have two kinds of characters at most.
    if ![0, 1, 2].iter().all(|class| classes.contains(&Some(*class))) {
        return false;
    }
    let (mut pairs, mut changes) = (0_usize, 0_usize);
    for (first, second) in classes.iter().zip(classes.iter().skip(1)) {
        if let (Some(first), Some(second)) = (first, second) {
            pairs += 1;
            changes += usize::from(first != second);
        }
    }
    pairs > 0 && changes * 100 >= pairs * CHANGES_PERCENT
}

/// Finds links without their queries: ids in a path are random and public.
fn links(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("http") {
        let Some(rest) = text.get(start..).filter(|rest| rest.starts_with("http://") || rest.starts_with("https://")) else { continue };
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '?' | '"' | '\'' | '<' | '>' | '`')).unwrap_or(rest.len());
        found.push(start..start + end);
    }
    found
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Cuts a text into the longest runs of bytes that `inside` accepts; those must be ASCII.
fn runs(text: &str, inside: impl Fn(u8) -> bool) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes.get(at..)?.iter().position(|byte| inside(*byte))?;
        let length = bytes.get(start..)?.iter().position(|byte| !inside(*byte)).unwrap_or(bytes.len() - start);
        at = start + length;
        Some(start..at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str) -> Option<Suspicion> {
        suspect(text).map(|suspect| suspect.suspicion)
    }

    /// Made-up keys; joined here, so that scanners of this repository do not find them.
    fn keys() -> Vec<(String, &'static str)> {
        let random = "Qb7xK2mW9rTz4LpV8nHc3JyF6dGs1XaE5uRk0MwB";
        let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        vec![
            (format!("sk-ant-{}-{random}", "api03"), "an Anthropic key"),
            (format!("sk-proj-{random}"), "a key of OpenAI's form"),
            (format!("sk-{}", &hex[..32]), "a key of OpenAI's form"),
            (format!("sk-or-v1-{hex}"), "an OpenRouter key"),
            (format!("gsk_{random}"), "a Groq key"),
            (format!("xai-{random}"), "an xAI key"),
            (format!("AIza{}", &random[..35]), "a Google API key"),
            (format!("AKIA{}", "IOSFODNN7EXAMPL2"), "an AWS access key"),
            (format!("ghp_{}", &random[..36]), "a GitHub token"),
            (format!("hf_{}", &random[..34]), "a Hugging Face token"),
            (format!("sk-bf-{}", "abcdefghijklmnopqrstuvwxyz0123451nc0VA"), "a virtual key"),
            (format!("sk-bf-{}", "7d444840-9dc0-11d1-b245-5ffdce74fad2"), "a virtual key"),
            (format!("eyJ{}.eyJ{}.{}", "hbGciOiJIUzI1NiJ9", "zdWIiOiIxMjM0NTY3ODkwIn0", &random[..30]), "a JSON web token"),
            (format!("-----BEGIN {} KEY-----\nMIIB\n", "PRIVATE"), "a private key"),
        ]
    }

    #[test]
    fn keys_of_known_kinds_are_found_wherever_they_stand() {
        for (key, what) in keys() {
            for text in [key.clone(), format!("Bearer {key}"), format!("https://host/v1?key={key}"), format!("{{\"k\":\"{key}\"}}")] {
                assert_eq!(look(&text), Some(Suspicion::Known(what)), "{text}");
            }
        }
    }

    #[test]
    fn the_range_holds_the_key_and_nothing_else() {
        for (key, _) in keys() {
            let text = format!("a {key}");
            assert_eq!(text.get(suspect(&text).unwrap().range), Some(key.as_str()));
        }
    }

    #[test]
    fn long_random_texts_are_found() {
        for text in [
            "Qb7xK2mW9rTz4LpV8nHc3JyF6dGs1XaE",
            "wJ4lrXUt9FE8I+K7MDx3G+bPxRf2CYq8Mz0LEkE5Y1z",
            "token: V1StGXR8Z5jdHi6BmyT4pQ2w",
            "a0Bk-Z3xQ9_fP7mW2sT5vY8nL4cR6dH1jG",
            "https://host/hook?sig=Qb7xK2mW9rTz4LpV8nHc3JyF",
            "sk-bf-Qb7xK2mW9rTz4LpV8nHc3JyF6dGs1XaE5uRk0M",
        ] {
            assert_eq!(look(text), Some(Suspicion::Random), "{text}");
        }
    }

    #[test]
    fn what_people_write_is_not_suspicious() {
        for text in [
            "",
            "fast",
            "gpt-4o-mini-2024-07-18",
            "claude-3-5-sonnet-20241022",
            "meta-llama/Meta-Llama-3.1-405B-Instruct-Turbo",
            "accounts/fireworks/models/llama-v3p1-405b-instruct",
            "Qwen/Qwen2.5-VL-72B-Instruct-GPTQ-Int4",
            "DeepSeekR1DistillQwen32BInstructAWQ4bit",
            "mistralai/Mixtral-8x7B-Instruct-v0.1",
            "ft:gpt-4o-mini-2024-07-18:my-org:custom_suffix:7p4lURel",
            "anthropic.claude-3-5-sonnet-20241022-v2:0",
            "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-3-5-sonnet-20240620-v1:0",
            "ep-20250101123456-abcde",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "D41D8CD98F00B204E9800998ECF8427E",
            "7d444840-9dc0-11d1-b245-5ffdce74fad2",
            "7D444840-9DC0-11D1-B245-5FFDCE74FAD2",
            "sha256-47DEQpj8HBSa+TImW5JCeuQeRkm5NMpJWZG3hSuFU4=",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7f3xQ9zK2mW9rTz4LpV8nHc3JyF6dGs1XaE5uRk0Mw ops@host",
            "https://docs.google.com/document/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/edit",
            "https://github.com/org/repo/blob/6dcb09b5b57875f334f61aebed695e2e4193db5e/README.md#L10-L20",
            "https://RESOURCE.openai.azure.com/openai/v1",
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
            "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQb7xK2mW9rTz4LpV8nHc3JyF6dGs1XaE5uRk0MwB\n",
            "Cheap and quick; anything interactive. Ask the growth team before you change the 3 targets below!",
            "Du bist ein höflicher Assistent. Antworte kurz: höchstens 120 Wörter, keine Überschriften.",
            "ThisIsAVeryLongCamelCaseIdentifierWithoutAnyNumbers",
            "key.team == \"research\" and tokens.input > 8000 and header('x-tier', '') in ['gold', 'silver']",
            "{{ key.labels.env | default('none') }}-{{ header('x-request-source', 'unknown') | lower }}",
            "/run/secrets/openai-production-key-2",
            "OPENAI_API_KEY_PRODUCTION_EU_2",
            "sk-your-key-here-and-nothing-else",
            "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "sk-1234",
            "sk-ant-...",
            "2027-06-30T12:00:00+02:00",
            "hf_hub_download_with_retries_and_backoff",
            "日本語のとても長い説明文をここに書いておきますがこれは秘密ではありません",
        ] {
            assert_eq!(look(text), None, "{text}");
        }
    }

    #[test]
    fn most_random_texts_are_found_and_few_joined_words_are() {
        let mut state = 7_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let mut found = 0;
        for _ in 0..1_000 {
            let text: String = (0..40).map(|_| char::from(key_spelling::ALPHABET[next(62)])).collect();
            found += usize::from(look(&text).is_some());
        }
        assert!(found > 950, "{found} of 1000 random texts");
        let words =
            ["Llama", "Qwen", "Instruct", "Chat", "Turbo", "2", "70B", "v1", "Distill", "Vision", "mini", "FP8", "Coder", "20250101"];
        let mut wrong = 0;
        for _ in 0..1_000 {
            let name = (0..7).map(|_| words[next(words.len())]).collect::<Vec<_>>().join(["", "-", "_"][next(3)]);
            wrong += usize::from(look(&name).is_some());
        }
        assert!(wrong <= 10, "{wrong} of 1000 names of models");
    }
}
