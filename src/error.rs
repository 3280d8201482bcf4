//! The data plane's one error: born with what it is, whether another try can help, what the client is told, and what only the
//! log may see.

use std::fmt;

/// What went wrong, in the field's terms. The stable `code` that clients and logs see is [`Kind::code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The request is not what the format says.
    BadRequest,
    /// No valid virtual key.
    Unauthenticated,
    /// The key may not do this.
    Forbidden,
    /// A rule of the spec refused the request; the rule names the status.
    Denied,
    /// No such alias or target.
    NotFound,
    /// No such path.
    UnknownPath,
    /// The method does not exist here.
    MethodNotAllowed,
    /// The body is over the cap.
    TooLarge,
    /// The client did not deliver its request in time.
    ClientTimeout,
    /// The alias allows no lossy translation, and the target cannot express the request.
    LossyTranslation,
    /// The gateway is full.
    Overloaded,
    /// The gateway ends, and the answer did not end within the grace.
    Draining,
    /// Every candidate was excluded before it was tried.
    NoCandidate,
    /// A limit of the spec is reached; or every candidate was excluded before it was tried, and what ends first is a rate limit.
    RateLimited,
    /// A budget has no room for the request, or the running stream cannot go on within one.
    BudgetExceeded,
    /// A budget applies, and the model has no price.
    Unpriced,
    /// A budget applies, and what is spent cannot be written down.
    LedgerUnavailable,
    /// No connection to the upstream.
    UpstreamConnect,
    /// The upstream answered 429.
    UpstreamRateLimit,
    /// The upstream says that its account is out of money.
    UpstreamQuota,
    /// The upstream refused our credential.
    UpstreamAuth,
    /// The upstream is overloaded.
    UpstreamOverload,
    /// The upstream failed.
    UpstreamServerError,
    /// The upstream was silent for too long.
    UpstreamTimeout,
    /// The upstream's answer is not what its format says.
    UpstreamMalformed,
    /// The upstream's answer ended before its end.
    UpstreamTruncated,
    /// The upstream's answer is larger than what is held back.
    UpstreamTooLarge,
    /// The prompt does not fit the model's window.
    ContextWindow,
    /// The provider's content filter refused.
    ContentFilter,
    /// The upstream refused the request itself; its answer is returned as it is.
    UpstreamRejected,
    /// The key was revoked while the request was running.
    Revoked,
    /// A template of the spec failed on this request.
    TemplateFailed,
    /// A fault of ours.
    Internal,
}

/// Whether, and where, another try can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// No other try can help.
    Never,
    /// The next target may succeed.
    NextTarget,
    /// Another credential of the same provider may succeed, then the next target.
    NextCredential,
    /// The same target may succeed, then the next one.
    Same,
}

impl Kind {
    /// Every kind, in the order of its declaration: `Kind::ALL[kind as usize] == kind`.
    pub const ALL: [Self; 33] = [
        Self::BadRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::Denied,
        Self::NotFound,
        Self::UnknownPath,
        Self::MethodNotAllowed,
        Self::TooLarge,
        Self::ClientTimeout,
        Self::LossyTranslation,
        Self::Overloaded,
        Self::Draining,
        Self::NoCandidate,
        Self::RateLimited,
        Self::BudgetExceeded,
        Self::Unpriced,
        Self::LedgerUnavailable,
        Self::UpstreamConnect,
        Self::UpstreamRateLimit,
        Self::UpstreamQuota,
        Self::UpstreamAuth,
        Self::UpstreamOverload,
        Self::UpstreamServerError,
        Self::UpstreamTimeout,
        Self::UpstreamMalformed,
        Self::UpstreamTruncated,
        Self::UpstreamTooLarge,
        Self::ContextWindow,
        Self::ContentFilter,
        Self::UpstreamRejected,
        Self::Revoked,
        Self::TemplateFailed,
        Self::Internal,
    ];

