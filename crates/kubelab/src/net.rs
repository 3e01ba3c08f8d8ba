//! The network of a lab: a namespace, a veth pair to the host, and the host's routes to Services and pods.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{
    address::{Plan, Range},
    command::{finish, run},
    config::LabName,
    error::Error,
};

/// What the host routes, as `ip -json route` prints it.
#[derive(Debug, Deserialize)]
struct Route {
    dst: String,
    /// Routes that lead nowhere have none.
    dev: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Link {
    ifname: String,
    #[serde(default)]
    ifalias: String,
}

/// The file that stands for the lab's namespace.
pub fn namespace(name: &LabName) -> PathBuf {
    Path::new("/run/netns").join(name.scope())
}

/// The first plan that nothing on this host overlaps with. `used` are the plans of other labs, running or not.
pub fn free_plan(used: &[Plan]) -> Result<Plan, Error> {
    let text = run("ip", &["-4", "-json", "route", "show", "table", "all"])?;
    let routes: Vec<Route> = parse(&text)?;
    let free = |plan: &Plan| !used.contains(plan) && first_overlap(*plan, &routes).is_none();
    Plan::all().find(free).ok_or_else(|| {
        let first = Plan::all().find_map(|plan| first_overlap(plan, &routes));
        let route = first.map_or_else(String::new, |route| {
            let device = route.dev.as_deref().unwrap_or("nowhere");
            format!(", and {} is routed to {device}", route.dst)
        });
        Error::Addresses {
            taken: format!("{} labs are there{route}", used.len()),
        }
    })
}

fn first_overlap(plan: Plan, routes: &[Route]) -> Option<&Route> {
    routes.iter().find(|route| {
        // A default route covers everything and is what ours are more specific than.
        let range = Range::parse(&route.dst).filter(|range| !range.is_everything());
        range.is_some_and(|range| plan.ranges().iter().any(|ours| ours.overlaps(range)))
    })
}

/// Makes namespace, link, addresses and routes.
pub fn make(name: &LabName, plan: Plan) -> Result<(), Error> {
    let scope = name.scope();
    let host_link = plan.host_link();
    let (host, node) = (plan.host().to_string(), plan.node().to_string());
    let ip = |words: &str| run("ip", &words.split(' ').collect::<Vec<_>>());
    ip(&format!("netns add {scope}"))?;
    ip(&format!(
        "link add {host_link} type veth peer name eth0 netns {scope}"
    ))?;
    // The alias is how `down` finds the link of a lab whose state is lost.
    ip(&format!("link set {host_link} alias {scope}"))?;
    ip(&format!("addr add {host}/30 dev {host_link}"))?;
    ip(&format!("link set {host_link} up"))?;
    // Not `ip -n`: it would need the namespace's own view of /sys, which is slower than entering it.
    let inside = [
        "ip link set lo up".to_owned(),
        format!("ip addr add {node}/30 dev eth0"),
        "ip link set eth0 up".to_owned(),
        // Services and pods need some default route to exist, or lookups of their addresses fail before any rule.
        format!("ip route add default via {host}"),
        // Pods hang on a bridge; whether the kernel has bridges should be known now and not at the first pod.
        "ip link add probe type bridge".into(),
        "ip link delete probe".into(),
        "echo 1 >/proc/sys/net/ipv4/ip_forward".to_owned(),
    ];
    let mut script = std::process::Command::new("nsenter");
    script
        .arg(format!("--net={}", namespace(name).display()))
        .args(["--", "sh", "-ec", &inside.join("\n")]);
    finish(&mut script)?;
    ip(&format!(
        "route add {} via {node} dev {host_link}",
        plan.services()
    ))?;
    ip(&format!(
        "route add {} via {node} dev {host_link}",
        plan.pods()
    ))?;
    Ok(())
}

/// The host's links that belong to a lab, running or not.
pub fn links(name: &LabName) -> Result<Vec<String>, Error> {
    let text = run("ip", &["-json", "link", "show", "type", "veth"])?;
    // Without any such link, old versions of `ip` print empty objects.
    let links: Vec<serde_json::Value> = parse(&text)?;
    let links = links
        .into_iter()
        .filter_map(|link| serde_json::from_value::<Link>(link).ok());
    let scope = name.scope();
    Ok(links
        .filter(|link| link.ifalias == scope)
        .map(|link| link.ifname)
        .collect())
}

/// Removes link and namespace, and with the link the addresses and routes on it.
pub fn remove(name: &LabName) -> Result<(), Error> {
    for link in links(name)? {
        run("ip", &["link", "delete", &link])?;
    }
    if namespace(name).exists() {
        run("ip", &["netns", "delete", &name.scope()])?;
    }
    Ok(())
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<Vec<T>, Error> {
    let text = if text.trim().is_empty() { "[]" } else { text };
    serde_json::from_str(text).map_err(|error| Error::Content {
        path: "ip -json".into(),
        why: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(dst: &str) -> Route {
        Route {
            dst: dst.into(),
            dev: Some("tun0".into()),
        }
    }

    #[test]
    fn a_route_into_a_plan_makes_the_next_one_the_first_free_one() {
        let routes = [
            route("default"),
            route("198.19.3.0/24"),
            route("10.0.0.0/8"),
        ];
        assert!(first_overlap(Plan { index: 0 }, &routes).is_some());
        assert!(first_overlap(Plan { index: 1 }, &routes).is_none());
    }

    #[test]
    fn a_default_route_overlaps_with_nothing() {
        assert!(
            first_overlap(Plan { index: 0 }, &[route("0.0.0.0/0"), route("default")]).is_none()
        );
    }
}
