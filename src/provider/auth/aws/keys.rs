//! A pair of keys of one AWS account.

use crate::base::Secret;
use crate::provider::auth::AuthError;

/// A pair of keys of one account, and the token that belongs to them where they are temporary. `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsKeys {
    id: Secret<String>,
    secret: Secret<String>,
    token: Option<Secret<String>>,
}

impl AwsKeys {
    /// Checks that the keys can travel in a header. An empty token is none.
    ///
    /// # Errors
    /// [`AuthError::Value`] for an empty key, and for what is not visible ASCII.
    pub fn new(id: Secret<String>, secret: Secret<String>, token: Option<Secret<String>>) -> Result<Self, AuthError> {
        let token = token.filter(|token| !token.expose().is_empty());
        let is_visible = |text: &Secret<String>| !text.expose().is_empty() && text.expose().bytes().all(|byte| byte.is_ascii_graphic());
        if [Some(&id), Some(&secret), token.as_ref()].into_iter().flatten().all(is_visible) {
            Ok(Self { id, secret, token })
        } else {
            Err(AuthError::Value)
        }
    }

    /// Returns the id, which goes into every request.
    pub(super) fn id(&self) -> &str {
        self.id.expose()
    }

    /// Returns the secret, which goes into none.
    pub(super) fn secret(&self) -> &str {
        self.secret.expose()
    }

    /// Returns the token of temporary keys.
    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.expose().as_str())
    }
}

impl std::fmt::Debug for AwsKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AwsKeys(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_no_header_can_carry_are_refused_and_none_are_shown() {
        let secret = |text: &str| Secret::new(text.to_owned());
        for (id, key) in [("", "s"), ("a", ""), ("a b", "s"), ("a", "s\n")] {
            assert_eq!(AwsKeys::new(secret(id), secret(key), None), Err(AuthError::Value), "{id} {key}");
        }
        assert_eq!(AwsKeys::new(secret("a"), secret("s"), Some(secret(""))).unwrap().token, None);
        assert_eq!(format!("{:?}", AwsKeys::new(secret("a"), secret("s"), Some(secret("t"))).unwrap()), "AwsKeys(…)");
    }
}
