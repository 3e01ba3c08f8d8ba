//! Who gets in.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use devserver_gateway::{fingerprint::Fingerprint, key_files::Trusted};
use russh::{
    MethodKind, Signer,
    client::AuthResult,
    keys::{
        Certificate, HashAlg, PrivateKey,
        agent::AgentIdentity,
        signature::Signer as _,
        ssh_key::certificate::{Builder, CertType},
    },
};

use crate::{
    client::Client,
    rig::{Rig, new_key, pod_address, soon},
};

fn only_keys(result: &AuthResult) {
    let AuthResult::Failure {
        remaining_methods,
        partial_success,
    } = result
    else {
        panic!("let in");
    };
    assert!(!partial_success);
    assert_eq!(
        remaining_methods.iter().collect::<Vec<_>>(),
        [&MethodKind::PublicKey]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_nothing_but_keys_is_offered_or_taken() {
    let rig = Rig::start();
    let mut client = Client::connect(&rig).await;
    only_keys(
        &soon("none", client.handle.authenticate_none("alice"))
            .await
            .unwrap(),
    );
    only_keys(
        &soon(
            "password",
            client.handle.authenticate_password("alice", "x"),
        )
        .await
        .unwrap(),
    );
    let answer = client
        .handle
        .authenticate_keyboard_interactive_start("alice", None);
    let answer = soon("keyboard-interactive", answer).await.unwrap();
    assert!(format!("{answer:?}").starts_with("Failure"), "{answer:?}");
    assert!(client.enters("alice", &rig.alice).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_only_ones_own_name_with_ones_own_key_gets_in() {
    let rig = Rig::start();
    for user in [
        "alice",
        "Alice",
        "аlice",
        "alice%00",
        "alice+box",
        "alice+../x",
        "alice+",
        "+box",
        "",
        "nobody",
    ] {
        let mut client = Client::connect(&rig).await;
        assert!(!client.enters(user, &rig.mallory).await, "{user:?}");
    }
    let failed = rig.audited("auth_failure", "user", "\\u{430}lice").await;
    let shown = Fingerprint::of(rig.mallory.public_key().key_data()).to_string();
    assert_eq!(failed["keys"], serde_json::json!([shown]));
    assert_eq!(failed["source"], "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_a_server_in_the_user_name_leads_nowhere() {
    let rig = Rig::start();
    rig.streets.echo(pod_address("alice")).await;
    for user in ["mallory+box.dev-alice", "mallory+box", "mallory+nothing"] {
        let client = Client::login(&rig, user, &rig.mallory).await;
        let (said, status) = client.exec("id").await;
        assert!(said.contains("as a jump host") && status == 1, "{said}");
    }
    assert!(rig.streets.dialled.lock().unwrap().is_empty());
}

/// Shows one key and signs with another.
struct Swapped(Arc<PrivateKey>);

impl Signer for Swapped {
    type Error = russh::AgentAuthError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        _: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let signature = self.0.try_sign(&to_sign).unwrap();
        let (name, bytes) = (b"ssh-ed25519", signature.as_bytes());
        let length = |n: usize| u32::try_from(n).unwrap().to_be_bytes();
        to_sign.extend(length(8 + name.len() + bytes.len()));
        to_sign.extend(length(name.len()));
        to_sign.extend(name);
        to_sign.extend(length(bytes.len()));
        to_sign.extend(bytes);
        Ok(to_sign)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_a_key_that_was_only_shown_makes_nobody_anybody() {
    let rig = Rig::start();
    let mut client = Client::connect(&rig).await;
    let shown = rig.alice.public_key().clone();
    let mut swapped = Swapped(Arc::clone(&rig.mallory));
    let result =
        client
            .handle
            .authenticate_publickey_with("alice", shown.clone(), None, &mut swapped);
    assert!(!soon("login", result).await.unwrap().success());
    // The same way with the right key works, so it is the signature that counted.
    let mut right = Swapped(Arc::clone(&rig.alice));
    let result = client
        .handle
        .authenticate_publickey_with("alice", shown, None, &mut right);
    assert!(soon("login", result).await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn f9_what_was_tried_as_another_user_is_forgotten() {
    let rig = Rig::start();
    rig.streets.echo(pod_address("alice")).await;
    rig.streets.echo(pod_address("mallory")).await;
    let mut client = Client::connect(&rig).await;
    assert!(!client.enters("alice", &rig.mallory).await);
    assert!(!client.enters("mallory", &rig.alice).await);
    assert!(client.enters("mallory", &rig.mallory).await);
    assert!(client.open("box", 22).await.is_ok());
    assert!(client.open("box.dev-alice", 22).await.is_err());
    let line = rig.audited("open", "user", "mallory").await;
    assert_eq!(line["server"], "box.dev-mallory");
}

#[tokio::test(flavor = "multi_thread")]
async fn e6_after_some_keys_in_vain_the_connection_ends() {
    let rig = Rig::with(|parts| parts.settings.max_auth_tries = 3);
    let mut client = Client::connect(&rig).await;
    for _ in 0..3 {
        assert!(!client.enters("alice", &new_key()).await);
    }
    assert!(!client.enters("alice", &rig.alice).await, "after too many");
    let line = rig.audited("auth_failure", "user", "alice").await;
    assert_eq!(line["keys"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_an_unknown_user_takes_as_long_as_a_wrong_key() {
    let rig = Rig::with(|parts| parts.settings.max_auth_tries = 1_000);
    let stranger = new_key();
    let (mut unknown, mut known) = (Client::connect(&rig).await, Client::connect(&rig).await);
    let mut seen = Vec::new();
    // A machine that is busy makes times differ by chance; a gateway that tells makes them differ each time.
    for round in 0..20 {
        let (mut of_unknown, mut of_known) = (Vec::new(), Vec::new());
        for attempt in 0..20 {
            let mut one = [
                (&mut unknown, "nobody", &mut of_unknown),
                (&mut known, "alice", &mut of_known),
            ];
            if attempt % 2 == 1 {
                one.reverse();
            }
            for (client, user, times) in one {
                let started = Instant::now();
                assert!(!client.enters(user, &stranger).await);
                times.push(started.elapsed());
            }
        }
        let (unknown, known) = (median(of_unknown), median(of_known));
        assert!(
            unknown.min(known) >= Duration::from_millis(20),
            "{unknown:?} {known:?}"
        );
        if unknown.abs_diff(known) < Duration::from_millis(2) {
            return;
        }
        seen.push((round, unknown, known));
    }
    panic!("times differ in every round: {seen:?}");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn certificate(ca: &PrivateKey, key: &PrivateKey, principal: &str, seconds: u64) -> Certificate {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let rng = &mut russh::keys::key::safe_rng();
    let mut builder =
        Builder::new_with_random_nonce(rng, key.public_key(), now - 600, now - 300 + seconds)
            .unwrap();
    builder.cert_type(CertType::User).unwrap();
    builder.valid_principal(principal).unwrap();
    builder.extension("permit-port-forwarding", "").unwrap();
    builder.sign(ca).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn f8_certificates_count_while_they_are_valid_and_not_taken_back() {
    let (ca, other, key) = (new_key(), new_key(), new_key());
    let authority = ca.public_key().key_data().clone();
    let rig = Rig::with(|parts| parts.trusted.authorities = vec![authority.clone()]);
    rig.streets.echo(pod_address("alice")).await;
    let enters = async |certificate: Certificate, user: &str| {
        let mut client = Client::connect(&rig).await;
        let entered = client
            .handle
            .authenticate_openssh_cert(user, Arc::clone(&key), certificate);
        let entered = soon("login", entered)
            .await
            .is_ok_and(|result| result.success());
        entered.then_some(client)
    };
    let good = certificate(&ca, &key, "alice", 3600);
    let client = enters(good.clone(), "alice")
        .await
        .expect("a valid certificate");
    assert!(client.open("box", 22).await.is_ok());
    assert!(client.open("box.dev-bob", 22).await.is_err());
    assert!(
        enters(good.clone(), "bob").await.is_none(),
        "for another principal"
    );
    assert!(
        enters(certificate(&ca, &key, "alice", 1), "alice")
            .await
            .is_none(),
        "expired"
    );
    assert!(
        enters(certificate(&other, &key, "alice", 3600), "alice")
            .await
            .is_none(),
        "foreign"
    );
    // Plain keys work beside them, and others still do not.
    assert!(
        Client::connect(&rig)
            .await
            .enters("alice", &rig.alice)
            .await
    );
    assert!(!Client::connect(&rig).await.enters("alice", &key).await);
    assert!(
        !Client::connect(&rig)
            .await
            .enters("alice", &rig.mallory)
            .await
    );
    for revoked in [&key, &ca] {
        rig.gateway.trust(Trusted {
            authorities: vec![authority.clone()],
            revoked: [Fingerprint::of(revoked.public_key().key_data())].into(),
            ..Trusted::default()
        });
        assert!(enters(good.clone(), "alice").await.is_none(), "revoked");
    }
    rig.audited("auth_failure", "reason", "revoked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_the_administrators_file_get_in_until_they_are_taken_back() {
    let key = new_key();
    let fingerprint = Fingerprint::of(key.public_key().key_data());
    let users = [("bob".to_owned(), [fingerprint].into())];
    let rig = Rig::with(|parts| parts.trusted.users = users.into());
    rig.streets.echo(pod_address("bob")).await;
    let client = Client::login(&rig, "bob", &key).await;
    assert!(client.open("box", 22).await.is_ok());
    assert!(!Client::connect(&rig).await.enters("alice", &key).await);
    rig.gateway.trust(Trusted::default());
    assert!(!Client::connect(&rig).await.enters("bob", &key).await);
}
