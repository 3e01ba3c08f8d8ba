//! Further claims and where they are mounted: only what is for this DevServer, only where it hides nothing.

use devserver_api::{
    DevServer, DevServerFlavorSpec, SshMode, VolumeSpec, group,
    names::{self, ServerName},
};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use crate::{
    References,
    desired::OWNER_ANNOTATION,
    environment::{Login, MountedClaim},
    invalid::VolumeError,
};

/// Paths that belong to the system: nothing may hide them or lie in them.
const RESERVED: [&str; 18] = [
    group::TOOLS,
    group::EDITOR,
    group::DOCKER_CLIENT,
    "/proc",
    "/sys",
    "/dev",
    "/etc",
    "/bin",
    "/sbin",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/libexec",
    "/libx32",
    "/run",
    "/var/run",
    "/boot",
];

/// The claims at their paths: the DevServer's own, and those of its flavor that are there and do not overlap with them.
pub(super) fn resolve(
    server: &DevServer,
    name: &ServerName,
    flavor: &DevServerFlavorSpec,
    (mode, login): (SshMode, &Login),
    references: &References,
) -> Result<Vec<MountedClaim>, VolumeError> {
    let shared = server.spec.shared_volume_claim_name.is_some();
    let mut taken: Vec<(String, String)> = Vec::new();
    if shared {
        taken.push((
            group::SHARED.to_owned(),
            "spec.sharedVolumeClaimName".to_owned(),
        ));
    }
    if mode == SshMode::Sidecar || login.is_of_image() {
        taken.push((group::WORKSPACE.to_owned(), "the home".to_owned()));
    }
    if server.spec.kube_access.is_some() {
        let with = "the kubeconfig".to_owned();
        taken.push((format!("{}/.kube", login.home()), with));
    }
    let mut mounted = Vec::new();
    for (index, volume) in server.spec.volumes.iter().enumerate() {
        let field = |what: &str| format!("spec.volumes[{index}].{what}");
        check_path(&field("mountPath"), &volume.mount_path, &login.home())?;
        let mut others = taken.iter();
        if let Some((other, with)) = others.find(|(path, _)| overlap(path, &volume.mount_path)) {
            return Err(VolumeError::PathTaken {
                field: field("mountPath"),
                path: volume.mount_path.clone(),
                other: other.clone(),
                with: with.clone(),
            });
        }
        check_claim(
            &field("claimName"),
            &volume.claim_name,
            server,
            name,
            references,
        )?;
        taken.push((volume.mount_path.clone(), format!("spec.volumes[{index}]")));
        mounted.push(claim_at(volume));
    }
    for (index, volume) in flavor.volumes.iter().enumerate() {
        check_path(
            &format!("spec.flavor: its volumes[{index}].mountPath"),
            &volume.mount_path,
            &login.home(),
        )?;
        // An offer, not a demand: it never keeps anybody from starting.
        let is_free = !taken
            .iter()
            .any(|(path, _)| overlap(path, &volume.mount_path));
        if is_free && is_offered(volume, references) {
            taken.push((volume.mount_path.clone(), "the flavor".to_owned()));
            mounted.push(claim_at(volume));
        }
    }
    Ok(mounted)
}

fn claim_at(volume: &VolumeSpec) -> MountedClaim {
    MountedClaim {
        claim: volume.claim_name.clone(),
        path: volume.mount_path.clone(),
        read_only: volume.read_only,
    }
}

/// The administrator named it in the flavor; it counts where the namespace has a claim of that name.
fn is_offered(volume: &VolumeSpec, references: &References) -> bool {
    names::is_subdomain(&volume.claim_name)
        && match &references.claims {
            None => true,
            Some(claims) => claim(claims, &volume.claim_name).is_some(),
        }
}

