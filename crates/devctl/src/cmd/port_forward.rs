//! `devctl port-forward`.

use std::net::SocketAddr;

use devserver_api::names::ServerName;

use crate::{
    args::{Global, PortForward, check_name},
    exit::Exit,
    failure::{Failure, Outcome},
    forward,
    kube::{self as cluster, Session},
    output, progress,
};

/// Listens until interrupted.
pub async fn run(global: &Global, args: &PortForward) -> Outcome<Exit> {
    let name = check_name(&args.name)?;
    let session = Session::connect(global).await?;
    let pod = pod(&session, name).await?;
    if !args.address.is_loopback() {
        output::note(&format!(
            "warning: everybody who reaches {} reaches these ports too",
            args.address
        ));
    }
    // All or none: a port that is taken is told before anything is served.
    let mut listeners = Vec::new();
    for pair in &args.ports {
        let address = SocketAddr::new(args.address, pair.local);
        listeners.push((forward::listen(address).await?, pair.remote));
    }
    let mut serving = tokio::task::JoinSet::new();
    for ((listener, bound), remote) in listeners {
        output::say(&format!("{bound} leads to port {remote} of {name}"))?;
        serving.spawn(forward::serve(
            listener,
            session.pods(),
            pod.clone(),
            remote,
        ));
    }
    let interrupted = tokio::signal::ctrl_c().await;
    interrupted.map_err(|e| Failure::io("failed to wait for the end", &e))?;
    Ok(Exit::Ok)
}

/// Name of the running pod of this very DevServer.
async fn pod(session: &Session, name: &str) -> Outcome<String> {
    let server = session.server(name).await?;
    let parsed =
        ServerName::parse(name).map_err(|e| Failure::usage(format!("the name '{name}' {e}")))?;
    let what = format!("failed to get the pod of DevServer '{name}'");
    let asked = cluster::answer(&what, session.pods().get_opt(&parsed.pod())).await?;
    let none = Failure::new(Exit::Error, format!("DevServer '{name}' does not run"));
    if server.spec.suspend {
        return Err(none
            .because("it is suspended")
            .remedy(format!("start it with `devctl resume {name} --wait`")));
    }
    let pod = asked.filter(|pod| progress::is_of(pod, &server));
    let phase = pod
        .as_ref()
        .and_then(|p| p.status.as_ref()?.phase.as_deref());
    if phase == Some("Running") {
        Ok(parsed.pod())
    } else {
        Err(none
            .because("its pod has not started")
            .remedy(format!("`devctl why {name}` says what it is waiting for")))
    }
}
