//! Google: a key file becomes access tokens, which are kept and renewed.
//!
//! A service account signs a statement about itself (RFC 7523) and its token service answers with a token; a user's key file holds a
//! refresh token that does the same. Sources: "Using OAuth 2.0 for server to server applications", and the files that `gcloud` writes. Rule:
//! the file is believed about nothing but whom it is for; the service that it names is called over TLS and never at a metadata address.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::AuthError;
use super::endpoint::{Endpoint, malformed};
use super::refreshing::{Fresh, Refreshing};
use crate::base::Secret;
use crate::error::{GatewayError, Kind};
use crate::provider::client::{Clients, Outbound};

const TOKEN_SERVICE: &str = "https://oauth2.googleapis.com/token";
const QUOTA_PROJECT: HeaderName = HeaderName::from_static("x-goog-user-project");
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The longest that a statement may be good for, in seconds.
const STATEMENT_SECONDS: u64 = 3_600;

/// Signs requests with the access token of one key file.
pub struct Google {
    account: Account,
    project: Option<String>,
    /// Whom the calls of a user count for; a service account is in its project already.
    quota_project: Option<HeaderValue>,
    endpoint: Endpoint,
    token: Refreshing<HeaderValue>,
}

enum Account {
    Service { email: String, key_id: Option<String>, audience: String, key: Box<RsaKeyPair> },
    User { client_id: String, client_secret: Secret<String>, refresh_token: Secret<String> },
}

impl std::fmt::Debug for Google {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Google(…)")
    }
}

impl Google {
    /// Reads a key file's text: of a service account, or of a user (`gcloud auth application-default login`).
    ///
    /// # Errors
    /// [`AuthError::GoogleKey`] for a file that is none; [`AuthError::Endpoint`] for a token service that may not be called.
    pub fn new(file: &Secret<String>, clients: &Clients) -> Result<Self, AuthError> {
        let json: Value = serde_json::from_str(file.expose()).map_err(|_| AuthError::GoogleKey("it is not JSON"))?;
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        let service = text("token_uri").unwrap_or_else(|| TOKEN_SERVICE.to_owned());
        let account = match text("type").as_deref() {
            Some("service_account") => Account::Service {
                email: text("client_email").ok_or(AuthError::GoogleKey("it has no `client_email`"))?,
                key_id: text("private_key_id"),
                audience: service.clone(),
                key: Box::new(key(&text("private_key").ok_or(AuthError::GoogleKey("it has no `private_key`"))?)?),
            },
            Some("authorized_user") => {
                let need = |name: &str, error| text(name).map(Secret::new).ok_or(AuthError::GoogleKey(error));
                Account::User {
                    client_id: text("client_id").ok_or(AuthError::GoogleKey("it has no `client_id`"))?,
                    client_secret: need("client_secret", "it has no `client_secret`")?,
                    refresh_token: need("refresh_token", "it has no `refresh_token`")?,
                }
            }
            Some(_) => return Err(AuthError::GoogleKey("its `type` is neither `service_account` nor `authorized_user`")),
            None => return Err(AuthError::GoogleKey("it has no `type`")),
        };
        let project = text("project_id").or_else(|| text("quota_project_id"));
        let quota_project = match &account {
            Account::Service { .. } => None,
            Account::User { .. } => text("quota_project_id").and_then(|project| HeaderValue::try_from(project).ok()),
        };
        Ok(Self { account, project, quota_project, endpoint: Endpoint::new(&service, clients)?, token: Refreshing::default() })
    }

    /// Returns the project that the key file names.
    pub fn project(&self) -> Option<&str> {
        self.project.as_deref()
    }

    pub(super) async fn sign(&self, outbound: &mut Outbound, now_ms: u64) -> Result<(), GatewayError> {
        // Boxed where it runs: a call is large, and most requests make none.
        let token = self.token.get(now_ms, async { Box::pin(self.fetch(now_ms)).await }).await?;
        outbound.headers.insert(AUTHORIZATION, (*token).clone());
        if let Some(project) = &self.quota_project {
            outbound.headers.insert(QUOTA_PROJECT, project.clone());
        }
        Ok(())
    }

    pub(super) fn forget(&self, now_ms: u64) -> bool {
        self.token.forget(now_ms)
    }

    async fn fetch(&self, now_ms: u64) -> Result<Fresh<HeaderValue>, GatewayError> {
        let statement;
        let form = match &self.account {
            Account::Service { email, key_id, audience, key } => {
                statement = self::statement(key, key_id.as_deref(), (email, audience), now_ms / 1_000)?;
                vec![("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", statement.as_str())]
            }
            Account::User { client_id, client_secret, refresh_token } => vec![
                ("grant_type", "refresh_token"),
                ("client_id", client_id),
                ("client_secret", client_secret.expose()),
                ("refresh_token", refresh_token.expose()),
            ],
        };
        token(&self.endpoint.post_form(&form, "application/json").await?, now_ms)
    }
}

