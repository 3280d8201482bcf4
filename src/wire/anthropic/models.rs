//! What Claude models accept, by their names. Source: live checks published by pydantic-ai and vercel/ai, July and August 2026.

/// What a model accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a row of a table")]
pub(in crate::wire) struct Capabilities {
    /// `thinking: {type: adaptive}`.
    pub(in crate::wire) adaptive: bool,
    /// `thinking: {type: enabled, budget_tokens}`.
    pub(in crate::wire) budget: bool,
    /// `temperature`, `top_p`, `top_k`.
    pub(in crate::wire) sampling: bool,
    /// `temperature` and `top_p` together.
    pub(in crate::wire) both_temperature_and_top_p: bool,
    /// `output_config.effort`.
    pub(in crate::wire) effort: bool,
    /// The effort `xhigh`.
    pub(in crate::wire) xhigh: bool,
    /// A `tool_choice` that forces a call.
    pub(in crate::wire) forced_tools: bool,
    /// `output_config.format` and strict tools.
    pub(in crate::wire) schema: bool,
    /// The role `system` inside the conversation.
    pub(in crate::wire) system_messages: bool,
    /// The most tokens that an answer may have.
    pub(in crate::wire) max_output_tokens: u64,
}

/// What a model of nobody knows what generation accepts: the oldest common ground.
const OLD: Capabilities = Capabilities {
    adaptive: false,
    budget: false,
    sampling: true,
    both_temperature_and_top_p: true,
    effort: false,
    xhigh: false,
    forced_tools: true,
    schema: false,
    system_messages: false,
    max_output_tokens: 4_096,
};
const V3_5: Capabilities = Capabilities { max_output_tokens: 8_192, ..OLD };
const V3_7: Capabilities = Capabilities { budget: true, max_output_tokens: 64_000, ..OLD };
const OPUS_4: Capabilities = Capabilities { max_output_tokens: 32_000, ..V3_7 };
const OPUS_4_1: Capabilities = Capabilities { schema: true, both_temperature_and_top_p: false, ..OPUS_4 };
const V4_5: Capabilities = Capabilities { schema: true, both_temperature_and_top_p: false, ..V3_7 };
const OPUS_4_5: Capabilities = Capabilities { effort: true, ..V4_5 };
const V4_6: Capabilities = Capabilities { adaptive: true, effort: true, max_output_tokens: 128_000, ..V4_5 };
const V4_7: Capabilities = Capabilities { budget: false, sampling: false, xhigh: true, ..V4_6 };
const V4_8: Capabilities = Capabilities { system_messages: true, ..V4_7 };
const FABLE: Capabilities = Capabilities { forced_tools: false, ..V4_7 };

/// Families by the start of the name behind `claude-`, the more special first.
const FAMILIES: [(&str, Capabilities); 18] = [
    ("fable-5", FABLE),
    ("mythos", FABLE),
    ("opus-5", V4_7),
    ("sonnet-5", V4_7),
    ("opus-4-8", V4_8),
    ("opus-4-7", V4_7),
    ("opus-4-6", V4_6),
    ("opus-4-5", OPUS_4_5),
    ("opus-4-1", OPUS_4_1),
    ("opus-4", OPUS_4),
    ("sonnet-4-6", V4_6),
    ("sonnet-4-5", V4_5),
    ("sonnet-4", V3_7),
    ("haiku-4-5", V4_5),
    ("3-7", V3_7),
    ("3-5", V3_5),
    ("3", OLD),
    ("2", OLD),
];

/// Returns what a model accepts. What stands before `claude-` (a region, a vendor) does not count; a dot in a version is a dash.
pub(in crate::wire) fn capabilities(model: &str) -> Capabilities {
    let Some((_, name)) = model.split_once("claude-") else { return OLD };
    let name = name.replace('.', "-");
    FAMILIES.into_iter().find(|(family, _)| name.starts_with(family)).map_or(V4_5, |(_, capabilities)| capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_found_in_every_spelling_of_a_name() {
        for (model, expected) in [
            ("claude-opus-4-8", V4_8),
            ("us.anthropic.claude-sonnet-4-6-v1:0", V4_6),
            ("anthropic/claude-haiku-4.5", V4_5),
            ("claude-sonnet-4@20250514", V3_7),
            ("claude-3-5-sonnet-20240620", V3_5),
            ("claude-3-haiku-20240307", OLD),
            ("claude-of-the-future", V4_5),
            ("somebody-elses", OLD),
        ] {
            assert_eq!(capabilities(model), expected, "{model}");
        }
    }
}
