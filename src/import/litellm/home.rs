//! Where LiteLLM sends a model: its prefixes, and what the provider is here.
//!
//! Not its parameters. Rule: an address is taken only where LiteLLM itself has it by default, and told of as something to check.

use crate::catalog;

/// What a prefix of LiteLLM's is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// A preset by its name.
    Preset(&'static str),
    /// A server like OpenAI's at an address that LiteLLM knows, and the variable that it takes the key from.
    Compatible {
        name: &'static str,
        url: &'static str,
        env: &'static str,
    },
    /// Azure OpenAI, by deployments.
    Azure,
    /// Azure's other models, at an address of their own.
    AzureAi,
    Bedrock,
    Vertex,
}

const PRESETS: [(&str, &str); 34] = [
    ("anthropic", "anthropic"),
    ("cerebras", "cerebras"),
    ("cohere", "cohere"),
    ("cohere_chat", "cohere"),
    ("custom_openai", "openai"),
    ("dashscope", "dashscope-intl"),
    ("deepseek", "deepseek"),
    ("fireworks_ai", "fireworks"),
    ("gemini", "gemini"),
    ("groq", "groq"),
    ("hosted_vllm", "vllm"),
    ("huggingface", "huggingface"),
    ("jina_ai", "jina"),
    ("llamafile", "llamacpp"),
    ("lm_studio", "lmstudio"),
    ("mistral", "mistral"),
    ("moonshot", "moonshot"),
    ("ollama", "ollama-native"),
    ("ollama_chat", "ollama-native"),
    ("openai", "openai"),
    ("openrouter", "openrouter"),
    ("perplexity", "perplexity"),
    ("responses", "openai"),
    ("text-completion-openai", "openai"),
    ("together_ai", "together"),
    ("vllm", "vllm"),
    ("volcengine", "ark"),
    ("voyage", "voyage"),
    ("xai", "xai"),
    ("zai", "zai"),
    ("aiohttp_openai", "openai"),
    ("sglang", "sglang"),
    ("infinity", "vllm"),
    ("docker_model_runner", "llamacpp"),
];

