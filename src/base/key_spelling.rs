//! The spelling of virtual keys: `sk-bf-`, 32 random base62 characters, and a checksum that tells a typo from a foreign key.
//!
//! The gateway admits any key whose digest the spec lists; this format only serves the tools that make, check and scan keys.
//! The checksum is CRC-32 (IEEE) of the 32 characters, as six base62 digits with the most significant first, over the alphabet
//! `0-9A-Za-z`: the same idea as GitHub's tokens, so that a scanner can drop false positives without asking anybody.

/// What every key of ours begins with.
pub const PREFIX: &str = "sk-bf-";
/// Random characters of a key.
pub const RANDOM: usize = 32;
const CHECK: usize = 6;
/// Base62 digits, in order of their values.
pub const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What the spelling of a key says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
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
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Mistyped => "mistyped",
            Self::Cut => "cut",
            Self::Foreign => "foreign",
        }
    }
}

/// Computes the six digits that end a key from the characters before them.
pub fn checksum(random: &str) -> String {
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
pub fn spelling(key: &str) -> Spelling {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        // Computed with Python's zlib.crc32 and the alphabet above.
        assert_eq!(checksum(&"0".repeat(32)), "2wjyrI");
        assert_eq!(checksum("abcdefghijklmnopqrstuvwxyz012345"), "1nc0VA");
        assert_eq!(spelling("sk-bf-abcdefghijklmnopqrstuvwxyz0123451nc0VA"), Spelling::Sound);
    }

    #[test]
    fn every_one_character_typo_is_told_from_a_foreign_key() {
        let key = "sk-bf-abcdefghijklmnopqrstuvwxyz0123451nc0VA";
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
}
