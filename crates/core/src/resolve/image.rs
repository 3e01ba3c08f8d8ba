//! The image: whose choice it is, whether the platform allows it, and when the kubelet asks the registry for it.

use devserver_api::{DevServerFlavorSpec, DevServerSpec, image, image::ImageError};

use crate::{Invalid, Platform};

/// What the container `dev` is made of.
pub(super) struct Image {
    /// Checked reference.
    pub(super) reference: String,
    /// `imagePullPolicy`; absent: Kubernetes decides.
    pub(super) pull_policy: Option<String>,
}

/// Registry that a reference without one means, and its folder for names without one.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_LIBRARY: &str = "library";

pub(super) fn resolve(
    spec: &DevServerSpec,
    offer: &DevServerFlavorSpec,
    platform: &Platform,
) -> Result<Image, Invalid> {
    let own = offer
        .default_image
        .as_ref()
        .unwrap_or(&platform.default_image);
    let reference = spec.image.as_ref().unwrap_or(own).clone();
    image::check(&reference).map_err(|error| Invalid::Image {
        image: reference.clone(),
        error,
    })?;
    // What an administrator offers needs no leave.
    let is_own = reference == *own || reference == platform.default_image;
    if !is_own
        && let Some(allowed) = &platform.allowed_images
        && !is_allowed(&reference, allowed)
    {
        return Err(Invalid::ImageNotAllowed {
            image: reference,
            allowed: sentence(allowed),
        });
    }
    Ok(Image {
        pull_policy: pull_policy(is_own, platform),
        reference,
    })
}

/// Whether a runtime would fetch the reference from one of these registries or folders.
///
/// Whole components are compared, after what a runtime adds: `allowed.io` is not `allowed.io.evil.com`, and `team` is
/// `docker.io/library/team`. Tag and digest play no part: whoever fills the repository decides what they mean.
fn is_allowed(reference: &str, allowed: &[String]) -> bool {
    let asked = components(reference);
    allowed
        .iter()
        .any(|entry| asked.starts_with(&components_of_entry(entry)))
}

/// Checks an entry of `allowedImages`: a registry, or a registry and the beginning of a path.
pub(crate) fn check_entry(entry: &str) -> Result<(), ImageError> {
    let first = entry.split('/').next().unwrap_or_default();
    // Read as the folder of an image it must be one: so no tag, no digest, no wildcard, no slash at the end.
    image::check(&format!("{entry}/x"))?;
    if is_registry(first) {
        Ok(())
    } else {
        Err(ImageError)
    }
}

/// Registry and path of a reference, completed as a runtime completes them.
fn components(reference: &str) -> Vec<String> {
    let name = reference.split('@').next().unwrap_or_default();
    // A colon after the last slash begins the tag; one before it belongs to the registry's port.
    let name = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    let mut parts: Vec<&str> = name.split('/').collect();
    let first = parts.first().copied().unwrap_or_default();
    if parts.len() == 1 || !is_registry(first) {
        parts.insert(0, DOCKER_HUB);
    }
    let mut parts: Vec<String> = parts.into_iter().map(str::to_owned).collect();
    if let Some(registry) = parts.first_mut() {
        *registry = canonical_registry(registry);
    }
    if parts.len() == 2 && parts.first().is_some_and(|r| r == DOCKER_HUB) {
        parts.insert(1, DOCKER_LIBRARY.to_owned());
    }
    parts
}

fn components_of_entry(entry: &str) -> Vec<String> {
    let (registry, path) = match entry.split_once('/') {
        Some((registry, path)) => (registry, Some(path)),
        None => (entry, None),
    };
    let path = path.into_iter().flat_map(|p| p.split('/'));
    std::iter::once(canonical_registry(registry))
        .chain(path.map(str::to_owned))
        .collect()
}

/// The rule by which runtimes tell a registry from the first folder of a path.
fn is_registry(first: &str) -> bool {
    first.contains('.') || first.contains(':') || first == "localhost"
}

/// Host names do not know case; Docker Hub has an older name.
fn canonical_registry(registry: &str) -> String {
    let registry = registry.to_ascii_lowercase();
    if registry == "index.docker.io" {
        DOCKER_HUB.to_owned()
    } else {
        registry
    }
}

fn sentence(allowed: &[String]) -> String {
    if allowed.is_empty() {
        "this platform allows its own images only; remove the field, or ask an administrator"
            .to_owned()
    } else {
        format!(
            "this platform allows images of {} only; choose one of these, or ask an administrator",
            allowed.join(", ")
        )
    }
}

