//! `devctl admin user delete`: takes rights, and nothing else unless that is asked for twice.

use std::io::{self, BufRead as _, IsTerminal as _};

use devserver_api::{DevServer, DevServerUser, group};
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams, Preconditions},
};

use super::{answer, find, users};
use crate::{
    args::{Global, admin::DeleteUser},
    exit::Exit,
    failure::{Failure, Outcome},
    kube::Session,
    output,
};

/// What is in the namespace of a user.
#[derive(Default)]
struct Belongings {
    /// Namespace, when there is one that is the user's.
    namespace: Option<Namespace>,
    machines: Vec<String>,
    volumes: Vec<String>,
}

/// Lists what the user has, asks, and deletes.
pub async fn run(global: &Global, args: &DeleteUser) -> Outcome<Exit> {
    let session = Session::connect(global).await?;
    let user = find(&session, &args.username).await?;
    let belongings = look(&session, &user).await?;
    output::note(&belongings.told(&args.username));
    confirm(args, &belongings)?;
    let what = format!("failed to delete user '{}'", args.username);
    let params = aimed_at(user.uid());
    answer(&what, users(&session).delete(&user.name_any(), &params)).await?;
    output::say(&format!("User '{}' deleted.", args.username))?;
    match &belongings.namespace {
        Some(namespace) if args.delete_namespace => {
            let name = namespace.name_any();
            let api = session.cluster_wide::<Namespace>();
            let what = format!("failed to delete namespace '{name}'");
            answer(&what, api.delete(&name, &aimed_at(namespace.uid()))).await?;
            output::say(&format!(
                "Namespace '{name}' is being deleted with everything in it."
            ))?;
        }
        Some(namespace) => output::note(&format!(
            "Its namespace '{}' stays; a new user '{}' finds everything again.",
            namespace.name_any(),
            args.username
        )),
        None => {}
    }
    Ok(Exit::Ok)
}

/// By UID: what was made anew under the name since it was read is another.
fn aimed_at(uid: Option<String>) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid,
            resource_version: None,
        }),
        ..DeleteParams::default()
    }
}

async fn look(session: &Session, user: &DevServerUser) -> Outcome<Belongings> {
    let Some(name) = user.status.as_ref().and_then(|s| s.namespace.clone()) else {
        return Ok(Belongings::default());
    };
    let api = session.cluster_wide::<Namespace>();
    let namespace = answer("failed to get the namespace", api.get_opt(&name)).await?;
    let is_theirs = |namespace: &Namespace| {
        let label = namespace.labels().get(group::LABEL_NAMESPACE_USER);
        label == Some(&user.spec.username)
    };
    let all = ListParams::default();
    let machines = session.in_namespace::<DevServer>(&name);
    let machines = answer("failed to list DevServers", machines.list(&all)).await?;
    let volumes = session.in_namespace::<PersistentVolumeClaim>(&name);
    let volumes = answer("failed to list volumes", volumes.list(&all)).await?;
    Ok(Belongings {
        namespace: namespace.filter(is_theirs),
        machines: machines.iter().map(kube::ResourceExt::name_any).collect(),
        volumes: volumes.iter().map(kube::ResourceExt::name_any).collect(),
    })
}

impl Belongings {
    fn is_empty(&self) -> bool {
        self.machines.is_empty() && self.volumes.is_empty()
    }

    fn told(&self, username: &str) -> String {
        let list = |names: &[String]| {
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        };
        format!(
            "User '{username}' has:\n  DevServers: {}\n  volumes: {}",
            list(&self.machines),
            list(&self.volumes)
        )
    }
}

/// Who has nothing loses nothing and is not asked about; anything else needs a yes, from a person or by `--yes`.
fn confirm(args: &DeleteUser, belongings: &Belongings) -> Outcome {
    if args.yes || (belongings.is_empty() && !args.delete_namespace) {
        return Ok(());
    }
    let refused = || Failure::new(Exit::Error, "nothing was deleted");
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(refused()
            .because("nobody is there to be asked, and the user has what is listed above")
            .remedy("say --yes when that is meant"));
    }
    output::note(&format!(
        "Take away the rights of '{}'? Machines keep running and volumes stay. [y/N]",
        args.username
    ));
    if !matches!(read()?.to_lowercase().as_str(), "y" | "yes") {
        return Err(refused().because("you did not say yes"));
    }
    let Some(namespace) = belongings
        .namespace
        .as_ref()
        .filter(|_| args.delete_namespace)
    else {
        return Ok(());
    };
    let name = namespace.name_any();
    output::note(&format!(
        "DELETE ALL OF ITS MACHINES AND VOLUMES FOR EVER? Write the name of the namespace, {name}:"
    ));
    if read()? == name {
        Ok(())
    } else {
        Err(refused().because("that is not its name"))
    }
}

fn read() -> Outcome<String> {
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|e| Failure::io("failed to read the answer", &e))?;
    Ok(answer.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(yes: bool, delete_namespace: bool) -> DeleteUser {
        DeleteUser {
            username: "alice".to_owned(),
            yes,
            delete_namespace,
        }
    }

    #[test]
    fn a_script_needs_no_yes_only_where_there_is_nothing() {
        let nothing = Belongings::default();
        let something = Belongings {
            volumes: vec!["home-a-0".to_owned()],
            ..Belongings::default()
        };
        assert!(confirm(&args(false, false), &nothing).is_ok());
        assert!(confirm(&args(true, true), &something).is_ok());
        // Under a test harness nobody can be asked.
        if !io::stdin().is_terminal() {
            assert!(confirm(&args(false, false), &something).is_err());
            assert!(confirm(&args(false, true), &nothing).is_err());
        }
        assert!(something.told("alice").contains("home-a-0"));
    }
}
