//! OpenSSH user certificates (PROTOCOL.certkeys): whether one makes somebody a user here.

use std::net::IpAddr;

use devserver_api::cidr::Cidr;
use russh::keys::{
    Algorithm, Certificate, HashAlg,
    ssh_key::{certificate::CertType, public::KeyData},
};

use crate::{address::holds, fingerprint::Fingerprint};

/// Extension without which a certificate may not be used to get anywhere else, which is all there is here.
const MAY_FORWARD: &str = "permit-port-forwarding";

/// Extension without which there is no terminal.
const MAY_HAVE_TERMINAL: &str = "permit-pty";

/// Why a certificate does not count. Told to the audit, never to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// For hosts.
    #[error("not a user certificate")]
    Kind,
    /// Not of an authority that was named, or not valid at this time, or forged.
    #[error("not valid now, or not signed by a trusted authority")]
    Authority,
    /// Signed with SHA-1.
    #[error("signed with SHA-1")]
    Weak,
    /// Names other users, or none.
    #[error("does not name this user")]
    Principal,
    /// Only from other addresses.
    #[error("not valid from this address")]
    Source,
    /// Demands something that is not done here, such as a command.
    #[error("has a critical option that is not honoured here")]
    Option,
    /// May not forward.
    #[error("does not permit port forwarding")]
    Forwarding,
}

/// Whether the certificate makes its bearer the user, coming from the address at the time (seconds since 1970). That the
/// bearer has the key was checked before.
pub fn check(
    certificate: &Certificate,
    user: &str,
    from: IpAddr,
    authorities: &[KeyData],
    now: u64,
) -> Result<(), Invalid> {
    if certificate.cert_type() != CertType::User {
        return Err(Invalid::Kind);
    }
    let signed_by = |ca: &&KeyData| certificate.signature_key() == *ca;
    let authority = authorities
        .iter()
        .find(signed_by)
        .ok_or(Invalid::Authority)?;
    if certificate.signature().algorithm() == (Algorithm::Rsa { hash: None }) {
        return Err(Invalid::Weak);
    }
    let trusted = authority.fingerprint(HashAlg::Sha256);
    certificate
        .validate_at(now, [&trusted])
        .map_err(|_| Invalid::Authority)?;
    // A certificate without names would be good for everybody.
    if !certificate
        .valid_principals()
        .iter()
        .any(|name| name == user)
    {
        return Err(Invalid::Principal);
    }
    for (option, value) in certificate.critical_options().iter() {
        match option.as_str() {
            "source-address" if allows(value, from) => {}
            "source-address" => return Err(Invalid::Source),
            _ => return Err(Invalid::Option),
        }
    }
    if !certificate.extensions().contains_key(MAY_FORWARD) {
        return Err(Invalid::Forwarding);
    }
    Ok(())
}

/// Whether its bearer may have a terminal; asked where a session ends here.
pub fn permits_terminal(certificate: &Certificate) -> bool {
    certificate.extensions().contains_key(MAY_HAVE_TERMINAL)
}

/// The key of the certificate, by which it is told in the audit.
pub fn fingerprint(certificate: &Certificate) -> Fingerprint {
    Fingerprint::of(certificate.public_key())
}

/// A list of networks and addresses, separated by commas; one that cannot be read allows nothing.
fn allows(list: &str, from: IpAddr) -> bool {
    let from = from.to_canonical();
    let read = |word: &str| match word.parse::<IpAddr>() {
        Ok(address) => Some(address.to_canonical() == from),
        Err(_) => Cidr::parse(word).ok().map(|network| holds(network, from)),
    };
    let words: Option<Vec<bool>> = list.split(',').map(read).collect();
    words.is_some_and(|matches| matches.contains(&true))
}

#[cfg(test)]
mod tests {
    use russh::keys::{PrivateKey, ssh_key::certificate::Builder};

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn new_key() -> PrivateKey {
        PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap()
    }

    fn made(ca: &PrivateKey, change: impl FnOnce(&mut Builder)) -> Certificate {
        minted(ca, CertType::User, change)
    }

