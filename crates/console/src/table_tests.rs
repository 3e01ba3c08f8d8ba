use super::*;

fn id(name: &str) -> ServerId {
    ServerId {
        namespace: "dev-alice".into(),
        name: name.into(),
    }
}

fn server(uid: &str) -> Server {
    Server {
        uid: uid.into(),
        owner: Some("alice".into()),
        ..Server::default()
    }
}

fn pod(uid: &str) -> Pod {
    Pod {
        server_uid: uid.into(),
        address: Some("10.244.0.7".parse().unwrap()),
        host_addresses: vec!["192.0.2.10".parse().unwrap()],
        editor: Some(8080),
        taken: BTreeSet::from([22, 8080, 9022]),
        ..Pod::default()
    }
}

fn table() -> Table {
    let mut table = Table::new(true);
    table.put_server(id("box"), server("u1"));
    table.put_pod(id("box"), pod("u1"));
    table
}

fn located(table: &Table) -> Result<SocketAddr, Away> {
    let place = table.place("box--dev-alice").unwrap().clone();
    table.locate(&place, &[])
}

#[test]
fn a_host_leads_to_the_pod_of_the_server() {
    assert_eq!(located(&table()), Ok("10.244.0.7:8080".parse().unwrap()));
    assert_eq!(table().place("box"), None);
    let mut gone = table();
    gone.remove_server(&id("box"));
    assert_eq!(gone.place("box--dev-alice"), None);
}

#[test]
fn c13_only_owner_and_collaborators_have_a_role_and_administrators_have_none() {
    let mut table = table();
    let mut shared = server("u2");
    shared.collaborators.insert("bob".into());
    table.put_server(id("shared"), shared);
    table.put_server(
        id("unowned"),
        Server {
            owner: None,
            ..server("u3")
        },
    );
    table.put_person(
        "alice".into(),
        Person {
            username: "alice".into(),
            namespace: Some("dev-alice".into()),
        },
    );
    assert_eq!(table.role("alice", &id("box")), Some(Role::Owner));
    assert_eq!(table.role("bob", &id("box")), None);
    assert_eq!(table.role("bob", &id("shared")), Some(Role::Collaborator));
    assert_eq!(table.role("alice", &id("unowned")), Some(Role::Owner));
    assert_eq!(table.role("bob", &id("unowned")), None);
    assert_eq!(table.servers_of("bob").len(), 1);
    assert_eq!(table.servers_of("admin").len(), 0);
}

#[test]
fn what_is_not_there_yet_or_no_more_is_told_apart() {
    for (change, away) in [
        (
            Server {
                suspended: true,
                ..server("u1")
            },
            Away::Suspended,
        ),
        (
            Server {
                ends: true,
                ..server("u1")
            },
            Away::Ends,
        ),
        // The pod is that of an earlier one of the name.
        (server("u9"), Away::Starting),
        (
            Server {
                phase: Some(Phase::Failed),
                ..server("u9")
            },
            Away::Failed,
        ),
    ] {
        let mut table = table();
        table.put_server(id("box"), change);
        assert_eq!(located(&table), Err(away));
    }
    let mut without = table();
    without.put_pod(
        id("box"),
        Pod {
            editor: None,
            ..pod("u1")
        },
    );
    assert_eq!(located(&without), Err(Away::NoEditor));
}

#[test]
fn c8_no_address_but_a_pods_is_dialled() {
    for address in ["127.0.0.1", "169.254.169.254", "192.0.2.10", "::1"] {
        let mut table = table();
        let address = Some(address.parse().unwrap());
        table.put_pod(
            id("box"),
            Pod {
                address,
                ..pod("u1")
            },
        );
        assert_eq!(located(&table), Err(Away::Address), "{address:?}");
    }
    let mut table = table();
    table.put_pod(
        id("box"),
        Pod {
            host_network: true,
            ..pod("u1")
        },
    );
    assert_eq!(located(&table), Err(Away::Address));
}

fn with_ports(ports: &[(u16, Share)]) -> Table {
    let port = |(number, share): &(u16, Share)| {
        let name = format!("p{number}");
        (
            *number,
            port::Port {
                name,
                share: *share,
            },
        )
    };
    let mut table = table();
    table.put_server(
        id("box"),
        Server {
            ports: ports.iter().map(port).collect(),
            collaborators: BTreeSet::from(["bob".to_owned()]),
            ..server("u1")
        },
    );
    table
}

#[test]
fn c13_a_port_is_there_while_it_is_declared_and_never_one_of_the_platforms() {
    let table = with_ports(&[
        (3000, Share::Owner),
        (22, Share::Owner),
        (9022, Share::Owner),
    ]);
    let at = |label: &str| table.place(label).map(|place| table.locate(place, &[]));
    let web = "10.244.0.7:3000".parse().unwrap();
    assert_eq!(at("3000--box--dev-alice"), Some(Ok(web)));
    for port in [22, 9022] {
        let label = format!("{port}--box--dev-alice");
        assert_eq!(at(&label), Some(Err(Away::NoPort)), "{label}");
    }
    for label in [
        "3001--box--dev-alice",
        "03000--box--dev-alice",
        "3000--box--dev-alice--x",
        "3000-box--dev-alice",
        "3000--other--dev-alice",
        "3000--3000--box--dev-alice",
        "+3000--box--dev-alice",
        "3000--",
    ] {
        assert_eq!(at(label), None, "{label}");
    }
    let mut closed = with_ports(&[(3000, Share::Owner)]);
    let place = closed.place("3000--box--dev-alice").unwrap().clone();
    closed.put_server(id("box"), server("u1"));
    assert_eq!(closed.place("3000--box--dev-alice"), None);
    assert_eq!(closed.locate(&place, &[]), Err(Away::NoPort));
    closed.remove_server(&id("box"));
    assert_eq!(closed.labels.len(), 0);
}

#[test]
fn c13_a_port_is_its_owners_and_their_collaborators_unless_it_is_shared() {
    let table = with_ports(&[(3000, Share::Owner), (8000, Share::Authenticated)]);
    let role = |user: &str, label: &str| table.may_enter(user, table.place(label).unwrap());
    for label in ["3000--box--dev-alice", "8000--box--dev-alice"] {
        assert_eq!(role("alice", label), Some(Role::Owner));
        assert_eq!(role("bob", label), Some(Role::Collaborator));
    }
    assert_eq!(role("mallory", "3000--box--dev-alice"), None);
    assert_eq!(role("mallory", "8000--box--dev-alice"), Some(Role::Guest));
    assert_eq!(role("mallory", "box--dev-alice"), None, "the editor is not");
    let mut nobody_shares = Table::default();
    nobody_shares.put_server(id("box"), table.server(&id("box")).unwrap().clone());
    let place = nobody_shares.place("8000--box--dev-alice").unwrap();
    assert_eq!(nobody_shares.may_enter("mallory", place), None);
    assert_eq!(nobody_shares.may_enter("alice", place), Some(Role::Owner));
}
