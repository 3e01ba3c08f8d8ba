//! The flavor named, or the default one.

use devserver_api::{DevServerFlavor, names};
use k8s_openapi::api::core::v1::Toleration;

use crate::{Invalid, environment::Flavor};

/// The flavor, and the image it brings.
pub(super) fn resolve(
    asked: Option<&str>,
    flavors: &[DevServerFlavor],
) -> Result<(Flavor, Option<String>), Invalid> {
    let found = match asked {
        Some(name) => named(name, flavors)?,
        None => default(flavors)?,
    };
    let flavor = Flavor {
        name: name_of(found).to_owned(),
        requests: found.spec.resources.requests.clone(),
        limits: found.spec.resources.limits.clone(),
        node_selector: found.spec.node_selector.clone(),
        tolerations: found.spec.tolerations.iter().map(without_empty).collect(),
    };
    Ok((flavor, found.spec.default_image.clone()))
}

fn named<'a>(name: &str, flavors: &'a [DevServerFlavor]) -> Result<&'a DevServerFlavor, Invalid> {
    flavors
        .iter()
        .find(|flavor| name_of(flavor) == name && names::is_subdomain(name))
        .ok_or_else(|| Invalid::FlavorNotFound {
            name: name.to_owned(),
            available: available(flavors),
        })
}

fn default(flavors: &[DevServerFlavor]) -> Result<&DevServerFlavor, Invalid> {
    let mut defaults: Vec<&DevServerFlavor> = flavors.iter().filter(|f| f.spec.default).collect();
    defaults.sort_by_key(|flavor| name_of(flavor));
    match defaults.as_slice() {
        [one] => Ok(one),
        [] => Err(Invalid::NoDefaultFlavor {
            available: available(flavors),
        }),
        many => Err(Invalid::AmbiguousDefaultFlavor(
            many.iter()
                .map(|f| name_of(f))
                .collect::<Vec<_>>()
                .join(", "),
        )),
    }
}

fn available(flavors: &[DevServerFlavor]) -> String {
    let mut names: Vec<&str> = flavors.iter().map(name_of).collect();
    names.sort_unstable();
    match names.len() {
        0 => "an administrator has to create one first".to_owned(),
        1..=12 => format!("there are: {}", names.join(", ")),
        more => format!("there are {more}, see `devctl flavors`"),
    }
}

fn name_of(flavor: &DevServerFlavor) -> &str {
    flavor.metadata.name.as_deref().unwrap_or_default()
}

/// An empty string and an absent field mean the same to Kubernetes, but not to a comparison.
fn without_empty(toleration: &Toleration) -> Toleration {
    let keep = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    Toleration {
        effect: keep(&toleration.effect),
        key: keep(&toleration.key),
        operator: keep(&toleration.operator),
        toleration_seconds: toleration.toleration_seconds,
        value: keep(&toleration.value),
    }
}
