use devserver_api::{
    Collaborator, KeyRef, KeysSource,
    ssh_key::{KeyError, PublicKey},
};

use super::{keys::People, *};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R alice@example.com";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFoGcrXBJvgY4ixZ7v1mPq0k3o8XQm2uTnLd5hRw9sYa bob@example.com";

fn reference() -> KeyRef {
    KeyRef {
        name: "team".to_owned(),
        key: "keys".to_owned(),
    }
}

fn from_secret() -> SshSpec {
    SshSpec {
        authorized_keys_from: vec![KeysSource {
            secret_key_ref: Some(reference()),
            ..KeysSource::default()
        }],
        ..SshSpec::default()
    }
}

fn resolved(spec: &SshSpec, texts: &[Option<&str>]) -> Result<Ssh, InvalidAccess> {
    let references = References {
        keys_from: texts
            .iter()
            .map(|text| text.map_or(Found::Missing, |text| Found::Text(text.to_owned())))
            .collect(),
        ..References::default()
    };
    let name = ServerName::parse("box").unwrap();
    resolve(
        spec,
        People::default(),
        (&name, &Login::default()),
        None,
        &references,
        &Platform::default(),
    )
}

#[test]
fn keys_of_objects_join_those_of_the_spec_without_repetition() {
    let mut spec = from_secret();
    spec.public_key = Some(KEY.to_owned());
    let text = format!("# the team\n\n  {KEY}\r\n{OTHER}\n");
    let lines: Vec<String> = resolved(&spec, &[Some(&text)])
        .unwrap()
        .keys
        .iter()
        .map(PublicKey::line)
        .collect();
    assert_eq!(lines, [KEY, OTHER]);
}

#[test]
fn keys_of_collaborators_log_in_and_a_bad_one_is_named() {
    let spec = SshSpec {
        public_key: Some(KEY.to_owned()),
        ..SshSpec::default()
    };
    let with = |key: &str| {
        let others = [Collaborator {
            user: "bob".to_owned(),
            public_keys: vec![key.to_owned()],
        }];
        let name = ServerName::parse("box").unwrap();
        let references = References::default();
        resolve(
            &spec,
            People {
                collaborators: &others,
                ..People::default()
            },
            (&name, &Login::default()),
            None,
            &references,
            &Platform::default(),
        )
    };
    let keys = with(OTHER).unwrap().keys;
    assert_eq!(
        keys.iter().map(PublicKey::line).collect::<Vec<_>>(),
        [KEY, OTHER]
    );
    let told = with("command=\"id\" ssh-ed25519 AAAA")
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("spec.collaborators[0].publicKeys[0]"),
        "{told}"
    );
}

#[test]
fn a_missing_object_is_named_and_what_nobody_looked_for_is_not_missed() {
    let error = resolved(&from_secret(), &[None]).unwrap_err().to_string();
    for word in ["authorizedKeysFrom[0]", "Secret", "\"team\"", "\"keys\""] {
        assert!(error.contains(word), "{error}");
    }
    assert!(resolved(&from_secret(), &[]).unwrap().keys.is_empty());
    assert_eq!(
        resolved(&from_secret(), &[Some("# nobody\n")]),
        Err(InvalidAccess::NoKey)
    );
}

#[test]
fn d1_bad_lines_are_refused_by_number_and_never_repeated() {
    for (bad, error) in [
        (format!("command=\"id\" {KEY}"), KeyError::Algorithm),
        (format!("{KEY}\u{7}"), KeyError::Comment),
        ("ssh-rsa AAAA...".to_owned(), KeyError::Blob),
        ("hunter2".to_owned(), KeyError::Algorithm),
    ] {
        let told = resolved(&from_secret(), &[Some(&format!("{KEY}\n{bad}\n"))]).unwrap_err();
        let text = told.to_string();
        assert!(
            text.contains("line 2") && !text.contains("hunter2"),
            "{text}"
        );
        let InvalidAccess::Key { error: found, .. } = told else {
            panic!("{text}");
        };
        // A control character is found before the comment is looked at.
        assert!(found == error || found == KeyError::NotOneLine, "{text}");
    }
}

#[test]
fn d2_a_private_key_in_an_object_is_refused_and_never_repeated() {
    let text =
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n";
    let told = resolved(&from_secret(), &[Some(text)])
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("PRIVATE") && !told.contains("b3Blb"),
        "{told}"
    );
}

#[test]
fn names_that_would_leave_the_path_of_a_request_are_refused() {
    for name in ["../x", "a/b", "", "a?b", "A", "a b"] {
        let mut spec = from_secret();
        spec.authorized_keys_from[0].secret_key_ref = Some(KeyRef {
            name: name.to_owned(),
            key: "k".to_owned(),
        });
        assert!(matches!(
            resolved(&spec, &[None]),
            Err(InvalidAccess::Reference(_))
        ));
    }
}

