//! Why a credential cannot be used, told when a spec is prepared.

/// Why a credential cannot travel. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The scheme needs a secret.
    #[error("`auth: {0}` needs a secret, but the credential says `secret: none`; name a secret, or set `auth: none`")]
    NoSecret(&'static str),
    /// Not the name of a header.
    #[error("`{0}` is not the name of a header")]
    Name(String),
    /// The name of a header that is not ours to set.
    #[error("header `{0}` belongs to the connection and cannot carry a credential")]
    Reserved(String),
    /// Bytes that a header cannot carry.
    #[error("the secret holds bytes that a header cannot carry")]
    Value,
    /// The address of a service that gives tokens cannot be used.
    #[error("the service that signs the gateway in cannot be called: {0}")]
    Endpoint(String),
    /// A Google key file that is none.
    #[error("the Google key file cannot be used: {0}; take the JSON of a service account's key, whole")]
    GoogleKey(&'static str),
    /// A file of AWS's, or a token in a file, cannot be read.
    #[error("`{0}` cannot be read: {1}")]
    File(String, std::io::ErrorKind),
    /// A profile without keys.
    #[error("AWS profile `{0}` {1}")]
    Profile(String, &'static str),
    /// No Google key file in the environment.
    #[error("no Google key file in the environment; set GOOGLE_APPLICATION_CREDENTIALS to the path of one")]
    NoGoogleKey,
    /// No AWS keys in the environment.
    #[error("{0}")]
    NoAwsKeys(&'static str),
}

impl AuthError {
    /// Returns whether what is needed is simply not there, which an `optional` credential may be.
    pub const fn is_absent(&self) -> bool {
        match self {
            Self::File(_, kind) => matches!(kind, std::io::ErrorKind::NotFound),
            Self::NoAwsKeys(_) | Self::NoGoogleKey => true,
            Self::NoSecret(_)
            | Self::Name(_)
            | Self::Reserved(_)
            | Self::Value
            | Self::Endpoint(_)
            | Self::GoogleKey(_)
            | Self::Profile(..) => false,
        }
    }
}