/// A private image that somebody else's pod left on the node must not be had without its credentials: so the registry is
/// asked each time, unless the image is what the administrator offers to everybody anyway.
fn pull_policy(is_own: bool, platform: &Platform) -> Option<String> {
    let always = || (!is_own).then(|| "Always".to_owned());
    platform.image_pull_policy.clone().or_else(always)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(image: Option<&str>, platform: &Platform) -> Result<Image, Invalid> {
        let spec = DevServerSpec {
            image: image.map(str::to_owned),
            ..DevServerSpec::default()
        };
        resolve(&spec, &DevServerFlavorSpec::default(), platform)
    }

    fn allowing(entries: &[&str]) -> Platform {
        Platform {
            allowed_images: Some(entries.iter().map(|e| (*e).to_owned()).collect()),
            ..Platform::default()
        }
    }

    fn is_refused(image: &str, platform: &Platform) -> bool {
        matches!(
            asked(Some(image), platform),
            Err(Invalid::ImageNotAllowed { .. })
        )
    }

    #[test]
    fn without_a_list_every_image_is_allowed() {
        assert!(asked(Some("evil.io/x"), &Platform::default()).is_ok());
    }

    #[test]
    fn an_empty_list_allows_the_platforms_own_image_alone() {
        let platform = allowing(&[]);
        assert!(asked(None, &platform).is_ok());
        assert!(asked(Some(&platform.default_image.clone()), &platform).is_ok());
        assert!(is_refused("docker.io/library/debian:12", &platform));
    }

    #[test]
    fn what_a_flavor_offers_needs_no_leave() {
        let offer = DevServerFlavorSpec {
            default_image: Some("private.io/cuda:1".to_owned()),
            ..DevServerFlavorSpec::default()
        };
        let spec = DevServerSpec::default();
        assert!(resolve(&spec, &offer, &allowing(&[])).is_ok());
    }

    #[test]
    fn d8_whole_components_of_registry_and_path_are_compared() {
        let platform = allowing(&[
            "allowed.io",
            "docker.io/library",
            "registry.example.com:5000/team",
        ]);
        let digest = "a".repeat(64);
        for good in [
            "allowed.io/x",
            "allowed.io/deep/er/x:1",
            "ALLOWED.io/x",
            "ubuntu",
            "ubuntu:22.04",
            "library/ubuntu",
            "docker.io/ubuntu",
            "index.docker.io/library/ubuntu:22.04",
            "registry.example.com:5000/team/x",
            &format!("allowed.io/x:1@sha256:{digest}"),
        ] {
            assert!(asked(Some(good), &platform).is_ok(), "{good}");
        }
        for bad in [
            "evil.io/x",
            "allowed.io.evil.com/x",
            "allowed.iox/y",
            "evil.io/allowed.io/x",
            "allowed.io:444/x",
            "allowed/io/x",
            "libraryx/ubuntu",
            "docker.io/librarian/x",
            "registry.example.com/team/x",
            "registry.example.com:5000/teams/x",
            "registry.example.com:5000/x",
            "localhost/allowed.io",
            &format!("evil.io/allowed.io@sha256:{digest}"),
        ] {
            assert!(is_refused(bad, &platform), "{bad}");
        }
    }

    #[test]
    fn d8_what_is_no_reference_is_refused_before_it_is_compared() {
        let platform = allowing(&["allowed.io", "docker.io/library"]);
        for text in [
            "allowed.io@evil",
            "allowed.io/x@sha256:00",
            "allowed.io/x:1@evil.io/y",
            "library/../x",
            "allowed.io/../evil/x",
            "Allowed/x",
            "allowed.io/X",
            "аllowed.io/x",
            "allowed.io/x\u{200b}",
            "allowed.io//x",
            "https://allowed.io/x",
        ] {
            let told = asked(Some(text), &platform);
            assert!(matches!(told, Err(Invalid::Image { .. })), "{text:?}");
        }
    }

    #[test]
    fn an_entry_is_a_registry_with_the_beginning_of_a_path() {
        for good in [
            "docker.io",
            "docker.io/library",
            "localhost",
            "r.example.com:5000/a/b",
        ] {
            assert!(check_entry(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ubuntu",
            "team/x",
            "docker.io/",
            "docker.io/x:1",
            "docker.io/*",
            "*",
            "https://docker.io",
        ] {
            assert!(check_entry(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn c12_an_image_of_somebodys_choice_is_asked_for_at_its_registry_each_time() {
        let mut platform = Platform::default();
        let policy = |image, platform: &Platform| asked(image, platform).unwrap().pull_policy;
        let digest = format!("private.io/x@sha256:{}", "a".repeat(64));
        for image in ["private.io/x:1", "ubuntu", digest.as_str()] {
            assert_eq!(policy(Some(image), &platform).as_deref(), Some("Always"));
        }
        assert_eq!(policy(None, &platform), None);
        platform.image_pull_policy = Some("IfNotPresent".to_owned());
        let told = policy(Some("private.io/x:1"), &platform);
        assert_eq!(told.as_deref(), Some("IfNotPresent"));
    }
}
