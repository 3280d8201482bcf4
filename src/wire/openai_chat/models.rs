//! What OpenAI's models accept, by their names. Source: live checks published by pydantic-ai in July 2026.

/// Whether a model reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) enum Reasons {
    /// Never; it refuses an effort.
    Never,
    /// Always; it refuses sampling.
    Always,
    /// Where an effort is given; then it refuses sampling.
    WhenAsked,
    /// Unless the effort is `none`.
    UnlessOff,
    /// A model that is not OpenAI's, or that came later.
    Unknown,
}

/// Returns whether the model reasons. A prefix up to a slash (`openai/`) does not count.
pub(in crate::wire) fn reasons(model: &str) -> Reasons {
    let name = model.rsplit('/').next().unwrap_or(model);
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if starts(&["gpt-3.5", "gpt-4", "chatgpt-4", "gpt-5-chat"]) {
        return Reasons::Never;
    }
    if starts(&["gpt-oss"]) {
        return Reasons::Unknown;
    }
    let always =
        ["o1", "o3", "o4", "gpt-5.1-codex", "gpt-5.1-chat", "gpt-5.2-chat", "gpt-5.3-chat", "gpt-5.2-pro", "gpt-5.4-pro", "gpt-5.5-pro"];
    if starts(&always) {
        return Reasons::Always;
    }
    if starts(&["gpt-5.1", "gpt-5.2", "gpt-5.3", "gpt-5.4"]) {
        return Reasons::WhenAsked;
    }
    if starts(&["gpt-5."]) {
        return Reasons::UnlessOff;
    }
    if starts(&["gpt-5"]) {
        return Reasons::Always;
    }
    Reasons::Unknown
}

/// Returns whether the model knows the effort `minimal`: only the first of the gpt-5 line do.
pub(in crate::wire) fn knows_minimal(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.starts_with("gpt-5") && !name.starts_with("gpt-5.") && !name.starts_with("gpt-5-pro")
}

/// Returns whether the model knows the effort `xhigh`.
pub(in crate::wire) fn knows_xhigh(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let newer = ["gpt-5.2", "gpt-5.3", "gpt-5.4", "gpt-5.5", "gpt-5.6", "gpt-5.1-codex-max"];
    newer.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_told_apart_by_the_longest_of_their_families() {
        for (model, kind) in [
            ("gpt-4o-mini", Reasons::Never),
            ("gpt-5-chat-latest", Reasons::Never),
            ("openai/gpt-5-nano", Reasons::Always),
            ("o4-mini", Reasons::Always),
            ("gpt-5.1-codex", Reasons::Always),
            ("gpt-5.1", Reasons::WhenAsked),
            ("gpt-5.6", Reasons::UnlessOff),
            ("openai/gpt-oss-120b", Reasons::Unknown),
            ("mistral-large", Reasons::Unknown),
        ] {
            assert_eq!(reasons(model), kind, "{model}");
        }
        assert!(knows_minimal("gpt-5-mini") && !knows_minimal("gpt-5.1"));
        assert!(knows_xhigh("gpt-5.4") && !knows_xhigh("gpt-5"));
    }
}
