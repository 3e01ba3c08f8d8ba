//! The identity provider: code flow with PKCE, by the crate `openidconnect`. No token is read here but by its verifier.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use openidconnect::{
    AdditionalClaims, AsyncHttpClient, AuthorizationCode, ClaimsVerificationError, ClientId,
    ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IdTokenClaims, IdTokenFields, IssuerUrl, Nonce, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse,
    TokenResponse as _,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType,
        CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreRevocableToken,
        CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use crate::config::{ConfigError, Oidc};

/// Longest wait for the provider.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer of the provider.
const LONGEST: usize = 1024 * 1024;
/// How long the provider's own description is believed.
const FRESH: Duration = Duration::from_secs(3600);
/// How often it is asked anew for a key that is not known.
const ANEW: Duration = Duration::from_secs(10);

/// Claims besides the standard ones, such as groups.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Further(Map<String, Value>);

impl AdditionalClaims for Further {}

type Fields = IdTokenFields<
    Further,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Tokens = StandardTokenResponse<Fields, CoreTokenType>;
type Claims = IdTokenClaims<Further, CoreGenderClaim>;
type Client = openidconnect::Client<
    Further,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Why nobody could be logged in.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// No answer, or none that can be understood.
    #[error("failed to reach the identity provider: {0}")]
    Away(String),
    /// It does not take the code.
    #[error("the identity provider refused the login: {0}")]
    Refused(String),
    /// Its token is not one for us.
    #[error("failed to verify the ID token: {0}")]
    Token(String),
    /// There is no name in it.
    #[error("the ID token has no usable claim `{0}`")]
    Claim(String),
}

/// A request to the provider that failed.
#[derive(Debug, thiserror::Error)]
enum HttpError {
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    #[error(transparent)]
    Http(#[from] http::Error),
    #[error("the answer is longer than a mebibyte")]
    Long,
}

/// What goes to the provider and must come back; it waits in an encrypted cookie.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pending {
    /// Comes back in the address.
    pub state: String,
    /// Comes back in the token.
    nonce: String,
    /// Is sent with the code.
    verifier: String,
    /// Where to go afterwards.
    pub next: String,
    /// When it began.
    pub issued: i64,
}

/// What the provider says about somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Name, without our prefix.
    pub name: String,
    /// Groups.
    pub groups: Vec<String>,
}

/// The provider.
pub struct Provider {
    settings: Oidc,
    secret: String,
    redirect: String,
    http: Http,
    metadata: Mutex<Option<(Instant, CoreProviderMetadata)>>,
}

impl Provider {
    /// Nothing is asked yet: the console starts while the provider is away.
    pub fn new(settings: Oidc, redirect: String) -> anyhow::Result<Self> {
        let read = |path: &std::path::Path| {
            std::fs::read(path).map_err(|e| ConfigError::Read(path.to_owned(), e))
        };
        let secret = String::from_utf8(read(&settings.client_secret_file)?)?
            .trim()
            .to_owned();
        let mut http = reqwest::Client::builder()
            // A provider that led us elsewhere could lead us anywhere.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE);
        if let Some(path) = &settings.ca_file {
            http = http.tls_certs_only(reqwest::Certificate::from_pem_bundle(&read(path)?)?);
        }
        Ok(Self {
            secret,
            redirect,
            http: Http(http.build()?),
            metadata: Mutex::default(),
            settings,
        })
    }

    /// Where to send somebody who wants to log in, and what to keep meanwhile.
    pub async fn begin(&self, next: String, now: i64) -> Result<(String, Pending), OidcError> {
        let client = self.client(FRESH).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let mut request = client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
        for scope in &self.settings.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (address, state, nonce) = request.set_pkce_challenge(challenge).url();
        let pending = Pending {
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
            next,
            issued: now,
        };
        Ok((address.into(), pending))
    }

