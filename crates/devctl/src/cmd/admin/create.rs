//! `devctl admin user create`.

use std::time::Duration;

use devserver_api::{DevServerUser, DevServerUserSpec};
use devserver_core::user::{USERNAME_MAX, namespace_name, resolve};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::{ResourceExt as _, api::PostParams, runtime::wait::await_condition};

use super::{answer, users};
use crate::{
    args::{DryRun, Global, admin::CreateUser},
    exit::Exit,
    failure::{Failure, Outcome},
    kube::Session,
    output::{self, Format},
};

/// Creates the user and says what it will have.
pub async fn run(global: &Global, args: &CreateUser) -> Outcome<Exit> {
    let user = user(args)?;
    if args.preview.dry_run == Some(DryRun::Client) {
        return print(args, &user, " (dry run)");
    }
    let session = Session::connect(global).await?;
    let params = PostParams {
        dry_run: args.preview.dry_run == Some(DryRun::Server),
        ..PostParams::default()
    };
    let what = format!("failed to create user '{}'", args.username);
    let mut made = answer(&what, users(&session).create(&params, &user)).await?;
    if args.preview.dry_run.is_some() {
        return print(args, &made, " (server dry run)");
    }
    if args.wait.wait {
        made = ready(&session, &made, args.wait.timeout).await?;
    }
    print(args, &made, "")
}

/// The object, everything checked that can be checked without the server: its answer would be the same, but later.
fn user(args: &CreateUser) -> Outcome<DevServerUser> {
    let mut quota = std::collections::BTreeMap::new();
    for limit in &args.quota {
        let amount = Quantity(limit.amount.clone());
        if quota.insert(limit.resource.clone(), amount).is_some() {
            return Err(Failure::usage(format!(
                "--quota {} is given twice",
                limit.resource
            )));
        }
    }
    let user = DevServerUser::new(
        &args.username,
        DevServerUserSpec {
            username: args.username.clone(),
            teams: args.team.clone(),
            quota,
            additional_role_refs: args.role.iter().map(|role| role.0.clone()).collect(),
            pod_security: args.pod_security.map(Into::into),
            ..DevServerUserSpec::default()
        },
    );
    match resolve::<DevServerUser>(&user, &[], &devserver_core::Platform::default()) {
        Ok(_) => Ok(user),
        Err(invalid) => Err(Failure::usage(format!(
            "user '{}' cannot be: {invalid}",
            args.username
        ))
        .remedy(format!(
            "a username such as alice, at most {USERNAME_MAX} characters; teams such as genomics"
        ))),
    }
}

async fn ready(
    session: &Session,
    user: &DevServerUser,
    timeout: Duration,
) -> Outcome<DevServerUser> {
    let name = user.name_any();
    let told = await_condition(users(session), &name, |user: Option<&DevServerUser>| {
        user.is_some_and(|user| {
            let status = user.status.clone().unwrap_or_default();
            status.observed_generation == user.metadata.generation
                && matches!(status.phase.as_deref(), Some("Ready" | "Error"))
        })
    });
    let failed = |exit| Failure::new(exit, format!("user '{name}' was created and is not ready"));
    let told = match tokio::time::timeout(timeout, told).await {
        Err(_) => {
            return Err(failed(Exit::TimedOut)
                .because(format!("nothing was heard of it within {} s", timeout.as_secs()))
                .remedy("check that the operator runs, and that it looks after users: it does not with watchNamespace"));
        }
        Ok(Err(error)) => return Err(failed(Exit::Error).because(error)),
        Ok(Ok(None)) => return Err(failed(Exit::NotFound).because("it was deleted meanwhile")),
        Ok(Ok(Some(user))) => user,
    };
    let status = told.status.clone().unwrap_or_default();
    if status.phase.as_deref() == Some("Ready") {
        return Ok(told);
    }
    Err(failed(Exit::Failed).because(status.message.unwrap_or_default()))
}

fn print(args: &CreateUser, user: &DevServerUser, suffix: &str) -> Outcome<Exit> {
    match args.preview.output.as_deref() {
        Some("json") => output::print(&output::structured(user, Format::Json)?)?,
        Some("yaml") => output::print(&output::structured(user, Format::Yaml)?)?,
        Some(_) => output::say(&super::list::object_name(user))?,
        None => output::say(&format!(
            "User '{}' created{suffix}, with the namespace '{}'.",
            args.username,
            namespace_name(&args.username)
        ))?,
    }
    if args.preview.output.is_none() && suffix.is_empty() {
        output::note(&format!(
            "Credentials: devctl admin user kubeconfig {} --file {}.kubeconfig",
            args.username, args.username
        ));
    }
    Ok(Exit::Ok)
}
