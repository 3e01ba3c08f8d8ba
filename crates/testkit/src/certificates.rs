//! People with client certificates, as real clusters know them: requested by CSR, approved, signed by the cluster.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::{
    ByteString,
    api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec},
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    config::AuthInfo,
};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::json;

use crate::{
    Cluster, sample,
    scene::PATIENCE,
    users::User,
    wait::{self, Seen},
};

/// Signs client certificates that the API server knows people by.
const SIGNER: &str = "kubernetes.io/kube-apiserver-client";

/// Somebody of that name and perhaps a group, with a certificate good for an hour and no right to anything.
pub async fn person(cluster: &Cluster, name: &str, group: Option<&str>) -> anyhow::Result<User> {
    let key = KeyPair::generate()?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    if let Some(group) = group {
        subject.push(DnType::OrganizationName, group);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    let request = params.serialize_request(&key)?.pem()?;
    let certificate = signed(cluster, request).await?;
    let mut config = cluster.config.clone();
    config.auth_info = AuthInfo {
        client_certificate_data: Some(STANDARD.encode(certificate)),
        client_key_data: Some(STANDARD.encode(key.serialize_pem()).into()),
        ..AuthInfo::default()
    };
    let client = Client::try_from(config.clone())?;
    Ok(User { client, config })
}

async fn signed(cluster: &Cluster, request: String) -> anyhow::Result<Vec<u8>> {
    let requests: Api<CertificateSigningRequest> = Api::all(cluster.client.clone());
    let name = format!("testkit-{}", sample::word(8));
    let object = CertificateSigningRequest {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            ..ObjectMeta::default()
        },
        spec: CertificateSigningRequestSpec {
            request: ByteString(request.into_bytes()),
            signer_name: SIGNER.to_owned(),
            usages: Some(vec!["client auth".to_owned()]),
            expiration_seconds: Some(3600),
            ..CertificateSigningRequestSpec::default()
        },
        ..CertificateSigningRequest::default()
    };
    requests
        .create(&PostParams::default(), &object)
        .await
        .context("failed to ask for a certificate")?;
    let approval = json!({"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "Test"}]}});
    requests
        .patch_approval(&name, &PatchParams::default(), &Patch::Merge(approval))
        .await
        .context("failed to approve the certificate")?;
    wait::until("the certificate is signed", PATIENCE, async || {
        let status = requests.get(&name).await?.status.unwrap_or_default();
        Ok(match status.certificate {
            Some(certificate) if !certificate.0.is_empty() => Seen::Yes(certificate.0),
            _ => Seen::NotYet(format!("{status:?}")),
        })
    })
    .await
}
