//! Looking after DevServerUsers: their namespace, its bounds, and their rights in it.
//!
//! Users are few and change seldom, so every look reads what is there by quorum; watches only say when to look.

mod apply;
mod reconcile;
mod report;
mod watches;

use std::{sync::Arc, time::Duration};

use anyhow::bail;
use devserver_api::DevServerUser;
use devserver_core::Platform;
use futures::{StreamExt, stream};
use kube::{
    Client,
    runtime::{applier, controller, events::Recorder, reflector::Store},
};

use crate::{backoff::Backoff, lease::Leadership, metrics::Metrics};

/// What every look at a DevServerUser needs.
pub struct Context {
    /// Connection to the API server.
    pub client: Client,
    /// Configuration.
    pub platform: Platform,
    /// All users there are, also those that are not looked after here.
    pub all: Store<DevServerUser>,
    /// Whether this process may write.
    pub leadership: Leadership,
    /// Failures in a row, per user.
    pub backoff: Backoff,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Events for people.
    pub recorder: Recorder,
    /// Time between two looks when nothing is seen to change.
    pub resync: Duration,
}

/// Looks after the users that the selector picks; absent: all. Never ends by itself.
pub async fn control(context: Context, selector: Option<String>) -> anyhow::Result<()> {
    let (users, waiting, tasks) = watches::start(&context, selector).await?;
    tracing::info!(users = users.len(), "looks after users");
    let waiting = stream::unfold(waiting, |mut waiting| async {
        let next = waiting.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(next), waiting))
    });
    let concurrency = context.platform.concurrency;
    let looks = applier(
        |user, context| Box::pin(reconcile::reconcile(user, context)),
        reconcile::on_error,
        Arc::new(context),
        users,
        waiting,
        controller::Config::default().concurrency(concurrency),
    )
    .for_each(|_| std::future::ready(()));
    tokio::select! {
        () = looks => bail!("the work queue of users ended"),
        what = watches::first_to_end(tasks) => bail!("the watch of {what} ended"),
    }
}
