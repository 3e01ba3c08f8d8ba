//! Keys of people: of the owner, of collaborators, of the gateway.

use devserver_api::{Collaborator, KeyRef, KeysSource, ssh_key::PublicKey};

use super::{keys::People, *};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R alice@example.com";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFoGcrXBJvgY4ixZ7v1mPq0k3o8XQm2uTnLd5hRw9sYa bob@example.com";

fn from_secret() -> SshSpec {
    let named = KeyRef {
        name: "team".to_owned(),
        key: "keys".to_owned(),
    };
    SshSpec {
        authorized_keys_from: vec![KeysSource {
            secret_key_ref: Some(named),
            ..KeysSource::default()
        }],
        ..SshSpec::default()
    }
}

#[test]
fn the_keys_of_the_owner_as_a_user_of_the_platform_log_in_and_nobody_elses() {
    let mut user =
        devserver_api::DevServerUser::new("alice", devserver_api::DevServerUserSpec::default());
    user.spec.username = "alice".to_owned();
    user.spec.ssh_public_keys = vec![OTHER.to_owned()];
    let references = References {
        people: vec![user],
        ..References::default()
    };
    let name = ServerName::parse("box").unwrap();
    let spec = SshSpec {
        public_key: Some(KEY.to_owned()),
        ..SshSpec::default()
    };
    let lines = |owner| {
        let people = People {
            owner,
            ..People::default()
        };
        let ssh = resolve(
            &spec,
            people,
            (&name, &Login::default()),
            None,
            &references,
            &Platform::default(),
        )
        .unwrap();
        ssh.keys.iter().map(PublicKey::line).collect::<Vec<_>>()
    };
    assert_eq!(lines(Some("alice")), [KEY, OTHER]);
    assert_eq!(lines(Some("bob")), [KEY]);
    assert_eq!(lines(None), [KEY]);
}

#[test]
fn a_collaborators_key_is_not_among_those_that_speak_for_the_owner() {
    let others = [Collaborator {
        user: "bob".to_owned(),
        public_keys: vec![OTHER.to_owned()],
    }];
    let people = People {
        collaborators: &others,
        ..People::default()
    };
    let references = References {
        keys_from: vec![Found::Text(KEY.to_owned())],
        ..References::default()
    };
    let name = ServerName::parse("box").unwrap();
    let platform = Platform::default();
    let ssh = resolve(
        &from_secret(),
        people,
        (&name, &Login::default()),
        None,
        &references,
        &platform,
    )
    .unwrap();
    let lines = |keys: &[PublicKey]| keys.iter().map(PublicKey::line).collect::<Vec<_>>();
    assert_eq!(lines(&ssh.keys), [OTHER, KEY]);
    assert_eq!(lines(&ssh.referenced_keys), [KEY]);
}

fn known_as(username: &str, keys: &[&str]) -> devserver_api::DevServerUser {
    let mut user =
        devserver_api::DevServerUser::new(username, devserver_api::DevServerUserSpec::default());
    user.spec.username = username.to_owned();
    user.spec.ssh_public_keys = keys.iter().map(|key| (*key).to_owned()).collect();
    user
}

#[test]
fn c7_naming_a_user_lets_in_the_keys_of_that_user_and_they_speak_for_nobody_else() {
    let named = |user: &str, keys: &[&str]| Collaborator {
        user: user.to_owned(),
        public_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    let references = References {
        people: vec![
            known_as("bob", &["no key at all", OTHER]),
            known_as("mallory", &[KEY]),
        ],
        ..References::default()
    };
    let spec = SshSpec {
        public_key: Some(KEY.to_owned()),
        ..SshSpec::default()
    };
    let lines = |collaborators: &[Collaborator]| {
        let people = People {
            owner: Some("alice"),
            collaborators,
        };
        let (name, platform) = (ServerName::parse("box").unwrap(), Platform::default());
        let ssh = resolve(
            &spec,
            people,
            (&name, &Login::default()),
            None,
            &references,
            &platform,
        )
        .unwrap();
        assert!(ssh.referenced_keys.is_empty());
        ssh.keys.iter().map(PublicKey::line).collect::<Vec<_>>()
    };
    // The bad line of Bob's is not Alice's to mend, and keeps nobody out.
    assert_eq!(lines(&[named("bob", &[])]), [KEY, OTHER]);
    assert_eq!(lines(&[named("Bob", &[]), named("bo", &[])]), [KEY]);
    assert_eq!(lines(&[]), [KEY]);
    // The owner wrote down which keys: those and no others.
    assert_eq!(lines(&[named("bob", &[KEY])]), [KEY]);
}

#[test]
fn the_authority_of_the_gateway_counts_only_where_the_platform_says_so() {
    let references = References {
        gateway_authorities: vec![PublicKey::parse(OTHER).unwrap()],
        ..References::default()
    };
    let name = ServerName::parse("box").unwrap();
    let authorities = |mode, config: &str| {
        let spec = SshSpec {
            public_key: Some(KEY.to_owned()),
            mode,
            ..SshSpec::default()
        };
        let platform = Platform::parse(config).unwrap();
        let ssh = resolve(
            &spec,
            People::default(),
            (&name, &Login::default()),
            None,
            &references,
            &platform,
        );
        ssh.unwrap().gateway_authorities.len()
    };
    let on = "gateway: {host: gw, port: 22, direct: true}";
    assert_eq!(authorities(None, on), 1);
    assert_eq!(authorities(Some(SshMode::Sidecar), on), 1);
    assert_eq!(authorities(Some(SshMode::Disabled), on), 0);
    for off in [
        "",
        "gateway: {host: gw, port: 22}",
        "gateway: {host: gw, port: 22, direct: false}",
    ] {
        assert_eq!(authorities(None, off), 0, "{off:?}");
    }
}