    /// Who came back with this code.
    pub async fn finish(&self, code: String, pending: &Pending) -> Result<Told, OidcError> {
        let client = self.client(FRESH).await?;
        let request = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|e| OidcError::Away(e.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(pending.verifier.clone()));
        let tokens: Tokens =
            request
                .request_async(&self.http)
                .await
                .map_err(|error| match error {
                    openidconnect::RequestTokenError::ServerResponse(why) => {
                        OidcError::Refused(why.to_string())
                    }
                    other => OidcError::Away(other.to_string()),
                })?;
        let token = tokens
            .id_token()
            .ok_or_else(|| OidcError::Token("there is none".to_owned()))?;
        let nonce = Nonce::new(pending.nonce.clone());
        match token.claims(&client.id_token_verifier(), &nonce) {
            Ok(claims) => self.told(claims),
            // The provider may have a new key since it was asked.
            Err(ClaimsVerificationError::SignatureVerification(_)) => {
                let client = self.client(ANEW).await?;
                let claims = token.claims(&client.id_token_verifier(), &nonce);
                self.told(claims.map_err(|e| OidcError::Token(e.to_string()))?)
            }
            Err(error) => Err(OidcError::Token(error.to_string())),
        }
    }

    /// Whether it is the issuer of a login (RFC 9207: who answers may say who they are, against mix-ups).
    pub fn is_issuer(&self, issuer: &str) -> bool {
        issuer == self.settings.issuer
    }

    fn told(&self, claims: &Claims) -> Result<Told, OidcError> {
        let further = &claims.additional_claims().0;
        let claim = self.settings.username_claim.as_str();
        let name = match claim {
            "sub" => Some(claims.subject().as_str()),
            "preferred_username" => claims.preferred_username().map(|name| name.as_str()),
            "email" => {
                let is_verified = claims.email_verified() == Some(true);
                let counts = is_verified || self.settings.allow_unverified_email;
                claims
                    .email()
                    .map(|email| email.as_str())
                    .filter(|_| counts)
            }
            other => further.get(other).and_then(Value::as_str),
        };
        let groups = match further.get(&self.settings.groups_claim) {
            Some(Value::Array(all)) => all
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        };
        let name = name
            .ok_or_else(|| OidcError::Claim(claim.to_owned()))?
            .to_owned();
        Ok(Told { name, groups })
    }

    async fn client(&self, fresh: Duration) -> Result<Client, OidcError> {
        let wrong = |e: openidconnect::url::ParseError| OidcError::Away(e.to_string());
        let redirect = RedirectUrl::new(self.redirect.clone()).map_err(wrong)?;
        let metadata = self.metadata(fresh).await?;
        let id = ClientId::new(self.settings.client_id.clone());
        let secret = ClientSecret::new(self.secret.clone());
        Ok(Client::from_provider_metadata(metadata, id, Some(secret)).set_redirect_uri(redirect))
    }

    /// The provider's description and keys. While it is away, what it said before still counts.
    async fn metadata(&self, fresh: Duration) -> Result<CoreProviderMetadata, OidcError> {
        let mut known = self.metadata.lock().await;
        if let Some((_, metadata)) = known.as_ref().filter(|(at, _)| at.elapsed() < fresh) {
            return Ok(metadata.clone());
        }
        let issuer = IssuerUrl::new(self.settings.issuer.clone())
            .map_err(|e| OidcError::Away(e.to_string()))?;
        match CoreProviderMetadata::discover_async(issuer, &self.http).await {
            Ok(metadata) => {
                *known = Some((Instant::now(), metadata.clone()));
                Ok(metadata)
            }
            Err(error) => Err(OidcError::Away(format!("{:#}", anyhow::Error::from(error)))),
        }
    }
}

/// The client by which the provider is asked.
struct Http(reqwest::Client);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = BoxFuture<'c, Result<HttpResponse, HttpError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let mut response = self.0.execute(request.try_into()?).await?;
            let mut builder = http::Response::builder().status(response.status());
            for (name, value) in response.headers() {
                builder = builder.header(name, value);
            }
            let mut body = Vec::new();
            while let Some(part) = response.chunk().await? {
                if body.len() + part.len() > LONGEST {
                    return Err(HttpError::Long);
                }
                body.extend_from_slice(&part);
            }
            Ok(builder.body(body)?)
        })
    }
}
