//! Making virtual keys. Their spelling is in [`crate::base::key_spelling`].

use crate::base::key_spelling::{ALPHABET, PREFIX, RANDOM, checksum};
pub(crate) use crate::base::key_spelling::{Spelling, spelling};
use crate::base::{Digest, Secret};

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
