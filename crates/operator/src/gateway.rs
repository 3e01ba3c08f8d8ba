//! The gateway's public host keys: where they are told, and to whom they are told on.
//!
//! The gateway makes its keys itself and tells the public halves in a ConfigMap beside it. Every DevServer's status repeats
//! them, so that people who may read nothing but their own DevServers know the gateway when they see it.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use devserver_api::{GatewayStatus, direct, group, ssh_key::PublicKey};
use devserver_core::platform::GatewayAddress;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use tokio::time::sleep;

use crate::error::bounded;

/// Time between two looks before the keys are known.
const SOON: Duration = Duration::from_secs(5);
/// Time between two looks afterwards: the keys are not meant to change.
const LATER: Duration = Duration::from_mins(5);

/// What is known of the gateway.
#[derive(Default)]
pub struct Gateway {
    known: RwLock<Option<GatewayStatus>>,
    /// What it proves itself to environments with. Empty where direct mode is off.
    authorities: RwLock<Vec<PublicKey>>,
}

impl Gateway {
    /// The gateway as DevServers tell it, once it has told its keys.
    pub fn status(&self) -> Option<GatewayStatus> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// Its authorities for direct mode.
    pub fn authorities(&self) -> Vec<PublicKey> {
        let known = self.authorities.read();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where direct mode is on, after a first answer: who looks at environments before would take the gateway's way in from
    /// them, to give it back a moment later.
    pub async fn start(
        client: Client,
        namespace: &str,
        address: Option<&GatewayAddress>,
    ) -> Arc<Self> {
        let gateway = Self::default();
        if let Some(address) = address.filter(|address| address.direct) {
            let api: Api<ConfigMap> = Api::namespaced(client, namespace);
            while !gateway.look(&api, address).await {
                sleep(SOON).await;
            }
        }
        Arc::new(gateway)
    }

    /// `false`: there was no answer.
    async fn look(&self, api: &Api<ConfigMap>, address: &GatewayAddress) -> bool {
        match bounded("read the gateway's keys", api.get_opt(group::GATEWAY)).await {
            Ok(Some(told)) => self.learn(&told, address),
            Ok(None) => tracing::debug!("the gateway has not told its host keys yet"),
            Err(error) => {
                tracing::warn!(%error, "failed to read the gateway's host keys; what is known stays");
                return false;
            }
        }
        true
    }

    /// Keeps what is known up to date. Never ends.
    pub async fn follow(&self, client: Client, namespace: &str, address: Option<&GatewayAddress>) {
        let Some(address) = address else {
            return std::future::pending().await;
        };
        let api: Api<ConfigMap> = Api::namespaced(client, namespace);
        loop {
            self.look(&api, address).await;
            let is_known =
                self.status().is_some() && (!address.direct || !self.authorities().is_empty());
            sleep(if is_known { LATER } else { SOON }).await;
        }
    }

    fn learn(&self, told: &ConfigMap, address: &GatewayAddress) {
        let Some(host_keys) = host_keys(told) else {
            tracing::warn!("the gateway's ConfigMap holds no host keys that can be read");
            return;
        };
        let (host, port) = (address.host.clone(), address.port);
        let status = GatewayStatus {
            host,
            port,
            host_keys,
        };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(status);
        if address.direct {
            // None told: direct mode is off at the gateway, and nobody is to be let in by it.
            let authorities = keys(told, direct::GATEWAY_USER_CA_KEYS).unwrap_or_default();
            let mut known = self
                .authorities
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            *known = authorities;
        }
    }
}

/// One key that is none and nothing counts: half a list would turn a good gateway into a stranger.
fn keys(told: &ConfigMap, name: &str) -> Option<Vec<PublicKey>> {
    let text = told.data.as_ref()?.get(name)?;
    let keys: Vec<PublicKey> = text
        .lines()
        .map(|line| PublicKey::parse(line).ok())
        .collect::<Option<_>>()?;
    (!keys.is_empty()).then_some(keys)
}

fn host_keys(told: &ConfigMap) -> Option<Vec<String>> {
    let keys = keys(told, group::GATEWAY_HOST_KEYS)?;
    Some(keys.iter().map(PublicKey::line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R";

    fn told(text: &str) -> ConfigMap {
        let data = [(group::GATEWAY_HOST_KEYS.to_owned(), text.to_owned())];
        ConfigMap {
            data: Some(data.into()),
            ..ConfigMap::default()
        }
    }

    #[test]
    fn keys_are_believed_all_or_not_at_all() {
        assert_eq!(host_keys(&told(KEY)), Some(vec![KEY.to_owned()]));
        for wrong in [
            "",
            "\n",
            "hunter2",
            &format!("{KEY}\n@cert-authority * {KEY}"),
        ] {
            assert_eq!(host_keys(&told(wrong)), None, "{wrong:?}");
        }
        assert_eq!(host_keys(&ConfigMap::default()), None);
    }

    #[test]
    fn an_authority_counts_only_where_direct_mode_is_on_and_goes_when_it_is_not_told() {
        let mut with = told(KEY);
        if let Some(data) = &mut with.data {
            data.insert(direct::GATEWAY_USER_CA_KEYS.to_owned(), KEY.to_owned());
        }
        let address = |direct| GatewayAddress {
            host: "gw".to_owned(),
            port: 22,
            direct,
        };
        let gateway = Gateway::default();
        gateway.learn(&with, &address(false));
        assert!(gateway.authorities().is_empty());
        gateway.learn(&with, &address(true));
        assert_eq!(gateway.authorities().len(), 1);
        gateway.learn(&told(KEY), &address(true));
        assert!(gateway.authorities().is_empty());
    }
}
