//! A credential, and the one way in which it proves itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::spec::{FromEnvironment, SecretRef, WebIdentity};

/// One credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// How it proves itself.
    #[serde(flatten)]
    pub proof: Proof,
    /// Share of traffic.
    pub weight: u32,
    /// Glob patterns of models; `["*"]` when unrestricted.
    pub models: Vec<String>,
    /// An unset secret takes it out instead of failing.
    pub optional: bool,
}

/// How a credential proves itself. In the model it stands as the one member of this name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// A key in a header, or none.
    Secret(SecretRef),
    /// A signature with the keys of an AWS account.
    Aws(Aws),
    /// A token of Google Cloud's.
    Google(Google),
}

/// Where the keys of an AWS account are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Aws {
    /// In the gateway's environment, or where that says.
    Environment(FromEnvironment),
    /// Named one by one.
    Keys {
        /// The id.
        access_key_id: SecretRef,
        /// The key.
        secret_access_key: SecretRef,
        /// The token of temporary keys.
        session_token: Option<SecretRef>,
    },
    /// In AWS's own files.
    Profile {
        /// The profile.
        profile: String,
        /// The file; those of the environment where it is not said.
        shared_credentials_file: Option<String>,
    },
    /// A role that is assumed with a token.
    WebIdentity {
        /// Which role, with which token.
        web_identity: WebIdentity,
    },
}

/// Whom Google signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Google {
    /// Whomever the gateway's environment names.
    Environment(FromEnvironment),
    /// Whom a key file is for.
    KeyFile {
        /// Where its JSON is.
        service_account: SecretRef,
    },
}

impl Proof {
    /// Returns the member of the credential that says it.
    pub const fn member(&self) -> &'static str {
        match self {
            Self::Secret(_) => "secret",
            Self::Aws(_) => "aws",
            Self::Google(_) => "google",
        }
    }

    /// Returns what stands behind that member.
    pub fn value(&self) -> Value {
        // References and names: nothing in them fails to be written.
        match self {
            Self::Secret(secret) => serde_json::to_value(secret),
            Self::Aws(aws) => serde_json::to_value(aws),
            Self::Google(google) => serde_json::to_value(google),
        }
        .unwrap_or(Value::Null)
    }

    /// Returns whether it is no proof at all: a server without keys.
    pub fn is_none(&self) -> bool {
        *self == Self::Secret(SecretRef::None)
    }

    /// Lists the secrets that it refers to.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        match self {
            Self::Secret(secret) => vec![secret],
            Self::Aws(Aws::Keys { access_key_id, secret_access_key, session_token }) => {
                [access_key_id, secret_access_key].into_iter().chain(session_token).collect()
            }
            Self::Google(Google::KeyFile { service_account }) => vec![service_account],
            Self::Aws(Aws::Environment(_) | Aws::Profile { .. } | Aws::WebIdentity { .. }) | Self::Google(Google::Environment(_)) => {
                Vec::new()
            }
        }
    }

    /// Returns what must be there for it, for people: `env NAME`, `AWS profile NAME`.
    pub fn needs(&self) -> String {
        match self {
            Self::Secret(_) | Self::Aws(Aws::Keys { .. }) | Self::Google(Google::KeyFile { .. }) => {
                self.secrets().iter().map(|secret| format!("`{secret}`")).collect::<Vec<_>>().join(" and ")
            }
            Self::Aws(Aws::Environment(_)) => "AWS keys in the environment".to_owned(),
            Self::Google(Google::Environment(_)) => "a Google key file in the environment".to_owned(),
            Self::Aws(Aws::Profile { profile, .. }) => format!("AWS profile `{profile}`"),
            Self::Aws(Aws::WebIdentity { web_identity }) => format!("role `{}`", web_identity.role_arn),
        }
    }
}
