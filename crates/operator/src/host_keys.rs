//! Host keys: made once, never replaced. Randomness lives here, at the edge.

use std::collections::BTreeMap;

use devserver_core::{
    Environment, Kind, Problem,
    desired::{HOST_KEY_ALGORITHMS, labels, owner_reference},
};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use rand_core::OsRng;
use ssh_key::{Algorithm, EcdsaCurve, LineEnding, PrivateKey};

use crate::{
    context::Context,
    error::{Error, bounded},
    objects,
    observe::{Ownership, ownership},
};

/// The public host keys, or why there are none.
pub async fn ensure(
    ctx: &Context,
    env: &Environment,
) -> Result<Result<Vec<String>, Problem>, Error> {
    match find_or_make(ctx, env).await {
        Err(error) => objects::refused("Secret", &env.name.host_keys(), error).map(Err),
        found => found,
    }
}

async fn find_or_make(
    ctx: &Context,
    env: &Environment,
) -> Result<Result<Vec<String>, Problem>, Error> {
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), &env.namespace);
    let name = env.name.host_keys();
    let secret = match bounded("read the host keys", api.get_opt(&name)).await? {
        Some(secret) => secret,
        None => match create(ctx, &api, env, &name).await {
            // Somebody was faster, or our own answer was lost: what is there now counts.
            Err(error) if error.is_conflict() => {
                bounded("read the host keys", api.get(&name)).await?
            }
            other => other?,
        },
    };
    match ownership(&secret.metadata, &env.uid) {
        Ownership::Ours => Ok(public_keys(&secret, &name)),
        Ownership::Collected => Ok(Err(Problem::waiting_for_collection("Secret", &name))),
        Ownership::Foreign => Ok(Err(Problem::name_taken("Secret", &name))),
    }
}

async fn create(
    ctx: &Context,
    api: &Api<Secret>,
    env: &Environment,
    name: &str,
) -> Result<Secret, Error> {
    ctx.may_write()?;
    let data = tokio::task::spawn_blocking(generate)
        .await
        .map_err(Error::Task)?
        .map_err(Error::HostKeys)?;
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels(env)),
            owner_references: Some(vec![owner_reference(env.name.as_str(), &env.uid)]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        // Clients remember these keys: a replaced one would look like an attack to them.
        immutable: Some(true),
        data: Some(data),
        ..Secret::default()
    };
    let params = PostParams {
        field_manager: Some(devserver_api::group::FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let secret = bounded("create the host keys", api.create(&params, &secret)).await?;
    ctx.metrics.wrote("create", Kind::Secret.as_str());
    Ok(secret)
}

fn generate() -> Result<BTreeMap<String, ByteString>, ssh_key::Error> {
    let mut data = BTreeMap::new();
    for word in HOST_KEY_ALGORITHMS {
        let algorithm = match word {
            "ecdsa" => Algorithm::Ecdsa {
                curve: EcdsaCurve::NistP256,
            },
            _ => Algorithm::Ed25519,
        };
        let key = PrivateKey::random(&mut OsRng, algorithm)?;
        let private = key.to_openssh(LineEnding::LF)?;
        let public = key.public_key().to_openssh()? + "\n";
        data.insert(
            format!("ssh_host_{word}_key"),
            ByteString(private.as_bytes().to_vec()),
        );
        data.insert(
            format!("ssh_host_{word}_key.pub"),
            ByteString(public.into_bytes()),
        );
    }
    Ok(data)
}

fn public_keys(secret: &Secret, name: &str) -> Result<Vec<String>, Problem> {
    let read = |word: &str| {
        let data = secret.data.as_ref()?;
        data.get(&format!("ssh_host_{word}_key"))?;
        let line = std::str::from_utf8(&data.get(&format!("ssh_host_{word}_key.pub"))?.0).ok()?;
        Some(line.trim_end().to_owned()).filter(|line| !line.is_empty())
    };
    HOST_KEY_ALGORITHMS.into_iter().map(read).collect::<Option<Vec<_>>>().ok_or_else(|| Problem {
        reason: "HostKeysDamaged",
        message: format!(
            "the Secret {name:?} lacks a host key; delete it to have new ones made, clients will have to be told"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_keys_are_openssh_keys_and_their_public_halves_are_read_back() {
        let secret = Secret {
            data: Some(generate().unwrap()),
            ..Secret::default()
        };
        let lines = public_keys(&secret, "x").unwrap();
        assert!(
            lines[0].starts_with("ssh-ed25519 ") && lines[1].starts_with("ecdsa-sha2-nistp256 ")
        );
        for line in lines {
            assert!(
                devserver_api::ssh_key::PublicKey::parse(&line).is_ok(),
                "{line}"
            );
        }
    }

    #[test]
    fn a_secret_without_a_key_is_a_problem_with_a_remedy() {
        let problem = public_keys(&Secret::default(), "x-host-keys").unwrap_err();
        assert!(problem.message.contains("delete it"), "{problem:?}");
    }
}
