//! From a plan's credential to what signs its requests, kept while nothing about it changes.
//!
//! Rule: everything that this machine can tell is told here, before the table is served; no service is called before the first request.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{AuthError, AwsKeys, AwsSource, CredentialHeader, Google, Profile, Scope, SigV4, Signer, WebIdentity, WebIdentityOptions};
use crate::base::{Digest, Secret};
use crate::plan::{self, Aws, Proof, SecretRef};
use crate::provider::client::Clients;
use crate::provider::secret::{self, SecretError};
use crate::spec::Environment;

/// The service name that requests to Bedrock are signed for.
const BEDROCK: &str = "bedrock";

/// Where secrets are looked up, and who calls the services that give tokens.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The gateway's environment.
    pub env: &'a dyn Environment,
    /// Directory that the spec's file references are relative to.
    pub base_dir: &'a Path,
    /// Connection pools.
    pub clients: &'a Clients,
}

/// Why a credential cannot be used. The text never holds any part of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct SignInError {
    /// The place below the credential, as a JSON pointer: `/secret`, `/aws/profile`.
    pub place: &'static str,
    /// What is wrong, and the remedy.
    pub why: Why,
}

/// What is wrong with a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// A secret cannot be read.
    #[error(transparent)]
    Secret(SecretError),
    /// What was read cannot be used.
    #[error(transparent)]
    Auth(AuthError),
}

impl SignInError {
    /// Returns whether what it needs is simply not there, which an `optional` credential may be.
    pub const fn is_absent(&self) -> bool {
        match &self.why {
            Why::Secret(error) => error.is_absent(),
            Why::Auth(error) => error.is_absent(),
        }
    }
}

/// What signs the requests of one credential.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The signer; the one that was used before where nothing changed, so that its tokens are kept.
    pub signer: Arc<Signer>,
    /// Digests what decides whether the upstream accepts the credential: its secrets, where they go and how they travel. A credential
    /// that was refused is tried again when this changes.
    pub fingerprint: Digest,
}

/// Signers that are in use, by their fingerprint.
#[derive(Debug, Default)]
pub struct Signers {
    /// Guards the map alone; taken when a table is built, never for a request.
    kept: Mutex<HashMap<Digest, Weak<Signer>>>,
}

impl Signers {
    /// Makes what signs the requests of a credential, or finds the one in use.
    ///
    /// # Errors
    /// [`SignInError`], for secrets and files that are not there or cannot be used.
    pub fn get(&self, provider: &plan::Provider, proof: &Proof, world: World<'_>) -> Result<Ready, SignInError> {
        let material = Material::read(provider, proof, world)?;
        let fingerprint = material.fingerprint(provider);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, signer| signer.strong_count() > 0);
        if let Some(signer) = kept.get(&fingerprint).and_then(Weak::upgrade) {
            return Ok(Ready { signer, fingerprint });
        }
        let signer = Arc::new(material.into_signer(provider, world)?);
        kept.insert(fingerprint, Arc::downgrade(&signer));
        Ok(Ready { signer, fingerprint })
    }
}

