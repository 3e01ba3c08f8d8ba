//! Machines with fields that `devctl create` has no option for.

use std::time::Duration;

use anyhow::Context as _;
use devserver_api::{DevServer, Phase};
use devserver_testkit::wait::{Seen, until};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use serde_json::{Value, json};

use crate::machine::User;

/// Creates a machine of the user's key with this spec on top, and waits until it runs.
pub async fn create(user: &User, name: &str, spec: Value) -> anyhow::Result<DevServer> {
    let public = std::fs::read_to_string(user.key() + ".pub")?;
    let mut whole = json!({
        "flavor": "node-test", "persistentHomeSize": "64Mi", "ssh": {"publicKey": public.trim(), "expose": "ClusterIP"}});
    merge(&mut whole, spec);
    let mut server = DevServer::new(name, serde_json::from_value(whole)?);
    server.metadata = ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    };
    let servers: Api<DevServer> = user.api();
    servers.create(&PostParams::default(), &server).await?;
    running(user, name).await
}

/// Waits until it runs.
pub async fn running(user: &User, name: &str) -> anyhow::Result<DevServer> {
    let servers: Api<DevServer> = user.api();
    until("the machine runs", Duration::from_mins(4), async || {
        let server = servers.get(name).await?;
        let status = server.status.clone().unwrap_or_default();
        let current = status.observed_generation == server.metadata.generation;
        Ok(if current && status.phase == Some(Phase::Running) {
            Seen::Yes(server)
        } else {
            Seen::NotYet(serde_json::to_string(&status)?)
        })
    })
    .await
    .with_context(|| format!("{}/{name}", user.namespace))
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
