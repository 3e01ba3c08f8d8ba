//! The API server.

use crate::{certs, error::Error, process::Component, starting::Starting};

/// Identity providers whose tokens it takes. There is none at the beginning; it reads the file again when it changes.
const AUTHENTICATION: &str = "\
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: []
";

/// Serves at the node's address, which host, pods and components all reach.
pub fn component(lab: &Starting) -> Result<Component, Error> {
    let pki = |file: &str| lab.dir.text(&format!("pki/{file}"));
    let authentication = "authentication.yaml";
    certs::write(&lab.dir.join(authentication), AUTHENTICATION)?;
    let mut args = vec![
        "--etcd-servers=http://127.0.0.1:2379".to_owned(),
        "--bind-address=0.0.0.0".into(),
        "--secure-port=6443".into(),
        format!("--advertise-address={}", lab.plan.node()),
        format!("--service-cluster-ip-range={}", lab.plan.services()),
        format!("--tls-cert-file={}", pki("apiserver.crt")),
        format!("--tls-private-key-file={}", pki("apiserver.key")),
        format!("--client-ca-file={}", pki("ca.crt")),
        format!("--service-account-key-file={}", pki("sa.pub")),
        format!("--service-account-signing-key-file={}", pki("sa.key")),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
        format!("--authentication-config={}", lab.dir.text(authentication)),
        "--authorization-mode=Node,RBAC".into(),
        "--enable-admission-plugins=NodeRestriction".into(),
        "--allow-privileged".into(),
        format!("--kubelet-client-certificate={}", pki("kubelet-client.crt")),
        format!("--kubelet-client-key={}", pki("kubelet-client.key")),
        format!("--kubelet-certificate-authority={}", pki("ca.crt")),
        "--kubelet-preferred-address-types=InternalIP".into(),
        // Load tests should find the limits of what they test, not of fairness between clients.
        "--max-requests-inflight=3000".into(),
        "--max-mutating-requests-inflight=1500".into(),
        "--profiling=false".into(),
    ];
    // Aggregated APIs (metrics-server) are called with a certificate of their own.
    args.extend([
        format!("--requestheader-client-ca-file={}", pki("ca.crt")),
        "--requestheader-allowed-names=front-proxy-client".into(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
        "--requestheader-group-headers=X-Remote-Group".into(),
        "--requestheader-username-headers=X-Remote-User".into(),
        format!("--proxy-client-cert-file={}", pki("front-proxy.crt")),
        format!("--proxy-client-key-file={}", pki("front-proxy.key")),
        "--enable-aggregator-routing".into(),
    ]);
    lab.component("kube-apiserver", args)
}
