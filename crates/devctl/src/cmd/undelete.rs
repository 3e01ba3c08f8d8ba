//! `devctl undelete`.

use devserver_api::{DevServer, names::ServerName, trash};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{Api, ResourceExt, api::PostParams};

use crate::{
    access,
    args::{Global, Undelete},
    exit::Exit,
    failure::{Failure, Outcome},
    kube::{self as cluster, Session},
    output, owner, wait,
};

/// Makes it again from what its home says, and with that home.
pub async fn run(global: &Global, args: &Undelete) -> Outcome<Exit> {
    let name = args.name()?;
    let home = ServerName::parse(name)
        .map(|name| name.home_claim())
        .map_err(|e| Failure::usage(format!("the name '{name}' {e}")))?;
    let session = Session::connect(global).await?;
    let what = format!("failed to get DevServer '{name}'");
    let there = cluster::answer(&what, session.servers().get_opt(name)).await?;
    if let Some(there) = there {
        return Err(taken(&there));
    }
    let claims: Api<PersistentVolumeClaim> = session.in_namespace(&session.place.namespace);
    let what = format!("failed to get the home of DevServer '{name}'");
    let claim = cluster::answer(&what, claims.get_opt(&home)).await?;
    let mut server = again(name, &session.place.namespace, claim.as_ref())?;
    owner::fill(&session, &mut server).await?;
    make(&session, &claims, &server, claim.as_ref()).await?;
    let lifecycle = server.spec.lifecycle.as_ref();
    if let Some(time) = lifecycle.and_then(|l| l.time_to_live.as_ref()) {
        output::note(&format!(
            "it lives for {time} from now; for more: devctl extend {name} 4h"
        ));
    }
    if args.wait.wait {
        let ready = wait::until_ready(&session, name, args.wait.timeout).await?;
        access::write(&session.place, &ready)?;
        output::note(&format!("DevServer '{name}' is ready: devctl ssh {name}"));
    } else {
        output::note(&format!(
            "next: devctl ssh {name}   (waits until it is ready)"
        ));
    }
    Ok(Exit::Ok)
}

/// Makes it, and looks whether it has got its home.
async fn make(
    session: &Session,
    claims: &Api<PersistentVolumeClaim>,
    server: &DevServer,
    claim: Option<&PersistentVolumeClaim>,
) -> Outcome {
    let name = server.name_any();
    let params = PostParams {
        field_manager: Some("devctl".into()),
        ..PostParams::default()
    };
    let what = format!("failed to make DevServer '{name}' again");
    cluster::answer(&what, session.servers().create(&params, server)).await?;
    let size = claim.and_then(trash::size);
    output::say(&format!(
        "DevServer '{name}' is made again in namespace '{}', with its home{}.",
        session.place.namespace,
        size.map(|size| format!(" of {}", size.0))
            .unwrap_or_default()
    ))?;
    // Its time may have been over in this very moment.
    let what = format!("failed to look at the home of DevServer '{name}'");
    let home = claim.map(ResourceExt::name_any).unwrap_or_default();
    let after = cluster::answer(&what, claims.get_opt(&home)).await?;
    let is_there = |now: &PersistentVolumeClaim| {
        trash::stays(now) && Some(now.uid()) == claim.map(ResourceExt::uid)
    };
    if after.as_ref().is_some_and(is_there) {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("the home of DevServer '{name}' is lost")).because(
        "its time in the trash was over while the DevServer was being made again; it begins with an empty home",
    ))
}

fn taken(there: &DevServer) -> Failure {
    let name = there.name_any();
    let failure = Failure::new(Exit::Error, format!("there is a DevServer '{name}'"));
    if there.metadata.deletion_timestamp.is_some() {
        return failure.because("it is still being deleted").remedy(format!(
            "try again when it is gone: devctl delete {name} --wait"
        ));
    }
    failure
        .because("it has the home already")
        .remedy(format!(
            "see it with `devctl describe {name}`; to have the spec of the one before, delete this one and make another with `devctl create`"
        ))
}

/// The DevServer as it was asked for.
fn again(name: &str, namespace: &str, claim: Option<&PersistentVolumeClaim>) -> Outcome<DevServer> {
    let Some(claim) = claim.filter(|claim| trash::home_of(claim).is_some()) else {
        return Err(Failure::new(
            Exit::NotFound,
            format!("no home of a DevServer '{name}' is kept in namespace '{namespace}'"),
        )
        .because("it was never there, went with its DevServer, or was removed")
        .remedy("see what is kept: devctl trash"));
    };
    if !trash::stays(claim) {
        return Err(Failure::new(
            Exit::Error,
            format!("the home of DevServer '{name}' is lost"),
        )
        .because("it is being removed"));
    }
    let record = trash::record(claim).ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            format!("nobody knows what was asked for DevServer '{name}'"),
        )
        .because("the platform kept no record of it")
        .remedy(format!(
            "its home is there: `devctl create {name}` finds it again"
        ))
    })?;
    Ok(DevServer::new(name, record.spec))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claim(metadata: &Value) -> PersistentVolumeClaim {
        let mut claim: PersistentVolumeClaim =
            serde_json::from_value(json!({"metadata": metadata})).unwrap();
        claim.metadata.name = Some("home-a-0".to_owned());
        let labels = [("devserver.io/name", "a"), ("devserver.io/uid", "1")];
        claim.metadata.labels = Some(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        claim
    }

    #[test]
    fn it_is_made_with_the_spec_that_its_home_remembers() {
        let spec = json!({"owner": "alice", "image": "debian:13", "ssh": {}});
        let record = json!({"uid": "1", "flavor": "small", "spec": spec}).to_string();
        let claim = claim(&json!({"annotations": {"devserver.io/devserver": record}}));
        let server = again("a", "lab", Some(&claim)).unwrap();
        assert_eq!(serde_json::to_value(&server.spec).unwrap(), spec);
    }

    #[test]
    fn what_cannot_be_made_again_says_what_to_do() {
        let gone = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        for (claim, exit, words) in [
            (None, Exit::NotFound, "devctl trash"),
            (Some(claim(&json!({}))), Exit::NotFound, "devctl create a"),
            (Some(claim(&gone)), Exit::Error, "being removed"),
        ] {
            let failure = again("a", "lab", claim.as_ref()).unwrap_err();
            assert_eq!(failure.exit, exit, "{failure}");
            assert!(failure.to_string().contains(words), "{failure}");
        }
        let mut there = DevServer::new("a", devserver_api::DevServerSpec::default());
        assert!(taken(&there).to_string().contains("devctl describe a"));
        there.metadata.deletion_timestamp = Some(
            k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH),
        );
        assert!(taken(&there).to_string().contains("still being deleted"));
    }
}