/// What a signer is made of.
enum Material {
    Key(Option<Secret<String>>),
    AwsKeys {
        id: Secret<String>,
        secret: Secret<String>,
        token: Option<Secret<String>>,
    },
    AwsProfile(Profile),
    AwsWebIdentity(WebIdentityOptions),
    /// With what the environment says, variable by variable.
    AwsEnvironment(Vec<Option<String>>),
    /// The JSON of a key file.
    GoogleKeyFile(&'static str, Secret<String>),
}

/// The variables that AWS's SDKs look at, and so do we.
const AWS_VARIABLES: [&str; 13] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "HOME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

/// Returns the key file that Google's own libraries find in an environment.
fn google_key_file(env: &dyn Environment) -> Result<String, AuthError> {
    const DEFAULT: &str = "application_default_credentials.json";
    let set = |name: &str| env.get(name).filter(|value| !value.is_empty());
    let named = set("GOOGLE_APPLICATION_CREDENTIALS");
    let folder = || set("CLOUDSDK_CONFIG").or_else(|| set("HOME").map(|home| format!("{home}/.config/gcloud")));
    named.or_else(|| folder().map(|folder| format!("{folder}/{DEFAULT}"))).ok_or(AuthError::NoGoogleKey)
}

impl Material {
    fn read(_: &plan::Provider, proof: &Proof, world: World<'_>) -> Result<Self, SignInError> {
        let resolve = |place: &'static str, reference: &SecretRef| {
            secret::resolve(reference, world.env, world.base_dir).map_err(|error| SignInError { place, why: Why::Secret(error) })
        };
        let present = |place: &'static str, reference: &SecretRef| {
            resolve(place, reference)?.ok_or(SignInError { place, why: Why::Auth(AuthError::Value) })
        };
        let document = |place: &'static str, reference: &SecretRef| {
            let read = secret::resolve_document(reference, world.env, world.base_dir);
            let read = read.map_err(|error| SignInError { place, why: Why::Secret(error) })?;
            read.ok_or(SignInError { place, why: Why::Auth(AuthError::Value) })
        };
        Ok(match proof {
            Proof::Secret(reference) => Self::Key(resolve("/secret", reference)?),
            Proof::Aws(Aws::Keys { access_key_id, secret_access_key, session_token }) => Self::AwsKeys {
                id: present("/aws/access_key_id", access_key_id)?,
                secret: present("/aws/secret_access_key", secret_access_key)?,
                token: session_token.as_ref().map(|reference| present("/aws/session_token", reference)).transpose()?,
            },
            Proof::Aws(Aws::Profile { profile, shared_credentials_file: Some(file) }) => {
                Self::AwsProfile(Profile::in_file(profile.clone(), world.base_dir.join(file)))
            }
            Proof::Aws(Aws::Profile { profile, shared_credentials_file: None }) => {
                Self::AwsProfile(Profile::from_environment(Some(profile), world.env))
            }
            Proof::Aws(Aws::WebIdentity { web_identity }) => Self::AwsWebIdentity(WebIdentityOptions {
                role_arn: web_identity.role_arn.clone(),
                token_file: world.base_dir.join(&web_identity.token_file),
                session_name: web_identity.session_name.clone(),
                sts_url: web_identity.sts_url.clone(),
            }),
            Proof::Google(plan::Google::KeyFile { service_account }) => {
                let place = "/google/service_account";
                Self::GoogleKeyFile(place, document(place, service_account)?)
            }
            Proof::Google(plan::Google::Environment(_)) => {
                let place = "/google";
                let file = google_key_file(world.env).map_err(|error| SignInError { place, why: Why::Auth(error) })?;
                Self::GoogleKeyFile(place, document(place, &SecretRef::File(file))?)
            }
            Proof::Aws(Aws::Environment(_)) => Self::AwsEnvironment(AWS_VARIABLES.iter().map(|variable| world.env.get(variable)).collect()),
        })
    }

    fn fingerprint(&self, provider: &plan::Provider) -> Digest {
        let scheme = match (self, &provider.auth) {
            (Self::Key(_), plan::AuthScheme::Bearer) => "bearer".to_owned(),
            (Self::Key(_), plan::AuthScheme::Header(name)) => format!("header {name}"),
            (Self::Key(_), plan::AuthScheme::None) => "none".to_owned(),
            (Self::GoogleKeyFile(..), _) => "google".to_owned(),
            (Self::AwsKeys { .. } | Self::AwsProfile(_) | Self::AwsWebIdentity(_) | Self::AwsEnvironment(_), _) => "aws".to_owned(),
        };
        let of = |secret: &Secret<String>| secret::fingerprint(secret).to_string();
        let own = match self {
            Self::Key(secret) => vec!["secret".to_owned(), secret.as_ref().map(of).unwrap_or_default()],
            Self::AwsKeys { id, secret, token } => {
                vec!["keys".to_owned(), of(id), of(secret), token.as_ref().map(of).unwrap_or_default()]
            }
            Self::GoogleKeyFile(_, file) => vec!["key file".to_owned(), of(file)],
            Self::AwsProfile(profile) => vec!["profile".to_owned(), format!("{profile:?}")],
            Self::AwsWebIdentity(options) => vec!["web identity".to_owned(), format!("{options:?}")],
            Self::AwsEnvironment(values) => {
                let values = values.iter().map(|value| value.clone().map(Secret::new).as_ref().map(of).unwrap_or_default());
                [("environment".to_owned())].into_iter().chain(values).collect()
            }
        };
        let place = [scheme, provider.base_url.clone(), provider.region.clone().unwrap_or_default()];
        Digest::of_parts(place.iter().chain(&own).map(String::as_bytes))
    }

    fn into_signer(self, provider: &plan::Provider, world: World<'_>) -> Result<Signer, SignInError> {
        let fail = |place: &'static str| move |error: AuthError| SignInError { place, why: Why::Auth(error) };
        // The plan refuses signatures without a region.
        let region = provider.region.clone().unwrap_or_default();
        let (place, source) = match self {
            Self::Key(secret) => {
                return CredentialHeader::build(&provider.auth, secret.as_ref()).map(Signer::Header).map_err(fail("/secret"));
            }
            Self::GoogleKeyFile(place, file) => {
                return Google::new(&file, world.clients).map(|google| Signer::Google(Box::new(google))).map_err(fail(place));
            }
            Self::AwsKeys { id, secret, token } => ("/aws", AwsKeys::new(id, secret, token).map(AwsSource::Static)),
            Self::AwsProfile(profile) => ("/aws/profile", Ok(AwsSource::Profile(profile))),
            Self::AwsWebIdentity(options) => {
                let identity = WebIdentity::new(options, &region, world.clients);
                ("/aws/web_identity", identity.map(|identity| AwsSource::WebIdentity(Box::new(identity))))
            }
            Self::AwsEnvironment(_) => ("/aws", AwsSource::from_environment(world.env, &region, world.clients)),
        };
        let source = source.map_err(fail(place))?;
        source.check().map_err(fail(place))?;
        Ok(Signer::SigV4(Box::new(SigV4::new(Scope { region, service: BEDROCK.to_owned() }, source))))
    }
}
