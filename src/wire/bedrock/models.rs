//! What models on Bedrock accept, by their names. Sources: the service's own page of features by model, its model of `ToolChoice`, and
//! live checks published by pydantic-ai, August 2026.

use crate::wire::anthropic;

/// Who made a model, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Anthropic's Claude.
    Claude,
    /// Amazon's Nova.
    Nova,
    /// Amazon's Nova 2, which thinks.
    Nova2,
    /// OpenAI's open models.
    GptOss,
    /// Models of the first years: Titan, Llama, Cohere, AI21.
    Old,
    /// Mistral's.
    Mistral,
    /// Any other, and what hides behind an ARN of one's own.
    Other,
}

/// What a model accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a row of a table")]
pub(super) struct Capabilities {
    pub(super) family: Family,
    /// `cachePoint`.
    pub(super) cache_points: bool,
    /// `toolChoice.any`.
    pub(super) any_tool: bool,
    /// `toolChoice.tool`.
    pub(super) named_tool: bool,
    /// `outputConfig.textFormat`, and strict tools.
    pub(super) schema: bool,
}

const OTHER: Capabilities = Capabilities { family: Family::Other, cache_points: false, any_tool: true, named_tool: true, schema: true };

/// Vendors by the start of the name behind the region, the more special first.
const VENDORS: [(&str, Capabilities); 11] = [
    ("anthropic.", Capabilities { family: Family::Claude, cache_points: true, ..OTHER }),
    ("amazon.nova-2", Capabilities { family: Family::Nova2, cache_points: true, schema: false, ..OTHER }),
    ("amazon.nova", Capabilities { family: Family::Nova, cache_points: true, schema: false, ..OTHER }),
    ("openai.", Capabilities { family: Family::GptOss, ..OTHER }),
    ("amazon.", OLD),
    ("meta.", OLD),
    ("cohere.", OLD),
    ("ai21.", OLD),
    ("mistral.mistral-large", Capabilities { family: Family::Mistral, named_tool: false, ..OTHER }),
    ("mistral.", Capabilities { family: Family::Mistral, any_tool: false, named_tool: false, ..OTHER }),
    ("deepseek.r1", Capabilities { any_tool: false, named_tool: false, schema: false, ..OTHER }),
];

const OLD: Capabilities = Capabilities { family: Family::Old, cache_points: false, any_tool: false, named_tool: false, schema: false };

/// Returns what a model accepts. A region in front (`us.`, `global.`), and the path of an ARN, do not count.
pub(super) fn capabilities(model: &str) -> Capabilities {
    let name = model.rsplit('/').next().unwrap_or(model);
    let behind_region = name.split_once('.').map_or(name, |(_, rest)| rest);
    let found = VENDORS.into_iter().find(|(vendor, _)| name.starts_with(vendor) || behind_region.starts_with(vendor));
    let mut found = found.map_or(OTHER, |(_, capabilities)| capabilities);
    if found.family == Family::Claude {
        let claude = anthropic::capabilities(name);
        found = Capabilities { schema: claude.schema, any_tool: claude.forced_tools, named_tool: claude.forced_tools, ..found };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_found_behind_regions_and_in_arns() {
        for (model, family, schema, named_tool) in [
            ("anthropic.claude-3-haiku-20240307-v1:0", Family::Claude, false, true),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Family::Claude, true, true),
            ("global.anthropic.claude-fable-5", Family::Claude, true, false),
            ("us.amazon.nova-2-lite-v1:0", Family::Nova2, false, true),
            ("amazon.nova-lite-v1:0", Family::Nova, false, true),
            ("openai.gpt-oss-120b-1:0", Family::GptOss, true, true),
            ("amazon.titan-text-express-v1", Family::Old, false, false),
            ("us.meta.llama3-3-70b-instruct-v1:0", Family::Old, false, false),
            ("mistral.mistral-large-2407-v1:0", Family::Mistral, true, false),
            ("zai.glm-4.7-flash", Family::Other, true, true),
            ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-6", Family::Claude, true, true),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", Family::Other, true, true),
        ] {
            let told = capabilities(model);
            assert_eq!((told.family, told.schema, told.named_tool), (family, schema, named_tool), "{model}");
        }
    }
}
