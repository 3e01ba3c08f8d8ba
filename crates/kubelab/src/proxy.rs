//! kube-proxy: Services and node ports, as nftables rules in the lab's namespace.

use crate::{error::Error, process::Component, starting::Starting};

/// The limits of connection tracking belong to the machine, not to a lab: all four flags leave them alone.
pub fn component(lab: &Starting) -> Result<Component, Error> {
    lab.component(
        "kube-proxy",
        [
            format!("--kubeconfig={}", lab.dir.text("proxy.kubeconfig")),
            format!("--hostname-override={}", lab.name.node()),
            format!("--cluster-cidr={}", lab.plan.pods()),
            "--proxy-mode=nftables".into(),
            "--conntrack-max-per-core=0".into(),
            "--conntrack-min=0".into(),
            "--conntrack-tcp-timeout-established=0s".into(),
            "--conntrack-tcp-timeout-close-wait=0s".into(),
        ],
    )
}
