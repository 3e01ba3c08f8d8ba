//! `devctl describe`: all there is to know about one DevServer, for people.

use std::fmt::Write as _;

use devserver_api::{DevServer, VolumeRetention, group, names::ServerName};
use devserver_core::status::node;
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time};
use kube::ResourceExt as _;

use super::{
    create::object_name,
    list::{age, expires, phase},
};
use crate::{
    access,
    args::{Describe, Global},
    escape,
    exit::Exit,
    failure::Outcome,
    happened,
    kube::{self as cluster, Place, Session},
    output::{self, Columns, Format, or_dash},
    progress,
};

/// Most events to show, the newest.
const EVENTS: usize = 12;

/// Shows it.
pub async fn run(global: &Global, args: &Describe) -> Outcome<Exit> {
    let name = args.named.name()?;
    let session = Session::connect(global).await?;
    let server = session.server(name).await?;
    match args.output.as_deref() {
        Some("json") => output::print(&output::structured(&server, Format::Json)?)?,
        Some("yaml") => output::print(&output::structured(&server, Format::Yaml)?)?,
        Some(_) => output::say(&object_name(&server))?,
        None => {
            let now = Timestamp::now();
            let pod = pod(global, &session, &server).await;
            let mut text = spec(&server, now);
            text.push_str(&status(&server, now));
            text.push_str(&machine(pod.as_ref()));
            text.push_str(&events(global, &session, &server, now).await);
            text.push_str(&how_to_reach(&session.place, &server));
            output::print(&text)?;
        }
    }
    Ok(Exit::Ok)
}

/// The pod, when there is one and the user may see it.
pub(super) async fn pod(global: &Global, session: &Session, server: &DevServer) -> Option<Pod> {
    let name = ServerName::parse(&server.name_any()).ok()?.pod();
    match cluster::answer("failed to get the pod", session.pods().get_opt(&name)).await {
        Ok(pod) => pod.filter(|p| progress::is_of(p, server)),
        Err(failure) => {
            global.detail(format_args!("{failure}"));
            None
        }
    }
}

fn line(text: &mut String, title: &str, value: Option<&str>) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{:<16}{}",
        format!("{title}:"),
        escape::line(&or_dash(value))
    );
}

fn spec(server: &DevServer, now: Timestamp) -> String {
    let spec = &server.spec;
    let flavor = server
        .status
        .as_ref()
        .and_then(|s| s.flavor.as_deref())
        .or(spec.flavor.as_deref());
    let mut text = String::new();
    line(&mut text, "Name", Some(&server.name_any()));
    line(&mut text, "Namespace", server.namespace().as_deref());
    line(&mut text, "Owner", spec.owner.as_deref());
    line(&mut text, "Flavor", flavor);
    line(
        &mut text,
        "Image",
        spec.image
            .as_deref()
            .or(Some("(the flavor's or the platform's)")),
    );
    line(
        &mut text,
        "Home",
        spec.persistent_home_size
            .as_deref()
            .or(Some("(the platform's default size)")),
    );
    if let Some(class) = &spec.storage_class_name {
        line(&mut text, "Storage class", Some(class));
    }
    if let Some(claim) = &spec.shared_volume_claim_name {
        line(&mut text, "Shared", Some(&format!("{claim} at /shared")));
    }
    features(&mut text, server);
    line(
        &mut text,
        "Expose",
        Some(&spec.ssh.expose.map_or_else(
            || "(the platform's default)".to_owned(),
            |e| format!("{e:?}"),
        )),
    );
    if let Some(lifecycle) = &spec.lifecycle {
        line(&mut text, "Time to live", lifecycle.time_to_live.as_deref());
        let fate = match lifecycle.volume_retention.unwrap_or_default() {
            VolumeRetention::Retain => "the home stays",
            VolumeRetention::Delete => "the home is deleted too",
        };
        line(&mut text, "On deletion", Some(fate));
    }
    line(
        &mut text,
        "Age",
        Some(&age(server.metadata.creation_timestamp.as_ref(), now)),
    );
    text
}

/// What it offers beside shells.
fn features(text: &mut String, server: &DevServer) {
    let spec = &server.spec;
    if spec.editor.as_ref().is_some_and(|editor| editor.enabled) {
        let runs = server.status.as_ref().and_then(|s| s.editor.as_ref());
        let where_ = runs.map_or_else(
            || "comes when the machine runs".to_owned(),
            |editor| format!("port {}, through the console", editor.port),
        );
        line(text, "Editor", Some(&where_));
    }
    if let Some(docker) = spec.docker.as_ref().filter(|docker| docker.enabled) {
        let size = docker.storage_size.as_deref();
        let size = size.unwrap_or("(the platform's default size)");
        line(text, "Docker", Some(&format!("volume of {size}")));
    }
    if let Some(access) = &spec.kube_access {
        line(text, "Kubernetes", Some(&format!("role {}", access.role)));
    }
}

