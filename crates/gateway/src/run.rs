//! The process: everything started, joined and ended.

use std::{
    io::stdout,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::Context as _;
use devserver_process::pages::{self, Pages};
use kube::Client;
use russh::keys::PrivateKey;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    args::Options,
    audit::Audit,
    authority::Authority,
    connection::protocol,
    dial::PodNetwork,
    gateway::{Edges, Gateway},
    host_keys::{self, Use},
    key_files::{self, Paths, Trusted},
    listen, memory,
    settings::Settings,
    wake::{Cluster, Wake},
    watch,
    workers::Workers,
};

/// How long the last lines of the audit may take.
const LAST_LINES: Duration = Duration::from_secs(5);
/// How often files with keys are looked at; the kubelet brings a changed Secret within a minute.
const LOOK_AT_FILES: Duration = Duration::from_secs(10);

/// Serves until SIGTERM, then drains.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let paths = Paths {
        authorized_keys: options.keys.authorized_keys_file.clone(),
        authorities: options.keys.trusted_user_ca_keys.clone(),
        revoked: options.keys.revoked_keys.clone(),
    };
    let trusted = Trusted::read(&paths)?;
    let client = Client::try_default()
        .await
        .context("failed to find the cluster")?;
    let (host_keys, authority) = own_keys(&client, &options).await?;
    let mut settings = Settings::from(&options);
    settings.max_memory = settings.max_memory.or_else(memory::default_bound);
    let protocol = Arc::new(protocol(&settings, host_keys));
    let wake: Option<Arc<dyn Wake>> = settings
        .wake
        .then(|| Arc::new(Cluster(client.clone())) as Arc<dyn Wake>);
    let audit = match &options.audit_file {
        Some(path) => {
            Audit::to_file(path).with_context(|| format!("failed to open {}", path.display()))
        }
        None => Audit::to(stdout()).context("failed to start the audit"),
    }?;
    let edges = Edges {
        dial: Arc::new(PodNetwork),
        wake,
        audit,
        authority: authority.map(Authority::new).map(Arc::new),
    };
    let gateway = Gateway::new(settings, trusted, edges);
    let ends = on_signal()?;
    let workers = Workers::start().context("failed to start the threads that serve connections")?;
    let namespace = options.watch_namespace.clone();
    let accepting = async {
        // Before that, everybody would be a stranger; and who cannot be served should be told so by the port.
        gateway.filled.cancelled().await;
        let listener = listen::bind(options.ssh)
            .with_context(|| format!("failed to listen on {}", options.ssh))?;
        tracing::info!(address = %listener.local_addr()?, "serves ssh");
        gateway.ready.store(true, Ordering::Relaxed);
        listen::accept(Arc::clone(&gateway), protocol, listener, &workers).await;
        // Closed, not broken: what is open goes on until it is drained.
        std::future::pending::<anyhow::Result<()>>().await
    };
    tokio::select! {
        served = pages::serve(options.listen, pages(&gateway)) => served,
        () = watch::follow(Arc::clone(&gateway), client, namespace) => {
            anyhow::bail!("the watches ended")
        }
        () = memory::watch(Arc::clone(&gateway)) => Ok(()),
        () = look_at_files(&gateway, &paths) => Ok(()),
        ended = accepting => ended,
        () = listen::drain(&gateway, ends) => {
            gateway.ready.store(false, Ordering::Relaxed);
            tracing::info!("ended");
            Ok(())
        }
    }?;
    timeout(LAST_LINES, gateway.edges.audit.flush())
        .await
        .context("failed to write the last lines of the audit")
}

fn pages(gateway: &Gateway) -> Pages {
    let metrics = Arc::clone(&gateway.metrics);
    Pages {
        ready: Arc::clone(&gateway.ready),
        why_not: "the table is not filled yet, or this replica is ending",
        metrics: Arc::new(move || metrics.text()),
        further: Vec::new(),
    }
}

/// Host keys, and the authority's key where direct mode is on.
async fn own_keys(
    client: &Client,
    options: &Options,
) -> anyhow::Result<(Vec<PrivateKey>, Option<PrivateKey>)> {
    let Some(place) = &options.keys.host_key_secret else {
        return Ok((key_files::host_keys(&options.keys.host_keys)?, None));
    };
    let keys = host_keys::ensure(client, place, Use::Host).await?;
    let authority = match &options.keys.direct_authority_secret {
        Some(place) => host_keys::ensure(client, place, Use::Authority)
            .await?
            .into_iter()
            .next(),
        None => None,
    };
    host_keys::publish(client, place, &keys, authority.as_ref()).await?;
    Ok((keys, authority))
}

fn on_signal() -> anyhow::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let told = CancellationToken::new();
    let tell = told.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tell.cancel();
    });
    Ok(told)
}

/// Reads files with keys again. A mistake in one changes nothing, and is told once for each change.
async fn look_at_files(gateway: &Gateway, paths: &Paths) {
    let mut tick = interval(LOOK_AT_FILES);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        tick.tick().await;
        match Trusted::read(paths) {
            Ok(trusted) => {
                told = None;
                if *gateway.trusted() != trusted {
                    tracing::info!("files with keys have changed");
                    gateway.trust(trusted);
                }
            }
            Err(error) => {
                let text = error.to_string();
                if told.as_ref() != Some(&text) {
                    tracing::error!(error = text, "files with keys stay as they were");
                    told = Some(text);
                }
            }
        }
    }
}
