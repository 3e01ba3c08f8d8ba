//! The gateway's own authority: how it proves itself to an environment in direct mode, where it has no key of the user.
//!
//! For each session a key is made, signed for a few minutes, one environment and this address, and forgotten. Only the
//! authority's own key is kept, and it opens nothing by itself.

use std::{net::IpAddr, sync::Arc, time::Duration};

use devserver_api::direct::principal;
use russh::keys::{
    Algorithm, Certificate, PrivateKey,
    ssh_key::{
        self,
        certificate::{Builder, CertType},
    },
};

/// How far the clocks of the gateway and of a node may be apart, and how long a login may take, both at once.
const AROUND_NOW: Duration = Duration::from_mins(5);

/// Signs.
#[derive(Debug)]
pub struct Authority(PrivateKey);

/// For whom, and where it leads.
#[derive(Clone, Copy, Debug)]
pub struct Purpose<'a> {
    /// The user, for the log of the environment's sshd.
    pub user: &'a str,
    /// Number of the connection, for the same.
    pub connection: u64,
    /// UID of the DevServer.
    pub uid: &'a str,
    /// The gateway's own address on the way there.
    pub from: IpAddr,
}

/// A key and what makes it count.
#[derive(Clone, Debug)]
pub struct Pass {
    /// The key.
    pub key: Arc<PrivateKey>,
    /// Its certificate.
    pub certificate: Certificate,
}

impl Authority {
    /// With this key.
    pub fn new(key: PrivateKey) -> Self {
        Self(key)
    }

    /// A pass for one login, at a time in seconds since 1970.
    pub fn pass(&self, purpose: Purpose<'_>, now: u64) -> Result<Pass, ssh_key::Error> {
        let rng = &mut russh::keys::key::safe_rng();
        let key = PrivateKey::random(rng, Algorithm::Ed25519)?;
        let (from, to) = (
            now.saturating_sub(AROUND_NOW.as_secs()),
            now.saturating_add(AROUND_NOW.as_secs()),
        );
        let mut builder = Builder::new_with_random_nonce(rng, key.public_key(), from, to)?;
        builder.cert_type(CertType::User)?;
        builder.serial(purpose.connection)?;
        builder.key_id(format!("{} by the gateway", purpose.user))?;
        builder.valid_principal(principal(purpose.uid))?;
        builder.critical_option("source-address", purpose.from.to_canonical().to_string())?;
        builder.extension("permit-pty", "")?;
        builder.extension("permit-user-rc", "")?;
        Ok(Pass {
            certificate: builder.sign(&self.0)?,
            key: Arc::new(key),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_pass_opens_one_server_for_minutes_from_one_address_and_forwards_nothing() {
        let key =
            PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
        let trusted = key.public_key().fingerprint(russh::keys::HashAlg::Sha256);
        let authority = Authority::new(key);
        let purpose = Purpose {
            user: "alice",
            connection: 7,
            uid: "u1",
            from: "10.244.0.9".parse().unwrap(),
        };
        let (pass, other) = (
            authority.pass(purpose, NOW).unwrap(),
            authority.pass(purpose, NOW).unwrap(),
        );
        let signed = &pass.certificate;
        assert_eq!(signed.valid_principals(), ["devserver-u1"]);
        assert_eq!(signed.critical_options().len(), 1);
        assert_eq!(
            signed.critical_options().get("source-address").unwrap(),
            "10.244.0.9"
        );
        let extensions: Vec<_> = signed.extensions().keys().cloned().collect();
        assert_eq!(extensions, ["permit-pty", "permit-user-rc"]);
        assert!(signed.validate_at(NOW, [&trusted]).is_ok());
        for then in [NOW - 301, NOW + 301] {
            assert!(signed.validate_at(then, [&trusted]).is_err(), "{then}");
        }
        assert_eq!(signed.public_key(), pass.key.public_key().key_data());
        assert_ne!(signed.public_key(), other.certificate.public_key());
    }
}