/// Servers like OpenAI's; what begins with `${env:` is where LiteLLM looks for an address that has no default.
const COMPATIBLE: [(&str, &str, &str); 14] = [
    ("ai21", "https://api.ai21.com/studio/v1", "AI21_API_KEY"),
    ("codestral", "https://codestral.mistral.ai/v1", "CODESTRAL_API_KEY"),
    ("databricks", "${env:DATABRICKS_API_BASE}", "DATABRICKS_API_KEY"),
    ("deepinfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    ("friendliai", "https://api.friendli.ai/serverless/v1", "FRIENDLI_TOKEN"),
    ("github", "https://models.inference.ai.azure.com", "GITHUB_API_KEY"),
    ("hyperbolic", "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY"),
    ("litellm_proxy", "${env:LITELLM_PROXY_API_BASE}", "LITELLM_PROXY_API_KEY"),
    ("meta_llama", "https://api.llama.com/compat/v1", "LLAMA_API_KEY"),
    ("nebius", "https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY"),
    ("novita", "https://api.novita.ai/v3/openai", "NOVITA_API_KEY"),
    ("nvidia_nim", "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    ("openai_like", "${env:OPENAI_LIKE_API_BASE}", "OPENAI_LIKE_API_KEY"),
    ("sambanova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
];

/// Providers like OpenAI's for which LiteLLM has an address, and nothing here has: only with one that the row gives.
const LIKE: [&str; 21] = [
    "aiml",
    "anyscale",
    "baseten",
    "chutes",
    "cometapi",
    "compactifai",
    "empower",
    "featherless_ai",
    "galadriel",
    "heroku",
    "inception",
    "lambda_ai",
    "lemonade",
    "morph",
    "nscale",
    "oobabooga",
    "ovhcloud",
    "v0",
    "vercel_ai_gateway",
    "wandb",
    "xinference",
];

/// Providers with a format of their own that nothing here speaks, whatever address a row gives.
const OTHERS: [&str; 27] = [
    "aleph_alpha",
    "anthropic_text",
    "assemblyai",
    "bytez",
    "clarifai",
    "cloudflare",
    "deepgram",
    "elevenlabs",
    "fal_ai",
    "gigachat",
    "github_copilot",
    "gradient_ai",
    "maritalk",
    "nlp_cloud",
    "oci",
    "palm",
    "petals",
    "predibase",
    "recraft",
    "replicate",
    "runwayml",
    "sagemaker",
    "sagemaker_chat",
    "snowflake",
    "triton",
    "watsonx",
    "watsonx_text",
];

/// How names begin that LiteLLM knows without a prefix.
const BARE: [(&str, Home); 19] = [
    ("gpt-", Home::Preset("openai")),
    ("chatgpt-", Home::Preset("openai")),
    ("o1", Home::Preset("openai")),
    ("o3", Home::Preset("openai")),
    ("o4", Home::Preset("openai")),
    ("text-embedding-ada", Home::Preset("openai")),
    ("text-embedding-3", Home::Preset("openai")),
    ("omni-moderation", Home::Preset("openai")),
    ("text-moderation", Home::Preset("openai")),
    ("dall-e", Home::Preset("openai")),
    ("whisper", Home::Preset("openai")),
    ("tts-", Home::Preset("openai")),
    ("ft:gpt", Home::Preset("openai")),
    ("claude-", Home::Preset("anthropic")),
    ("command", Home::Preset("cohere")),
    ("embed-", Home::Preset("cohere")),
    ("rerank-", Home::Preset("cohere")),
    ("gemini-", Home::Vertex),
    ("text-multilingual-embedding", Home::Vertex),
];

/// Finds where a model goes, and what it is called there. `provider` is what `custom_llm_provider` says; `has_address` whether the
/// parameters give one, in which case a name without a prefix is a model of a server like OpenAI's.
pub(super) fn home<'m>(model: &'m str, provider: Option<&str>, has_address: bool) -> Option<(Home, &'m str)> {
    if let Some(provider) = provider {
        let rest = model.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(model);
        return by_prefix(provider, has_address).map(|home| (home, rest));
    }
    if let Some((prefix, rest)) = model.split_once('/') {
        if let Some(home) = by_prefix(prefix, has_address) {
            return Some((home, rest));
        }
        if OTHERS.contains(&prefix) || LIKE.contains(&prefix) {
            return None;
        }
    }
    let bare = BARE.iter().find(|(begin, _)| model.starts_with(begin)).map(|(_, home)| (*home, model));
    // LiteLLM takes what it knows before what the address tells.
    bare.or_else(|| has_address.then_some((Home::Preset("openai"), model)))
}

fn by_prefix(prefix: &str, has_address: bool) -> Option<Home> {
    let preset = PRESETS.iter().find(|(theirs, _)| *theirs == prefix).map(|(_, ours)| Home::Preset(ours));
    let compatible = || {
        let (name, url, env) = *COMPATIBLE.iter().find(|(name, ..)| *name == prefix)?;
        Some(Home::Compatible { name, url, env })
    };
    preset.or_else(compatible).or(match prefix {
        "azure" | "azure_text" => Some(Home::Azure),
        "azure_ai" => Some(Home::AzureAi),
        "bedrock" | "bedrock_converse" => Some(Home::Bedrock),
        "vertex_ai" | "vertex_ai_beta" => Some(Home::Vertex),
        like if has_address && LIKE.contains(&like) => Some(Home::Preset("openai")),
        _ => None,
    })
}

/// Returns the variable that LiteLLM takes the address of a server from, where the parameters name none.
pub(super) fn base_variable(preset: &str) -> Option<&'static str> {
    match preset {
        "vllm" => Some("HOSTED_VLLM_API_BASE"),
        "lmstudio" => Some("LM_STUDIO_API_BASE"),
        _ => None,
    }
}

/// Returns the variable that LiteLLM reads where the parameters name no key.
pub(super) fn variable(home: Home) -> &'static str {
    match home {
        // LiteLLM has spellings of its own for some.
        Home::Preset("cohere") => "COHERE_API_KEY",
        Home::Preset("together") => "TOGETHERAI_API_KEY",
        Home::Preset("perplexity") => "PERPLEXITYAI_API_KEY",
        Home::Preset("fireworks") => "FIREWORKS_AI_API_KEY",
        Home::Preset("jina") => "JINA_AI_API_KEY",
        Home::Preset("huggingface") => "HUGGINGFACE_API_KEY",
        Home::Preset("ark") => "VOLCENGINE_API_KEY",
        Home::Preset("vllm") => "HOSTED_VLLM_API_KEY",
        Home::Preset(name) => catalog::preset(name).and_then(|preset| preset.env.as_deref()).unwrap_or("API_KEY"),
        Home::Compatible { env, .. } => env,
        Home::Azure => "AZURE_API_KEY",
        Home::AzureAi => "AZURE_AI_API_KEY",
        Home::Bedrock => "AWS_BEARER_TOKEN_BEDROCK",
        Home::Vertex => "GOOGLE_APPLICATION_CREDENTIALS",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_that_a_prefix_leads_to_exists() {
        for (prefix, preset) in PRESETS {
            assert!(catalog::preset(preset).is_some(), "{prefix}: {preset}");
        }
    }

    #[test]
    fn a_model_goes_where_litellm_sends_it() {
        for (model, provider, has_address, expected) in [
            ("openai/gpt-4o", None, false, Some((Home::Preset("openai"), "gpt-4o"))),
            ("gpt-4o", None, false, Some((Home::Preset("openai"), "gpt-4o"))),
            ("claude-sonnet-4-5", None, false, Some((Home::Preset("anthropic"), "claude-sonnet-4-5"))),
            ("openrouter/meta-llama/llama-3", None, false, Some((Home::Preset("openrouter"), "meta-llama/llama-3"))),
            ("meta-llama/llama-3", None, true, Some((Home::Preset("openai"), "meta-llama/llama-3"))),
            ("azure/dep", None, true, Some((Home::Azure, "dep"))),
            ("qwen3", Some("hosted_vllm"), true, Some((Home::Preset("vllm"), "qwen3"))),
            ("sagemaker/x", None, false, None),
            ("sagemaker/x", None, true, None),
            ("nscale/x/y", None, true, Some((Home::Preset("openai"), "x/y"))),
            ("nscale/x/y", None, false, None),
            ("litellm_proxy/gpt-4o", None, false, by_prefix("litellm_proxy", false).map(|home| (home, "gpt-4o"))),
            ("my-model", None, false, None),
        ] {
            assert_eq!(home(model, provider, has_address), expected, "{model}");
        }
    }
}
