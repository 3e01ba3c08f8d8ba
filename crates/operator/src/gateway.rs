//! The gateway's public host keys: where they are told, and to whom they are told on.
//!
//! The gateway makes its keys itself and tells the public halves in a ConfigMap beside it. Every DevServer's status repeats
//! them, so that people who may read nothing but their own DevServers know the gateway when they see it.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use devserver_api::{GatewayStatus, group, ssh_key::PublicKey};
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
}

impl Gateway {
    /// The gateway as DevServers tell it, once it has told its keys.
    pub fn status(&self) -> Option<GatewayStatus> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// Keeps what is known up to date. Never ends.
    pub async fn follow(&self, client: Client, namespace: &str, address: Option<&GatewayAddress>) {
        let Some(address) = address else {
            return std::future::pending().await;
        };
        let api: Api<ConfigMap> = Api::namespaced(client, namespace);
        loop {
            match bounded("read the gateway's keys", api.get_opt(group::GATEWAY)).await {
                Ok(Some(told)) => self.learn(&told, address),
                Ok(None) => tracing::debug!("the gateway has not told its host keys yet"),
                Err(error) => {
                    tracing::warn!(%error, "failed to read the gateway's host keys; what is known stays");
                }
            }
            sleep(if self.status().is_some() { LATER } else { SOON }).await;
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
    }
}

/// One key that is none and nothing counts: half a list would turn a good gateway into a stranger.
fn host_keys(told: &ConfigMap) -> Option<Vec<String>> {
    let text = told.data.as_ref()?.get(group::GATEWAY_HOST_KEYS)?;
    let keys: Vec<String> = text
        .lines()
        .map(|line| PublicKey::parse(line).ok().map(|key| key.line()))
        .collect::<Option<_>>()?;
    (!keys.is_empty()).then_some(keys)
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
}
