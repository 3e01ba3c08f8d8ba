//! A fault-injecting HTTPS proxy between the real operator and the real API server.
//!
//! Without rules it changes nothing but the identity: it speaks to the server with the administrator's certificate.
//! It never answers in the server's place except with a fault that a test asked for.

mod forward;
pub mod request;
pub mod rule;
mod tls;
pub mod trace;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use anyhow::Context as _;
use futures::future::BoxFuture;
use http::HeaderValue;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use self::{
    request::Asked,
    rule::{Action, Armed, Rule},
    tls::{Identity, Upstream},
    trace::Trace,
};

/// Ends the operator with SIGKILL and returns when it is gone.
pub type Kill = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// A running proxy; ends when dropped.
pub struct Proxy {
    address: SocketAddr,
    ca_pem: String,
    token: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// What all connections of a proxy see.
struct Shared {
    server: String,
    upstream: Upstream,
    authorization: HeaderValue,
    rules: Mutex<Vec<Armed>>,
    kill: Mutex<Option<Kill>>,
    cuts: watch::Sender<u64>,
    ahead: AtomicI64,
    trace: Trace,
}

impl Proxy {
    /// Starts a proxy on a free port of 127.0.0.1.
    pub async fn start(config: &kube::Config) -> anyhow::Result<Self> {
        let identity = tls::identity()?;
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("failed to bind the proxy")?;
        let address = listener.local_addr()?;
        // The proxy lends out the administrator's rights: nobody else on this machine may use it.
        let token = crate::sample::word(24);
        let shared = Arc::new(Shared {
            server: config
                .cluster_url
                .to_string()
                .trim_end_matches('/')
                .to_owned(),
            upstream: tls::upstream(config)?,
            authorization: HeaderValue::try_from(format!("Bearer {token}"))?,
            rules: Mutex::default(),
            kill: Mutex::default(),
            cuts: watch::Sender::default(),
            ahead: AtomicI64::default(),
            trace: Trace::default(),
        });
        let Identity { acceptor, ca_pem } = identity;
        let serving = tokio::spawn(serve(listener, acceptor, Arc::clone(&shared)));
        Ok(Self {
            address,
            ca_pem,
            token,
            shared,
            serving,
        })
    }

    /// Every request so far.
    pub fn trace(&self) -> &Trace {
        &self.shared.trace
    }

    /// Adds a fault.
    pub fn arm(&self, rule: Rule) {
        self.shared
            .rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(rule.into());
    }

    /// Removes all faults.
    pub fn calm(&self) {
        self.shared
            .rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Says how to kill the operator; needed before a [`Action::Kill`] is armed.
    pub fn set_kill(&self, kill: Kill) {
        *self
            .shared
            .kill
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(kill);
    }

    /// Ends every open watch.
    pub fn cut_watches(&self) {
        self.shared.cuts.send_modify(|n| *n += 1);
    }

    /// Puts the API server's clock ahead by so many seconds, as far as `Date` tells it; what it stores is not touched.
    pub fn set_clock(&self, ahead: i64) {
        self.shared.ahead.store(ahead, Ordering::SeqCst);
    }

    /// Writes a kubeconfig whose server is this proxy.
    pub fn write_kubeconfig(&self, path: &Path) -> anyhow::Result<()> {
        let ca = kubeconfig_base64(self.ca_pem.as_bytes());
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {
                "server": format!("https://{}", self.address), "certificate-authority-data": ca}}],
            "users": [{"name": "operator", "user": {"token": self.token}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "operator"}}],
        });
        // JSON is YAML.
        std::fs::write(path, config.to_string())
            .with_context(|| format!("failed to write {}", path.display()))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    /// The first rule that the request trips, counted for every rule.
    fn meet(&self, asked: &Asked) -> Option<Action> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let actions: Vec<_> = rules
            .iter_mut()
            .filter_map(|rule| rule.meet(asked))
            .collect();
        actions.into_iter().next()
    }

    async fn kill(&self) {
        let kill = self
            .kill
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(kill) = kill {
            kill().await;
        }
    }
}

async fn serve(listener: TcpListener, acceptor: tokio_rustls::TlsAcceptor, shared: Arc<Shared>) {
    // Owned here, so that connections end with the proxy.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else { continue };
                connections.spawn(connection(socket, acceptor.clone(), Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(socket: TcpStream, acceptor: tokio_rustls::TlsAcceptor, shared: Arc<Shared>) {
    // A delayed ACK would add 40 ms to every answer.
    let _ = socket.set_nodelay(true);
    // A client that hangs up during the handshake was killed, which is what these tests do.
    let Ok(tls) = acceptor.accept(socket).await else {
        return;
    };
    let service = service_fn(move |request| forward::answer(Arc::clone(&shared), request));
    let served = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(tls), service)
        .await;
    if let Err(why) = served {
        tracing::debug!(%why, "a connection of the proxy ended");
    }
}

/// Base64 as kubeconfig files hold certificates.
fn kubeconfig_base64(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests;
