//! `devctl ssh-proxy`: standard input and output are the ssh port of the pod, by a port-forward through the API server.
//!
//! Runs as ProxyCommand, so standard output carries ssh and nothing else; every word goes to standard error.

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use devserver_api::{group, names::ServerName};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Portforwarder;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::{
    args::{Global, SshProxy},
    exit::Exit,
    failure::{Failure, Outcome},
    kube::{self as cluster, Session},
    output,
};

/// What the server may still send after the client has hung up.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long sshd may take to start, after what time the user is told, and how often it is asked meanwhile.
const START: Duration = Duration::from_mins(1);
const TELL: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_millis(20);
/// One read; large, because each becomes one message of the websocket.
const BUFFER: usize = 64 * 1024;

/// Connects, and copies both ways until one side ends.
pub async fn run(global: &Global, args: &SshProxy) -> Outcome<Exit> {
    let name = ServerName::parse(&args.name)
        .map_err(|e| Failure::usage(format!("the name '{}' {e}", args.name)))?;
    let session = Session::connect_unattended(global).await?;
    let what = format!("failed to get the pod of DevServer '{name}'");
    let Some(pod) = cluster::answer(&what, session.pods().get_opt(&name.pod())).await? else {
        return Err(no_pod(&session, &name).await);
    };
    check(&pod, &name, args.uid.as_deref())?;
    let port = port(&pod, &name)?;
    let patience = if is_starting(&pod) {
        START
    } else {
        Duration::ZERO
    };
    let mut connection = connect_within(&session, &name, port, patience).await?;
    connection.copy().await?;
    connection.forwarder.abort();
    Ok(Exit::Ok)
}

async fn connect_within(
    session: &Session,
    name: &ServerName,
    port: u16,
    patience: Duration,
) -> Outcome<Connection> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        match connect(session, name, port).await {
            Err(_) if begun.elapsed() < patience => tokio::time::sleep(RETRY).await,
            connected => return connected,
        }
        if !told && begun.elapsed() > TELL {
            output::note(&format!("waiting for sshd of DevServer '{name}'"));
            told = true;
        }
    }
}

/// Whether its container runs for the first time and sshd may be about to start. One that was started again has ended
/// before, and its user should rather know.
fn is_starting(pod: &Pod) -> bool {
    let statuses = pod
        .status
        .iter()
        .flat_map(|s| s.container_statuses.iter().flatten());
    let mut unready = statuses.filter(|container| !container.ready).peekable();
    unready.peek().is_some() && unready.all(|container| container.restart_count == 0)
}

/// The port called `ssh`: which container has it, and which number, depends on `spec.ssh.mode`.
fn port(pod: &Pod, name: &ServerName) -> Outcome<u16> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    let ssh = ports.find(|port| port.name.as_deref() == Some("ssh"));
    ssh.and_then(|port| u16::try_from(port.container_port).ok())
        .ok_or_else(|| {
            Failure::new(Exit::Error, format!("DevServer '{name}' has no ssh"))
                .because("its spec.ssh.mode is Disabled")
                .remedy("set the mode to InContainer or Sidecar and restart it")
        })
}

/// The pod must be of the DevServer the configuration was written for. A new DevServer of the same name has other host
/// keys, and ssh would cry wolf.
fn check(pod: &Pod, name: &ServerName, uid: Option<&str>) -> Outcome {
    let label = pod
        .metadata
        .labels
        .as_ref()
        .and_then(|l| l.get(group::LABEL_UID))
        .map(String::as_str);
    let replaced = match uid {
        Some(uid) => label != Some(uid),
        None => label.is_none(),
    };
    if replaced {
        return Err(Failure::new(
            Exit::Error,
            format!("DevServer '{name}' is not the one this configuration was written for"),
        )
        .because("it was deleted, and a new one has its name")
        .remedy(format!(
            "run `devctl ssh {name}` once, or `devctl config ssh-refresh`"
        )));
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Err(Failure::new(
            Exit::Error,
            format!("DevServer '{name}' is being stopped or restarted"),
        )
        .remedy(format!("`devctl ssh {name}` waits for it")));
    }
    Ok(())
}

async fn no_pod(session: &Session, name: &ServerName) -> Failure {
    match session.server(name.as_str()).await {
        Err(failure) => failure,
        Ok(server) if server.spec.suspend => Failure::new(Exit::Error, format!("DevServer '{name}' is suspended"))
            .remedy(format!("start it with `devctl resume {name}`")),
        Ok(_) => Failure::new(Exit::Error, format!("DevServer '{name}' has no pod yet"))
            .remedy(format!("`devctl ssh {name}` waits for it; `devctl describe {name}` says what it is waiting for")),
    }
}

