//! Whose thoughts an item holds: the format has one field for them, whoever made them.

use crate::wire::ir::{Content, Maker, Signature};
use crate::wire::json::Text;

/// Whose signatures a bare `encrypted_content` of a client's is taken for.
pub(super) const HOME: Maker = Maker::OpenAi;

/// Starts the data of thoughts that another maker keeps to itself; without it they would come back as signed thoughts without a text.
const REDACTED: &str = "bifrost.redacted.";

/// Begins the id of thoughts that no provider of the format has: sent to one without anything encrypted, it would look for them.
pub(super) const OUR_ID: &str = "rs_bifrost_";

/// Returns who makes the thoughts of a model.
pub(super) fn of_model(model: &str) -> Maker {
    let name = model.rsplit('/').next().unwrap_or(model);
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if starts(&["grok"]) {
        return Maker::Xai;
    }
    // Azure's deployments are named by their owners, Bedrock's models begin with their vendor.
    if starts(&["deepseek", "glm", "qwen", "gpt-oss", "llama", "mistral"]) { Maker::Unknown } else { Maker::OpenAi }
}

/// Reads `encrypted_content`, beside the text of the thoughts, as `home`'s where it is not tagged.
pub(super) fn read<'a>(value: Text<'a>, text: Text<'a>, home: Maker) -> Content<'a> {
    if let Some(inner) = value.strip_prefix(REDACTED) {
        return Content::RedactedThinking { data: Signature::read(Text::Owned(inner.to_owned()), home) };
    }
    let data = Signature::read(value, home);
    // What this format's own models encrypt beside no summary is all that there is of those thoughts.
    if text.is_empty() && data.maker == home {
        return Content::RedactedThinking { data };
    }
    Content::Thinking { text, signature: Some(data) }
}

/// Spells the signature of thoughts with a text for a client.
pub(super) fn spell<'s>(signature: &'s Signature<'_>) -> Text<'s> {
    signature.spell(HOME)
}

/// Spells thoughts that only their maker can read for a client.
pub(super) fn spell_redacted<'s>(data: &'s Signature<'_>) -> Text<'s> {
    if data.maker == HOME { data.spell(HOME) } else { Text::Owned(format!("{REDACTED}{}", data.spell(HOME))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redacted_and_signed_thoughts_of_every_maker_come_back_as_what_they_were() {
        for maker in Maker::ALL {
            let data = Signature { value: "a.b=".into(), maker };
            let redacted = spell_redacted(&data).into_owned();
            assert_eq!(read(redacted.into(), "".into(), HOME), Content::RedactedThinking { data: data.clone() }, "{maker:?}");
            for text in ["", "thought"] {
                let signed = spell(&data).into_owned();
                let back = read(signed.into(), text.into(), HOME);
                let expected = match (maker, text) {
                    (Maker::OpenAi, "") => Content::RedactedThinking { data: data.clone() },
                    _ => Content::Thinking { text: text.into(), signature: Some(data.clone()) },
                };
                assert_eq!(back, expected, "{maker:?} {text}");
            }
        }
    }

    #[test]
    fn makers_are_known_by_the_names_of_models() {
        for (model, maker) in [
            ("grok-4.3", Maker::Xai),
            ("gpt-5.4", Maker::OpenAi),
            ("openai.gpt-5.6-luna", Maker::OpenAi),
            ("my-deployment", Maker::OpenAi),
            ("openai/gpt-oss-20b", Maker::Unknown),
            ("zai-org/glm-4.7-flash", Maker::Unknown),
            ("deepseek-v4-flash", Maker::Unknown),
        ] {
            assert_eq!(of_model(model), maker, "{model}");
        }
    }
}
