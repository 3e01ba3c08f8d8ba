//! Claims beside the home: one volume for each, mounted as often as asked for.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, Volume, VolumeMount};

use super::{meta::fingerprint, pod::mount};
use crate::Environment;

/// Where the claims are mounted.
pub(super) fn mounts(env: &Environment) -> impl Iterator<Item = VolumeMount> {
    env.volumes
        .iter()
        .map(|volume| mount(&volume_name(&volume.claim), &volume.path, volume.read_only))
}

/// The claims, each once. One that is mounted read-only everywhere is attached so, too.
pub(super) fn volumes(env: &Environment) -> Vec<Volume> {
    let mut read_only: BTreeMap<&str, bool> = BTreeMap::new();
    for volume in &env.volumes {
        let all = read_only.entry(&volume.claim).or_insert(true);
        *all = *all && volume.read_only;
    }
    let source = |claim: &str, read_only: bool| PersistentVolumeClaimVolumeSource {
        claim_name: claim.to_owned(),
        read_only: read_only.then_some(true),
    };
    read_only
        .into_iter()
        .map(|(claim, read_only)| Volume {
            name: volume_name(claim),
            persistent_volume_claim: Some(source(claim, read_only)),
            ..Volume::default()
        })
        .collect()
}

/// The claim's name as far as it can be the name of a volume, which is a DNS label; a hash keeps different claims apart.
fn volume_name(claim: &str) -> String {
    let is_label = claim.len() <= 57 && !claim.contains('.');
    if is_label {
        return format!("claim-{claim}");
    }
    let stem: String = claim.replace('.', "-").chars().take(48).collect();
    let hash: String = fingerprint(claim).chars().take(8).collect();
    format!("claim-{}-{hash}", stem.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_claims_have_different_volumes_with_names_kubernetes_accepts() {
        let long = |end: &str| format!("{}{end}", "a".repeat(200));
        let claims = [
            "data".to_owned(),
            "a.b".to_owned(),
            "a-b".to_owned(),
            long("x"),
            long("y"),
        ];
        let names: std::collections::BTreeSet<String> =
            claims.iter().map(|c| volume_name(c)).collect();
        assert_eq!(names.len(), claims.len());
        for name in names {
            assert!(
                name.len() <= 63 && !name.contains('.') && !name.ends_with('-'),
                "{name}"
            );
        }
    }
}
