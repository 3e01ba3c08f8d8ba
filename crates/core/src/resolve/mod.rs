//! From what was asked to what it means: the only fallible step; every error is the user's to fix.

mod access;
mod features;
mod flavor;
mod idle;
mod image;
pub mod keys;
mod lifetime;
mod login;
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
    activity::{digest, token},
    due::expires_at,
    environment::{Features, Home, Placement, Resources, Ssh, Tools},
    platform::UserNamespaces,
    shares,
    team::{Asks, Volumes},
};

pub use idle::idle_rules;
pub(crate) use image::check_entry;
pub use lifetime::{longest_time_to_live, time_to_live, warnings};
pub use storage::requested;

/// What it takes of its team's quota, with the volumes that it has already; `None` when what it asks for is not understood.
pub fn asks(
    spec: &DevServerSpec,
    flavors: &[DevServerFlavor],
    kept: &Volumes,
    platform: &Platform,
) -> Option<Asks> {
    let (flavor, offer) = flavor::resolve(spec.flavor.as_deref(), flavors).ok()?;
    let (_, resources) = container(spec, &flavor.name, offer, platform).ok()?;
    let restricted = offer.isolation == Some(Isolation::Restricted);
    let restricted_by = restricted.then_some(flavor.name.as_str());
    let mode = access::mode(&spec.ssh, restricted_by).ok()?;
    let has_docker = spec.docker.as_ref().is_some_and(|docker| docker.enabled);
    let volumes = Volumes {
        home: Some(storage::size(spec, kept.home.as_ref(), platform).ok()?),
        docker: features::docker_volume(spec, kept.docker.clone(), platform).ok()?,
    };
    Some(Asks::new(
        &containers(&resources, mode, has_docker),
        volumes,
    ))
}

/// What each container of the pod gets.
fn containers(main: &Resources, mode: SshMode, has_docker: bool) -> Vec<Resources> {
    let mut containers = vec![main.clone()];
    if mode == SshMode::Sidecar {
        containers.push(shares::of_sidecar(main));
    }
    if has_docker {
        containers.push(shares::of_docker(main));
    }
    containers
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

/// How long it lives, with and without somebody who uses it.
fn life(server: &DevServer, references: &References, platform: &Platform) -> Result<(), Invalid> {
    time_to_live(server, platform)?;
    idle::check(&server.spec, references, platform)
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
    let name = name(server)?;
    let (flavor, offer) = flavor::resolve(spec.flavor.as_deref(), &references.flavors)?;
    team::may_use(spec, &flavor, offer, references)?;
    let restricted_by = restricted_by(&flavor.name, offer);
    let login = login::resolve(spec, offer)?;
    let ssh = access::resolve(
        &spec.ssh,
        people(spec),
        (&name, &login),
        restricted_by,
        references,
        platform,
    )?;
    let image = image::resolve(spec, offer, platform)?;
    life(server, references, platform)?;
    let home = storage::home(server, &name, references, platform)?;
    let (placement, resources) = container(spec, &flavor.name, offer, platform)?;
    let volumes = volumes::resolve(server, &name, offer, (ssh.mode, &login), references)?;
    zone(spec, references, (&flavor.name, offer), platform)?;
    let (features, user_namespace) =
        features::resolve(spec, (&flavor.name, offer), references, platform)?;
    let asks = asks_of(&resources, &ssh, &features, &home, references);
    let ssh_from = network::ssh_from(&spec.ssh, platform)?;
    let namespace = server.metadata.namespace.clone().unwrap_or_default();
    Ok(Environment {
        counts_for: team::resolve(spec, &asks, references, platform)?,
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
        activity: activity(server, platform),
        restricted: restricted_by.is_some(),
        namespace,
        uid: server.metadata.uid.clone().unwrap_or_default(),
        owner: spec.owner.clone(),
        flavor,
        image: image.reference,
        login,
        suspend: spec.suspend,
        ssh,
        home,
        shared_claim: storage::shared_claim(server, &name, references)?,
        tools: tools(platform),
        image_pull_policy: image.pull_policy,
        user_namespace,
        features,
        termination_grace_period_seconds: lifetime::grace_period(spec, platform),
        restart_policy: lifetime::restart_policy(spec),
        name,
    })
}

fn name(server: &DevServer) -> Result<ServerName, Invalid> {
    ServerName::parse(server.metadata.name.as_deref().unwrap_or_default()).map_err(Invalid::Name)
}

/// The flavor that forbids root, if its flavor does.
fn restricted_by<'a>(flavor: &'a str, offer: &DevServerFlavorSpec) -> Option<&'a str> {
    (offer.isolation == Some(Isolation::Restricted)).then_some(flavor)
}

/// What is stopped needs no node.
fn zone(
    spec: &DevServerSpec,
    references: &References,
    (flavor, offer): (&str, &DevServerFlavorSpec),
    platform: &Platform,
) -> Result<(), Invalid> {
    if spec.suspend {
        return Ok(());
    }
    Ok(zone::check(references, flavor, offer, platform)?)
}

/// Where reports of use are wanted and there is a key to ask for them.
fn activity(server: &DevServer, platform: &Platform) -> Option<String> {
    platform.activity.as_ref()?;
    let key = platform.activity_key.as_ref()?;
    let uid = server.metadata.uid.as_deref()?;
    Some(digest(&token(key, uid)))
}

/// What it takes of its team's quota. A volume of Docker stays when the daemon is switched off.
fn asks_of(
    main: &Resources,
    ssh: &Ssh,
    features: &Features,
    home: &Home,
    references: &References,
) -> Asks {
    let kept = || references.docker_claim.as_ref().and_then(requested);
    let docker = features.docker.as_ref();
    let volumes = Volumes {
        home: Some(home.size.clone()),
        docker: docker.map(|docker| docker.size.clone()).or_else(kept),
    };
    Asks::new(&containers(main, ssh.mode, docker.is_some()), volumes)
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
