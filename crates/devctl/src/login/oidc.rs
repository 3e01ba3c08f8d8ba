//! The identity provider: device flow (RFC 8628) and refresh, by the crate `openidconnect`. No token is judged but by it.

use devserver_api::signpost::OidcPlace;
use openidconnect::{
    AdditionalProviderMetadata, ClientId, DeviceAuthorizationUrl, IssuerUrl, Nonce,
    OAuth2TokenResponse as _, ProviderMetadata, RefreshToken, RequestTokenError, Scope,
    TokenResponse as _,
    core::{
        CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod,
        CoreDeviceAuthorizationResponse, CoreGrantType, CoreIdToken, CoreIdTokenVerifier,
        CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
        CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType, CoreTokenResponse,
    },
};
use serde::{Deserialize, Serialize};

use super::web::{self, Web};
use crate::{
    exit::Exit,
    failure::{Failure, Outcome},
};

/// What a provider says of itself besides the standard.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Further {
    device_authorization_endpoint: Option<DeviceAuthorizationUrl>,
}

impl AdditionalProviderMetadata for Further {}

type Metadata = ProviderMetadata<
    Further,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What somebody has to open, and what must stand there.
pub struct Invitation {
    /// The address, with the code where the provider can have it so.
    pub address: String,
    /// The code.
    pub code: String,
}

/// What came of a login or a refresh.
#[derive(Debug)]
pub struct Tokens {
    /// As it is sent to the API server.
    pub id_token: String,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
    /// Absent where the provider gives none.
    pub refresh_token: Option<String>,
}

/// Why there is no new token.
pub enum NotRenewed {
    /// The login has ended; only a new one helps.
    Over(String),
    /// The provider cannot be asked now.
    Away(Failure),
}

fn away(place: &OidcPlace, why: &dyn std::fmt::Display) -> Failure {
    let issuer = &place.issuer;
    Failure::new(
        Exit::Error,
        format!("failed to ask the identity provider {issuer}"),
    )
    .because(why)
    .remedy("check that it can be reached from here, and try again")
}

async fn discover(place: &OidcPlace) -> Outcome<(Web, Metadata)> {
    let pem = web::authority(place.certificate_authority_data.as_deref())?;
    let web = Web::new(pem.as_deref())?;
    let issuer = IssuerUrl::new(place.issuer.clone()).map_err(|e| away(place, &e))?;
    // Says no to a provider of another name than that.
    let metadata = Metadata::discover_async(issuer, &web)
        .await
        .map_err(|e| away(place, &text(e)))?;
    Ok((web, metadata))
}

/// The whole chain in one line.
fn text(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

/// Invites somebody to a browser and waits until they have logged in there.
pub async fn device(
    place: &OidcPlace,
    invite: impl FnOnce(&Invitation) -> Outcome,
) -> Outcome<Tokens> {
    let (web, metadata) = discover(place).await?;
    let endpoint = metadata
        .additional_metadata()
        .device_authorization_endpoint
        .clone();
    let endpoint = endpoint.ok_or_else(|| {
        Failure::new(Exit::Error, format!("{} has no device flow", place.issuer))
            .remedy("ask an administrator for another way: `devctl admin user kubeconfig`")
    })?;
    let id = ClientId::new(place.client_id.clone());
    let client = CoreClient::from_provider_metadata(metadata, id, None)
        .set_device_authorization_url(endpoint);
    let mut request = client.exchange_device_code();
    for scope in &place.scopes {
        request = request.add_scope(Scope::new(scope.clone()));
    }
    let details: CoreDeviceAuthorizationResponse = request
        .request_async(&web)
        .await
        .map_err(|e| match e {
            RequestTokenError::ServerResponse(why) => away(place, &why)
                .remedy("ask an administrator: its client for devctl must be public and may use the device flow"),
            other => away(place, &text(other)),
        })?;
    invite(&invitation(&details)?)?;
    let tokens: CoreTokenResponse = client
        .exchange_device_access_token(&details)
        .map_err(|e| away(place, &e))?
        .request_async(&web, tokio::time::sleep, None)
        .await
        .map_err(|e| match e {
            RequestTokenError::ServerResponse(why) => {
                Failure::new(Exit::Forbidden, "nobody has logged in")
                    .because(why)
                    .remedy("try again")
            }
            other => away(place, &text(other)),
        })?;
    let id_token = tokens.id_token().ok_or_else(|| no_token(place))?;
    checked(place, id_token, &client.id_token_verifier(), &tokens)
}

/// A new token for a login that goes on.
pub async fn refresh(place: &OidcPlace, refresh_token: &str) -> Result<Tokens, NotRenewed> {
    let (web, metadata) = discover(place).await.map_err(NotRenewed::Away)?;
    let id = ClientId::new(place.client_id.clone());
    let client = CoreClient::from_provider_metadata(metadata, id, None);
    let refresh_token = RefreshToken::new(refresh_token.to_owned());
    let request = client
        .exchange_refresh_token(&refresh_token)
        .map_err(|e| NotRenewed::Away(away(place, &e)))?;
    let tokens: CoreTokenResponse = request.request_async(&web).await.map_err(|e| match e {
        RequestTokenError::ServerResponse(why) => NotRenewed::Over(why.to_string()),
        other => NotRenewed::Away(away(place, &text(other))),
    })?;
    let Some(id_token) = tokens.id_token() else {
        return Err(NotRenewed::Away(no_token(place)));
    };
    checked(place, id_token, &client.id_token_verifier(), &tokens).map_err(NotRenewed::Away)
}

fn no_token(place: &OidcPlace) -> Failure {
    away(place, &"it gave no ID token")
}

fn checked(
    place: &OidcPlace,
    token: &CoreIdToken,
    verifier: &CoreIdTokenVerifier<'_>,
    tokens: &CoreTokenResponse,
) -> Outcome<Tokens> {
    // The device flow has no nonce: the token came by our own connection and not by a browser.
    let nonce = |_: Option<&Nonce>| Ok(());
    let claims = token.claims(verifier, nonce).map_err(|e| {
        Failure::new(
            Exit::Error,
            format!("the ID token of {} is not to be trusted", place.issuer),
        )
        .because(text(e))
    })?;
    Ok(Tokens {
        id_token: token.to_string(),
        expires: claims.expiration().timestamp(),
        refresh_token: tokens.refresh_token().map(|token| token.secret().clone()),
    })
}

/// Whatever a provider says becomes a link that somebody opens: only the web.
fn invitation(details: &CoreDeviceAuthorizationResponse) -> Outcome<Invitation> {
    let whole = details.verification_uri_complete();
    let address = whole.map_or_else(
        || details.verification_uri().to_string(),
        |whole| whole.secret().clone(),
    );
    let is_web = reqwest::Url::parse(&address).is_ok_and(|url| url.scheme() == "https");
    if !is_web {
        return Err(Failure::new(
            Exit::Error,
            format!("the identity provider names '{address}' to be opened"),
        )
        .because("that is no https address"));
    }
    Ok(Invitation {
        address,
        code: details.user_code().secret().clone(),
    })
}
