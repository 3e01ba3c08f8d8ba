//! Starting what was suspended: the only write the gateway makes.

use std::{future::Future, time::Duration};

use devserver_api::{DevServer, group, suspension::SuspendedBy};
use futures::future::BoxFuture;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::timeout;

use crate::{access::Role, target::ServerId};

/// Longest wait for one answer of the API server.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts when somebody else writes at the same time.
const ATTEMPTS: usize = 3;

/// What made somebody want an environment to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// A connection, which may be an editor that reconnects by itself.
    Connection,
    /// A person who typed `wake`.
    Command,
}

/// Whether that intent of somebody in that role may start what is suspended. What its owner stopped, only its owner
/// starts, and only on purpose.
pub fn is_allowed(policy: bool, intent: Intent, role: Role, by_policy: bool) -> bool {
    policy && (by_policy || (intent == Intent::Command && role == Role::Owner))
}

/// Why it was not started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is another one by now, or nothing is left to do.
    #[error("failed to start it: it has changed meanwhile; try again")]
    Changed,
    /// The API server said no, or nothing.
    #[error("failed to start it: the cluster does not answer")]
    Kube(#[source] Box<kube::Error>),
    /// No answer in time.
    #[error("failed to start it: the cluster does not answer in time")]
    Timeout,
}

/// Starts an environment.
pub trait Wake: Send + Sync {
    /// Starts the one with this UID; `by_policy`: only if a policy suspended it.
    fn wake<'a>(
        &'a self,
        id: &'a ServerId,
        uid: &'a str,
        by_policy: bool,
    ) -> BoxFuture<'a, Result<(), Error>>;
}

/// By the API server.
#[derive(Clone)]
pub struct Cluster(pub Client);

impl Wake for Cluster {
    fn wake<'a>(
        &'a self,
        id: &'a ServerId,
        uid: &'a str,
        by_policy: bool,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let api: Api<DevServer> = Api::namespaced(self.0.clone(), &id.namespace);
        Box::pin(resume(api, &id.name, uid, by_policy))
    }
}

/// Looks afresh and writes on the condition that nothing has changed since: what is decided on is what is written to.
async fn resume(api: Api<DevServer>, name: &str, uid: &str, by_policy: bool) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        let server = bounded(api.get(name)).await?;
        if server.uid().as_deref() != Some(uid) {
            return Err(Error::Changed);
        }
        if !server.spec.suspend {
            return Ok(());
        }
        if by_policy && !SuspendedBy::read(server.annotations()).is_policy() {
            return Err(Error::Changed);
        }
        let patch = json!({
            "metadata": {
                "uid": uid,
                "resourceVersion": server.resource_version(),
                "annotations": {group::ANNOTATION_SUSPENDED_BY: null},
            },
            "spec": {"suspend": false},
        });
        let parameters = PatchParams {
            field_manager: Some(group::GATEWAY_FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        match bounded(api.patch(name, &parameters, &Patch::Merge(patch))).await {
            Ok(_) => return Ok(()),
            Err(Error::Kube(error)) if is_conflict(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Changed)
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

async fn bounded<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
    match timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => answer.map_err(|error| Error::Kube(Box::new(error))),
        Err(_) => Err(Error::Timeout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reconnect_does_not_start_what_its_owner_stopped() {
        for (policy, intent, role, by_policy, expected) in [
            (true, Intent::Connection, Role::Owner, false, false),
            (true, Intent::Connection, Role::Collaborator, false, false),
            (true, Intent::Command, Role::Collaborator, false, false),
            (true, Intent::Command, Role::Owner, false, true),
            (true, Intent::Connection, Role::Owner, true, true),
            (true, Intent::Connection, Role::Collaborator, true, true),
            (true, Intent::Command, Role::Collaborator, true, true),
            (false, Intent::Command, Role::Owner, true, false),
            (false, Intent::Connection, Role::Owner, true, false),
        ] {
            let case = (policy, intent, role, by_policy);
            assert_eq!(
                is_allowed(policy, intent, role, by_policy),
                expected,
                "{case:?}"
            );
        }
    }
}
