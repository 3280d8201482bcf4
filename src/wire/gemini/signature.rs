//! Signatures in this format. A part carries one in `thoughtSignature`, which is bytes, so that a foreign one must be base64 too: the
//! official SDKs refuse an answer where it is not.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE};

use crate::wire::ir::{Maker, Signature};
use crate::wire::json::Text;

/// Stands for a signature that nobody has. Google documents it for histories that another model made.
pub(super) const SKIP_VALIDATION: &str = "skip_thought_signature_validator";

/// What clients send in place of a signature that they do not have: the words that Google documents, and the same in base64, as SDKs write
/// bytes.
const DUMMIES: [&str; 4] = [
    SKIP_VALIDATION,
    "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I",
    "context_engineering_is_the_way_to_go",
    "Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv",
];

/// How [`Signature::spell`] begins what another maker signed, in base64: `bifrost.`, whose last two bits the next byte decides.
const TAG: &str = "Ymlmcm9zdC";

const READER: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// Reads a signature; `None` where it says that there is none.
pub(in crate::wire) fn read(value: Text<'_>) -> Option<Signature<'_>> {
    // The plain words are base64 too, so that an SDK may write them in its own alphabet.
    if value.is_empty() || DUMMIES.contains(&super::media::url_safe(&value).trim_end_matches('=')) {
        return None;
    }
    let tagged = value.starts_with(TAG).then(|| READER.decode(super::media::url_safe(&value).as_bytes()).ok()).flatten();
    let tagged = tagged.and_then(|bytes| String::from_utf8(bytes).ok());
    Some(Signature::read(tagged.map_or(value, Text::Owned), Maker::Gemini))
}

/// Spells a signature: as its maker wrote it, or tagged and in base64.
pub(super) fn spell<'s>(signature: &'s Signature<'_>) -> Text<'s> {
    let spelt = signature.spell(Maker::Gemini);
    if signature.maker == Maker::Gemini { spelt } else { Text::Owned(URL_SAFE.encode(spelt.as_bytes())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_comes_back_to_its_maker_and_is_always_base64() {
        for maker in Maker::ALL {
            for value in ["EpAICo0I+b4/9w==", "Ab4-9vu_NxM", "x", "ÿþ"] {
                let signature = Signature { value: value.into(), maker };
                let spelt = spell(&signature).into_owned();
                if maker != Maker::Gemini {
                    assert!(spelt.starts_with(TAG) && URL_SAFE.decode(&spelt).is_ok(), "{spelt}");
                    // An SDK reads bytes and writes them again, in an alphabet and with a padding of its own.
                    let again = spelt.replace('-', "+").replace('_', "/").trim_end_matches('=').to_owned();
                    assert_eq!(read(again.into()), Some(signature.clone()));
                }
                assert_eq!(read(spelt.into()), Some(signature));
            }
        }
    }

    #[test]
    fn what_stands_for_no_signature_is_none() {
        assert_eq!(read("".into()), None);
        for dummy in DUMMIES {
            assert_eq!(read(dummy.into()), None);
            assert_eq!(read(format!("{}=", dummy.replace('_', "/")).into()), None);
        }
    }
}
