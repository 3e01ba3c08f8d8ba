//! `devctl doctor`: finds out, judges, and says the remedy.

use std::fmt::Write as _;

use devserver_api::{DevServer, DevServerFlavor, group};
use futures::future::join_all;
use jiff::{Timestamp, fmt::rfc2822};
use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    coordination::v1::Lease,
};
use kube::{
    ResourceExt as _,
    api::{ListParams, PostParams},
};
use owo_colors::OwoColorize as _;

use super::version::OPERATOR;
use crate::{
    access,
    args::{Doctor, Global},
    doctor::{
        Check, Verdict,
        cluster::{self, RIGHTS, Right},
        gateway::{self, Knock},
        machine,
    },
    escape,
    exit::Exit,
    failure::{Failure, Outcome},
    files, include,
    kube::{self as kubernetes, Session},
    output::{self, Format},
};

/// Longest wait for one answer; a cluster that takes longer is not one to work with.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Checks all, and ends with 1 when something will not work.
pub async fn run(global: &Global, args: &Doctor) -> Outcome<Exit> {
    let mut checks = this_machine().await?;
    checks.extend(Box::pin(that_cluster(global)).await);
    match args.output {
        Format::Table => output::print(&text(&checks))?,
        form => output::print(&output::structured(&checks, form)?)?,
    }
    let has_failed = checks.iter().any(|check| check.verdict == Verdict::Fail);
    Ok(if has_failed { Exit::Error } else { Exit::Ok })
}

async fn this_machine() -> Outcome<Vec<Check>> {
    let ssh_dir = files::user_ssh_dir()?;
    let said = tokio::process::Command::new("ssh").arg("-V").output().await;
    // It has always been on standard error.
    let said = said.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
    let line = files::ssh_dir().and_then(|dir| include::line(&dir));
    Ok(vec![
        machine::ssh_client(said.as_deref()),
        machine::ssh_key(&ssh_dir),
        machine::ssh_include(&ssh_dir.join("config"), &line),
    ])
}

/// What devctl itself failed at.
fn unusable(name: &'static str, failure: &Failure) -> Check {
    let said = failure.to_string();
    let (found, remedy) = said.split_once('\n').unwrap_or((&said, ""));
    Check::fail(name, found, remedy.trim())
}

async fn that_cluster(global: &Global) -> Vec<Check> {
    let session = match Session::connect(global).await {
        Ok(session) => session,
        Err(failure) => return vec![unusable("kubeconfig", &failure)],
    };
    let place = &session.place;
    let mut checks = vec![Check::ok(
        "kubeconfig",
        format!(
            "context '{}', namespace '{}'",
            place.context, place.namespace
        ),
    )];
    let sent = Timestamp::now();
    match patiently("failed to reach the API server", hello(&session)).await {
        Err(failure) => {
            checks.push(unusable("cluster", &failure));
            // Everything else would fail for the same reason.
            return checks;
        }
        Ok((version, date)) => {
            checks.push(Check::ok("cluster", format!("Kubernetes {version}")));
            checks.push(cluster::clock(date, sent, Timestamp::now()));
        }
    }
    let (served, rights, flavors, servers, lease) = tokio::join!(
        served(&session),
        rights(&session),
        all::<DevServerFlavor>(session.flavors()),
        all::<DevServer>(session.servers()),
        lease(&session),
    );
    let platform = cluster::platform(served.as_deref());
    let is_there = platform.verdict == Verdict::Ok;
    checks.push(platform);
    checks.push(match &rights {
        Ok(answers) => cluster::rights(answers, &place.namespace),
        Err(failure) => unusable("rights", failure),
    });
    // Without the platform there is nothing to see; without the right to see flavors the line above has said so.
    if is_there {
        checks.extend(flavors.as_deref().map(cluster::flavors));
        checks.push(cluster::operator(
            lease.as_ref(),
            servers.as_deref().unwrap_or_default(),
            flavors.as_deref().unwrap_or_default(),
            Timestamp::now(),
        ));
    }
    let servers = servers.unwrap_or_default();
    if let Some(server) = servers.iter().find(|server| access::takes_gateway(server)) {
        checks.push(knock(&session, server).await);
    }
    checks
}

/// Knocks at the gateway with what `devctl ssh` would use, and asks for nothing.
async fn knock(session: &Session, server: &DevServer) -> Check {
    let told = server.status.as_ref().and_then(|s| s.ssh.as_ref());
    let place = told.and_then(|ssh| ssh.gateway.as_ref());
    let place = place.map(|gateway| format!("{}:{}", gateway.host, gateway.port));
    let name = server.name_any();
    let knock = Knock {
        server: &name,
        place: place.as_deref().unwrap_or_default(),
        user: server.spec.owner.as_deref().unwrap_or_default(),
    };
    let access = match access::write(&session.place, server) {
        Ok(access) => access,
        Err(failure) => return unusable("gateway", &failure),
    };
    let mut ssh = tokio::process::Command::new("ssh");
    ssh.arg("-F").arg(&access.session);
    ssh.args(["-n", "-T", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]);
    ssh.arg("-o");
    ssh.arg(format!("ConnectTimeout={}", PATIENCE.as_secs()));
    ssh.arg("--").arg(access.target.gateway_host()).arg("hello");
    ssh.kill_on_drop(true);
    match tokio::time::timeout(PATIENCE * 2, ssh.output()).await {
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            gateway::gateway(knock, Some((output.status.code(), &said)))
        }
        // Without ssh, the line about the client says what to do.
        Ok(Err(error)) => gateway::gateway(knock, Some((None, &error.to_string()))),
        Err(_) => gateway::gateway(knock, None),
    }
}

