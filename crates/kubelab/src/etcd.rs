//! The store of the API server.

use crate::{error::Error, process::Component, starting::Starting};

/// Listens inside the namespace only. The state is on a tmpfs and never survives a crash, so no write waits for a disk.
pub fn component(lab: &Starting) -> Result<Component, Error> {
    let (client, peer) = ("http://127.0.0.1:2379", "http://127.0.0.1:2380");
    lab.component(
        "etcd",
        [
            format!("--data-dir={}", lab.dir.text("etcd")),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            "--unsafe-no-fsync".into(),
            "--quota-backend-bytes=8589934592".into(),
            "--log-level=warn".into(),
        ],
    )
}