    fn minted(ca: &PrivateKey, kind: CertType, change: impl FnOnce(&mut Builder)) -> Certificate {
        let user = new_key();
        let mut builder = Builder::new_with_random_nonce(
            &mut russh::keys::key::safe_rng(),
            user.public_key(),
            NOW - 60,
            NOW + 3600,
        )
        .unwrap();
        builder.cert_type(kind).unwrap();
        builder.key_id("test").unwrap();
        builder.extension(MAY_FORWARD, "").unwrap();
        change(&mut builder);
        builder.sign(ca).unwrap()
    }

    fn judged(ca: &PrivateKey, change: impl FnOnce(&mut Builder)) -> Result<(), Invalid> {
        let certificate = made(ca, |builder| {
            builder.valid_principal("alice").unwrap();
            change(builder);
        });
        let trusted = [ca.public_key().key_data().clone()];
        check(
            &certificate,
            "alice",
            "203.0.113.9".parse().unwrap(),
            &trusted,
            NOW,
        )
    }

    #[test]
    fn a_certificate_of_a_trusted_authority_counts() {
        let ca = new_key();
        assert_eq!(judged(&ca, |_| {}), Ok(()));
        let from = |list: &'static str| {
            judged(&ca, |b| {
                b.critical_option("source-address", list).unwrap();
            })
        };
        assert_eq!(from("203.0.113.0/24,10.0.0.1"), Ok(()));
        assert_eq!(from("203.0.113.9"), Ok(()));
        assert_eq!(from("10.0.0.0/8"), Err(Invalid::Source));
        assert_eq!(from("203.0.113.9,nonsense"), Err(Invalid::Source));
        assert_eq!(from(""), Err(Invalid::Source));
    }

    #[test]
    fn f8_an_expired_foreign_or_other_certificate_does_not_count() {
        let (ca, other) = (new_key(), new_key());
        let trusted = [ca.public_key().key_data().clone()];
        let from = "203.0.113.9".parse().unwrap();
        let good = made(&ca, |b| {
            b.valid_principal("alice").unwrap();
        });
        assert_eq!(
            check(&good, "bob", from, &trusted, NOW),
            Err(Invalid::Principal)
        );
        assert_eq!(
            check(&good, "alice", from, &trusted, NOW + 3600),
            Err(Invalid::Authority)
        );
        assert_eq!(
            check(&good, "alice", from, &trusted, NOW - 61),
            Err(Invalid::Authority)
        );
        assert_eq!(
            check(&good, "alice", from, &[], NOW),
            Err(Invalid::Authority)
        );
        let foreign = made(&other, |b| {
            b.valid_principal("alice").unwrap();
        });
        assert_eq!(
            check(&foreign, "alice", from, &trusted, NOW),
            Err(Invalid::Authority)
        );
        let everybody = made(&ca, |b| {
            b.all_principals_valid().unwrap();
        });
        assert_eq!(
            check(&everybody, "alice", from, &trusted, NOW),
            Err(Invalid::Principal)
        );
        let host = minted(&ca, CertType::Host, |b| {
            b.valid_principal("alice").unwrap();
        });
        assert_eq!(
            check(&host, "alice", from, &trusted, NOW),
            Err(Invalid::Kind)
        );
        for option in ["force-command", "verify-required", "new@example.com"] {
            let told = judged(&ca, |b| {
                b.critical_option(option, "x").unwrap();
            });
            assert_eq!(told, Err(Invalid::Option), "{option}");
        }
    }

    #[test]
    fn a_certificate_that_may_not_forward_leads_nowhere() {
        let ca = new_key();
        let trusted = [ca.public_key().key_data().clone()];
        let from = "203.0.113.9".parse().unwrap();
        let without = {
            let user = new_key();
            let rng = &mut russh::keys::key::safe_rng();
            let mut builder =
                Builder::new_with_random_nonce(rng, user.public_key(), NOW - 60, NOW + 60).unwrap();
            builder.cert_type(CertType::User).unwrap();
            builder.valid_principal("alice").unwrap();
            builder.sign(&ca).unwrap()
        };
        assert_eq!(
            check(&without, "alice", from, &trusted, NOW),
            Err(Invalid::Forwarding)
        );
    }
}
