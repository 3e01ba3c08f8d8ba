use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::{access::Proof, fingerprint::Fingerprint, table::Person};

fn id(name: &str, namespace: &str) -> ServerId {
    ServerId {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn grant(user: &str) -> Grant {
    Grant {
        user: user.to_owned(),
        proof: Proof::Trusted(Fingerprint::of_blob(b"any")),
    }
}

fn server(owner: &str, others: &[&str]) -> Server {
    Server {
        uid: format!("uid-{owner}"),
        owner: Some(owner.to_owned()),
        collaborators: others
            .iter()
            .map(|u| ((*u).to_owned(), HashSet::new()))
            .collect(),
        phase: Some(Phase::Running),
        ..Server::default()
    }
}

fn pod(owner: &str, address: &str) -> Pod {
    Pod {
        server_uid: format!("uid-{owner}"),
        address: Some(address.parse().unwrap()),
        host_addresses: vec!["192.0.2.10".parse().unwrap()],
        ready: true,
        ports: BTreeMap::from([("ssh".to_owned(), 2222)]),
        ..Pod::default()
    }
}

fn table() -> Table {
    let mut table = Table::default();
    for user in ["alice", "bob"] {
        let person = Person {
            username: user.to_owned(),
            namespace: Some(format!("dev-{user}")),
            ..Person::default()
        };
        table.put_person(user.to_owned(), person);
        table.put_server(id("box", &format!("dev-{user}")), server(user, &[]));
    }
    table.put_pod(id("box", "dev-alice"), pod("alice", "10.244.0.7"));
    table
}

fn find_in(table: &Table, user: &str, text: &str) -> Result<ServerId, Refusal> {
    find(
        table,
        &grant(user),
        &Target::parse(text).unwrap(),
        Mode::Jump,
    )
    .map(|(id, _)| id)
}

fn locate_with(change: impl FnOnce(&mut Server, &mut Pod), port: u32) -> Result<Route, Refusal> {
    let (mut table, id) = (table(), id("box", "dev-alice"));
    let (mut server, mut pod) = (server("alice", &[]), pod("alice", "10.244.0.7"));
    change(&mut server, &mut pod);
    table.put_server(id.clone(), server);
    table.put_pod(id.clone(), pod);
    locate(&table, &id, port, "203.0.113.5".parse().unwrap(), &[])
}

#[test]
fn a_name_means_ones_own_server_and_a_namespace_says_which() {
    let mut table = table();
    assert_eq!(find_in(&table, "alice", "box"), Ok(id("box", "dev-alice")));
    assert_eq!(
        find_in(&table, "alice", "box.dev-alice"),
        Ok(id("box", "dev-alice"))
    );
    table.put_server(id("box", "team"), server("alice", &[]));
    assert_eq!(find_in(&table, "alice", "box"), Ok(id("box", "dev-alice")));
    assert_eq!(find_in(&table, "alice", "box.team"), Ok(id("box", "team")));
    table.put_server(id("lab", "team"), server("alice", &[]));
    table.put_server(id("lab", "team-2"), server("carol", &["alice"]));
    let both = vec![id("lab", "team"), id("lab", "team-2")];
    assert_eq!(
        find_in(&table, "alice", "lab"),
        Err(Refusal::Ambiguous(both))
    );
    assert_eq!(find_in(&table, "carol", "lab"), Ok(id("lab", "team-2")));
}

#[test]
fn c7_a_server_of_somebody_else_is_one_that_does_not_exist() {
    let table = table();
    let theirs = find_in(&table, "alice", "box.dev-bob").unwrap_err();
    let nothing = find_in(&table, "alice", "box.nowhere").unwrap_err();
    assert_eq!(theirs, nothing);
    assert_eq!(theirs.to_string(), nothing.to_string());
    assert_eq!(find_in(&table, "mallory", "box"), Err(Refusal::NotFound));
}

#[test]
fn only_declared_ports_lead_somewhere() {
    let at = |port| locate_with(|_, _| {}, port);
    let route = at(22).unwrap();
    assert_eq!(route.address.to_string(), "10.244.0.7:2222");
    assert_eq!(at(2222).unwrap(), route);
    for port in [0, 21, 80, 443, 9022, 10250, 65_558, u32::MAX] {
        assert_eq!(at(port), Err(Refusal::Port(port)));
    }
    let with_http = |_: &mut Server, pod: &mut Pod| {
        pod.ports.insert("http".to_owned(), 8080);
    };
    assert_eq!(locate_with(with_http, 80).unwrap().address.port(), 8080);
    assert_eq!(
        locate_with(|_, pod| pod.ports.clear(), 22),
        Err(Refusal::Port(22))
    );
}

#[test]
fn c8_a_pod_with_the_address_of_something_else_is_not_reached() {
    for address in [
        "127.0.0.1",
        "169.254.169.254",
        "::ffff:127.0.0.1",
        "192.0.2.10",
        "0.0.0.0",
    ] {
        let refused = locate_with(|_, pod| pod.address = Some(address.parse().unwrap()), 22);
        assert_eq!(
            refused,
            Err(Refusal::Address(id("box", "dev-alice"))),
            "{address}"
        );
    }
    let refused = locate_with(|_, pod| pod.host_network = true, 22);
    assert_eq!(refused.unwrap_err().reason(), "address");
}

#[test]
fn a_pod_of_an_earlier_server_of_that_name_is_not_reached() {
    let refused = locate_with(|_, pod| pod.server_uid = "uid-before".to_owned(), 22);
    assert_eq!(refused.unwrap_err().reason(), "starting");
}

#[test]
fn the_client_is_told_why_there_is_no_way() {
    for (change, reason, word) in [
        (
            &(|s: &mut Server, _: &mut Pod| s.suspended = true) as &dyn Fn(&mut Server, &mut Pod),
            "suspended",
            "on request",
        ),
        (
            &|s, _| (s.suspended, s.suspended_by) = (true, SuspendedBy::Policy("idle".to_owned())),
            "suspended",
            "nobody used it",
        ),
        (&|_, p| p.ready = false, "starting", "starting"),
        (&|_, p| p.ends = true, "starting", "starting"),
        (&|_, p| p.address = None, "starting", "starting"),
        (
            &|s, p| (s.phase, p.ready) = (Some(Phase::Failed), false),
            "failed",
            "devctl describe box",
        ),
        (&|s, _| s.ends = true, "ends", "deleted"),
    ] {
        let refusal = locate_with(change, 22).unwrap_err();
        assert_eq!(refusal.reason(), reason);
        assert!(refusal.to_string().contains(word), "{refusal}");
    }
}

#[test]
fn the_early_way_is_that_of_a_first_start_and_has_the_same_bounds() {
    let (box_, client) = (id("box", "dev-alice"), "203.0.113.5".parse().unwrap());
    let early_with = |change: fn(&mut Server, &mut Pod)| {
        let (mut server, mut pod) = (server("alice", &[]), pod("alice", "10.244.0.7"));
        (pod.ready, pod.starts) = (false, true);
        change(&mut server, &mut pod);
        let mut table = table();
        table.put_server(box_.clone(), server);
        table.put_pod(box_.clone(), pod);
        early(&table, &box_, 22, client, &[])
    };
    assert!(early_with(|_, _| {}).is_some());
    assert_eq!(early_with(|_, pod| pod.starts = false), None);
    assert_eq!(early_with(|_, pod| pod.ends = true), None);
    assert_eq!(early_with(|_, pod| pod.host_network = true), None);
    assert_eq!(early_with(|server, _| server.suspended = true), None);
    assert_eq!(
        early_with(|server, _| server.allowed_networks = Some(Vec::new())),
        None
    );
}

#[test]
fn a_server_with_allowed_networks_is_reached_from_those_only() {
    let (box_, mut table) = (id("box", "dev-alice"), table());
    let allow = |table: &mut Table, networks: Option<&[&str]>| {
        let parsed = |all: &[&str]| all.iter().map(|n| Cidr::parse(n).unwrap()).collect();
        let mut row = server("alice", &[]);
        row.allowed_networks = networks.map(parsed);
        table.put_server(box_.clone(), row);
    };
    let from = |table: &Table, client: &str| locate(table, &box_, 22, client.parse().unwrap(), &[]);
    allow(&mut table, Some(&["203.0.113.0/24", "2001:db8::/32"]));
    for client in ["203.0.113.5", "2001:db8::1"] {
        assert!(from(&table, client).is_ok(), "{client}");
    }
    for client in ["198.51.100.7", "2001:db9::1"] {
        assert_eq!(
            from(&table, client),
            Err(Refusal::Network(box_.clone())),
            "{client}"
        );
    }
    // A list of which nothing could be read.
    allow(&mut table, Some(&[]));
    assert!(from(&table, "203.0.113.5").is_err());
    allow(&mut table, None);
    assert!(from(&table, "198.51.100.7").is_ok());
}
