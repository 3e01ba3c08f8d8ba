//! The gateway's own keys, kept in a Secret: made by the first pod, the same for all, never replaced, because clients
//! remember them. Their public halves are told in a ConfigMap, for the operator to pass on.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use devserver_api::{direct::GATEWAY_USER_CA_KEYS, group};
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use russh::keys::{Algorithm, PrivateKey, ssh_key::LineEnding};

use crate::key_files;

/// What keys are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Clients know the gateway by them.
    Host,
    /// Environments do, in direct mode. Another key than the host's: who has one of the two has nothing of the other.
    Authority,
}

impl Use {
    /// Name in the Secret of the one key that is made.
    fn file(self) -> &'static str {
        match self {
            Self::Host => "ssh_host_ed25519_key",
            Self::Authority => "ssh_user_ca_ed25519_key",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Host => "host keys",
            Self::Authority => "user authority",
        }
    }
}

/// Where the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Namespace of the Secret and of the ConfigMap.
    pub namespace: String,
    /// Name of the Secret.
    pub name: String,
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => Ok(Self {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err("must be NAMESPACE/NAME of a Secret".to_owned()),
        }
    }
}

/// The keys in the Secret, which is made when there is none.
pub async fn ensure(
    client: &Client,
    place: &Place,
    purpose: Use,
) -> anyhow::Result<Vec<PrivateKey>> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &place.namespace);
    let read = || async {
        let found = api.get_opt(&place.name).await;
        found.with_context(|| format!("failed to read the Secret {}", place.name))
    };
    let secret = match read().await? {
        Some(secret) => secret,
        None => match api
            .create(&PostParams::default(), &new(place, purpose)?)
            .await
        {
            Ok(made) => made,
            // Another pod was faster: its keys are ours.
            Err(kube::Error::Api(status)) if status.is_already_exists() => read()
                .await?
                .context("the Secret was deleted at this moment")?,
            Err(error) => {
                let what = purpose.word();
                return Err(error)
                    .with_context(|| format!("failed to make the Secret of the {what}"));
            }
        },
    };
    let then = match purpose {
        Use::Host => "clients will have to be told",
        Use::Authority => "environments learn of it within minutes",
    };
    of(&secret).with_context(|| {
        let (name, what) = (&place.name, purpose.word());
        format!("the Secret {name} holds no {what} that can be used; delete it to have it made anew, and {then}")
    })
}

fn new(place: &Place, purpose: Use) -> anyhow::Result<Secret> {
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)
        .context("failed to make a host key")?;
    let private = key
        .to_openssh(LineEnding::LF)
        .context("failed to write a host key")?;
    let public = key
        .public_key()
        .to_openssh()
        .context("failed to write a host key")?
        + "\n";
    let data = [
        (
            purpose.file().to_owned(),
            ByteString(private.as_bytes().to_vec()),
        ),
        (
            format!("{}.pub", purpose.file()),
            ByteString(public.into_bytes()),
        ),
    ];
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(place.name.clone()),
            labels: Some(labels()),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        immutable: Some(true),
        data: Some(data.into()),
        ..Secret::default()
    })
}

fn labels() -> BTreeMap<String, String> {
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    [
        label("app.kubernetes.io/name", "devserver-platform"),
        label("app.kubernetes.io/component", "gateway"),
        label(group::LABEL_MANAGED_BY, group::GATEWAY),
    ]
    .into()
}

fn of(secret: &Secret) -> anyhow::Result<Vec<PrivateKey>> {
    let mut keys = Vec::new();
    for (name, bytes) in secret.data.iter().flatten() {
        if name.strip_suffix(".pub").is_some() {
            continue;
        }
        let text = std::str::from_utf8(&bytes.0).with_context(|| format!("{name} is no text"))?;
        let key = key_files::host_key(text);
        keys.push(key.map_err(|why| anyhow::anyhow!("{name} is {why}"))?);
    }
    keys.sort_by_key(|key| key.algorithm() != Algorithm::Ed25519);
    match keys.first() {
        Some(first) if first.algorithm() == Algorithm::Ed25519 => Ok(keys),
        _ => bail!("there is none of type ed25519"),
    }
}

/// Tells the public halves. Nothing is written when they are told already.
pub async fn publish(
    client: &Client,
    place: &Place,
    keys: &[PrivateKey],
    authority: Option<&PrivateKey>,
) -> anyhow::Result<()> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &place.namespace);
    let mut data = BTreeMap::from([(group::GATEWAY_HOST_KEYS.to_owned(), lines(keys)?)]);
    if let Some(authority) = authority {
        let line = lines(std::slice::from_ref(authority))?;
        data.insert(GATEWAY_USER_CA_KEYS.to_owned(), line);
    }
    let told = api
        .get_opt(group::GATEWAY)
        .await
        .context("failed to read the told host keys")?;
    if told.is_some_and(|told| told.data.as_ref() == Some(&data)) {
        return Ok(());
    }
    let wanted = ConfigMap {
        metadata: ObjectMeta {
            name: Some(group::GATEWAY.to_owned()),
            labels: Some(labels()),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..ConfigMap::default()
    };
    let params = PatchParams::apply(group::GATEWAY_FIELD_MANAGER).force();
    api.patch(group::GATEWAY, &params, &Patch::Apply(&wanted))
        .await
        .context("failed to tell the public host keys")?;
    Ok(())
}

fn lines(keys: &[PrivateKey]) -> anyhow::Result<String> {
    let lines: Result<Vec<String>, _> = keys.iter().map(|k| k.public_key().to_openssh()).collect();
    Ok(lines.context("failed to write public keys")?.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        "system/keys".parse().unwrap()
    }

    #[test]
    fn a_made_secret_holds_a_key_that_can_be_used() {
        let keys = of(&new(&place(), Use::Host).unwrap()).unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].algorithm(), Algorithm::Ed25519);
    }

    #[test]
    fn a_secret_without_a_good_key_is_refused_and_its_text_is_not_repeated() {
        assert!(of(&Secret::default()).is_err());
        let mut secret = new(&place(), Use::Host).unwrap();
        let data = secret.data.as_mut().unwrap();
        data.insert(Use::Host.file().to_owned(), ByteString(b"hunter2".to_vec()));
        let told = format!("{:#}", of(&secret).unwrap_err());
        assert!(
            told.contains(Use::Host.file()) && !told.contains("hunter2"),
            "{told}"
        );
    }

    #[test]
    fn a_place_is_a_namespace_and_a_name() {
        assert_eq!(place().name, "keys");
        for wrong in ["", "keys", "/keys", "system/"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong:?}");
        }
    }
}
