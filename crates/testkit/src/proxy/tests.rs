//! The proxy against a small HTTPS server of this process: faults and records, without a cluster.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::{
    rule::{Count, Match, Side},
    trace::Fate,
    *,
};

const SECRET: &str = "/api/v1/namespaces/n/secrets/s";

/// A server that counts what reaches it and answers a watch with one line that stays open.
struct Upstream {
    config: Config,
    reached: Arc<AtomicU64>,
    _serving: JoinHandle<()>,
}

async fn upstream() -> anyhow::Result<Upstream> {
    let Identity { acceptor, ca_pem } = tls::identity()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let reached = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&reached);
    let serving = tokio::spawn(async move {
        loop {
            let Ok((socket, _)) = listener.accept().await else {
                return;
            };
            let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(socket).await else {
                    return;
                };
                let service = service_fn(move |request: Request<Incoming>| {
                    count.fetch_add(1, Ordering::SeqCst);
                    async move { Ok::<_, Infallible>(reply(&request)) }
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(tls), service).await;
            });
        }
    });
    let mut config = Config::new(format!("https://{address}").parse()?);
    let pem = rustls::pki_types::pem::PemObject::from_pem_slice(ca_pem.as_bytes());
    let certificate: rustls::pki_types::CertificateDer<'static> = pem.unwrap();
    config.root_cert = Some(vec![certificate.to_vec()]);
    Ok(Upstream {
        config,
        reached,
        _serving: serving,
    })
}

fn reply(request: &Request<Incoming>) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let watching = request
        .uri()
        .query()
        .is_some_and(|q| q.contains("watch=true"));
    let line = Bytes::from_static(b"{\"ok\":true}\n");
    let body = if watching {
        let first = futures::stream::once(async { Ok(Frame::data(line)) });
        StreamBody::new(futures::StreamExt::chain(first, futures::stream::pending())).boxed_unsync()
    } else {
        Full::new(line).boxed_unsync()
    };
    Response::new(body)
}

async fn client(proxy: &Proxy) -> anyhow::Result<Client> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("kubeconfig");
    proxy.write_kubeconfig(&path)?;
    let kubeconfig = Kubeconfig::read_from(path)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

async fn put(client: &Client) -> Result<String, kube::Error> {
    client
        .request_text(Request::put(SECRET).body(br#"{"a":1}"#.to_vec()).unwrap())
        .await
}

#[tokio::test]
async fn without_rules_everything_passes_and_is_recorded() -> anyhow::Result<()> {
    let server = upstream().await?;
    let proxy = Proxy::start(&server.config).await?;
    assert_eq!(put(&client(&proxy).await?).await?, "{\"ok\":true}\n");
    let records = proxy.trace().records();
    let [record] = records.as_slice() else {
        anyhow::bail!("{records:?}")
    };
    assert_eq!((record.status, &record.fate), (Some(200), &Fate::Answered));
    assert_eq!(record.asked.summary(), "update secrets/s");
    Ok(())
}

#[tokio::test]
async fn an_injected_error_never_reaches_the_server() -> anyhow::Result<()> {
    let server = upstream().await?;
    let proxy = Proxy::start(&server.config).await?;
    proxy.arm(Rule::nth_write(1, Action::fail(403, "Forbidden")));
    let client = client(&proxy).await?;
    let Err(kube::Error::Api(status)) = put(&client).await else {
        anyhow::bail!("not refused")
    };
    assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
    assert_eq!(server.reached.load(Ordering::SeqCst), 0);
    put(&client).await?;
    assert_eq!(server.reached.load(Ordering::SeqCst), 1);
    Ok(())
}

#[tokio::test]
async fn a_lost_request_was_not_done_and_a_lost_answer_was() -> anyhow::Result<()> {
    for (action, done) in [(Action::LoseRequest, 0), (Action::LoseResponse, 1)] {
        let server = upstream().await?;
        let proxy = Proxy::start(&server.config).await?;
        proxy.arm(Rule {
            when: Match::writes(),
            nth: Count::Every,
            then: action,
        });
        assert!(put(&client(&proxy).await?).await.is_err());
        assert_eq!(server.reached.load(Ordering::SeqCst), done);
    }
    Ok(())
}

#[tokio::test]
async fn a_kill_comes_before_or_after_the_commit() -> anyhow::Result<()> {
    for (side, done) in [(Side::Before, 0), (Side::After, 1)] {
        let server = upstream().await?;
        let proxy = Proxy::start(&server.config).await?;
        let reached_at_kill = Arc::new(AtomicU64::new(u64::MAX));
        let (seen, reached) = (Arc::clone(&reached_at_kill), Arc::clone(&server.reached));
        proxy.set_kill(Arc::new(move || {
            let (seen, reached) = (Arc::clone(&seen), Arc::clone(&reached));
            Box::pin(async move { seen.store(reached.load(Ordering::SeqCst), Ordering::SeqCst) })
        }));
        proxy.arm(Rule::nth_write(1, Action::Kill(side)));
        assert!(put(&client(&proxy).await?).await.is_err());
        assert_eq!(reached_at_kill.load(Ordering::SeqCst), done, "{side:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stalled_request_is_never_answered() -> anyhow::Result<()> {
    let server = upstream().await?;
    let proxy = Proxy::start(&server.config).await?;
    proxy.arm(Rule {
        when: Match::writes(),
        nth: Count::Every,
        then: Action::Stall,
    });
    let client = client(&proxy).await?;
    assert!(
        tokio::time::timeout(Duration::from_millis(200), put(&client))
            .await
            .is_err()
    );
    Ok(())
}

#[tokio::test]
async fn a_watch_streams_until_it_is_cut() -> anyhow::Result<()> {
    let server = upstream().await?;
    let proxy = Proxy::start(&server.config).await?;
    let request = Request::get("/api/v1/namespaces/n/pods?watch=true").body(Vec::new())?;
    let mut lines = Box::pin(client(&proxy).await?.request_stream(request).await?.lines());
    assert_eq!(lines.try_next().await?.as_deref(), Some("{\"ok\":true}"));
    let more = tokio::time::timeout(Duration::from_millis(100), lines.try_next()).await;
    assert!(more.is_err(), "the watch should still be open");
    proxy.cut_watches();
    let end = tokio::time::timeout(Duration::from_secs(5), lines.try_next()).await?;
    assert!(!matches!(end, Ok(Some(_))), "the watch should have ended");
    Ok(())
}

#[tokio::test]
async fn nobody_without_the_token_gets_the_administrators_rights() -> anyhow::Result<()> {
    let server = upstream().await?;
    let proxy = Proxy::start(&server.config).await?;
    let mut config = server.config.clone();
    config.cluster_url = format!("https://{}", proxy.address).parse()?;
    config.accept_invalid_certs = true;
    let Err(kube::Error::Api(status)) = put(&Client::try_from(config)?).await else {
        anyhow::bail!("not refused")
    };
    assert_eq!(status.code, StatusCode::UNAUTHORIZED.as_u16());
    assert_eq!(server.reached.load(Ordering::SeqCst), 0);
    Ok(())
}
