//! Tells of flavors whether they make sense, which one is the default, and whether a node would be found.
//!
//! ```text
//! flavors, nodes (caches) ──┐
//! pods ─► sums per node ────┼─► News ─► at most one look a second ─► core::flavor::status ─► write what changed
//! NodePools, autoscaler ────┘
//! ```
//!
//! A look asks nobody: all it needs is in memory, and it writes only what says something new.

mod sources;
mod tell;
mod view;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use devserver_api::{DevServerFlavor, FlavorCost};
use devserver_core::{Platform, flavor::Ask};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::{Client, runtime::reflector::Store};
use tokio::{sync::Notify, task::JoinSet};

use self::{tell::Told, view::View};
use crate::{backoff::Backoff, clock::Clock, lease::Leadership, metrics::Metrics, usage::Tariff};

/// Wakes the next look; several at once are one.
pub type News = Arc<Notify>;

/// What gathers for this long is looked at together.
const GATHER: Duration = Duration::from_secs(1);
/// Next look when there is no news: time alone can change an answer, such as that an autoscaler has been silent for long.
const RECHECK: Duration = Duration::from_secs(60);

/// What looking after flavors needs.
pub struct Context {
    /// Connection to the API server.
    pub client: Client,
    /// Configuration.
    pub platform: Platform,
    /// All flavors there are, also those that are not looked after here.
    pub flavors: Store<DevServerFlavor>,
    /// Nodes.
    pub nodes: Store<Node>,
    /// Whether this process may write.
    pub leadership: Leadership,
    /// Failures in a row, per flavor.
    pub backoff: Backoff,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// What time it is.
    pub clock: Arc<Clock>,
    /// What things cost; `None`: the platform counts no usage.
    pub tariff: Option<Arc<Tariff>>,
    /// Told of every change of a flavor or node.
    pub news: News,
    /// Labels a flavor must have to be looked after here; none: all.
    pub labels: BTreeMap<String, String>,
}

impl Context {
    /// What an environment of the flavor costs now. Until the prices are read it costs what it was said to cost before.
    fn cost(&self, flavor: &DevServerFlavor, ask: &Ask, now: Timestamp) -> Option<FlavorCost> {
        let tariff = self.tariff.as_ref()?;
        let name = flavor.metadata.name.as_deref().unwrap_or_default();
        let cost = tariff.cost(name, ask, now.as_second());
        cost.or_else(|| flavor.status.as_ref()?.cost.clone())
    }
}

/// Looks after flavors. Never ends by itself; returns what did.
pub async fn control(context: Context) -> anyhow::Result<()> {
    let view = Arc::new(View::new(context.news.clone()));
    let mut tasks = JoinSet::new();
    tasks.spawn(sources::pods(context.client.clone(), view.clone()));
    tasks.spawn(sources::pools(context.client.clone(), view.clone()));
    tasks.spawn(sources::autoscaler(context.client.clone(), view.clone()));
    let mut told = Told::default();
    let looks = async {
        let mut wait = RECHECK;
        loop {
            // Time that runs out is as good a reason as news.
            let _ = tokio::time::timeout(wait, context.news.notified()).await;
            tokio::time::sleep(GATHER).await;
            wait = tell::tell(&context, &view, &mut told)
                .await
                .map_or(RECHECK, |retry| retry.min(RECHECK));
        }
    };
    tokio::select! {
        () = looks => {}
        _ = tasks.join_next() => {}
    }
    anyhow::bail!("the look after flavors ended")
}

/// Reads `key=value,…`; an empty text is no label.
pub fn labels(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let pair = |word: &str| match word.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => anyhow::bail!("--flavor-selector: {word:?} must be key=value"),
    };
    let words = text.split(',').filter(|word| !word.trim().is_empty());
    words.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_pairs_and_nothing_is_no_label() {
        assert_eq!(labels("").unwrap().len(), 0);
        let two = labels("a=b, example.com/c=").unwrap();
        assert_eq!(two["a"], "b");
        assert_eq!(two["example.com/c"], "");
        assert!(labels("a").is_err() && labels("=b").is_err());
    }
}
