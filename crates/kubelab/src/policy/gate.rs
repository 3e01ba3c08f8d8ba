//! The gate: pods wait here for their policies.
//!
//! The API server learns a pod's address a second or more after its containers have started. So the last step of
//! making a pod's network says it here, and ends only when the rules for that address are in force.

use std::{net::Ipv4Addr, path::Path, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::address::Range;

/// Pods that wait at once; further ones wait a little longer.
const QUEUE: usize = 256;
/// For a question that is there already when its sender connects.
const READ: Duration = Duration::from_secs(5);
/// A configuration is a few kilobytes.
const LONGEST: u64 = 1 << 20;
/// The code of the CNI specification for "try again later".
const LATER: u64 = 11;

/// A pod whose network is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Its UID.
    pub uid: String,
    /// Namespace and name, for messages.
    pub pod: String,
    /// Its address.
    pub address: Ipv4Addr,
}

/// An announcement and whom to tell when its rules are in force.
#[derive(Debug)]
pub struct Request {
    /// What is announced.
    pub announcement: Announcement,
    /// Takes why it cannot be done, if so.
    pub answer: oneshot::Sender<Result<(), String>>,
}

/// Opens the gate's socket. Needs a runtime.
pub fn open(socket: &Path) -> Result<mpsc::Receiver<Request>> {
    let listener = UnixListener::bind(socket)
        .with_context(|| format!("failed to listen at {}", socket.display()))?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(serve(stream, sender.clone()))),
                Err(error) => {
                    tracing::error!(error = error.to_string(), "failed to accept a connection");
                    // Out of file descriptors, most likely: those that are answered give theirs back.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(receiver)
}

async fn serve(mut stream: UnixStream, requests: mpsc::Sender<Request>) {
    let answer = match ask(&mut stream, &requests).await {
        Ok(result) => format!("0 {result}\n"),
        Err(why) => {
            tracing::warn!(why, "a pod's network is not finished");
            let error = json!({"cniVersion": "1.0.0", "code": LATER, "msg": why});
            format!("1 {error}\n")
        }
    };
    // Who has stopped waiting will ask again.
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// Gives what the step must print.
async fn ask(stream: &mut UnixStream, requests: &mpsc::Sender<Request>) -> Result<Value, String> {
    let mut text = String::new();
    let mut limited = stream.take(LONGEST);
    timeout(READ, limited.read_to_string(&mut text))
        .await
        .map_err(|_| "failed to read the question of a pod's network: it does not end".to_owned())?
        .map_err(|error| format!("failed to read the question of a pod's network: {error}"))?;
    let (announcement, result) = read(&text)?;
    let (answer, answered) = oneshot::channel();
    let request = Request {
        announcement,
        answer,
    };
    let ends = || "the policy controller ends".to_owned();
    requests.send(request).await.map_err(|_| ends())?;
    answered.await.map_err(|_| ends())??;
    Ok(result)
}

/// Reads what the step sends: the runtime's words about the pod in one line, then its configuration, which holds the
/// result of the steps before.
pub fn read(text: &str) -> Result<(Announcement, Value), String> {
    let (words, configuration) = text.split_once('\n').unwrap_or((text, ""));
    let word = |key: &str| {
        let pairs = words.split(';').filter_map(|pair| pair.split_once('='));
        let mut values = pairs
            .filter(|(name, _)| *name == key)
            .map(|(_, value)| value);
        values
            .next()
            .ok_or_else(|| format!("failed to read whose network this is: no {key} in {words:?}"))
    };
    let configuration: Value = serde_json::from_str(configuration)
        .map_err(|error| format!("failed to read the configuration of a pod's network: {error}"))?;
    let addresses = configuration.pointer("/prevResult/ips");
    let addresses = addresses.and_then(Value::as_array).into_iter().flatten();
    let address = addresses
        .filter_map(|entry| entry.get("address")?.as_str())
        // The range is only asked whether this is IPv4; the pod's address is what stands before the slash.
        .filter(|text| Range::parse(text).is_some())
        .find_map(|text| text.split('/').next()?.parse().ok())
        .ok_or("failed to find the pod's address in the result of the steps before")?;
    let announcement = Announcement {
        uid: word("K8S_POD_UID")?.to_owned(),
        pod: format!("{}/{}", word("K8S_POD_NAMESPACE")?, word("K8S_POD_NAME")?),
        address,
    };
    let result = configuration.get("prevResult").cloned();
    Ok((announcement, result.unwrap_or_default()))
}