fn status(server: &DevServer, now: Timestamp) -> String {
    let mut text = String::new();
    line(&mut text, "Phase", Some(phase(server)));
    let Some(status) = &server.status else {
        line(
            &mut text,
            "Message",
            Some("the operator has not looked at it yet"),
        );
        return text;
    };
    if status.observed_generation < server.metadata.generation {
        line(
            &mut text,
            "Note",
            Some("the operator has not seen the newest spec yet; what follows is older"),
        );
    }
    line(&mut text, "Message", status.message.as_deref());
    line(
        &mut text,
        "Expires",
        Some(&match expires(status.expiration_time.as_ref(), now) {
            left if status.expiration_time.is_some() => format!("in {left}"),
            never => never,
        }),
    );
    for advice in &status.advice {
        let told = format!("{}; {}", advice.message, advice.remedy);
        line(&mut text, "Advice", Some(&told));
    }
    for key in status.ssh.iter().flat_map(|s| &s.host_keys) {
        line(&mut text, "Host key", Some(key));
    }
    if !status.conditions.is_empty() {
        let mut columns = Columns::new(&["  CONDITION", "STATUS", "SINCE", "REASON", "MESSAGE"]);
        for c in &status.conditions {
            let since = age(Some(&c.last_transition_time), now);
            columns.row(&[
                &format!("  {}", c.type_),
                &c.status,
                &since,
                &c.reason,
                &c.message,
            ]);
        }
        text.push_str("Conditions:\n");
        text.push_str(&columns.finish());
    }
    text
}

fn machine(pod: Option<&Pod>) -> String {
    let mut text = String::new();
    let Some(pod) = pod else { return text };
    let node = node(pod);
    let status = pod.status.as_ref();
    let restarts: i32 = status
        .iter()
        .flat_map(|s| s.container_statuses.iter().flatten())
        .map(|c| c.restart_count)
        .sum();
    line(&mut text, "Pod", Some(&pod.name_any()));
    line(&mut text, "Node", node);
    line(
        &mut text,
        "Pod phase",
        status.and_then(|s| s.phase.as_deref()),
    );
    line(&mut text, "Restarts", Some(&restarts.to_string()));
    if let Some(reason) = progress::waiting_reason(pod) {
        line(&mut text, "Waiting", Some(&reason));
    }
    text
}

/// Events of the DevServer and its objects; who may not list them sees a line that says so.
async fn events(global: &Global, session: &Session, server: &DevServer, now: Timestamp) -> String {
    let events = match super::events::list(session, &server.name_any(), Some(server)).await {
        Ok(events) => events,
        Err(failure) => {
            global.detail(format_args!("{failure}"));
            return "Events:         (you may not list events)\n".to_owned();
        }
    };
    if events.is_empty() {
        return "Events:         none\n".to_owned();
    }
    let mut columns = Columns::new(&["  AGE", "TYPE", "REASON", "MESSAGE"]);
    for event in events.iter().skip(events.len().saturating_sub(EVENTS)) {
        let at = happened::time(event).map(Time);
        columns.row(&[
            &format!("  {}", age(at.as_ref(), now)),
            &or_dash(event.type_.as_deref()),
            &or_dash(event.reason.as_deref()),
            &or_dash(event.message.as_deref().map(str::trim)),
        ]);
    }
    format!("Events:\n{}", columns.finish())
}

fn how_to_reach(place: &Place, server: &DevServer) -> String {
    let name = server.name_any();
    let Ok(target) = access::target(place, server) else {
        return String::new();
    };
    let ssh = server.status.as_ref().and_then(|s| s.ssh.as_ref());
    let mut text = String::from("How to reach it:\n");
    let _ = writeln!(text, "  devctl ssh {name}");
    let _ = writeln!(
        text,
        "  ssh {}   (also scp, rsync, editors; once: devctl config ssh-include --enable)",
        target.host()
    );
    let host = ssh.and_then(|s| s.host.as_deref()).map(escape::line);
    match (host, ssh.and_then(|s| s.node_port)) {
        (Some(host), port) => {
            let port = port.unwrap_or(group::SSH_PORT);
            let _ = writeln!(text, "  {host}, port {port}, user dev");
        }
        (None, Some(port)) => {
            let _ = writeln!(text, "  any node, port {port}, user dev");
        }
        (None, None) => {}
    }
    text
}
