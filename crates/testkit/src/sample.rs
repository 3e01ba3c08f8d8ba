//! Things that tests ask for: words nobody else uses, keys, DevServers, flavors.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use devserver_api::{
    DevServer, DevServerFlavor, DevServerFlavorSpec, DevServerSpec, SshSpec,
    flavor::FlavorResources, quantity,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use sha2::{Digest, Sha256};

/// A public key whose private half nobody has.
pub const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R alice@example.com";
/// Another one.
pub const OTHER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFoGcrXBJvgY4ixZ7v1mPq0k3o8XQm2uTnLd5hRw9sYa bob@example.com";
/// Name that tests give to a DevServer; deliberately not the product's name, so that swapped values are noticed.
pub const NAME: &str = "workbench";
/// Owner of the samples.
pub const OWNER: &str = "alice@example.com";
/// Image of the samples; nothing pulls it in the control-plane ring.
pub const IMAGE: &str = "docker.io/library/debian:12";

static WORDS: AtomicU64 = AtomicU64::new(0);

/// A word of lower case letters and digits that no other call on this machine got.
pub fn word(length: usize) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seed = format!(
        "{} {now:?} {}",
        std::process::id(),
        WORDS.fetch_add(1, Ordering::Relaxed)
    );
    let letters = b"abcdefghijklmnopqrstuvwxyz0123456789";
    Sha256::digest(seed.as_bytes())
        .iter()
        .filter_map(|byte| letters.get(usize::from(*byte) % letters.len()))
        .map(|letter| char::from(*letter))
        .take(length)
        .collect()
}

/// A DevServer that needs nothing but its flavor.
pub fn devserver(name: &str, flavor: &str) -> DevServer {
    let ssh = SshSpec {
        public_key: Some(KEY.to_owned()),
        ..SshSpec::default()
    };
    let spec = DevServerSpec {
        owner: Some(OWNER.to_owned()),
        flavor: Some(flavor.to_owned()),
        image: Some(IMAGE.to_owned()),
        ssh,
        persistent_home_size: Some("1Gi".to_owned()),
        ..DevServerSpec::default()
    };
    DevServer::new(name, spec)
}

/// A flavor of that size.
pub fn flavor(name: &str, cpu: &str, memory: &str) -> DevServerFlavor {
    let size = |cpu: &str, memory: &str| {
        let quantity = |text: &str| Quantity(text.to_owned());
        BTreeMap::from([
            ("cpu".to_owned(), quantity(cpu)),
            ("memory".to_owned(), quantity(memory)),
        ])
    };
    let resources = FlavorResources {
        requests: size(cpu, memory),
        limits: size("2", largest("4Gi", memory)),
    };
    DevServerFlavor::new(
        name,
        DevServerFlavorSpec {
            resources,
            ..DevServerFlavorSpec::default()
        },
    )
}

fn largest<'a>(a: &'a str, b: &'a str) -> &'a str {
    let order = quantity::compare(&Quantity(a.to_owned()), &Quantity(b.to_owned()));
    if order == Some(std::cmp::Ordering::Less) {
        b
    } else {
        a
    }
}

#[cfg(test)]
mod tests {
    use devserver_api::ssh_key::PublicKey;

    use super::*;

    #[test]
    fn the_sample_keys_are_real_keys() {
        assert!(PublicKey::parse(KEY).is_ok());
        assert!(PublicKey::parse(OTHER_KEY).is_ok());
    }

    #[test]
    fn no_word_comes_twice() {
        let words: std::collections::BTreeSet<String> = (0..1000).map(|_| word(8)).collect();
        assert_eq!(words.len(), 1000);
    }
}
