//! What Bifrost's providers are here.

use crate::spec::Api;

/// What a provider of Bifrost's is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// A preset by its name.
    Preset(&'static str),
    /// A server like OpenAI's at an address that Bifrost knows.
    Compatible(&'static str),
    Azure,
    Bedrock,
    Vertex,
    /// One that the file describes.
    Custom(Api),
}

const PRESETS: [(&str, &str); 18] = [
    ("anthropic", "anthropic"),
    ("bedrock_mantle", "bedrock-mantle"),
    ("cerebras", "cerebras"),
    ("cohere", "cohere"),
    ("deepseek", "deepseek"),
    ("fireworks", "fireworks"),
    ("gemini", "gemini"),
    ("groq", "groq"),
    ("huggingface", "huggingface"),
    ("mistral", "mistral"),
    ("ollama", "ollama"),
    ("openai", "openai"),
    ("openrouter", "openrouter"),
    ("perplexity", "perplexity"),
    ("sgl", "sglang"),
    ("sglang", "sglang"),
    ("vllm", "vllm"),
    ("xai", "xai"),
];

const COMPATIBLE: [(&str, &str); 2] = [("nebius", "https://api.tokenfactory.nebius.com/v1"), ("parasail", "https://api.parasail.io/v1")];

/// Finds what a provider is, by its name and by what it is said to be like.
pub(super) fn home(name: &str, like: Option<&str>) -> Option<Home> {
    if let Some(like) = like {
        return match like {
            "openai" => Some(Home::Custom(Api::OpenaiChat)),
            "anthropic" => Some(Home::Custom(Api::Anthropic)),
            "gemini" => Some(Home::Custom(Api::Gemini)),
            "cohere" => Some(Home::Custom(Api::Cohere)),
            "bedrock" => Some(Home::Bedrock),
            _ => None,
        };
    }
    let preset = PRESETS.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| Home::Preset(ours));
    let compatible = || COMPATIBLE.iter().find(|(theirs, _)| *theirs == name).map(|(_, url)| Home::Compatible(url));
    preset.or_else(compatible).or(match name {
        "azure" => Some(Home::Azure),
        "bedrock" => Some(Home::Bedrock),
        "vertex" => Some(Home::Vertex),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    #[test]
    fn every_preset_that_a_name_leads_to_exists() {
        for (name, preset) in PRESETS {
            assert!(catalog::preset(preset).is_some(), "{name}: {preset}");
        }
        assert_eq!(home("mine", Some("anthropic")), Some(Home::Custom(Api::Anthropic)));
        assert_eq!(home("elevenlabs", None), None);
    }
}
