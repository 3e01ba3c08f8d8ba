//! `devctl admin user kubeconfig`: a file with which a user can work, and nobody else for long.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::config::Cluster;
use serde_json::{Value, json};

use super::{
    credentials::{self, Credentials},
    find,
};
use crate::{
    args::{Global, admin::UserKubeconfig},
    exit::Exit,
    failure::{Failure, Outcome},
    files,
    kube::{self as cluster, Session},
    output::{self, Format},
};

/// Writes the kubeconfig.
pub async fn run(global: &Global, args: &UserKubeconfig) -> Outcome<Exit> {
    // First of all, so that no credentials are made for a cluster that could not be trusted.
    let place = cluster::cluster(global).and_then(|c| trusted(&c))?;
    let session = Session::connect(global).await?;
    let user = find(&session, &args.username).await?;
    let status = user.status.clone().unwrap_or_default();
    let Some(namespace) = status.namespace else {
        return Err(Failure::new(
            Exit::Failed,
            format!("user '{}' has no namespace yet", args.username),
        )
        .because(
            status
                .message
                .unwrap_or_else(|| "the operator has not looked at it".to_owned()),
        ));
    };
    let username = &args.username;
    let credentials = match &args.exec_command {
        Some(command) => Credentials::Program {
            command: command.clone(),
            arguments: args.exec_arg.clone(),
        },
        None if args.token => {
            credentials::token(&session, username, &namespace, args.expiration).await?
        }
        None => credentials::certificate(&session, username, args.expiration).await?,
    };
    let text = output::structured(
        &kubeconfig(&place, username, &namespace, &credentials),
        Format::Yaml,
    )?;
    match &args.file {
        None => output::print(&text)?,
        Some(file) => {
            files::write_private(&files::absolute(file)?, &text)?;
            output::note(&format!("written to {}", file.display()));
        }
    }
    Ok(Exit::Ok)
}

/// Where the cluster is, and by what it is recognised.
fn trusted(cluster: &Cluster) -> Outcome<Value> {
    let refused = |why: &str| {
        Failure::new(Exit::Error, "this context cannot be passed on")
            .because(why)
            .remedy("use a context whose cluster has certificate-authority-data")
    };
    let server = cluster.server.as_deref().unwrap_or_default();
    if !server.starts_with("https://") {
        return Err(refused("its server is not reached by https"));
    }
    if cluster.insecure_skip_tls_verify == Some(true) {
        return Err(refused("it does not check the server's certificate"));
    }
    let authority = match (
        &cluster.certificate_authority_data,
        &cluster.certificate_authority,
    ) {
        (Some(data), _) if !data.is_empty() => data.clone(),
        (_, Some(path)) => {
            let text = std::fs::read(path)
                .map_err(|e| Failure::io(format!("failed to read {path}"), &e))?;
            STANDARD.encode(text)
        }
        _ => return Err(refused("it has no certificate authority")),
    };
    let is_certificate = STANDARD
        .decode(&authority)
        .is_ok_and(|pem| pem.starts_with(b"-----BEGIN "));
    if !is_certificate {
        return Err(refused("its certificate authority is no certificate"));
    }
    let mut place = json!({"server": server, "certificate-authority-data": authority});
    for (key, value) in [
        ("tls-server-name", &cluster.tls_server_name),
        ("proxy-url", &cluster.proxy_url),
    ] {
        if let (Some(value), Some(map)) = (value, place.as_object_mut()) {
            map.insert(key.to_owned(), json!(value));
        }
    }
    Ok(place)
}

fn kubeconfig(place: &Value, username: &str, namespace: &str, credentials: &Credentials) -> Value {
    let user = match credentials {
        Credentials::Certificate { certificate, key } => json!({
            "client-certificate-data": STANDARD.encode(certificate),
            "client-key-data": STANDARD.encode(key),
        }),
        Credentials::Token(token) => json!({"token": token}),
        Credentials::Program { command, arguments } => json!({"exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": command,
            "args": arguments,
            "interactiveMode": "IfAvailable",
        }}),
    };
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "devserver", "cluster": place}],
        "users": [{"name": username, "user": user}],
        "contexts": [{"name": username, "context": {
            "cluster": "devserver", "user": username, "namespace": namespace,
        }}],
        "current-context": username,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> Cluster {
        Cluster {
            server: Some("https://10.0.0.1:6443".to_owned()),
            certificate_authority_data: Some(STANDARD.encode("-----BEGIN CERTIFICATE-----\n")),
            ..Cluster::default()
        }
    }

    #[test]
    fn a_cluster_that_cannot_be_recognised_is_not_passed_on() {
        assert!(trusted(&cluster()).is_ok());
        let wrong = [
            Cluster {
                certificate_authority_data: None,
                ..cluster()
            },
            Cluster {
                certificate_authority_data: Some("not a certificate".to_owned()),
                ..cluster()
            },
            Cluster {
                insecure_skip_tls_verify: Some(true),
                ..cluster()
            },
            Cluster {
                server: Some("http://10.0.0.1".to_owned()),
                ..cluster()
            },
        ];
        for cluster in wrong {
            assert!(trusted(&cluster).is_err(), "{cluster:?}");
        }
    }

    #[test]
    fn the_file_is_a_kubeconfig_of_the_users_namespace() {
        let place = trusted(&cluster()).unwrap();
        let program = Credentials::Program {
            command: "aws".to_owned(),
            arguments: vec!["eks".to_owned(), "get-token".to_owned()],
        };
        for credentials in [Credentials::Token("t".to_owned()), program] {
            let value = kubeconfig(&place, "alice", "dev-alice", &credentials);
            let text = output::structured(&value, Format::Yaml).unwrap();
            let read = kube::config::Kubeconfig::from_yaml(&text).unwrap();
            assert_eq!(read.current_context.as_deref(), Some("alice"));
            let context = read.contexts.first().and_then(|c| c.context.clone());
            assert_eq!(
                context.and_then(|c| c.namespace).as_deref(),
                Some("dev-alice")
            );
        }
    }
}
