//! The spelling of virtual keys: `sk-bf-`, 32 random base62 characters, and a checksum that tells a typo from a foreign key.
//!
//! The gateway admits any key whose digest the spec lists; this format only serves the tools that make, check and scan keys.
//! The checksum is CRC-32 (IEEE) of the 32 characters, as six base62 digits with the most significant first, over the alphabet
//! `0-9A-Za-z`: the same idea as GitHub's tokens, so that a scanner can drop false positives without asking anybody.

use crate::base::{Digest, Secret};

/// What every key of ours begins with.
pub(crate) const PREFIX: &str = "sk-bf-";
const RANDOM: usize = 32;
const CHECK: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What the spelling of a key says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// Ours, and the checksum agrees.
    Sound,
    /// Ours by its shape, but the checksum disagrees: mistyped.
    Mistyped,
    /// Begins like ours, but characters are missing or too many: cut while copying.
    Cut,
    /// Somebody else's format.
    Foreign,
}

impl Spelling {
    /// Returns the word that JSON output uses.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Mistyped => "mistyped",
            Self::Cut => "cut",
            Self::Foreign => "foreign",
        }
    }
}

/// Makes a key from 190 bits of the system's randomness.
///
/// # Errors
/// When the system has no randomness to give.
pub(crate) fn generate() -> Result<Secret<String>, getrandom::Error> {
    let mut random = String::with_capacity(RANDOM);
    let mut bytes = [0_u8; 64];
    while random.len() < RANDOM {
        getrandom::fill(&mut bytes)?;
        random.extend(bytes.iter().filter_map(|byte| digit(*byte)).take(RANDOM - random.len()));
    }
    let check = checksum(&random);
    Ok(Secret::new(format!("{PREFIX}{random}{check}")))
}

/// Maps a random byte to a base62 digit; bytes of 248 and above are thrown away, since 256 is no multiple of 62.
fn digit(byte: u8) -> Option<char> {
    if byte >= 248 {
        return None;
    }
    ALPHABET.get(usize::from(byte % 62)).map(|digit| char::from(*digit))
}

fn checksum(random: &str) -> String {
    let mut rest = crc32fast::hash(random.as_bytes()) as usize;
    let mut digits = [b'0'; CHECK];
    for place in digits.iter_mut().rev() {
        if let Some(digit) = ALPHABET.get(rest % 62) {
            *place = *digit;
        }
        rest /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

/// Judges a key by its spelling alone.
pub(crate) fn spelling(key: &str) -> Spelling {
    let Some(body) = key.strip_prefix(PREFIX) else {
        return Spelling::Foreign;
    };
    if !body.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Spelling::Foreign;
    }
    match body.split_at_checked(RANDOM) {
        Some((random, check)) if check.len() == CHECK => {
            if checksum(random) == check {
                Spelling::Sound
            } else {
                Spelling::Mistyped
            }
        }
        Some(_) | None => Spelling::Cut,
    }
}

/// Digests a key as the spec stores it: SHA-256 of its characters.
pub(crate) fn digest(key: &str) -> Digest {
    Digest::of(key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_has_the_documented_shape_and_a_sound_checksum() {
        let key = generate().unwrap();
        let key = key.expose();
        assert_eq!(key.len(), 44);
        assert!(key.starts_with("sk-bf-"));
        assert!(key.bytes().skip(6).all(|byte| byte.is_ascii_alphanumeric()), "base62 after the prefix");
        assert_eq!(spelling(key), Spelling::Sound);
        assert_ne!(key, generate().unwrap().expose(), "two keys differ");
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        // Computed with Python's zlib.crc32 and the alphabet above.
        assert_eq!(checksum(&"0".repeat(32)), "2wjyrI");
        assert_eq!(checksum("abcdefghijklmnopqrstuvwxyz012345"), "1nc0VA");
        assert_eq!(spelling("sk-bf-abcdefghijklmnopqrstuvwxyz0123451nc0VA"), Spelling::Sound);
    }

    #[test]
    fn every_one_character_typo_is_told_from_a_foreign_key() {
        let key = generate().unwrap();
        let key = key.expose();
        for place in 6..key.len() {
            let mut typo: Vec<u8> = key.bytes().collect();
            typo[place] = if typo[place] == b'x' { b'y' } else { b'x' };
            let typo = String::from_utf8(typo).unwrap();
            assert_eq!(spelling(&typo), Spelling::Mistyped, "at {place}");
        }
        assert_eq!(spelling(&key[..40]), Spelling::Cut);
        assert_eq!(spelling(&format!("{key}a")), Spelling::Cut);
        assert_eq!(spelling("sk-bf-7d444840-9dc0-11d1-b245-5ffdce74fad2"), Spelling::Foreign, "a key of another gateway");
        assert_eq!(spelling("sk-something"), Spelling::Foreign);
        assert_eq!(spelling(""), Spelling::Foreign);
    }

    #[test]
    fn every_base62_digit_is_equally_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for byte in 0..=u8::MAX {
            if let Some(digit) = digit(byte) {
                *counts.entry(digit).or_insert(0) += 1;
            }
        }
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| *count == 4), "248 = 4 · 62");
    }
}
