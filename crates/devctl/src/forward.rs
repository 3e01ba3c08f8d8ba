//! Ports of this machine that lead to ports of a pod, through the API server.

use std::{fmt, net::SocketAddr, str::FromStr};

use futures::{FutureExt as _, future::FusedFuture as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

use crate::{
    exit::Exit,
    failure::{Failure, Outcome},
    output,
};

/// How long the end of a connection may wait for the word of the kubelet about it.
const LAST_WORD: std::time::Duration = std::time::Duration::from_millis(500);

/// A port here and the one it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Port of this machine; 0 is any free one.
    pub local: u16,
    /// Port of the DevServer.
    pub remote: u16,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let port = |word: &str| {
            word.parse::<u16>()
                .map_err(|_| format!("'{word}' is not a port, which is a number up to 65535"))
        };
        let (local, remote) = match text.split_once(':') {
            Some((local, remote)) => (port(local)?, port(remote)?),
            None => (port(text)?, port(text)?),
        };
        if remote == 0 {
            return Err("a DevServer has no port 0".to_owned());
        }
        Ok(Self { local, remote })
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.local, self.remote)
    }
}

/// Listens; the address is known afterwards, also when any free port was asked for.
pub async fn listen(address: SocketAddr) -> Outcome<(TcpListener, SocketAddr)> {
    let listening = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    listening.await.map_err(|error: std::io::Error| {
        let failure = Failure::io(format!("failed to listen on {address}"), &error);
        match error.kind() {
            std::io::ErrorKind::AddrInUse => failure.remedy(format!(
                "another program has this port; choose another one, such as 0:{}",
                address.port()
            )),
            std::io::ErrorKind::PermissionDenied => failure.remedy(
                "ports below 1024 are for the administrator of this machine; choose a higher one",
            ),
            _ => failure.remedy("choose an address of this machine with --address"),
        }
    })
}

/// Takes connections for ever, each on its own.
pub async fn serve(listener: TcpListener, pods: Api<Pod>, pod: String, remote: u16) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let (pods, pod) = (pods.clone(), pod.clone());
                tokio::spawn(async move {
                    if let Err(failure) = carry(client, &pods, &pod, remote).await {
                        output::note(&failure.to_string());
                    }
                });
            }
            Err(error) => {
                // Most likely too many open files; that passes when one of them closes.
                output::note(&format!("failed to take a connection: {error}"));
                tokio::time::sleep(LAST_WORD).await;
            }
        }
    }
}

/// One connection, from its beginning to its end.
async fn carry(client: TcpStream, pods: &Api<Pod>, pod: &str, remote: u16) -> Outcome {
    let what = format!("port {remote} of pod '{pod}' cannot be reached");
    let lost = || Failure::new(Exit::Error, what.clone()).because("the API server gave no stream");
    let mut forwarder = pods
        .portforward(pod, &[remote])
        .await
        .map_err(|error| Failure::kube(what.clone(), &error))?;
    let stream = forwarder.take_stream(remote).ok_or_else(lost)?;
    let error = forwarder.take_error(remote);
    let error = async { error?.await };
    let refusal = until_refused(copy(client, stream), error).await;
    forwarder.abort();
    match refusal {
        Some(said) => Err(refused(&what, &said, remote)),
        // One side hung up in the middle: that is theirs to know.
        None => Ok(()),
    }
}

/// Copies until it ends or the kubelet says that it cannot go on: a client that waits for an answer would wait for ever.
/// With what the kubelet said.
async fn until_refused<T>(
    copying: impl Future<Output = T>,
    error: impl Future<Output = Option<String>>,
) -> Option<String> {
    let error = error.fuse();
    tokio::pin!(copying, error);
    loop {
        tokio::select! {
            _ = &mut copying => break,
            said = &mut error, if !error.is_terminated() => {
                if said.is_some() {
                    // What was on its way may still arrive.
                    let _ = tokio::time::timeout(LAST_WORD, copying).await;
                    return said;
                }
            }
        }
    }
    if error.is_terminated() {
        return None;
    }
    tokio::time::timeout(LAST_WORD, error).await.ok().flatten()
}

async fn copy(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> std::io::Result<()> {
    tokio::io::copy_bidirectional(&mut client, &mut stream)
        .await
        .map(drop)
}

fn refused(what: &str, said: &str, remote: u16) -> Failure {
    if said.to_lowercase().contains("connection refused") {
        return Failure::new(Exit::Error, what)
            .because(format!("nothing listens on port {remote} there"))
            .remedy(
                "start the program in the DevServer, or check its port; this goes on listening",
            );
    }
    Failure::new(Exit::Error, what)
        .because(said.trim())
        .remedy("this goes on listening; try again")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn one_number_means_both_ports() {
        let pair = |local, remote| Ok(Pair { local, remote });
        assert_eq!("8080".parse(), pair(8080, 8080));
        assert_eq!("8080:80".parse(), pair(8080, 80));
        assert_eq!("0:80".parse(), pair(0, 80));
        for wrong in ["", "a", "0", "8080:0", "70000", "1:2:3", ":80", "-1", "80:"] {
            assert!(wrong.parse::<Pair>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_told_with_the_way_out() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (_held, bound) = listen(any).await.unwrap();
        assert!(bound.ip().is_loopback() && bound.port() > 0);
        let failure = listen(bound).await.unwrap_err().to_string();
        assert!(
            failure.contains("another program has this port"),
            "{failure}"
        );
    }

    #[tokio::test]
    async fn both_ways_are_copied_and_the_end_of_one_is_passed_on() {
        let (client, mut user) = tokio::io::duplex(64);
        let (stream, mut program) = tokio::io::duplex(64);
        let carrying = tokio::spawn(copy(client, stream));
        user.write_all(b"question").await.unwrap();
        user.shutdown().await.unwrap();
        let mut asked = String::new();
        program.read_to_string(&mut asked).await.unwrap();
        assert_eq!(asked, "question");
        program.write_all(b"answer").await.unwrap();
        drop(program);
        let mut answered = String::new();
        user.read_to_string(&mut answered).await.unwrap();
        assert_eq!(answered, "answer");
        carrying.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_refusal_ends_a_connection_whose_client_waits() {
        let (held, _client) = tokio::io::duplex(64);
        let (stream, _far) = tokio::io::duplex(64);
        let error = std::future::ready(Some("connection refused".to_owned()));
        let said = until_refused(copy(held, stream), error).await;
        assert_eq!(said.as_deref(), Some("connection refused"));
        // Nothing was said, and the connection goes on until it ends.
        let (client, user) = tokio::io::duplex(64);
        let (stream, program) = tokio::io::duplex(64);
        drop((user, program));
        let said = until_refused(copy(client, stream), std::future::ready(None)).await;
        assert_eq!(said, None);
    }

    #[test]
    fn nothing_that_listens_is_told_in_plain_words() {
        let said = "failed to connect to localhost:8080 inside namespace \"x\": dial tcp4 127.0.0.1:8080: connect: connection refused";
        let text = refused("port 8080 of pod 'a-0' cannot be reached", said, 8080).to_string();
        assert!(
            text.contains("nothing listens on port 8080") && !text.contains("dial"),
            "{text}"
        );
    }
}
