//! From what was asked to what it means: the only fallible step; every error is the user's to fix.

mod access;
mod flavor;
mod image;
pub mod keys;
mod lifetime;
mod network;
mod packages;
mod placement;
mod resources;
mod storage;
mod team;
mod volumes;
mod zone;

use devserver_api::{
    DevServer, DevServerFlavor, DevServerFlavorSpec, DevServerSpec, Isolation, SshMode,
    names::ServerName,
};

use crate::{
    Environment, Invalid, Platform, References,
    due::expires_at,
    environment::{Placement, Resources, Tools},
    platform::UserNamespaces,
    team::Amounts,
};

pub(crate) use image::check_entry;
pub use lifetime::{longest_time_to_live, time_to_live, warnings};

/// What it takes of its team's quota; `None` when its flavor or its resources are not understood.
pub fn asks(
    spec: &DevServerSpec,
    flavors: &[DevServerFlavor],
    platform: &Platform,
) -> Option<Amounts> {
    let (flavor, offer) = flavor::resolve(spec.flavor.as_deref(), flavors).ok()?;
    let (_, resources) = container(spec, &flavor.name, offer, platform).ok()?;
    Some(crate::team::amounts(&resources))
}

/// Where it may run and what it gets there.
fn container(
    spec: &DevServerSpec,
    flavor: &str,
    offer: &DevServerFlavorSpec,
    platform: &Platform,
) -> Result<(Placement, Resources), Invalid> {
    let asked = resources::resolve(spec, flavor, offer)?;
    let placement = placement::resolve(spec, offer, &asked, platform)?;
    let resources = resources::guaranteed(asked, placement.high_memory, platform)?;
    Ok((placement, resources))
}

fn people(spec: &DevServerSpec) -> keys::People<'_> {
    keys::People {
        owner: spec.owner.as_deref(),
        collaborators: &spec.collaborators,
    }
}

/// Checks the spec against the things it names.
pub fn resolve(
    server: &DevServer,
    references: &References,
    platform: &Platform,
) -> Result<Environment, Invalid> {
    let spec = &server.spec;
    let name = ServerName::parse(server.metadata.name.as_deref().unwrap_or_default())
        .map_err(Invalid::Name)?;
    let (flavor, offer) = flavor::resolve(spec.flavor.as_deref(), &references.flavors)?;
    team::may_use(spec, &flavor, offer, references)?;
    let restricted = offer.isolation == Some(Isolation::Restricted);
    let restricted_by = restricted.then_some(flavor.name.as_str());
    let ssh = access::resolve(
        &spec.ssh,
        people(spec),
        &name,
        restricted_by,
        references,
        platform,
    )?;
    let image = image::resolve(spec, offer, platform)?;
    time_to_live(server, platform)?;
    let home = storage::home(server, &name, references, platform)?;
    let shared_claim = storage::shared_claim(server, &name, references)?;
    let (placement, resources) = container(spec, &flavor.name, offer, platform)?;
    let counts_for = team::resolve(spec, &resources, references, platform)?;
    let has_workspace = ssh.mode == SshMode::Sidecar;
    let volumes = volumes::resolve(server, &name, offer, has_workspace, references)?;
    if !spec.suspend {
        zone::check(references, &flavor.name, offer, platform)?;
    }
    let ssh_from = network::ssh_from(&spec.ssh, platform)?;
    let namespace = server.metadata.namespace.clone().unwrap_or_default();
    Ok(Environment {
        counts_for,
        resources,
        placement,
        volumes,
        pip_packages: packages::pip(spec)?,
        pip_index_url: platform.pip_index_url.clone(),
        checkpoint: lifetime::checkpoint(spec),
        image_pull_secrets: placement::pull_secrets(spec)?,
        service_account_annotations: offer.service_account_annotations.clone(),
        dns: network::dns(&name, &namespace, &ssh, platform)?,
        network: network::network(&ssh_from, platform),
        clients: network::clients(&ssh_from, &ssh, &spec.ssh, platform)?,
        expires_at: expires_at(server, platform),
        warnings: lifetime::warnings(platform),
        restricted,
        namespace,
        uid: server.metadata.uid.clone().unwrap_or_default(),
        owner: spec.owner.clone(),
        flavor,
        image: image.reference,
        suspend: spec.suspend,
        ssh,
        home,
        shared_claim,
        tools: tools(platform),
        image_pull_policy: image.pull_policy,
        user_namespace: user_namespace(offer, references, platform),
        termination_grace_period_seconds: lifetime::grace_period(spec, platform),
        restart_policy: lifetime::restart_policy(spec),
        name,
    })
}

fn tools(platform: &Platform) -> Tools {
    Tools {
        image: platform.tools_image.clone(),
        delivery: platform.tools_delivery,
        pull_policy: platform.image_pull_policy.clone(),
    }
}

fn user_namespace(
    offer: &DevServerFlavorSpec,
    references: &References,
    platform: &Platform,
) -> bool {
    let is_given = match platform.user_namespaces {
        UserNamespaces::Enabled => true,
        UserNamespaces::Disabled => false,
        UserNamespaces::Auto => references.nodes_support_user_namespaces.unwrap_or(true),
    };
    is_given && offer.isolation != Some(Isolation::HostUsers)
}
