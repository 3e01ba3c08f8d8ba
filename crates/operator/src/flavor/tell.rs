//! One look at all flavors, and the writes that it needs.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use devserver_api::{DevServerFlavor, DevServerFlavorStatus};
use devserver_core::flavor::{self, Ask, Cluster};
use jiff::Timestamp;
use kube::{Api, ResourceExt};

use super::{Context, view::View};
use crate::{error::Error, objects};

/// What was told and may not have been seen yet, and who has to wait after a failure; by the flavor's UID.
#[derive(Default)]
pub struct Told {
    written: HashMap<String, DevServerFlavor>,
    not_before: HashMap<String, Instant>,
}

/// Looks at all flavors and writes what changed; how long to wait before a failed write is tried again.
pub async fn tell(ctx: &Context, view: &View, told: &mut Told) -> Option<Duration> {
    let flavors = told.newest(&ctx.flavors.state());
    let now = ctx.clock.read().now();
    let nodes = ctx.nodes.state();
    let changes = view.read(&nodes, |cluster| changes(ctx, &flavors, cluster, now))?;
    let mut retry: Option<Duration> = None;
    for (flavor, status) in changes {
        let uid = flavor.uid().unwrap_or_default();
        let wait = match told.wait(&uid) {
            Some(wait) => wait,
            None => match write(ctx, flavor, &status).await {
                Ok(written) => {
                    ctx.backoff.reset(&uid);
                    told.written.extend(written.map(|flavor| (uid, flavor)));
                    continue;
                }
                Err(error) => {
                    let wait = ctx.backoff.next(&uid);
                    tracing::warn!(flavor = flavor.name_any(), error = %error, "failed to tell of a flavor");
                    told.not_before.insert(uid, Instant::now() + wait);
                    wait
                }
            },
        };
        retry = Some(retry.map_or(wait, |least| least.min(wait)));
    }
    retry
}

/// Flavors of which something new is to be told.
fn changes<'a>(
    ctx: &Context,
    flavors: &'a [Arc<DevServerFlavor>],
    cluster: &Cluster,
    now: Timestamp,
) -> Vec<(&'a DevServerFlavor, DevServerFlavorStatus)> {
    let default = flavor::effective_default(flavors.iter().map(AsRef::as_ref));
    let default = default.and_then(|flavor| flavor.metadata.name.as_deref());
    flavors
        .iter()
        .filter(|flavor| is_ours(flavor, &ctx.labels))
        .filter_map(|flavor| {
            let cost = |ask: &Ask| ctx.cost(flavor, ask, now);
            let status = flavor::status(flavor, default, cluster, &ctx.platform, &cost, now);
            let is_new = !flavor::is_told(flavor.status.as_ref(), &status);
            is_new.then_some((flavor.as_ref(), status))
        })
        .collect()
}

fn is_ours(flavor: &DevServerFlavor, labels: &BTreeMap<String, String>) -> bool {
    let has = flavor.labels();
    flavor.metadata.deletion_timestamp.is_none()
        && labels.iter().all(|(k, v)| has.get(k) == Some(v))
}

/// Writes one status; `None` when the flavor is gone.
async fn write(
    ctx: &Context,
    flavor: &DevServerFlavor,
    status: &DevServerFlavorStatus,
) -> Result<Option<DevServerFlavor>, Error> {
    ctx.leadership.check()?;
    let api: Api<DevServerFlavor> = Api::all(ctx.client.clone());
    let written = objects::write_status(&api, flavor, status).await?;
    if written.is_some() {
        ctx.metrics.wrote("patch", "DevServerFlavorStatus");
    }
    Ok(written)
}

impl Told {
    /// Flavors as they were seen, or written a moment ago. Forgets what has been seen and who is gone.
    fn newest(&mut self, seen: &[Arc<DevServerFlavor>]) -> Vec<Arc<DevServerFlavor>> {
        let mut written = std::mem::take(&mut self.written);
        let mut newest = Vec::with_capacity(seen.len());
        for flavor in seen {
            let uid = flavor.uid().unwrap_or_default();
            match written.remove(&uid) {
                Some(ours) if version(&ours) > version(flavor) => {
                    newest.push(Arc::new(ours.clone()));
                    self.written.insert(uid, ours);
                }
                _ => newest.push(flavor.clone()),
            }
        }
        let now = Instant::now();
        self.not_before.retain(|_, at| *at > now);
        newest
    }

    fn wait(&self, uid: &str) -> Option<Duration> {
        let at = self.not_before.get(uid)?;
        Some(at.saturating_duration_since(Instant::now())).filter(|wait| !wait.is_zero())
    }
}

/// Resource versions can be compared since Kubernetes 1.35 (KEP-5504).
fn version(flavor: &DevServerFlavor) -> Option<u64> {
    flavor.resource_version()?.parse().ok()
}
