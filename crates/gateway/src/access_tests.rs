use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::table::Person;

const ALICE: u8 = 1;
const BOB: u8 = 2;
const MALLORY: u8 = 3;

fn key(number: u8) -> Fingerprint {
    Fingerprint::of_blob(&[number])
}

fn keys(numbers: &[u8]) -> HashSet<Fingerprint> {
    numbers.iter().copied().map(key).collect()
}

fn id(name: &str, namespace: &str) -> ServerId {
    ServerId {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn server(owner: &str, with: &[u8], collaborators: &[(&str, &[u8])]) -> Server {
    Server {
        uid: "uid".to_owned(),
        owner: (!owner.is_empty()).then(|| owner.to_owned()),
        keys: keys(with),
        collaborators: collaborators
            .iter()
            .map(|(user, with)| ((*user).to_owned(), keys(with)))
            .collect::<BTreeMap<_, _>>(),
        ..Server::default()
    }
}

fn person(username: &str, with: &[u8]) -> Person {
    Person {
        username: username.to_owned(),
        namespace: Some(format!("dev-{username}")),
        keys: keys(with),
        refused: false,
    }
}

/// Alice has a box in her namespace and one in the namespace of a team, and lets Bob into the first.
fn table() -> Table {
    let mut table = Table::default();
    for name in ["alice", "bob", "mallory"] {
        table.put_person(name.to_owned(), person(name, &[]));
    }
    table.put_server(
        id("box", "dev-alice"),
        server("alice", &[ALICE], &[("bob", &[])]),
    );
    table.put_server(id("box", "team"), server("alice", &[ALICE], &[]));
    table.put_server(id("box", "dev-bob"), server("bob", &[BOB], &[]));
    table.put_server(id("box", "dev-mallory"), server("mallory", &[MALLORY], &[]));
    table
}

fn reach(table: &Table, user: &str, with: u8, to: (&str, &str)) -> Option<Role> {
    let to = id(to.0, to.1);
    let grant = Grant {
        user: user.to_owned(),
        proof: Proof::Key(key(with)),
    };
    let server = table.server(&to)?;
    let reached = may_reach(table, &grant, &to, server);
    assert!(reached.is_none() || is_known(table, user, key(with)));
    reached
}

#[test]
fn owner_and_collaborator_reach_a_server_and_nobody_else_does() {
    let table = table();
    for (user, with, to, expected) in [
        ("alice", ALICE, ("box", "dev-alice"), Some(Role::Owner)),
        ("alice", ALICE, ("box", "team"), Some(Role::Owner)),
        ("bob", BOB, ("box", "dev-alice"), Some(Role::Collaborator)),
        ("bob", BOB, ("box", "dev-bob"), Some(Role::Owner)),
        ("bob", BOB, ("box", "team"), None),
        ("alice", ALICE, ("box", "dev-bob"), None),
        ("mallory", MALLORY, ("box", "dev-alice"), None),
        ("alice", MALLORY, ("box", "dev-alice"), None),
        ("mallory", ALICE, ("box", "dev-alice"), None),
        ("Alice", ALICE, ("box", "dev-alice"), None),
        ("", ALICE, ("box", "dev-alice"), None),
    ] {
        assert_eq!(
            reach(&table, user, with, to),
            expected,
            "{user} {with} {to:?}"
        );
    }
    assert!(!is_known(&table, "alice", key(MALLORY)));
    assert!(!is_known(&table, "nobody", key(ALICE)));
}

#[test]
fn c2_a_server_that_claims_another_owner_opens_nothing_else_of_that_owner() {
    let mut table = table();
    // Mallory got one past admission that says it is Alice's, with Mallory's key.
    table.put_server(id("trap", "dev-mallory"), server("alice", &[MALLORY], &[]));
    assert_eq!(
        reach(&table, "alice", MALLORY, ("trap", "dev-mallory")),
        Some(Role::Owner)
    );
    for to in [("box", "dev-alice"), ("box", "team"), ("box", "dev-bob")] {
        assert_eq!(reach(&table, "alice", MALLORY, to), None, "{to:?}");
    }
    // Nor does naming Bob as a collaborator make Mallory's key one of Bob's.
    table.put_server(
        id("bait", "dev-mallory"),
        server("mallory", &[MALLORY], &[("bob", &[MALLORY])]),
    );
    assert_eq!(reach(&table, "bob", MALLORY, ("box", "dev-alice")), None);
    assert_eq!(
        reach(&table, "bob", MALLORY, ("bait", "dev-mallory")),
        Some(Role::Collaborator)
    );
}

#[test]
fn a_key_of_a_collaborator_opens_the_server_that_names_it_and_no_other() {
    let mut table = table();
    table.put_server(
        id("shared", "dev-alice"),
        server("alice", &[ALICE], &[("carol", &[9])]),
    );
    assert_eq!(
        reach(&table, "carol", 9, ("shared", "dev-alice")),
        Some(Role::Collaborator)
    );
    assert_eq!(reach(&table, "carol", 9, ("box", "dev-alice")), None);
    assert_eq!(reach(&table, "carol", ALICE, ("shared", "dev-alice")), None);
}

#[test]
fn a_server_without_an_owner_belongs_to_whose_namespace_it_is_in() {
    let mut table = table();
    table.put_server(id("plain", "dev-alice"), server("", &[7], &[]));
    table.put_server(id("plain", "nowhere"), server("", &[7], &[]));
    assert_eq!(
        reach(&table, "alice", 7, ("plain", "dev-alice")),
        Some(Role::Owner)
    );
    assert_eq!(
        reach(&table, "alice", 7, ("box", "team")),
        Some(Role::Owner)
    );
    assert_eq!(reach(&table, "alice", 7, ("plain", "nowhere")), None);
    assert_eq!(reach(&table, "bob", 7, ("plain", "dev-alice")), None);
}

#[test]
fn f8_a_key_that_was_taken_away_opens_nothing() {
    let mut table = table();
    table.put_server(id("box", "dev-alice"), server("alice", &[8], &[]));
    assert_eq!(
        reach(&table, "alice", 8, ("box", "dev-alice")),
        Some(Role::Owner)
    );
    assert_eq!(reach(&table, "bob", BOB, ("box", "dev-alice")), None);
    table.remove_server(&id("box", "team"));
    assert!(!is_known(&table, "alice", key(ALICE)));
    table.put_person("alice".to_owned(), person("alice", &[ALICE]));
    assert!(is_known(&table, "alice", key(ALICE)));
    table.remove_person("alice");
    assert!(!is_known(&table, "alice", key(ALICE)));
}

#[test]
fn a_certificate_counts_for_everything_the_user_may_reach_and_for_nothing_else() {
    let table = table();
    let grant = Grant {
        user: "bob".to_owned(),
        proof: Proof::Trusted(key(99)),
    };
    let reach = |to: &ServerId| may_reach(&table, &grant, to, table.server(to).unwrap());
    assert_eq!(reach(&id("box", "dev-alice")), Some(Role::Collaborator));
    assert_eq!(reach(&id("box", "dev-bob")), Some(Role::Owner));
    assert_eq!(reach(&id("box", "team")), None);
}

/// Whether the key lets the user into the server in direct mode, where sshd asks for none.
fn enter(table: &Table, user: &str, with: u8, to: (&str, &str)) -> Option<Role> {
    let to = id(to.0, to.1);
    let grant = Grant {
        user: user.to_owned(),
        proof: Proof::Key(key(with)),
    };
    may_enter(table, &grant, &to, table.server(&to)?)
}

#[test]
fn c7_in_direct_mode_a_key_in_one_server_opens_that_server_alone() {
    let mut table = table();
    assert_eq!(
        enter(&table, "alice", ALICE, ("box", "dev-alice")),
        Some(Role::Owner)
    );
    // Mallory may write DevServers in the namespace of the team and says that one is Alice's. At the jump host that reaches
    // Alice's machine there, whose sshd then asks for a key; here nobody asks again.
    table.put_server(id("trap", "team"), server("alice", &[MALLORY], &[]));
    assert_eq!(
        reach(&table, "alice", MALLORY, ("box", "team")),
        Some(Role::Owner)
    );
    assert_eq!(enter(&table, "alice", MALLORY, ("box", "team")), None);
    assert_eq!(
        enter(&table, "alice", MALLORY, ("trap", "team")),
        Some(Role::Owner)
    );
    // The same in Alice's own namespace, by whoever may write there.
    table.put_server(id("trap", "dev-alice"), server("alice", &[MALLORY], &[]));
    for to in [("box", "dev-alice"), ("box", "team")] {
        assert_eq!(enter(&table, "alice", MALLORY, to), None, "{to:?}");
    }
    // Bob is named without a key: what is in servers of his own is not enough, what an administrator wrote down is.
    assert_eq!(enter(&table, "bob", BOB, ("box", "dev-alice")), None);
    table.put_person("bob".to_owned(), person("bob", &[BOB]));
    assert_eq!(
        enter(&table, "bob", BOB, ("box", "dev-alice")),
        Some(Role::Collaborator)
    );
    assert_eq!(enter(&table, "bob", BOB, ("box", "team")), None);
}

#[test]
fn c7_keys_of_a_user_count_for_collaborators_anywhere_and_a_second_user_of_the_name_has_none() {
    let mut table = table();
    table.put_server(
        id("lab", "team"),
        server("alice", &[ALICE], &[("bob", &[])]),
    );
    table.put_person("bob".to_owned(), person("bob", &[9]));
    assert_eq!(
        reach(&table, "bob", 9, ("lab", "team")),
        Some(Role::Collaborator)
    );
    // Whoever makes another DevServerUser of Bob's name does not become Bob: not before the operator has looked at it, and
    // not after.
    let second = Person {
        namespace: None,
        ..person("bob", &[MALLORY])
    };
    table.put_person("imposter".to_owned(), second.clone());
    assert_eq!(reach(&table, "bob", MALLORY, ("lab", "team")), None);
    let refused = Person {
        refused: true,
        ..second
    };
    table.put_person("imposter".to_owned(), refused);
    table.remove_person("bob");
    assert_eq!(reach(&table, "bob", MALLORY, ("lab", "team")), None);
    assert!(!is_known(&table, "bob", key(MALLORY)));
}
