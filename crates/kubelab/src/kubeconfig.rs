//! Kubeconfigs with everything in them, so that one file is enough to use a lab from anywhere on the machine.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use crate::{
    certs::{Authority, Pair, write},
    config::LabName,
    error::Error,
    paths::LabDir,
};

/// The text of a kubeconfig for this user.
pub fn text(
    name: &LabName,
    server: &str,
    authority: &str,
    user: &str,
    pair: &Pair,
) -> Result<String, Error> {
    let context = name.scope();
    let data = |pem: &str| BASE64_STANDARD.encode(pem);
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": {"server": server, "certificate-authority-data": data(authority)}}],
        "users": [{"name": user, "user": {
            "client-certificate-data": data(&pair.certificate),
            "client-key-data": data(&pair.key),
        }}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": user}}],
        "current-context": context,
    });
    serde_saphyr::to_string(&config).map_err(|error| Error::Content {
        path: "kubeconfig".into(),
        why: error.to_string(),
    })
}

/// Writes the administrator's kubeconfig and one for each component that talks to the API server.
pub fn make(
    authority: &Authority,
    name: &LabName,
    server: &str,
    dir: &LabDir,
) -> Result<(), Error> {
    let node = format!("system:node:{}", name.node());
    let users: [(&str, &str, &[&str]); 5] = [
        ("admin", "kubelab-admin", &["system:masters"]),
        ("controllers", "system:kube-controller-manager", &[]),
        ("scheduler", "system:kube-scheduler", &[]),
        ("kubelet", &node, &["system:nodes"]),
        ("proxy", "system:kube-proxy", &[]),
    ];
    for (file, user, groups) in users {
        let pair = authority.issue(user, groups, &[])?;
        if file == "admin" {
            write(&dir.join("pki/admin.crt"), &pair.certificate)?;
            write(&dir.join("pki/admin.key"), &pair.key)?;
        }
        let text = text(name, server, &authority.certificate, user, &pair)?;
        write(&dir.join(format!("{file}.kubeconfig")), &text)?;
    }
    Ok(())
}
