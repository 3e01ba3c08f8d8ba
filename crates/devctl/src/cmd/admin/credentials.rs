//! Credentials of a user: a certificate signed by the cluster, a token, or a program that fetches some. All of them expire.

use std::time::Duration;

use devserver_core::user::service_account_name;
use k8s_openapi::{
    ByteString,
    api::{
        authentication::v1::{TokenRequest, TokenRequestSpec},
        certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec},
        core::v1::ServiceAccount,
    },
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
    runtime::wait::await_condition,
};
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::json;

use super::answer;
use crate::{
    exit::Exit,
    failure::{Failure, Outcome},
    kube::Session,
    output,
};

/// Who signs certificates that the API server takes.
const SIGNER: &str = "kubernetes.io/kube-apiserver-client";
/// Group in the certificate, for those who want to give all users something.
const GROUP: &str = "devserver-users";
/// How long the signer may take; it is a controller that runs all the time.
const SIGNING: Duration = Duration::from_secs(30);

/// What a kubeconfig authenticates with.
pub enum Credentials {
    /// PEM of both.
    Certificate {
        /// Signed by the cluster.
        certificate: String,
        /// Made here.
        key: String,
    },
    /// Bearer token of the user's ServiceAccount.
    Token(String),
    /// Program that prints credentials.
    Program {
        /// Its name or path.
        command: String,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

/// A certificate for the user, approved with the rights of whoever runs this.
pub async fn certificate(
    session: &Session,
    username: &str,
    lifetime: Duration,
) -> Outcome<Credentials> {
    let (key, request) = request(username)
        .map_err(|e| Failure::new(Exit::Error, "failed to make a key").because(e))?;
    let wanted = CertificateSigningRequest {
        metadata: ObjectMeta {
            generate_name: Some(format!("devserver-user-{username}-")),
            ..ObjectMeta::default()
        },
        spec: CertificateSigningRequestSpec {
            request: ByteString(request.into_bytes()),
            signer_name: SIGNER.to_owned(),
            usages: Some(vec!["client auth".to_owned()]),
            expiration_seconds: Some(seconds(lifetime)),
            ..CertificateSigningRequestSpec::default()
        },
        status: None,
    };
    let api: Api<CertificateSigningRequest> = session.cluster_wide();
    let made = answer(
        "failed to ask for a certificate",
        api.create(&PostParams::default(), &wanted),
    )
    .await?;
    let signed = sign(&api, &made.name_any()).await;
    // Not left lying about; the cluster removes it within the hour anyway.
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: made.uid(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    if api.delete(&made.name_any(), &params).await.is_err() {
        output::note(&format!(
            "the CertificateSigningRequest '{}' could not be removed",
            made.name_any()
        ));
    }
    Ok(Credentials::Certificate {
        certificate: signed?,
        key,
    })
}

/// The private key, which stays here, and the request that goes out.
fn request(username: &str) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, GROUP);
    params.distinguished_name.push(DnType::CommonName, username);
    let request = params.serialize_request(&key)?.pem()?;
    Ok((key.serialize_pem(), request))
}

async fn sign(api: &Api<CertificateSigningRequest>, name: &str) -> Outcome<String> {
    let approval = json!({"status": {"conditions": [{
        "type": "Approved", "status": "True", "reason": "AdminRequest",
        "message": "asked for and approved by an administrator with devctl",
    }]}});
    let (params, approval) = (PatchParams::default(), Patch::Merge(&approval));
    let approved = api.patch_approval(name, &params, &approval);
    answer("failed to approve the certificate", approved).await?;
    let is_settled = |request: Option<&CertificateSigningRequest>| {
        let status = request.and_then(|r| r.status.as_ref());
        status.is_none_or(|s| s.certificate.is_some() || refusal(s).is_some())
    };
    let failed = |exit| Failure::new(exit, "the cluster signed no certificate");
    let settled = await_condition(api.clone(), name, is_settled);
    let status = match tokio::time::timeout(SIGNING, settled).await {
        Err(_) => {
            return Err(failed(Exit::TimedOut)
                .because(format!("nothing happened within {} s", SIGNING.as_secs()))
                .remedy("managed clouds often sign none: use --token, or --exec-command with the cloud's own program"));
        }
        Ok(Err(error)) => return Err(failed(Exit::Error).because(error)),
        Ok(Ok(request)) => request.and_then(|r| r.status).unwrap_or_default(),
    };
    if let Some(why) = refusal(&status) {
        return Err(failed(Exit::Error).because(why).remedy("use --token"));
    }
    status
        .certificate
        .and_then(|bytes| String::from_utf8(bytes.0).ok())
        .ok_or_else(|| failed(Exit::Error).because("the request was removed by somebody else"))
}

fn refusal(
    status: &k8s_openapi::api::certificates::v1::CertificateSigningRequestStatus,
) -> Option<String> {
    let mut conditions = status.conditions.iter().flatten();
    let refused = conditions.find(|c| matches!(c.type_.as_str(), "Denied" | "Failed"))?;
    Some(refused.message.clone().unwrap_or_default())
}

/// A token of the user's ServiceAccount, bound to it: it ends with it, too.
pub async fn token(
    session: &Session,
    username: &str,
    namespace: &str,
    lifetime: Duration,
) -> Outcome<Credentials> {
    let api: Api<ServiceAccount> = session.in_namespace(namespace);
    let wanted = TokenRequest {
        spec: Some(TokenRequestSpec {
            expiration_seconds: Some(i64::from(seconds(lifetime))),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let (name, params) = (service_account_name(username), PostParams::default());
    let request = api.create_token_request(&name, &params, &wanted);
    let given = answer("failed to ask for a token", request).await?;
    given
        .status
        .and_then(|status| status.token)
        .map(Credentials::Token)
        .ok_or_else(|| Failure::new(Exit::Error, "the cluster gave no token"))
}

fn seconds(lifetime: Duration) -> i32 {
    i32::try_from(lifetime.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_request_and_holds_no_key() {
        let (key, request) = request("alice").unwrap();
        assert!(request.starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert!(!request.contains("PRIVATE KEY"));
    }
}
