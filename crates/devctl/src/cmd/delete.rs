//! `devctl delete`.

use std::io::{self, BufRead as _, IsTerminal as _};

use devserver_api::{DevServer, VolumeRetention, names::ServerName};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Preconditions},
};

use crate::{
    access,
    args::{Delete, Global},
    exit::Exit,
    failure::{Failure, Outcome},
    kube::{self as cluster, Session},
    output, wait,
};

/// Deletes the DevServer and says what stays.
pub async fn run(global: &Global, args: &Delete) -> Outcome<Exit> {
    let name = args.named.name()?;
    let session = Session::connect(global).await?;
    let server = match session.server(name).await {
        Ok(server) => server,
        Err(failure) => {
            if failure.exit == Exit::NotFound {
                access::remove(&session.place, name)?;
            }
            return Err(failure);
        }
    };
    if !args.yes && !is_confirmed(&session, &server)? {
        return Err(Failure::new(Exit::Error, "nothing was deleted").because("you did not say yes"));
    }
    // By UID: what was made anew under this name since it was read is another machine.
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: server.uid(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    cluster::answer(
        &format!("failed to delete DevServer '{name}'"),
        session.servers().delete(name, &params),
    )
    .await?;
    access::remove(&session.place, name)?;
    if args.wait.wait {
        wait::until_gone(&session, &server, args.wait.timeout).await?;
    }
    output::say(&format!(
        "DevServer '{name}' deleted from namespace '{}'.",
        session.place.namespace
    ))?;
    if keeps_home(&server) && !has_home(&session, &server).await {
        output::note("It had no home yet, so nothing of it stays.");
    } else {
        output::note(&what_stays(&session.place.namespace, &server));
    }
    Ok(Exit::Ok)
}

fn keeps_home(server: &DevServer) -> bool {
    let retention = server
        .spec
        .lifecycle
        .as_ref()
        .and_then(|l| l.volume_retention)
        .unwrap_or_default();
    retention == VolumeRetention::Retain
}

/// Whether there is a home that could stay, such as not of one whose spec was never valid. Who cannot tell says that there is.
async fn has_home(session: &Session, server: &DevServer) -> bool {
    let Ok(name) = ServerName::parse(&server.name_any()) else {
        return true;
    };
    let claims: Api<PersistentVolumeClaim> = session.in_namespace(&session.place.namespace);
    let what = "failed to look for its home";
    let found = cluster::answer(what, claims.get_opt(&name.home_claim())).await;
    !matches!(found, Ok(None))
}

fn what_stays(namespace: &str, server: &DevServer) -> String {
    let name = server.name_any();
    if !keeps_home(server) {
        return "Its home volume is deleted with it, as its spec says (volumeRetention: Delete)."
            .to_owned();
    }
    let claim =
        ServerName::parse(&name).map_or_else(|_| format!("home-{name}-0"), |n| n.home_claim());
    format!(
        "Its home stays, in PersistentVolumeClaim '{claim}'; a new DevServer '{name}' finds it again.\n\
         To make it again as it was: devctl undelete {name}; how long its home is kept: devctl trash\n\
         To remove it for ever: kubectl --namespace {namespace} delete pvc {claim}"
    )
}

/// Asks, but only a person at a terminal; a script has said what it wants.
fn is_confirmed(session: &Session, server: &DevServer) -> Outcome<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(true);
    }
    let fate = if keeps_home(server) {
        "its home stays"
    } else {
        "ITS HOME IS DELETED TOO"
    };
    output::note(&format!(
        "Delete DevServer '{}' in namespace '{}' of context '{}' ({fate})? [y/N]",
        server.name_any(),
        session.place.namespace,
        session.place.context
    ));
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|e| Failure::io("failed to read the answer", &e))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(lifecycle: &serde_json::Value) -> DevServer {
        let spec = serde_json::json!({"ssh": {}, "lifecycle": lifecycle});
        DevServer::new("a", serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn the_user_learns_what_stays_and_how_to_remove_it() {
        let text = what_stays("default", &server(&serde_json::json!({})));
        assert!(
            text.contains("kubectl --namespace default delete pvc home-a-0"),
            "{text}"
        );
        assert!(text.contains("devctl undelete a;"), "{text}");
        let text = what_stays(
            "default",
            &server(&serde_json::json!({"volumeRetention": "Delete"})),
        );
        assert!(text.contains("deleted with it"), "{text}");
    }
}
