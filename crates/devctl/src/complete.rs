//! Names for shell completion, from the cluster of the current context.
//!
//! A shell waits while these run, so they give up soon and never say why.

use std::{ffi::OsStr, time::Duration};

use clap_complete::{
    CompletionCandidate,
    engine::{PathCompleter, ValueCompleter as _},
};
use devserver_api::trash;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{Api, ResourceExt, api::ListParams};

use crate::{args::Global, kube::Session};

const PATIENCE: Duration = Duration::from_millis(1500);

/// DevServers of the namespace.
pub fn servers() -> Vec<CompletionCandidate> {
    ask(async |session: Session| {
        let list = session.servers().list(&ListParams::default()).await?;
        Ok(list.items.iter().map(ResourceExt::name_any).collect())
    })
}

/// Homes whose DevServer has ended.
pub fn kept() -> Vec<CompletionCandidate> {
    ask(async |session: Session| {
        let claims: Api<PersistentVolumeClaim> = session.in_namespace(&session.place.namespace);
        let claims = claims.list(&ListParams::default()).await?;
        let ended = |claim: &&PersistentVolumeClaim| trash::marks(claim).ended.is_some();
        let homes = claims.iter().filter(ended).filter_map(trash::home_of);
        Ok(homes.map(|name| name.to_string()).collect())
    })
}

/// Paths of `devctl cp`: those of this machine, and DevServers as the beginning of one there.
pub fn paths(current: &OsStr) -> Vec<CompletionCandidate> {
    let typed = current.to_string_lossy();
    let begin = |name: &CompletionCandidate| {
        let mut path = name.get_value().to_owned();
        path.push(":");
        CompletionCandidate::new(path)
    };
    let mut found = PathCompleter::any().complete(current);
    // What holds a '/' is a path of this machine already.
    if !typed.contains(['/', ':']) {
        let of_servers = servers().iter().map(begin).collect::<Vec<_>>();
        let fits = |c: &CompletionCandidate| c.get_value().to_string_lossy().starts_with(&*typed);
        found.extend(of_servers.into_iter().filter(fits));
    }
    found
}

/// Flavors of the cluster.
pub fn flavors() -> Vec<CompletionCandidate> {
    ask(async |session: Session| {
        let list = session.flavors().list(&ListParams::default()).await?;
        Ok(list.items.iter().map(ResourceExt::name_any).collect())
    })
}

fn ask(
    question: impl AsyncFnOnce(Session) -> kube::Result<Vec<String>>,
) -> Vec<CompletionCandidate> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Vec::new();
    };
    let global = Global {
        kubeconfig: std::env::var_os("KUBECONFIG"),
        ..Global::default()
    };
    let names = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, async {
            let session = Session::connect_unattended(&global).await.ok()?;
            question(session).await.ok()
        })
        .await
        .ok()
        .flatten()
    });
    // A name that is not one would end up on the user's command line.
    let is_plain = |n: &String| {
        n.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
    };
    names
        .unwrap_or_default()
        .into_iter()
        .filter(is_plain)
        .map(CompletionCandidate::new)
        .collect()
}
