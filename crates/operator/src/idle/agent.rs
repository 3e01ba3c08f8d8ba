//! Asks one agent. What answers may be anything: the answer is bounded in time and size.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use devserver_core::activity::{Key, LONGEST_REPORT, NOTICE_HEADER, Notice, Report, token};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use reqwest::{Client, redirect::Policy};

/// Longest time for one answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How agents are asked.
#[derive(Clone)]
pub struct Agents {
    client: Client,
    key: Option<Arc<Key>>,
}

/// Why an agent did not say anything.
#[derive(Debug, thiserror::Error)]
pub enum Silence {
    /// There is nobody to ask.
    #[error("the pod has no address")]
    NoAddress,
    /// No answer.
    #[error("no answer: {0}")]
    Http(#[from] reqwest::Error),
    /// An answer that is none.
    #[error("it answers {0}")]
    Status(u16),
    /// A report that is none.
    #[error("it answers nonsense: {0}")]
    Report(String),
}

impl Agents {
    /// How agents are asked, with the key of the platform.
    pub fn new(key: Option<Key>) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            // An environment is what it is: it cannot send the operator elsewhere.
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .context("failed to set up the client for agents")?;
        Ok(Self {
            client,
            key: key.map(Arc::new),
        })
    }

    /// What the agents of the pod have seen. One that is silent makes all of it worth nothing. With the question goes what people
    /// there are to be told; an agent tells it once.
    pub async fn ask(
        &self,
        pod: &Pod,
        uid: &str,
        notice: Option<&Notice>,
    ) -> Result<Report, Silence> {
        let status = pod.status.as_ref();
        let address = status.and_then(|status| status.pod_ip.as_deref());
        let address: IpAddr = address
            .and_then(|text| text.parse().ok())
            .ok_or(Silence::NoAddress)?;
        let notice = notice.map(Notice::text);
        let notice = notice.as_deref();
        let reports = ports(pod).map(|port| self.one(SocketAddr::new(address, port), uid, notice));
        let reports = try_join_all(reports).await?;
        reports
            .into_iter()
            .reduce(Report::join)
            .ok_or(Silence::NoAddress)
    }

    async fn one(
        &self,
        address: SocketAddr,
        uid: &str,
        notice: Option<&str>,
    ) -> Result<Report, Silence> {
        let mut request = self.client.get(format!("http://{address}/activity"));
        if let Some(key) = &self.key {
            request = request.bearer_auth(token(key, uid));
        }
        if let Some(notice) = notice {
            request = request.header(NOTICE_HEADER, notice);
        }
        let mut response = request.send().await?;
        if response.status().as_u16() != 200 {
            return Err(Silence::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            // One more is enough to be refused.
            if body.len() > LONGEST_REPORT {
                break;
            }
        }
        Report::parse(&body).map_err(|error| Silence::Report(error.to_string()))
    }
}

/// Ports at which agents answer; the sidecar has one of its own.
fn ports(pod: &Pod) -> impl Iterator<Item = u16> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    let health = ports.filter(|port| {
        port.name
            .as_deref()
            .is_some_and(|name| name.ends_with("health"))
    });
    health.filter_map(|port| u16::try_from(port.container_port).ok())
}
