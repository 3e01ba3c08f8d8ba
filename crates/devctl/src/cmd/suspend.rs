//! `devctl suspend` and `devctl resume`.

use devserver_api::{group, suspension::value_of_user};
use kube::api::{Patch, PatchParams};

use crate::{
    access,
    args::{Global, Named, Resume},
    exit::Exit,
    failure::{Failure, Outcome},
    kube::{self as cluster, Session},
    output, owner, wait,
};

/// Stops the DevServer and keeps its home.
pub async fn suspend(global: &Global, args: &Named) -> Outcome<Exit> {
    let name = args.name()?;
    let session = Session::connect(global).await?;
    // Who stopped it is told, so that nothing but a wish of theirs starts it again.
    let by = owner::username(&session).await?;
    set(&session, name, true, by.as_deref().map(value_of_user)).await?;
    output::say(&format!(
        "DevServer '{name}' is being suspended; its home stays."
    ))?;
    output::note(&format!("start it again with: devctl resume {name}"));
    Ok(Exit::Ok)
}

/// Starts it again.
pub async fn resume(global: &Global, args: &Resume) -> Outcome<Exit> {
    let name = args.named.name()?;
    let session = Session::connect(global).await?;
    set(&session, name, false, None).await?;
    output::say(&format!("DevServer '{name}' is being started."))?;
    if args.wait.wait {
        let ready = wait::until_ready(&session, name, args.wait.timeout).await?;
        access::write(&session.place, &ready)?;
        output::note(&format!("DevServer '{name}' is ready: devctl ssh {name}"));
    }
    Ok(Exit::Ok)
}

async fn set(session: &Session, name: &str, suspend: bool, by: Option<String>) -> Outcome {
    let patch = serde_json::json!({
        "metadata": {"annotations": {group::ANNOTATION_SUSPENDED_BY: by}},
        "spec": {"suspend": suspend},
    });
    let params = PatchParams {
        field_manager: Some("devctl".into()),
        ..PatchParams::default()
    };
    let what = format!("failed to change DevServer '{name}'");
    let servers = session.servers();
    match cluster::answer(&what, servers.patch(name, &params, &Patch::Merge(&patch))).await {
        // Asked again for its better words: a missing DevServer or a missing platform.
        Err(Failure {
            exit: Exit::NotFound,
            ..
        }) => session.server(name).await.map(|_| ()),
        other => other.map(|_| ()),
    }
}
