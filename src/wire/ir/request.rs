//! A request.

use super::{Losses, Part};
use crate::wire::Format;
use crate::wire::json::{Extras, Given, Json, Number, Place, Text};

/// A request for an answer, as the client meant it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<'a> {
    /// The client's format; only its encoder writes the extras.
    pub format: Format,
    /// The body, which every [`Place`] points into.
    pub source: &'a str,
    /// The model that the client named.
    pub model: Text<'a>,
    /// The conversation. Instructions of the system are messages too, wherever they stand.
    pub messages: Vec<Message<'a>>,
    /// The tools that the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Whether and which of them.
    pub tool_choice: Option<Given<ToolChoice<'a>>>,
    /// Whether several at once.
    pub parallel_tool_calls: Option<Given<bool>>,
    /// The shape of the answer; text where it is not said.
    pub output: Option<Given<Output<'a>>>,
    /// The most tokens that the answer may have.
    pub max_output_tokens: Option<Given<u64>>,
    /// Texts that end the answer.
    pub stop: Vec<Given<Text<'a>>>,
    /// How tokens are drawn.
    pub sampling: Sampling<'a>,
    /// Whether the answer tells how likely its tokens were.
    pub logprobs: Logprobs,
    /// How much the model thinks.
    pub reasoning: Reasoning<'a>,
    /// How chatty the answer is: `low`, `medium`, `high`.
    pub verbosity: Option<Given<Text<'a>>>,
    /// How the prompt is cached.
    pub caching: Caching<'a>,
    /// Who asks, and what is noted.
    pub identity: Identity<'a>,
    /// How it is queued and billed.
    pub service_tier: Option<Given<ServiceTier<'a>>>,
    /// Whether the answer comes in pieces.
    pub is_stream: bool,
    /// Whether a stream tells the usage, where clients may choose.
    pub include_usage: Option<Given<bool>>,
    /// Where the request leans on what its own provider keeps (an earlier answer, a conversation, a prompt). The members themselves are
    /// extras or opaque parts; to another format they are lost as [`super::Reason::Stored`].
    pub stored: Vec<Place>,
    /// What nobody understood.
    pub extras: Extras<'a>,
    /// What was lost when the request was read: members deep inside that no extras can hold.
    pub losses: Losses,
}

impl<'a> Request<'a> {
    /// Makes an empty request.
    pub fn new(format: Format, source: &'a str) -> Self {
        Self {
            format,
            source,
            model: Text::Borrowed(""),
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            output: None,
            max_output_tokens: None,
            stop: Vec::new(),
            sampling: Sampling::default(),
            logprobs: Logprobs::default(),
            reasoning: Reasoning::default(),
            verbosity: None,
            caching: Caching::default(),
            identity: Identity::default(),
            service_tier: None,
            is_stream: false,
            include_usage: None,
            stored: Vec::new(),
            extras: Vec::new(),
            losses: Losses::default(),
        }
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The operator.
    System,
    /// The operator, in OpenAI's newer word.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// Tools of the client; such a message holds results and nothing else.
    Tool,
}

/// One message. Neighbours of one role are not merged here; whoever encodes for a provider that wants turns does that.
#[derive(Debug, Clone, PartialEq)]
pub struct Message<'a> {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub parts: Vec<Part<'a>>,
    /// The speaker's name.
    pub name: Option<Given<Text<'a>>>,
    /// What nobody understood.
    pub extras: Extras<'a>,
    /// Where it stands.
    pub at: Place,
}

/// A tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool<'a> {
    /// What it is.
    pub kind: ToolKind<'a>,
    /// "Cache the prompt up to here".
    pub cache: Option<Given<super::CacheMark<'a>>>,
    /// What nobody understood.
    pub extras: Extras<'a>,
    /// Where it stands.
    pub at: Place,
}

/// What a tool is.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolKind<'a> {
    /// A function of the client's.
    Function {
        /// Its name.
        name: Text<'a>,
        /// What it does.
        description: Option<Given<Text<'a>>>,
        /// JSON schema of its arguments; no arguments where it is missing.
        parameters: Option<Json<'a>>,
        /// Whether arguments must fit the schema.
        strict: Option<Given<bool>>,
    },
    /// A tool of the client's that takes free text.
    Custom {
        /// Its name.
        name: Text<'a>,
        /// What it does.
        description: Option<Given<Text<'a>>>,
        /// The grammar of its input.
        grammar: Option<Given<Json<'a>>>,
    },
    /// A tool that one provider runs itself.
    Opaque {
        /// The definition, whole.
        definition: Json<'a>,
    },
}

/// Whether and which tools are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice<'a> {
    /// As the model sees fit.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Tool(Text<'a>),
    /// Only these.
    Allowed {
        /// At least one of them.
        is_required: bool,
        /// Their names.
        names: Vec<Text<'a>>,
    },
}