async fn patiently<T>(what: &str, request: impl Future<Output = kube::Result<T>>) -> Outcome<T> {
    tokio::time::timeout(PATIENCE, kubernetes::answer(what, request))
        .await
        .unwrap_or_else(|_| {
            Err(Failure::new(Exit::TimedOut, what)
                .because(format!("no answer within {} s", PATIENCE.as_secs()))
                .remedy("check the connection to the cluster: VPN, proxy, and the server in the kubeconfig"))
        })
}

/// The version of Kubernetes, and what time it is there.
async fn hello(session: &Session) -> kube::Result<(String, Option<Timestamp>)> {
    let request = http::Request::get("/version")
        .body(kube::client::Body::empty())
        .map_err(kube::Error::HttpError)?;
    let response = session.client().send(request).await?;
    let date = response.headers().get(http::header::DATE).cloned();
    let version = session.client().apiserver_version().await?;
    Ok((
        version.git_version,
        date.and_then(|value| instant(value.to_str().ok()?)),
    ))
}

/// An HTTP date, which is RFC 2822 with GMT for the zone.
fn instant(date: &str) -> Option<Timestamp> {
    rfc2822::parse(date).ok().map(|zoned| zoned.timestamp())
}

/// Resources of the platform that the cluster serves.
async fn served(session: &Session) -> Outcome<Vec<String>> {
    let asking = session
        .client()
        .list_api_group_resources(group::API_VERSION);
    let found = patiently("the cluster does not know DevServers", asking).await?;
    Ok(found
        .resources
        .into_iter()
        .map(|resource| resource.name)
        .collect())
}

async fn rights(session: &Session) -> Outcome<Vec<(Right, bool)>> {
    let reviews = session.cluster_wide::<SelfSubjectAccessReview>();
    let questions = RIGHTS.iter().map(|right| {
        let reviews = reviews.clone();
        async move {
            let review = question(right, &session.place.namespace);
            let params = PostParams::default();
            let asking = reviews.create(&params, &review);
            let answer = patiently("failed to ask what you may do", asking).await?;
            Ok((*right, answer.status.is_some_and(|status| status.allowed)))
        }
    });
    join_all(questions).await.into_iter().collect()
}

fn question(right: &Right, namespace: &str) -> SelfSubjectAccessReview {
    let word = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                namespace: word(namespace),
                verb: word(right.verb),
                group: word(right.group),
                resource: word(right.resource),
                subresource: word(right.subresource),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    }
}

/// All of them; nothing where they may not be listed.
async fn all<K>(api: kube::Api<K>) -> Option<Vec<K>>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let params = ListParams::default();
    let list = patiently("failed to list", api.list(&params)).await.ok()?;
    Some(list.items)
}

/// The operator's lease, for those who may see it.
async fn lease(session: &Session) -> Option<Lease> {
    let leases = session.in_namespace::<Lease>(group::PLATFORM_NAMESPACE);
    patiently("failed to get the lease", leases.get_opt(OPERATOR))
        .await
        .ok()?
}

fn text(checks: &[Check]) -> String {
    let width = checks
        .iter()
        .map(|check| check.name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let word = format!("{:<4}", check.verdict.word());
        let word = match check.verdict {
            Verdict::Ok => word.green().to_string(),
            Verdict::Warn => word.yellow().to_string(),
            Verdict::Fail => word.red().bold().to_string(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{word}  {:<width$}  {}",
            check.name,
            escape::line(&check.found)
        );
        if let Some(remedy) = check.remedy.as_ref().filter(|remedy| !remedy.is_empty()) {
            let _ = writeln!(text, "      {:<width$}  {}", "", escape::line(remedy));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_understood() {
        let at = instant("Thu, 01 Jan 2026 08:00:00 GMT").unwrap();
        assert_eq!(at.to_string(), "2026-01-01T08:00:00Z");
        assert_eq!(instant("yesterday"), None);
    }

    #[test]
    fn each_line_says_what_was_found_and_what_to_do() {
        let checks = [
            Check::ok("cluster", "Kubernetes v1.36.0"),
            Check::warn("ssh key", "none\x1b[2J", "make one"),
        ];
        let plain = anstream::adapter::strip_str(&text(&checks)).to_string();
        assert_eq!(
            plain,
            "ok    cluster  Kubernetes v1.36.0\nwarn  ssh key  none\\x1b[2J\n               make one\n"
        );
    }
}
