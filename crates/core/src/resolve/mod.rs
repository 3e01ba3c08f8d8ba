//! From what was asked to what it means: the only fallible step; every error is the user's to fix.

mod access;
mod flavor;
mod lifetime;
mod storage;

use devserver_api::{DevServer, image, names::ServerName};

use crate::{
    Environment, Invalid, Platform, References, environment::Tools, platform::UserNamespaces,
};

pub use lifetime::time_to_live;

/// Checks the spec against the things it names.
pub fn resolve(
    server: &DevServer,
    references: &References,
    platform: &Platform,
) -> Result<Environment, Invalid> {
    let spec = &server.spec;
    let name = ServerName::parse(server.metadata.name.as_deref().unwrap_or_default())
        .map_err(Invalid::Name)?;
    let ssh = access::resolve(&spec.ssh, &name, platform)?;
    let (flavor, flavor_image) = flavor::resolve(spec.flavor.as_deref(), &references.flavors)?;
    let image = spec
        .image
        .clone()
        .or(flavor_image)
        .unwrap_or_else(|| platform.default_image.clone());
    image::check(&image).map_err(|error| Invalid::Image {
        image: image.clone(),
        error,
    })?;
    time_to_live(server, platform)?;
    let home = storage::home(server, &name, references, platform)?;
    let shared_claim = storage::shared_claim(spec, references)?;
    Ok(Environment {
        namespace: server.metadata.namespace.clone().unwrap_or_default(),
        uid: server.metadata.uid.clone().unwrap_or_default(),
        owner: spec.owner.clone(),
        flavor,
        image,
        suspend: spec.suspend,
        ssh,
        home,
        shared_claim,
        tools: Tools {
            image: platform.tools_image.clone(),
            delivery: platform.tools_delivery,
        },
        image_pull_policy: platform.image_pull_policy.clone(),
        user_namespace: match platform.user_namespaces {
            UserNamespaces::Enabled => true,
            UserNamespaces::Disabled => false,
            UserNamespaces::Auto => references.nodes_support_user_namespaces.unwrap_or(true),
        },
        termination_grace_period_seconds: platform.termination_grace_period_seconds,
        restart_policy: spec
            .lifecycle
            .as_ref()
            .and_then(|l| l.restart_policy)
            .unwrap_or_default(),
        name,
    })
}
