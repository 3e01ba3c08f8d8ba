//! Volumes: a provisioner outside of the cluster, the storage class `standard`, and that kubelets may always read claims.

use crate::{bundle, error::Error, starting::Starting};

const CLASS: &str = include_str!("../manifests/storage-class.yaml");

/// Starts the provisioner for one node, or for any node of a crowd.
pub fn start(lab: &mut Starting, node: Option<&str>) -> Result<(), Error> {
    let component = lab.component(
        "hostpath-provisioner",
        [
            format!("--kubeconfig={}", lab.dir.admin_kubeconfig().display()),
            format!("--volumes-dir={}", lab.dir.text("volumes")),
            format!("--node-name={}", node.unwrap_or_default()),
        ],
    )?;
    bundle::apply(&lab.client, CLASS)?;
    lab.start(&component)
}
