//! What Gemini models accept, by their names. Source: live checks published by pydantic-ai up to October 2026, and Google's table of
//! thinking levels.

use crate::wire::ir::Effort;

/// How a model is told to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    /// It does not.
    None,
    /// `thinkingBudget`, within these bounds; whether 0 turns it off.
    Budget {
        /// The smallest that is accepted, 0 aside.
        least: u64,
        /// The largest.
        most: u64,
        /// Whether 0 is accepted.
        can_be_off: bool,
    },
    /// `thinkingLevel`, one of these.
    Levels(&'static [Effort]),
}

/// What a model accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a row of a table")]
pub(super) struct Capabilities {
    /// How it is told to think.
    pub(super) thinking: Thinking,
    /// JSON output together with functions.
    pub(super) json_with_functions: bool,
    /// The mode `VALIDATED`, which keeps calls to their schema.
    pub(super) validated: bool,
    /// Pictures and documents inside the result of a function.
    pub(super) media_in_results: bool,
    /// A call that comes back without the signature that came with it is refused.
    pub(super) needs_signatures: bool,
}

const V1: Capabilities = Capabilities {
    thinking: Thinking::None,
    json_with_functions: false,
    validated: false,
    media_in_results: false,
    needs_signatures: false,
};
const V2_5: Capabilities = Capabilities { thinking: Thinking::Budget { least: 1, most: 24_576, can_be_off: true }, validated: true, ..V1 };
const V2_5_PRO: Capabilities = Capabilities { thinking: Thinking::Budget { least: 128, most: 32_768, can_be_off: false }, ..V2_5 };
const V2_5_LITE: Capabilities = Capabilities { thinking: Thinking::Budget { least: 512, most: 24_576, can_be_off: true }, ..V2_5 };
const V2_5_IMAGE: Capabilities = Capabilities { thinking: Thinking::None, validated: false, ..V2_5 };
const V3: Capabilities = Capabilities {
    thinking: Thinking::Levels(&[Effort::Minimal, Effort::Low, Effort::Medium, Effort::High]),
    json_with_functions: true,
    media_in_results: true,
    needs_signatures: true,
    ..V2_5
};
const V3_FROM_LOW: Capabilities = Capabilities { thinking: Thinking::Levels(&[Effort::Low, Effort::Medium, Effort::High]), ..V3 };
const V3_LOW_OR_HIGH: Capabilities = Capabilities { thinking: Thinking::Levels(&[Effort::Low, Effort::High]), ..V3 };
const V3_LEAST_OR_HIGH: Capabilities = Capabilities { thinking: Thinking::Levels(&[Effort::Minimal, Effort::High]), ..V3 };

/// Families by the start of the name, the more special first.
const FAMILIES: [(&str, Capabilities); 15] = [
    ("gemini-1", V1),
    ("gemini-2.0", V1),
    ("gemini-pro-vision", V1),
    ("gemma", V1),
    ("gemini-2.5-flash-image", V2_5_IMAGE),
    ("gemini-2.5-flash-lite", V2_5_LITE),
    ("gemini-2.5-pro", V2_5_PRO),
    ("gemini-2.5", V2_5),
    ("gemini-3.1-flash-lite-image", V3_LEAST_OR_HIGH),
    ("gemini-3.7-flash", V3_FROM_LOW),
    ("gemini-3.8-flash", V3_FROM_LOW),
    ("gemini-3.1-pro", V3_FROM_LOW),
    ("gemini-3-pro", V3_LOW_OR_HIGH),
    ("gemini-4-argon", V3_FROM_LOW),
    ("gemini-4-carbon", V3_FROM_LOW),
];

/// Returns what a model accepts. What stands before the last slash (`models/`, a project's path) does not count. A name of no family, like
/// `gemini-flash-latest`, is a model that came later.
pub(super) fn capabilities(model: &str) -> Capabilities {
    let name = model.rsplit('/').next().unwrap_or(model);
    if name == "gemini-pro" {
        return V1;
    }
    FAMILIES.into_iter().find(|(family, _)| name.starts_with(family)).map_or(V3, |(_, capabilities)| capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_found_in_every_spelling_of_a_name() {
        for (model, expected) in [
            ("models/gemini-1.5-flash", V1),
            ("gemini-2.0-flash-001", V1),
            ("gemini-2.5-pro-preview-05-06", V2_5_PRO),
            ("gemini-2.5-flash", V2_5),
            ("gemini-2.5-flash-lite", V2_5_LITE),
            ("publishers/google/models/gemini-2.5-flash-image", V2_5_IMAGE),
            ("gemini-3-pro-preview", V3_LOW_OR_HIGH),
            ("gemini-3.1-pro-preview", V3_FROM_LOW),
            ("gemini-3-flash-preview", V3),
            ("gemini-flash-latest", V3),
            ("gemini-pro", V1),
        ] {
            assert_eq!(capabilities(model), expected, "{model}");
        }
    }
}
