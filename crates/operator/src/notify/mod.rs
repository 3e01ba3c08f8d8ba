//! Tells owners outside of the cluster: mail and webhooks. Never waited for: a look only says what is owed, and a later look
//! writes down that it was delivered, so that after a restart what was not is delivered again, under the same identity.

mod jobs;
mod mail;
mod webhook;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use devserver_api::{DevServer, IdleStatus};
use devserver_core::{
    idle::{message, notification_id, owed},
    message::Message,
    platform::NotificationSettings,
};
use futures::future::join_all;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::Semaphore;

use self::{jobs::Jobs, mail::Mail};
use crate::{backoff::spread, caches::Queue, error::Error, fresh, metrics::Metrics};

pub use webhook::Webhook;

/// Attempts before a notification is given up; with the waits between them, about half an hour.
const ATTEMPTS: u32 = 10;
/// Longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Notifications on their way at the same time.
const AT_ONCE: usize = 16;

/// Why something was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Trying again is of use.
    #[error("{0}")]
    Passing(String),
    /// Trying again is of use to whom a second copy of the same identity does no harm: the answer is missing.
    #[error("{0}")]
    Unknown(String),
    /// It is not.
    #[error("{0}")]
    Final(String),
}

/// A way to people.
enum Sink {
    Webhook(Webhook),
    Mail(Mail),
}

impl Sink {
    fn name(&self) -> &'static str {
        match self {
            Self::Webhook(hook) => hook.name(),
            Self::Mail(_) => "mail",
        }
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        match self {
            Self::Webhook(hook) => hook.send(message).await,
            Self::Mail(mail) => mail.send(message).await,
        }
    }
}

/// How owners are told.
pub struct Notifier {
    sinks: Vec<Sink>,
    jobs: Jobs,
    room: Semaphore,
    queue: Queue,
    metrics: Arc<Metrics>,
}

impl Notifier {
    /// Reads keys and passwords. One that is named and not there stops the operator.
    pub fn new(
        settings: &NotificationSettings,
        queue: Queue,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let hooks = settings.webhooks.iter().map(Webhook::new);
        let mut sinks = hooks
            .map(|hook| hook.map(Sink::Webhook))
            .collect::<anyhow::Result<Vec<_>>>()?;
        if let Some(mail) = &settings.mail {
            sinks.push(Sink::Mail(
                Mail::new(mail).context("failed to set up mail")?,
            ));
        }
        Ok(Self {
            sinks,
            jobs: Jobs::default(),
            room: Semaphore::new(AT_ONCE),
            queue,
            metrics,
        })
    }

    /// Whether that notification was delivered or given up, by this process.
    pub fn is_done(&self, id: &str) -> bool {
        self.jobs.is_done(id)
    }

    /// Sees to it that the owner is told of the last stage that came. To send is to write: not of a DevServer as the cache has it,
    /// which may be gone.
    pub fn owe(
        self: &Arc<Self>,
        server: &DevServer,
        status: Option<&IdleStatus>,
    ) -> Result<(), Error> {
        let Some((status, stage)) = status.and_then(|s| Some((s, owed(s)?))) else {
            return Ok(());
        };
        let id = notification_id(server, status, stage);
        if self.sinks.is_empty() || !self.jobs.is_open(&id) {
            return Ok(());
        }
        fresh::check()?;
        if !self.jobs.begin(&id) {
            return Ok(());
        }
        let (message, server) = (message(server, status, stage), ObjectRef::from_obj(server));
        let notifier = Arc::clone(self);
        tokio::spawn(async move {
            if let Ok(_room) = notifier.room.acquire().await {
                join_all(
                    notifier
                        .sinks
                        .iter()
                        .map(|sink| notifier.deliver(sink, &message)),
                )
                .await;
            }
            notifier.jobs.end(&message.id);
            // The next look writes it down.
            let _ = notifier.queue.send(server).await;
        });
        Ok(())
    }

    async fn deliver(&self, sink: &Sink, message: &Message) {
        let name = sink.name();
        for attempt in 0..ATTEMPTS {
            match sink.send(message).await {
                Ok(()) => {
                    self.metrics.idle().delivery(name, "delivered");
                    return;
                }
                Err(Failure::Final(why)) => {
                    tracing::warn!(
                        sink = name,
                        id = message.id,
                        why,
                        "a notification is not sent"
                    );
                    break;
                }
                Err(Failure::Passing(why) | Failure::Unknown(why)) => {
                    tracing::warn!(
                        sink = name,
                        id = message.id,
                        why,
                        attempt,
                        "failed to send a notification"
                    );
                    self.metrics.idle().delivery(name, "retried");
                }
            }
            let wait = Duration::from_secs(1 << attempt.min(9)).min(LONGEST_WAIT);
            tokio::time::sleep(spread(wait)).await;
        }
        self.metrics.idle().delivery(name, "given_up");
    }
}

/// A secret of a file, without blanks around it.
pub fn secret(path: &std::path::Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read {}", path.display()))?;
    let text = text.trim();
    anyhow::ensure!(!text.is_empty(), "{} is empty", path.display());
    Ok(text.to_owned())
}
