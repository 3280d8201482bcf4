//! How changes of a spec are judged, as the spec itself says it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How changes of this spec are judged when they are reviewed. What holds is the policy of the base, so a change cannot lower its own risk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Risks in place of those that `diff` knows, in order; the first that fits a change holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub risks: Vec<RiskPolicy>,
}

impl Policy {
    /// Returns whether it says nothing.
    pub const fn is_silent(&self) -> bool {
        self.risks.is_empty()
    }
}

/// A risk in place of the one that `diff` knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RiskPolicy {
    /// Where: a path as `diff` writes it, in which `*` stands for any text.
    #[schemars(length(min = 1), extend("examples" = ["virtual_keys.sandbox-*", "models.fast.targets*", "budgets.*.limit"]))]
    pub path: String,
    /// Which changes there. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<ChangeAction>,
    /// Their risk.
    pub risk: RiskWord,
    /// Why; shown beside the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What happens to a part of the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeAction {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another one.
    Changed,
}

/// How much can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RiskWord {
    /// Nothing.
    None,
    /// Little.
    Low,
    /// Something.
    Medium,
    /// Much.
    High,
}
