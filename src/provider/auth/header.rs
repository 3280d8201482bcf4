//! How a credential travels: the header is built once per credential and cloned per request.

use http::header::{AUTHORIZATION, InvalidHeaderName};
use http::{HeaderName, HeaderValue};

use super::AuthError;
use crate::base::{Secret, is_hop_by_hop};
use crate::plan::AuthScheme;

/// One credential as the header that carries it; nothing where the server knows no keys.
///
/// The value is marked sensitive, so that `Debug` of a header map does not show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialHeader(Option<(HeaderName, HeaderValue)>);

impl CredentialHeader {
    /// Builds the header. A server without keys (`secret: none`) gets none under `bearer`, which is every compatible server's default.
    ///
    /// # Errors
    /// [`AuthError`] when the scheme and the secret do not fit together.
    pub fn build(scheme: &AuthScheme, secret: Option<&Secret<String>>) -> Result<Self, AuthError> {
        let (name, text) = match (scheme, secret) {
            (AuthScheme::None, _) | (AuthScheme::Bearer, None) => return Ok(Self(None)),
            (AuthScheme::Bearer, Some(secret)) => (AUTHORIZATION, Secret::new(format!("Bearer {}", secret.expose()))),
            (AuthScheme::Header(_), None) => return Err(AuthError::NoSecret("header")),
            (AuthScheme::Header(name), Some(secret)) => (header_name(name)?, secret.clone()),
        };
        let mut value = HeaderValue::from_str(text.expose()).map_err(|_| AuthError::Value)?;
        value.set_sensitive(true);
        Ok(Self(Some((name, value))))
    }

    /// Returns the header, if there is one.
    pub const fn get(&self) -> Option<&(HeaderName, HeaderValue)> {
        self.0.as_ref()
    }
}

fn header_name(name: &str) -> Result<HeaderName, AuthError> {
    let parsed: Result<HeaderName, InvalidHeaderName> = name.parse();
    let parsed = parsed.map_err(|_| AuthError::Name(name.to_owned()))?;
    if is_hop_by_hop(&parsed) { Err(AuthError::Reserved(name.to_owned())) } else { Ok(parsed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret<String> {
        Secret::new("canary-value".to_owned())
    }

    #[test]
    fn each_scheme_builds_its_header_and_debug_does_not_show_it() {
        let bearer = CredentialHeader::build(&AuthScheme::Bearer, Some(&secret())).unwrap();
        let (name, value) = bearer.get().unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("authorization", b"Bearer canary-value".as_slice()));
        assert!(!format!("{bearer:?}").contains("canary"));

        let header = CredentialHeader::build(&AuthScheme::Header("Api-Key".to_owned()), Some(&secret())).unwrap();
        let (name, value) = header.get().unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("api-key", b"canary-value".as_slice()));
        assert!(value.is_sensitive());

        assert_eq!(CredentialHeader::build(&AuthScheme::None, Some(&secret())).unwrap().get(), None);
        assert_eq!(CredentialHeader::build(&AuthScheme::Bearer, None).unwrap().get(), None);
    }

    #[test]
    fn a_scheme_that_cannot_work_is_refused_without_the_value() {
        let build = |name: &str, secret: Option<&Secret<String>>| {
            CredentialHeader::build(&AuthScheme::Header(name.to_owned()), secret).unwrap_err()
        };
        assert_eq!(build("x-key", None), AuthError::NoSecret("header"));
        assert_eq!(build("a b", Some(&secret())), AuthError::Name("a b".to_owned()));
        assert_eq!(build("Host", Some(&secret())), AuthError::Reserved("Host".to_owned()));
        let broken = Secret::new("canary\nvalue".to_owned());
        let error = build("x-key", Some(&broken));
        assert_eq!(error, AuthError::Value);
        assert!(!error.to_string().contains("canary"));
    }
}
