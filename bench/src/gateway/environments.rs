//! Environments as the gateway sees them: DevServers whose StatefulSets and pods the operator and the controllers have made.
//! There is no node; what the kubelet would say about a pod is written here: its address and that it is Ready.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context, Result, bail};
use devserver_api::DevServer;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::site::{POD, QUIET_POD};
use crate::{cluster, operator::Operator};

/// The environment with sshd.
pub const BOX: &str = "box";
/// The environment that says nothing.
pub const QUIET: &str = "quiet";

/// Makes both; gives the port on which their pods have ssh.
pub async fn create(client: &Client, namespace: &str, key: &str) -> Result<u16> {
    let flavor = cluster::flavor(client).await?;
    cluster::namespace(client, namespace).await?;
    // Ends with this function: what is measured later is not disturbed by it.
    let _operator = Operator::start(namespace).await?;
    let api: Api<DevServer> = Api::namespaced(client.clone(), namespace);
    let mut port = 0;
    for (name, address) in [(BOX, POD), (QUIET, QUIET_POD)] {
        let server = cluster::server(name, flavor, key)?;
        api.create(&PostParams::default(), &server).await?;
        port = run(client, namespace, name, address).await?;
    }
    Ok(port)
}

async fn run(client: &Client, namespace: &str, name: &str, address: IpAddr) -> Result<u16> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pod = format!("{name}-0");
    let status = json!({"status": {
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }});
    for _ in 0..300 {
        if let Some(found) = api.get_opt(&pod).await? {
            api.patch_status(&pod, &PatchParams::default(), &Patch::Merge(&status))
                .await?;
            return port(&found).with_context(|| format!("pod {pod} has no port named ssh"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("there is no pod {pod} after 30 s")
}

fn port(pod: &Pod) -> Option<u16> {
    let spec = pod.spec.as_ref()?;
    let init = spec.init_containers.iter().flatten();
    let mut ports = init
        .chain(&spec.containers)
        .flat_map(|container| container.ports.iter().flatten());
    let ssh = ports.find(|port| port.name.as_deref() == Some("ssh"))?;
    u16::try_from(ssh.container_port).ok()
}
