//! The process: everything started, joined and ended.

use std::{
    io::stdout,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::Context as _;
use axum_server::{
    Handle,
    accept::NoDelayAcceptor,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use devserver_process::pages::{self, Pages};
use hyper_util::rt::TokioTimer;
use kube::Client;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    args::Options,
    audit::Audit,
    certificate,
    config::{self, Config, Tls},
    console::Console,
    ledger::Ledger,
    oidc::Provider,
    router,
    seal::Sealer,
    watch,
};

/// How long the last lines of the audit may take.
const LAST_LINES: Duration = Duration::from_secs(5);
/// How long the last words to open websockets may take.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How often the certificate's files are looked at.
const LOOK_AT_FILES: Duration = Duration::from_secs(10);
/// Longest time for the header of a request.
const HEADER: Duration = Duration::from_secs(30);

/// Serves until SIGTERM, then drains.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let config = Config::read(&options.config)
        .with_context(|| format!("failed to use {}", options.config.display()))?;
    let sealer = Sealer::new(&config.session_key).context("sessionKeyFile is too short")?;
    let provider = match &config.provider {
        config::Provider::Oidc(oidc) => {
            let redirect = config.console_address("/callback");
            Some(
                Provider::new((**oidc).clone(), redirect)
                    .context("failed to prepare the identity provider")?,
            )
        }
        config::Provider::ForwardAuth(_) => None,
    };
    let client = Client::try_default()
        .await
        .context("failed to find the cluster")?;
    let audit = match &options.audit_file {
        Some(path) => {
            Audit::to_file(path).with_context(|| format!("failed to open {}", path.display()))
        }
        None => Audit::to(stdout()).context("failed to start the audit"),
    }?;
    let tls = config.tls.clone();
    let ledger = config.usage.clone().map(Ledger::new).transpose();
    let ledger = ledger.context("failed to prepare the way to the ledger")?;
    let console = Console::new(config, sealer, provider, client.clone(), ledger, audit);
    let handle = Handle::new();
    tokio::select! {
        served = pages::serve(options.listen, pages(&console)) => served,
        () = watch::follow(Arc::clone(&console), client, options.watch_namespace.clone()) => anyhow::bail!("the watches ended"),
        served = async {
            serve(&console, options.serve, tls, handle.clone()).await?;
            // It ends when it is told to; what there is to say to open websockets then, `drain` waits for.
            std::future::pending::<anyhow::Result<()>>().await
        } => served,
        drained = drain(&console, &options, &handle) => drained,
    }?;
    timeout(LAST_LINES, console.audit.flush())
        .await
        .context("failed to write the last lines of the audit")
}

fn pages(console: &Arc<Console>) -> Pages {
    let told = Arc::clone(console);
    Pages {
        ready: Arc::clone(&console.ready),
        why_not: "the table is not filled yet, or this replica is ending",
        metrics: Arc::new(move || {
            told.metrics
                .audit_lost
                .set(i64::try_from(told.audit.lost()).unwrap_or(i64::MAX));
            told.metrics.text()
        }),
        further: Vec::new(),
    }
}

async fn serve(
    console: &Arc<Console>,
    address: SocketAddr,
    tls: Option<Tls>,
    handle: Handle<SocketAddr>,
) -> anyhow::Result<()> {
    // Before that, nobody would have an environment.
    console.filled.cancelled().await;
    let listener = std::net::TcpListener::bind(address)
        .with_context(|| format!("failed to listen on {address}"))?;
    listener.set_nonblocking(true)?;
    tracing::info!(address = %listener.local_addr()?, "serves the console");
    // Keys that are typed come back at once: what an answer has ready does not wait for more.
    let mut plain = axum_server::from_tcp(listener)?.handle(handle);
    let mut http = plain.http_builder().http1();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER);
    let service =
        router::router(Arc::clone(console)).into_make_service_with_connect_info::<SocketAddr>();
    console.ready.store(true, Ordering::Relaxed);
    let Some(tls) = tls else {
        let served = plain.acceptor(NoDelayAcceptor::new()).serve(service).await;
        return served.context("failed to serve");
    };
    let config = RustlsConfig::from_config(certificate::read(&tls)?);
    tokio::select! {
        served = plain.acceptor(RustlsAcceptor::new(config.clone()).acceptor(NoDelayAcceptor::new())).serve(service) => served.context("failed to serve"),
        () = look_at_files(&tls, &config) => Ok(()),
    }
}

/// A certificate that cannot be read changes nothing, and is told once for each change.
async fn look_at_files(tls: &Tls, config: &RustlsConfig) {
    let mut tick = interval(LOOK_AT_FILES);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = certificate::bytes(tls).ok();
    loop {
        tick.tick().await;
        let bytes = certificate::bytes(tls).ok();
        if bytes == known {
            continue;
        }
        known = bytes;
        match certificate::read(tls) {
            Ok(new) => {
                tracing::info!("the certificate has changed");
                config.reload_from_config(new);
            }
            Err(error) => tracing::error!(
                error = format!("{error:#}"),
                "the certificate stays as it was"
            ),
        }
    }
}

async fn drain(
    console: &Console,
    options: &Options,
    handle: &Handle<SocketAddr>,
) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("draining");
    console.ready.store(false, Ordering::Relaxed);
    sleep(Duration::from_secs(options.drain_delay)).await;
    let rest = Duration::from_secs(options.drain_timeout);
    handle.graceful_shutdown(Some(rest));
    let idle = async {
        while handle.connection_count() > 0 || console.metrics.websockets.get() > 0 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    // Whatever is open then is told and cut; browsers connect anew, to another replica.
    let _ = timeout(rest, idle).await;
    console.ending.cancel();
    let told = async {
        while console.metrics.websockets.get() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let _ = timeout(LAST_WORDS, told).await;
    tracing::info!("ended");
    Ok(())
}