#[test]
fn a_flavor_without_root_means_a_sidecar_and_refuses_sshd_in_the_container() {
    let key = Some(KEY.to_owned());
    let with = |mode| {
        let spec = SshSpec {
            public_key: key.clone(),
            mode,
            ..SshSpec::default()
        };
        let name = ServerName::parse("box").unwrap();
        let references = References::default();
        resolve(
            &spec,
            People::default(),
            (&name, &Login::default()),
            Some("tight"),
            &references,
            &Platform::default(),
        )
    };
    assert_eq!(with(None).unwrap().mode, SshMode::Sidecar);
    assert_eq!(
        with(Some(SshMode::Disabled)).unwrap().mode,
        SshMode::Disabled
    );
    let told = with(Some(SshMode::InContainer)).unwrap_err();
    assert_eq!(told.reason(), "SshModeNotAllowed");
    assert!(told.to_string().contains("\"tight\""));
}

#[test]
fn without_sshd_no_key_is_needed() {
    let spec = SshSpec {
        mode: Some(SshMode::Disabled),
        ..SshSpec::default()
    };
    assert!(resolved(&spec, &[]).is_ok());
}

#[test]
fn s0_15_passwords_are_refused_unless_the_platform_allows_them() {
    let spec = SshSpec {
        public_key: Some(KEY.to_owned()),
        password_hash_from: Some(reference()),
        ..SshSpec::default()
    };
    let told = resolved(&spec, &[]).unwrap_err();
    assert_eq!(told.reason(), "PasswordAuthenticationNotAllowed");
    let platform = Platform {
        allow_password_authentication: true,
        ..Platform::default()
    };
    let name = ServerName::parse("box").unwrap();
    let references = References::default();
    assert!(
        resolve(
            &spec,
            People::default(),
            (&name, &Login::default()),
            None,
            &references,
            &platform
        )
        .is_ok()
    );
    let sidecar = SshSpec {
        mode: Some(SshMode::Sidecar),
        ..spec
    };
    assert_eq!(
        resolve(
            &sidecar,
            People::default(),
            (&name, &Login::default()),
            None,
            &references,
            &platform
        ),
        Err(InvalidAccess::PasswordNeedsInContainer)
    );
}
fn with_password(found: Option<Found>) -> Result<Option<Password>, InvalidAccess> {
    let spec = SshSpec {
        password_hash_from: Some(reference()),
        ..SshSpec::default()
    };
    let platform = Platform {
        allow_password_authentication: true,
        ..Platform::default()
    };
    let references = References {
        password_hash: found,
        ..References::default()
    };
    let name = ServerName::parse("box").unwrap();
    resolve(
        &spec,
        People::default(),
        (&name, &Login::default()),
        None,
        &references,
        &platform,
    )
    .map(|ssh| ssh.password)
}

#[test]
fn a_password_hash_is_read_and_what_is_missing_or_none_is_named_and_never_repeated() {
    let hash = format!("$6$salt${}", "a".repeat(86));
    let read = with_password(Some(Found::Text(format!("{hash}\n"))));
    assert_eq!(
        read,
        Ok(Some(Password::Hash(PasswordHash::parse(&hash).unwrap())))
    );
    assert_eq!(with_password(None), Ok(Some(Password::NotRead)));
    for (found, reason, word) in [
        (Found::Missing, "PasswordHashNotFound", "openssl passwd -6"),
        (
            Found::Text("hunter2".to_owned()),
            "InvalidPasswordHash",
            "openssl passwd -6",
        ),
        (
            Found::OfPlatform,
            "ReferenceNotAllowed",
            "belongs to the platform",
        ),
    ] {
        let told = with_password(Some(found)).unwrap_err();
        assert_eq!(told.reason(), reason);
        let told = told.to_string();
        for word in [word, "spec.ssh.passwordHashFrom", "Secret", "\"team\""] {
            assert!(told.contains(word), "{told}");
        }
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn an_object_of_the_platform_is_no_source_of_keys() {
    let references = References {
        keys_from: vec![Found::OfPlatform],
        ..References::default()
    };
    let name = ServerName::parse("box").unwrap();
    let told = resolve(
        &from_secret(),
        People::default(),
        (&name, &Login::default()),
        None,
        &references,
        &Platform::default(),
    );
    let told = told.unwrap_err();
    assert_eq!(told.reason(), "ReferenceNotAllowed");
    assert!(
        told.to_string().contains("spec.ssh.authorizedKeysFrom[0]"),
        "{told}"
    );
}