/// Whether the claim exists and is for this DevServer: labelled as shared, or made for it.
pub(super) fn check_claim(
    field: &str,
    wanted: &str,
    server: &DevServer,
    name: &ServerName,
    references: &References,
) -> Result<(), VolumeError> {
    let field = field.to_owned();
    if !names::is_subdomain(wanted) {
        return Err(VolumeError::ClaimName { field });
    }
    let wanted = wanted.to_owned();
    // A claim of that name may not be there yet; two daemons on one volume would destroy it.
    if wanted == name.docker_claim() {
        return Err(VolumeError::ClaimNotShared {
            field,
            claim: wanted,
        });
    }
    if wanted == name.home_claim() {
        return Err(VolumeError::OwnHome {
            field,
            claim: wanted,
        });
    }
    let Some(claims) = &references.claims else {
        return Ok(());
    };
    let Some(found) = claim(claims, &wanted) else {
        return Err(VolumeError::ClaimNotFound {
            field,
            claim: wanted,
        });
    };
    if is_shared(found) || is_made_for(found, server) {
        return Ok(());
    }
    Err(VolumeError::ClaimNotShared {
        field,
        claim: wanted,
    })
}

fn claim<'a>(claims: &'a [PersistentVolumeClaim], name: &str) -> Option<&'a PersistentVolumeClaim> {
    let mut claims = claims.iter();
    claims.find(|c| c.metadata.name.as_deref() == Some(name))
}

fn is_shared(claim: &PersistentVolumeClaim) -> bool {
    label(claim, group::LABEL_SHARED) == Some("true")
}

/// By name and owner, as a home that was kept: who re-creates a name must not get somebody's data.
fn is_made_for(claim: &PersistentVolumeClaim, server: &DevServer) -> bool {
    let annotations = claim.metadata.annotations.as_ref();
    let owner = annotations.and_then(|a| a.get(OWNER_ANNOTATION));
    label(claim, group::LABEL_NAME).is_some_and(|n| server.metadata.name.as_deref() == Some(n))
        && owner == server.spec.owner.as_ref()
}

fn label<'a>(claim: &'a PersistentVolumeClaim, key: &str) -> Option<&'a str> {
    claim.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

fn check_path(field: &str, path: &str, home: &str) -> Result<(), VolumeError> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._@+=~-".contains(c);
    let part = |p: &str| !p.is_empty() && p != "." && p != ".." && p.chars().all(good);
    let (field, path) = (field.to_owned(), path.to_owned());
    let is_normal = path
        .strip_prefix('/')
        .is_some_and(|rest| path.len() <= 255 && rest.split('/').all(part));
    if !is_normal {
        return Err(VolumeError::PathSyntax { field, path });
    }
    // Inside the home is fine; the home itself is taken.
    let home = is_in(home, &path).then_some(home);
    let hit = RESERVED
        .into_iter()
        .find(|reserved| overlap(reserved, &path));
    match hit.or(home) {
        Some(reserved) => Err(VolumeError::PathReserved {
            field,
            path,
            reserved: reserved.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Whether one of them is the other or lies in it.
fn overlap(a: &str, b: &str) -> bool {
    is_in(a, b) || is_in(b, a)
}

/// Whether `path` is `folder` or lies in it.
fn is_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_hide_or_lie_in_the_system_are_refused() {
        for path in [
            "/etc",
            "/etc/ssh",
            "/proc/1",
            "/sys",
            "/dev/shm",
            "/usr/local",
            "/lib64",
            "/run",
            "/var",
            "/var/run/x",
            "/opt",
            "/opt/devserver",
            "/opt/devserver/bin",
            "/home",
            "/home/dev",
            "/bin",
            "/boot",
        ] {
            let error = check_path("f", path, group::HOME).unwrap_err();
            assert!(
                matches!(error, VolumeError::PathReserved { .. }),
                "{path}: {error}"
            );
        }
    }

    #[test]
    fn paths_that_are_not_plain_are_refused() {
        let long = format!("/{}", "a".repeat(255));
        for path in [
            "",
            "/",
            "data",
            "//data",
            "/data/",
            "/a//b",
            "/a/../etc",
            "/a/.",
            "/..",
            "/a:b",
            "/a b",
            "/a\n",
            "/ä",
            "/home/dev/../..",
            "/$(HOME)",
            &long,
        ] {
            let error = check_path("f", path, group::HOME).unwrap_err();
            assert!(
                matches!(error, VolumeError::PathSyntax { .. }),
                "{path}: {error}"
            );
        }
    }

    #[test]
    fn ordinary_paths_are_accepted() {
        for path in [
            "/data",
            "/home/dev/data",
            "/home/developer",
            "/opt/tools",
            "/etcetera",
            "/mnt/a-b_c.d",
            "/library",
            "/var/lib/docker",
        ] {
            assert_eq!(check_path("f", path, group::HOME), Ok(()), "{path}");
        }
    }
}
