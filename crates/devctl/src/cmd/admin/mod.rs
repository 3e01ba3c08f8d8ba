//! `devctl admin`: what administrators do. Needs their rights, and says so when they are not there.

mod create;
mod credentials;
mod delete;
mod kubeconfig;
mod list;

use devserver_api::DevServerUser;
use kube::{Api, ResourceExt as _, api::ListParams};

use crate::{
    args::{
        Global,
        admin::{Admin, User},
    },
    exit::Exit,
    failure::{Failure, Outcome},
    kube::{self as cluster, Session},
};

/// Runs the command.
pub async fn run(global: &Global, admin: &Admin) -> Outcome<Exit> {
    let Admin::User(user) = admin;
    match user {
        User::Create(args) => create::run(global, args).await,
        User::List(args) => list::run(global, args).await,
        User::Delete(args) => delete::run(global, args).await,
        User::Kubeconfig(args) => kubeconfig::run(global, args).await,
    }
}

fn users(session: &Session) -> Api<DevServerUser> {
    session.cluster_wide()
}

/// One answer; who may not, is told whom to ask as an administrator.
async fn answer<T>(what: &str, request: impl Future<Output = kube::Result<T>>) -> Outcome<T> {
    cluster::answer(what, request).await.map_err(|failure| {
        if failure.exit == Exit::Forbidden {
            failure.remedy("this needs the rights of an administrator of the platform; choose such a context with --context")
        } else {
            failure
        }
    })
}

/// The DevServerUser of that username: the one that has the namespace, if several ask for it.
async fn find(session: &Session, username: &str) -> Outcome<DevServerUser> {
    let all = answer(
        "failed to list DevServerUsers",
        users(session).list(&ListParams::default()),
    )
    .await?;
    let mut found: Vec<DevServerUser> = all
        .items
        .into_iter()
        .filter(|user| user.spec.username == username)
        .collect();
    found.sort_by_key(|user| {
        let created = user.metadata.creation_timestamp.as_ref().map(|t| t.0);
        (created, user.name_any())
    });
    found.into_iter().next().ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("user '{username}' not found")).remedy(format!(
            "see `devctl admin user list`, or create it with `devctl admin user create {username}`"
        ))
    })
}