/// A forwarded port behind which a server has begun to speak.
struct Connection {
    forwarder: Portforwarder,
    stream: Box<dyn Stream>,
    refusal: Pin<Box<dyn Future<Output = Option<String>> + Send>>,
    /// What it said first.
    greeting: Vec<u8>,
    what: String,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// An SSH server speaks first (RFC 4253, section 4.2), so its silence or an end tells that there is none.
async fn connect(session: &Session, name: &ServerName, port: u16) -> Outcome<Connection> {
    let what = format!("failed to forward a port to DevServer '{name}'");
    let lost = || Failure::new(Exit::Error, what.clone()).because("the API server gave no stream");
    let forwarding = session.pods();
    let mut forwarder =
        cluster::answer(&what, forwarding.portforward(&name.pod(), &[port])).await?;
    let stream = forwarder.take_stream(port).ok_or_else(lost)?;
    let refusal = forwarder.take_error(port).ok_or_else(lost)?;
    let mut connection = Connection {
        forwarder,
        stream: Box::new(stream),
        refusal: Box::pin(refusal),
        greeting: vec![0; BUFFER],
        what,
    };
    match connection.stream.read(&mut connection.greeting).await {
        Ok(count) if count > 0 => {
            connection.greeting.truncate(count);
            Ok(connection)
        }
        _ => Err(connection.refused().await.unwrap_or_else(|| {
            Failure::new(Exit::Error, connection.what.clone())
                .because("the connection was closed at once")
                .remedy("sshd may not have started yet; try again in a moment")
        })),
    }
}

impl Connection {
    async fn copy(&mut self) -> Outcome {
        let done = self.copy_both_ways().await;
        match self.refused().await {
            Some(failure) => Err(failure),
            None => done.map_err(|e| Failure::io(self.what.clone(), &e)),
        }
    }

    async fn copy_both_ways(&mut self) -> std::io::Result<()> {
        let (mut from_pod, mut to_pod) = tokio::io::split(&mut self.stream);
        let (mut input, mut output) = (tokio::io::stdin(), tokio::io::stdout());
        let mut from_pod = self.greeting.as_slice().chain(&mut from_pod);
        let mut received = Box::pin(pump(&mut from_pod, &mut output));
        tokio::select! {
            received = &mut received => received,
            sent = pump(&mut input, &mut to_pod) => match sent {
                // ssh has hung up; what the server still has to say is welcome but not waited for.
                Ok(()) => tokio::time::timeout(LAST_WORDS, received).await.unwrap_or(Ok(())),
                // A closed stream is told better by the error channel.
                Err(_) => Ok(()),
            },
        }
    }

    /// What the error channel says. It ends with the stream, so this waits only for what is already on its way.
    async fn refused(&mut self) -> Option<Failure> {
        let message = tokio::time::timeout(Duration::from_millis(200), &mut self.refusal).await;
        let failure = Failure::new(Exit::Error, self.what.clone()).because(message.ok()??);
        Some(failure.remedy("sshd may not have started yet; try again in a moment"))
    }
}

/// Copies until the end and flushes after each read, because a keystroke must not wait for the next one.
async fn pump<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    from: &mut R,
    to: &mut W,
) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).await?;
        let Some(chunk) = buffer.get(..count).filter(|c| !c.is_empty()) else {
            break;
        };
        to.write_all(chunk).await?;
        to.flush().await?;
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(uid: &str) -> Pod {
        serde_json::from_value(
            serde_json::json!({"metadata": {"labels": {"devserver.io/uid": uid}}}),
        )
        .unwrap()
    }

    #[test]
    fn a_machine_that_took_the_name_is_refused() {
        let name = ServerName::parse("a").unwrap();
        assert!(check(&pod("u1"), &name, Some("u1")).is_ok());
        assert!(check(&pod("u1"), &name, None).is_ok());
        assert!(
            check(&pod("u2"), &name, Some("u1"))
                .unwrap_err()
                .to_string()
                .contains("new one")
        );
        assert!(check(&Pod::default(), &name, None).is_err());
    }

    #[test]
    fn the_port_is_that_of_the_container_with_sshd() {
        let name = ServerName::parse("a").unwrap();
        let pod = |ports: serde_json::Value| -> Pod {
            let dev = serde_json::json!({"name": "dev", "ports": [{"name": "health", "containerPort": 9022}]});
            let ssh = serde_json::json!({"name": "ssh", "ports": ports});
            serde_json::from_value(serde_json::json!({"spec": {"containers": [dev, ssh]}})).unwrap()
        };
        let ssh = serde_json::json!([{"name": "ssh", "containerPort": 2222}]);
        assert_eq!(port(&pod(ssh), &name).unwrap(), 2222);
        let none = port(&pod(serde_json::json!([])), &name).unwrap_err();
        assert!(none.to_string().contains("no ssh"));
    }

    #[test]
    fn only_a_first_start_is_waited_for() {
        let pod = |ready: bool, restarts: i32| -> Pod {
            let status = serde_json::json!({"name": "dev", "image": "i", "imageID": "", "ready": ready, "restartCount": restarts});
            serde_json::from_value(serde_json::json!({"status": {"containerStatuses": [status]}}))
                .unwrap()
        };
        assert!(is_starting(&pod(false, 0)));
        for done in [pod(true, 0), pod(false, 1), Pod::default()] {
            assert!(!is_starting(&done));
        }
    }

    #[tokio::test]
    async fn bytes_arrive_unchanged_and_the_end_is_passed_on() {
        let data: Vec<u8> = (0..200_000_u32)
            .map(|i| u8::try_from(i % 251).unwrap())
            .collect();
        let (mut near, mut far) = tokio::io::duplex(1000);
        let mut received = Vec::new();
        let mut source = data.as_slice();
        let (sent, read) =
            tokio::join!(pump(&mut source, &mut near), far.read_to_end(&mut received));
        sent.unwrap();
        read.unwrap();
        assert_eq!(received, data);
    }
}