    /// Returns the stable code that clients, logs and metrics see.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Denied => "denied_by_rule",
            Self::NotFound => "not_found",
            Self::UnknownPath => "unknown_path",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge => "request_too_large",
            Self::ClientTimeout => "client_timeout",
            Self::LossyTranslation => "lossy_translation",
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
            Self::NoCandidate => "no_candidate",
            Self::RateLimited => "rate_limited",
            Self::BudgetExceeded => "budget_exceeded",
            Self::Unpriced => "model_unpriced",
            Self::LedgerUnavailable => "ledger_unavailable",
            Self::UpstreamConnect => "upstream_connect",
            Self::UpstreamRateLimit => "upstream_rate_limit",
            Self::UpstreamQuota => "upstream_quota",
            Self::UpstreamAuth => "upstream_auth",
            Self::UpstreamOverload => "upstream_overload",
            Self::UpstreamServerError => "upstream_server_error",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamMalformed => "upstream_malformed",
            Self::UpstreamTruncated => "upstream_truncated",
            Self::UpstreamTooLarge => "upstream_too_large",
            Self::ContextWindow => "context_window",
            Self::ContentFilter => "content_filter",
            Self::UpstreamRejected => "upstream_rejected",
            Self::Revoked => "key_revoked",
            Self::TemplateFailed => "template_failed",
            Self::Internal => "internal",
        }
    }

    /// Returns the HTTP status of our own answer. An upstream's 401 is our credential's fault and never the client's.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest | Self::LossyTranslation | Self::ContextWindow | Self::ContentFilter | Self::UpstreamRejected => 400,
            Self::Unauthenticated | Self::Revoked => 401,
            Self::BudgetExceeded => 402,
            Self::Forbidden | Self::Denied | Self::Unpriced => 403,
            Self::NotFound | Self::UnknownPath => 404,
            Self::MethodNotAllowed => 405,
            Self::ClientTimeout => 408,
            Self::TooLarge => 413,
            Self::RateLimited | Self::UpstreamRateLimit => 429,
            Self::TemplateFailed | Self::Internal => 500,
            Self::UpstreamConnect
            | Self::UpstreamQuota
            | Self::UpstreamAuth
            | Self::UpstreamServerError
            | Self::UpstreamMalformed
            | Self::UpstreamTruncated
            | Self::UpstreamTooLarge => 502,
            Self::Overloaded | Self::Draining | Self::NoCandidate | Self::UpstreamOverload | Self::LedgerUnavailable => 503,
            Self::UpstreamTimeout => 504,
        }
    }

    /// Returns whether the failure shows that the upstream has more to do than it can.
    pub const fn is_overload(self) -> bool {
        matches!(self, Self::UpstreamRateLimit | Self::UpstreamOverload | Self::UpstreamTimeout)
    }

    /// Returns whether the upstream refused the request itself, so that its answer is the client's to read.
    pub const fn is_about_the_request(self) -> bool {
        matches!(self, Self::UpstreamRejected | Self::ContextWindow | Self::ContentFilter)
    }

    /// Returns whether the failure shows the target itself in trouble, and so counts against its health.
    pub const fn blames_target(self) -> bool {
        matches!(
            self,
            Self::UpstreamConnect
                | Self::UpstreamOverload
                | Self::UpstreamServerError
                | Self::UpstreamTimeout
                | Self::UpstreamMalformed
                | Self::UpstreamTruncated
        )
    }

    /// Returns whether, and where, another try can help.
    pub const fn retry(self) -> Retry {
        match self {
            Self::BadRequest
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::Denied
            | Self::NotFound
            | Self::UnknownPath
            | Self::MethodNotAllowed
            | Self::TooLarge
            | Self::ClientTimeout
            | Self::Overloaded
            | Self::Draining
            | Self::NoCandidate
            | Self::RateLimited
            | Self::LedgerUnavailable
            | Self::UpstreamTooLarge
            | Self::UpstreamRejected
            | Self::Revoked
            | Self::TemplateFailed
            | Self::Internal => Retry::Never,
            Self::LossyTranslation
            | Self::BudgetExceeded
            | Self::Unpriced
            | Self::UpstreamTimeout
            | Self::UpstreamMalformed
            | Self::UpstreamTruncated
            | Self::ContextWindow
            | Self::ContentFilter => Retry::NextTarget,
            Self::UpstreamRateLimit | Self::UpstreamQuota | Self::UpstreamAuth => Retry::NextCredential,
            Self::UpstreamConnect | Self::UpstreamOverload | Self::UpstreamServerError => Retry::Same,
        }
    }
}

/// An error of the data plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayError {
    /// What went wrong.
    pub kind: Kind,
    /// What the client is told. Never holds keys, bodies or hosts.
    pub public: String,
    /// What only the log sees. Never holds keys or bodies.
    pub detail: Option<String>,
}

impl GatewayError {
    /// Makes an error with its public text.
    pub fn new(kind: Kind, public: impl Into<String>) -> Self {
        Self { kind, public: public.into(), detail: None }
    }

    /// Adds what only the log may see.
    #[must_use]
    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }
}

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.public)
    }
}

impl std::error::Error for GatewayError {}

// A kind that is missing from `ALL` would be counted nowhere.
const _: () = assert!(Kind::ALL.len() == Kind::Internal as usize + 1, "Kind::ALL must name every kind, and Internal must be last");