/// The shape of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output<'a> {
    /// Text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON of a schema.
    JsonSchema {
        /// The schema's name.
        name: Option<Given<Text<'a>>>,
        /// What it is for.
        description: Option<Given<Text<'a>>>,
        /// The schema.
        schema: Json<'a>,
        /// Whether it must fit exactly.
        strict: Option<Given<bool>>,
    },
}

/// How tokens are drawn. Numbers keep the client's spelling.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sampling<'a> {
    /// Temperature.
    pub temperature: Option<Given<Number<'a>>>,
    /// Nucleus.
    pub top_p: Option<Given<Number<'a>>>,
    /// The k likeliest.
    pub top_k: Option<Given<Number<'a>>>,
    /// Against tokens that were used at all.
    pub presence_penalty: Option<Given<Number<'a>>>,
    /// Against tokens that were used often.
    pub frequency_penalty: Option<Given<Number<'a>>>,
    /// For answers that can be had again.
    pub seed: Option<Given<Number<'a>>>,
    /// A map from token to bias.
    pub logit_bias: Option<Given<Json<'a>>>,
    /// How many answers.
    pub candidates: Option<Given<u64>>,
}

/// Whether the answer tells how likely its tokens were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Logprobs {
    /// Whether at all.
    pub is_wanted: Option<Given<bool>>,
    /// How many alternatives for each token.
    pub top: Option<Given<u64>>,
}

/// How much the model thinks, and what is shown of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reasoning<'a> {
    /// Whether, and within which bounds.
    pub mode: Option<Given<ReasoningMode>>,
    /// How hard.
    pub effort: Option<Given<Effort>>,
    /// What is shown: `summarized`, `omitted`; `auto`, `concise`, `detailed`.
    pub display: Option<Given<Text<'a>>>,
}

/// Whether a model thinks, and within which bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasoningMode {
    /// Not at all.
    Off,
    /// As it sees fit.
    Adaptive,
    /// For at most so many tokens.
    Budget(u64),
}

/// How hard a model thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effort {
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// Very much.
    XHigh,
    /// As much as it can.
    Max,
}

impl Effort {
    /// Every effort, from the smallest.
    pub const ALL: [Self; 6] = [Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max];

    /// Returns the word that OpenAI and Anthropic use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// Reads that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str() == word)
    }

    /// Returns the tokens that stand for this effort where a model takes a budget. Source: the defaults of pydantic-ai, the only published
    /// ones that grow with every step; no provider publishes its own.
    pub const fn budget(self) -> u64 {
        match self {
            Self::Minimal => 1_024,
            Self::Low => 2_048,
            Self::Medium => 10_000,
            Self::High => 16_384,
            Self::XHigh => 32_768,
            Self::Max => 63_999,
        }
    }

    /// Returns the effort that stands for a budget: the smallest whose own budget is not below it, so that effort → budget → effort is the
    /// same again.
    pub fn of_budget(tokens: u64) -> Self {
        Self::ALL.into_iter().find(|effort| tokens <= effort.budget()).unwrap_or(Self::Max)
    }
}

/// How the prompt is cached.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Caching<'a> {
    /// The provider places the marks itself.
    pub automatic: Option<Given<super::CacheMark<'a>>>,
    /// Requests of one key meet the same cache.
    pub key: Option<Given<Text<'a>>>,
    /// How long entries are kept: `in_memory`, `24h`.
    pub retention: Option<Given<Text<'a>>>,
    /// OpenAI's `prompt_cache_options`.
    pub options: Option<Given<Json<'a>>>,
}

/// Who asks, and what is noted about it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Identity<'a> {
    /// The end user.
    pub user: Option<Given<Text<'a>>>,
    /// The end user, for the provider's abuse desk.
    pub safety_id: Option<Given<Text<'a>>>,
    /// Free notes: an object of strings.
    pub metadata: Option<Given<Json<'a>>>,
    /// Whether the provider keeps the answer.
    pub store: Option<Given<bool>>,
}

/// How a request is queued and billed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceTier<'a> {
    /// The best that the account has.
    Auto,
    /// The standard one.
    Standard,
    /// Cheaper, later.
    Flex,
    /// Dearer, sooner.
    Priority,
    /// One that only the client's provider has.
    Other(Text<'a>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effort_and_budget_agree() {
        for effort in Effort::ALL {
            assert_eq!(Effort::of_budget(effort.budget()), effort);
            assert_eq!(Effort::from_word(effort.as_str()), Some(effort));
        }
        assert_eq!(Effort::of_budget(0), Effort::Minimal);
        assert_eq!(Effort::of_budget(u64::MAX), Effort::Max);
    }
}
