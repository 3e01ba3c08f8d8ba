//! Controller manager and scheduler. There is one of each, so neither spends time on electing a leader.

use crate::{config::Size, error::Error, process::Component, starting::Starting};

/// Where the controller manager says whether it is healthy.
pub const MANAGER_PORT: u16 = 10257;

/// Where the scheduler says whether it is healthy.
pub const SCHEDULER_PORT: u16 = 10259;

/// All default controllers, garbage collection and stateful sets included.
pub fn manager(lab: &Starting, size: Size) -> Result<Component, Error> {
    let pki = |file: &str| lab.dir.text(&format!("pki/{file}"));
    let mut args = serving(lab, "controllers", MANAGER_PORT);
    args.extend([
        format!("--service-account-private-key-file={}", pki("sa.key")),
        format!("--root-ca-file={}", pki("ca.crt")),
        format!("--cluster-signing-cert-file={}", pki("ca.crt")),
        format!("--cluster-signing-key-file={}", pki("ca.key")),
        "--use-service-account-credentials".into(),
        // A hundred StatefulSets at once are normal in a test.
        "--concurrent-statefulset-syncs=20".into(),
        "--concurrent-gc-syncs=40".into(),
    ]);
    if size == Size::Crowd {
        // One process speaks for all simulated nodes, and seldom; with a thousand pods to start it is late. A node that
        // was given up for a moment would leave its pods unready for good, as no kubelet says otherwise.
        args.push("--node-monitor-grace-period=1h".into());
    }
    lab.component("kube-controller-manager", args)
}

/// The scheduler.
pub fn scheduler(lab: &Starting) -> Result<Component, Error> {
    lab.component("kube-scheduler", serving(lab, "scheduler", SCHEDULER_PORT))
}

fn serving(lab: &Starting, file: &str, port: u16) -> Vec<String> {
    let kubeconfig = lab.dir.text(&format!("{file}.kubeconfig"));
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--leader-elect=false".into(),
        "--bind-address=0.0.0.0".into(),
        format!("--secure-port={port}"),
        format!(
            "--tls-cert-file={}",
            lab.dir.text(&format!("pki/{file}.crt"))
        ),
        format!(
            "--tls-private-key-file={}",
            lab.dir.text(&format!("pki/{file}.key"))
        ),
        "--kube-api-qps=500".into(),
        "--kube-api-burst=1000".into(),
        "--profiling=false".into(),
    ]
}
