//! The proxy's certificate authority, and the way to the real API server.

use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, Error},
    rt::TokioExecutor,
};
use kube::client::ConfigExt as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// Accepts TLS as `127.0.0.1`, and the certificate a client has to trust for that.
pub(super) struct Identity {
    pub(super) acceptor: TlsAcceptor,
    pub(super) ca_pem: String,
}

/// Makes a certificate authority and a certificate of it, good for this one proxy.
pub(super) fn identity() -> anyhow::Result<Identity> {
    crate::cluster::install_crypto();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "testkit fault proxy");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    let leaf = params.signed_by(&key, &ca)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|why| anyhow::anyhow!("failed to use the proxy's own key: {why}"))?;
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Identity {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        ca_pem: ca.pem(),
    })
}

/// Sends one request to the API server as the administrator.
pub(super) type Upstream = Arc<
    dyn Fn(Request<Full<Bytes>>) -> BoxFuture<'static, Result<Response<Incoming>, Error>>
        + Send
        + Sync,
>;

/// A way to the API server without kube's own retries, which would hide or repeat what the tests count.
pub(super) fn upstream(config: &kube::Config) -> anyhow::Result<Upstream> {
    let connector = config
        .rustls_https_connector()
        .context("failed to set up TLS to the API server")?;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    // A certificate is presented by the connector; a token goes into every request in place of the proxy's own.
    let auth = serde_json::to_value(&config.auth_info)?;
    let bearer = auth
        .get("token")
        .and_then(|token| token.as_str())
        .map(|token| HeaderValue::try_from(format!("Bearer {token}")))
        .transpose()?;
    Ok(Arc::new(move |mut request: Request<Full<Bytes>>| {
        request.headers_mut().remove(AUTHORIZATION);
        if let Some(bearer) = &bearer {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
        }
        Box::pin(client.request(request))
    }))
}
