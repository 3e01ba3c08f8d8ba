//! `devctl version`: of this program, of the cluster, and of the platform as far as it can be seen.

use std::time::Duration;

use devserver_api::group;
use k8s_openapi::api::apps::v1::Deployment;
use serde::Serialize;

use crate::{
    args::{Global, Version},
    exit::Exit,
    failure::Outcome,
    kube::Session,
    output::{self, Format},
};

/// Nobody waits long for a version.
const PATIENCE: Duration = Duration::from_secs(5);
/// Name of the operator's Deployment in the chart.
pub const OPERATOR: &str = "devserver-operator";
/// Label that says which version an object of the chart is of.
const LABEL_VERSION: &str = "app.kubernetes.io/version";

/// All versions there are; what cannot be seen is left out.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    devctl: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kubernetes: Option<String>,
    /// Versions of the resources that the cluster serves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    api: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
}

/// Prints them. What the cluster does not say is no error: the version of this program was asked for.
pub async fn run(global: &Global, args: &Version) -> Outcome<Exit> {
    let mut versions = Versions {
        devctl: env!("CARGO_PKG_VERSION").to_owned(),
        ..Versions::default()
    };
    if !args.client {
        let asked = tokio::time::timeout(PATIENCE, ask(global, &mut versions)).await;
        match asked {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => global.detail(format_args!("{failure}")),
            Err(_) => output::note("the cluster does not answer"),
        }
    }
    match args.output {
        Format::Table => output::say(&text(&versions))?,
        form => output::print(&output::structured(&versions, form)?)?,
    }
    Ok(Exit::Ok)
}

async fn ask(global: &Global, versions: &mut Versions) -> Outcome {
    let session = Session::connect_unattended(global).await?;
    let client = session.client();
    let (kubernetes, groups, operator) = tokio::join!(
        client.apiserver_version(),
        client.list_api_groups(),
        operator(&session)
    );
    versions.kubernetes = kubernetes.ok().map(|info| info.git_version);
    versions.api = groups
        .iter()
        .flat_map(|groups| &groups.groups)
        .filter(|found| found.name == group::GROUP)
        .flat_map(|found| found.versions.iter().map(|v| v.group_version.clone()))
        .collect();
    versions.operator = operator;
    Ok(())
}

/// Only who may look into the platform's namespace sees it.
async fn operator(session: &Session) -> Option<String> {
    let deployments = session.in_namespace::<Deployment>(group::PLATFORM_NAMESPACE);
    let found = deployments.get_opt(OPERATOR).await.ok()??;
    found.metadata.labels?.remove(LABEL_VERSION)
}

fn text(versions: &Versions) -> String {
    let mut lines = vec![format!("devctl {}", versions.devctl)];
    lines.extend(versions.operator.iter().map(|v| format!("operator {v}")));
    lines.extend((!versions.api.is_empty()).then(|| format!("API {}", versions.api.join(", "))));
    lines.extend(
        versions
            .kubernetes
            .iter()
            .map(|v| format!("Kubernetes {v}")),
    );
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_has_no_line() {
        let mut versions = Versions {
            devctl: "1.2.3".to_owned(),
            ..Versions::default()
        };
        assert_eq!(text(&versions), "devctl 1.2.3");
        versions.kubernetes = Some("v1.36.0".to_owned());
        versions.api = vec!["devserver.io/v1".to_owned()];
        assert_eq!(
            text(&versions),
            "devctl 1.2.3\nAPI devserver.io/v1\nKubernetes v1.36.0"
        );
    }
}
