//! The certificate of this port, from its files.

use std::sync::Arc;

use anyhow::Context as _;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::config::Tls;

/// Both files.
pub fn bytes(tls: &Tls) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let read = |path: &std::path::Path| {
        std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))
    };
    Ok((read(&tls.certificate_file)?, read(&tls.private_key_file)?))
}

/// What TLS needs of them. HTTP/1.1 alone: over HTTP/2 there would be no websockets to editors.
pub fn read(tls: &Tls) -> anyhow::Result<Arc<ServerConfig>> {
    let (chain, key) = bytes(tls)?;
    let chain = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<Vec<_>, _>>()
        .context("tls.certificateFile is not PEM")?;
    let key = PrivateKeyDer::from_pem_slice(&key).context("tls.privateKeyFile is not PEM")?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the certificate and its key do not fit")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
