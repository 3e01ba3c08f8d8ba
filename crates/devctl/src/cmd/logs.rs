//! `devctl logs`: what the containers of a DevServer print.

use std::io::IsTerminal as _;

use devserver_api::{DevServer, names::ServerName};
use devserver_core::status;
use futures::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt as _, api::LogParams};

use crate::{
    args::{Global, Logs},
    escape,
    exit::Exit,
    failure::{Failure, Outcome},
    kube::{self as cluster, Session},
    output, progress,
};

/// Longest line that is shown as one; a program may write without ever ending a line.
const LINE: u64 = 1 << 20;

/// Prints the log.
pub async fn run(global: &Global, args: &Logs) -> Outcome<Exit> {
    let name = args.named.name()?;
    let session = Session::connect(global).await?;
    let server = session.server(name).await?;
    let container = args.container.name();
    let pod = pod(&session, &server, container).await?;
    let params = LogParams {
        container: Some(container.to_owned()),
        follow: args.follow,
        previous: args.previous,
        tail_lines: args.tail,
        timestamps: args.timestamps,
        ..LogParams::default()
    };
    let pods = session.pods();
    let what = format!("failed to read the log of DevServer '{name}'");
    let log = match pods.log_stream(&pod.name_any(), &params).await {
        Ok(log) => log,
        Err(error) => {
            let failure = Failure::kube(what, &error);
            return Err(match remedy(&error, name) {
                Some(remedy) => failure.remedy(remedy),
                None => failure,
            });
        }
    };
    let copied = copy(Box::pin(log));
    if args.follow {
        tokio::select! {
            copied = copied => copied?,
            // The way to end it.
            _ = tokio::signal::ctrl_c() => {}
        }
    } else {
        copied.await?;
    }
    Ok(Exit::Ok)
}

/// The pod of this very DevServer; without one there is no log, and it is said why.
async fn pod(session: &Session, server: &DevServer, container: &str) -> Outcome<Pod> {
    let name = server.name_any();
    let parsed =
        ServerName::parse(&name).map_err(|e| Failure::usage(format!("the name '{name}' {e}")))?;
    let what = format!("failed to get the pod of DevServer '{name}'");
    let asked = cluster::answer(&what, session.pods().get_opt(&parsed.pod())).await?;
    let has_container = |pod: &Pod| {
        let mut containers = pod.spec.iter().flat_map(|s| &s.containers);
        containers.any(|c| c.name == container)
    };
    let found = asked.filter(|pod| progress::is_of(pod, server));
    if found.as_ref().is_some_and(|pod| !has_container(pod)) {
        let none = format!("DevServer '{name}' has no container '{container}'");
        return Err(Failure::new(Exit::NotFound, none)
            .remedy("there is 'dev', and 'ssh' only where spec.ssh.mode is Sidecar"));
    }
    // Of a pod that has no node the API server says that its log is empty, which is true and no help.
    let has_node = |pod: &Pod| status::node(pod).is_some();
    if let Some(pod) = found.filter(has_node) {
        return Ok(pod);
    }
    let none = Failure::new(Exit::Error, format!("DevServer '{name}' has no log"));
    Err(if server.spec.suspend {
        none.because("it is suspended, and the log ended with its pod")
            .remedy(format!("start it with `devctl resume {name}`"))
    } else {
        none.because("it has not started yet")
            .remedy(format!("`devctl why {name}` says what it is waiting for"))
    })
}

/// What the words of the API server ask for.
fn remedy(error: &kube::Error, name: &str) -> Option<String> {
    let kube::Error::Api(status) = error else {
        return None;
    };
    let said = |words: &str| status.message.contains(words);
    if said("previous terminated container") {
        return Some(
            "its container was never started again, so this is the only log: leave --previous out"
                .to_owned(),
        );
    }
    if said("waiting to start") || said("PodInitializing") || said("does not have a host assigned")
    {
        return Some(format!(
            "it has not started yet; `devctl why {name}` says what it is waiting for"
        ));
    }
    None
}

/// To a file or a pipe byte for byte. On a terminal each line is made safe; its colors stay.
async fn copy(mut log: impl AsyncBufRead + Unpin) -> Outcome {
    let is_terminal = std::io::stdout().is_terminal();
    let has_colors = is_terminal
        && anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = (&mut log)
            .take(LINE)
            .read_until(b'\n', &mut line)
            .await
            .map_err(|e| Failure::io("the log ended early", &e).remedy("run the command again"))?;
        if count == 0 {
            return Ok(());
        }
        let is_open = if is_terminal {
            output::raw(escape::log_line(&String::from_utf8_lossy(&line), has_colors).as_bytes())
        } else {
            output::raw(&line)
        };
        if !is_open? {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_the_api_server_has_its_remedy() {
        let error = |message: &str| {
            let mut status = kube::core::Status::failure(message, "BadRequest");
            status.code = 400;
            kube::Error::Api(Box::new(status))
        };
        for (message, word) in [
            (
                "previous terminated container \"dev\" in pod \"a-0\" not found",
                "--previous",
            ),
            (
                "container \"dev\" in pod \"a-0\" is waiting to start: ContainerCreating",
                "devctl why a",
            ),
            ("pod a-0 does not have a host assigned", "devctl why a"),
        ] {
            let remedy = remedy(&error(message), "a").unwrap();
            assert!(remedy.contains(word), "{message}: {remedy}");
        }
        assert_eq!(remedy(&error("something else"), "a"), None);
    }
}
