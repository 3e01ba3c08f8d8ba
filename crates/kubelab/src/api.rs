//! As much of a client as starting a lab needs: ask whether something is ready, apply a few objects.
//!
//! It talks HTTP/1.0, so that an answer is what comes until the connection closes: nothing to parse but a status.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::Value;

use crate::{
    error::{At, Error},
    paths::LabDir,
};

/// No answer of a live server on the same machine takes longer, but for a create that waits for its webhooks.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client for the servers of one lab.
#[derive(Clone)]
pub struct Client {
    tls: Arc<ClientConfig>,
    node: Ipv4Addr,
}

impl Client {
    /// A client with the administrator's rights.
    pub fn admin(dir: &LabDir, node: Ipv4Addr) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&dir.join("pki/ca.crt"))?)?;
        let key_path = dir.join("pki/admin.key");
        let pem = fs::read(&key_path).at("read", &key_path)?;
        let key =
            PrivateKeyDer::from_pem_slice(&pem).map_err(|error| content(&key_path, &error))?;
        let tls =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_client_auth_cert(vec![certificate(&dir.join("pki/admin.crt"))?], key)?;
        Ok(Self {
            tls: Arc::new(tls),
            node,
        })
    }

    /// The status and body of a path of the API server.
    pub fn get(&self, path: &str) -> Result<(u16, String), Error> {
        self.ask(6443, "GET", path, "")
    }

    /// Whether a server on this port of the node says that it is healthy; the error is what it says instead.
    pub fn healthy(&self, port: u16, path: &str) -> Result<(), String> {
        match self.ask(port, "GET", path, "") {
            Ok((200, _)) => Ok(()),
            Ok((status, body)) => Err(format!("{status} {}", body.trim())),
            Err(Error::Io { source, .. }) => Err(source.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// An object as JSON, or nothing when it is not there (yet).
    pub fn object(&self, path: &str) -> Result<Option<Value>, Error> {
        let (status, body) = self.get(path)?;
        match status {
            200 => Ok(serde_json::from_str(&body).ok()),
            404 => Ok(None),
            status => Err(Error::Api {
                request: format!("GET {path}"),
                status,
                body,
            }),
        }
    }

    /// Server-side apply of one object given as YAML or JSON.
    pub fn apply(&self, path: &str, object: &str) -> Result<(), Error> {
        let query = format!("{path}?fieldManager=kubelab&force=true");
        let (status, body) = self.ask(6443, "PATCH", &query, object)?;
        if status == 200 || status == 201 {
            return Ok(());
        }
        Err(Error::Api {
            request: format!("apply {path}"),
            status,
            body,
        })
    }

    fn ask(&self, port: u16, method: &str, path: &str, body: &str) -> Result<(u16, String), Error> {
        let text = format!(
            "{method} {path} HTTP/1.0\r\nHost: {node}:{port}\r\nAccept: application/json\r\nUser-Agent: kubelab\r\n\
             Content-Type: application/apply-patch+yaml\r\nContent-Length: {length}\r\n\r\n{body}",
            node = self.node,
            length = body.len()
        );
        let answer = self
            .exchange(port, text.as_bytes())
            .at("reach", format!("https://{}:{port}{path}", self.node))?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        Ok((status, body.to_owned()))
    }

    fn exchange(&self, port: u16, request: &[u8]) -> std::io::Result<String> {
        let address = SocketAddr::from((self.node, port));
        let socket = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.set_write_timeout(Some(TIMEOUT))?;
        socket.set_nodelay(true)?;
        let name = ServerName::from(std::net::IpAddr::V4(self.node));
        let session =
            ClientConnection::new(Arc::clone(&self.tls), name).map_err(std::io::Error::other)?;
        let mut stream = StreamOwned::new(session, socket);
        stream.write_all(request)?;
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            // Some servers close the connection without the farewell of TLS; the answer is complete all the same.
            Err(error)
                if error.kind() == std::io::ErrorKind::UnexpectedEof && !answer.is_empty() => {}
            other => drop(other?),
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

fn certificate(path: &Path) -> Result<CertificateDer<'static>, Error> {
    let pem = fs::read(path).at("read", path)?;
    CertificateDer::from_pem_slice(&pem).map_err(|error| content(path, &error))
}

fn content(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Content {
        path: path.to_path_buf(),
        why: error.to_string(),
    }
}
