//! The flavor named, or the default one.

use devserver_api::{DevServerFlavor, DevServerFlavorSpec, names};

use crate::{Invalid, environment::Flavor, flavor::effective_default};

/// The flavor named, or the default one.
pub(super) fn resolve<'a>(
    asked: Option<&str>,
    flavors: &'a [DevServerFlavor],
) -> Result<(Flavor, &'a DevServerFlavorSpec), Invalid> {
    let found = match asked {
        Some(name) => named(name, flavors)?,
        None => default(flavors)?,
    };
    let flavor = Flavor {
        name: name_of(found).to_owned(),
    };
    Ok((flavor, &found.spec))
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
    effective_default(flavors).ok_or_else(|| Invalid::NoDefaultFlavor {
        available: available(flavors),
    })
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