fn key(pem: &str) -> Result<RsaKeyPair, AuthError> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| AuthError::GoogleKey("its `private_key` is not PEM"))?;
    RsaKeyPair::from_pkcs8(der.secret_pkcs8_der())
        .map_err(|_| AuthError::GoogleKey("its `private_key` is not an RSA key of 2048 bits or more"))
}

/// Writes what the account says of itself, signed: a JWT (RFC 7519).
fn statement(key: &RsaKeyPair, key_id: Option<&str>, (email, audience): (&str, &str), now_seconds: u64) -> Result<String, GatewayError> {
    let mut header = json!({"alg": "RS256", "typ": "JWT"});
    if let (Some(key_id), Some(header)) = (key_id, header.as_object_mut()) {
        header.insert("kid".to_owned(), key_id.into());
    }
    let end = now_seconds.saturating_add(STATEMENT_SECONDS);
    let claims = json!({"iss": email, "scope": SCOPE, "aud": audience, "iat": now_seconds, "exp": end});
    signed(key, &header.to_string(), &claims.to_string())
}

/// Signs header and claims as JWS does (RFC 7515, RS256).
fn signed(key: &RsaKeyPair, header: &str, claims: &str) -> Result<String, GatewayError> {
    let mut text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    // The randomness blinds the computation; the signature is the same whatever it is.
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| GatewayError::new(Kind::Internal, "the request could not be signed").detail("the RSA key did not sign"))?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(&signature, &mut text);
    Ok(text)
}

fn token(body: &[u8], now_ms: u64) -> Result<Fresh<HeaderValue>, GatewayError> {
    let json: Value = serde_json::from_slice(body).map_err(|_| malformed("the token service did not answer in JSON"))?;
    let token = json.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    let token = Secret::new(token.ok_or_else(|| malformed("the token service gave no token"))?);
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| malformed("the token service gave a token that no header can carry"))?;
    value.set_sensitive(true);
    let seconds = json.get("expires_in").and_then(Value::as_u64).unwrap_or(STATEMENT_SECONDS);
    Ok(Fresh { value, end_ms: now_ms.saturating_add(seconds.saturating_mul(1_000)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = include_str!("../../../tests/fixtures/keys/rfc7515-a2.pem");

    #[test]
    fn the_signature_of_rfc_7515_comes_out() {
        let claims = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
        let text = signed(&key(PEM).unwrap(), r#"{"alg":"RS256"}"#, claims).unwrap();
        let (head, signature) = text.rsplit_once('.').unwrap();
        let expected =
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        assert_eq!(head, expected);
        assert_eq!(
            signature,
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKB\
             YNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6Bf\
             I7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
        );
    }

    #[test]
    fn a_statement_says_who_for_whom_and_for_how_long() {
        let text = statement(&key(PEM).unwrap(), Some("k1"), ("a@b", "https://t/token"), 1_000).unwrap();
        let part = |number: usize| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text.split('.').nth(number).unwrap()).unwrap()).unwrap()
        };
        assert_eq!(part(0), json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
        assert_eq!(part(1), json!({"iss": "a@b", "scope": SCOPE, "aud": "https://t/token", "iat": 1_000, "exp": 4_600}));
    }

    #[test]
    fn a_file_that_is_no_key_file_is_refused_and_not_shown() {
        let clients = Clients::default();
        let broken = json!({"type": "service_account", "client_email": "a@b", "private_key": "canary-key"}).to_string();
        for (file, why) in [
            ("canary", "not JSON"),
            ("{}", "no `type`"),
            (r#"{"type":"external_account"}"#, "neither"),
            (r#"{"type":"service_account"}"#, "`client_email`"),
            (r#"{"type":"service_account","client_email":"a@b"}"#, "`private_key`"),
            (r#"{"type":"authorized_user","client_id":"c"}"#, "`client_secret`"),
            (broken.as_str(), "not PEM"),
        ] {
            let error = Google::new(&Secret::new(file.to_owned()), &clients).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn an_answer_without_a_token_is_malformed() {
        for bad in ["<html>", "{}", r#"{"access_token":""}"#, r#"{"access_token":"a\nb"}"#] {
            assert_eq!(token(bad.as_bytes(), 0).unwrap_err().kind, Kind::UpstreamMalformed, "{bad}");
        }
        assert_eq!(token(br#"{"access_token":"t","expires_in":10}"#, 5).unwrap().end_ms, 10_005);
    }
}
