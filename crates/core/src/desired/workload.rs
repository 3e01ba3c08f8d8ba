//! StatefulSet, its identity and its home.

use std::collections::BTreeMap;

use devserver_api::VolumeRetention;
use k8s_openapi::{
    api::{
        apps::v1::{
            StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
            StatefulSetUpdateStrategy,
        },
        core::v1::{
            PersistentVolumeClaim, PersistentVolumeClaimSpec, ServiceAccount,
            VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::core::ObjectMeta;

use super::{
    meta::{OWNER_ANNOTATION, label_selector, object_meta},
    pod,
};
use crate::Environment;

/// Name of the home volume, and so the stem of its claim's name.
pub(crate) const HOME_VOLUME: &str = "home";

pub(super) fn service_account(env: &Environment) -> ServiceAccount {
    ServiceAccount {
        metadata: ObjectMeta {
            // A cloud knows the environment by these; only a flavor can have them.
            annotations: Some(env.service_account_annotations.clone()).filter(|a| !a.is_empty()),
            ..object_meta(env, env.name.service_account())
        },
        // An environment has no business with the API server unless it asks for it.
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

pub(super) fn stateful_set(env: &Environment) -> StatefulSet {
    let when_deleted = match env.home.retention {
        VolumeRetention::Retain => "Retain",
        VolumeRetention::Delete => "Delete",
    };
    StatefulSet {
        metadata: object_meta(env, env.name.workload()),
        spec: Some(StatefulSetSpec {
            replicas: Some(i32::from(!env.suspend)),
            selector: label_selector(env),
            service_name: Some(env.name.headless_service()),
            template: pod::template(env),
            volume_claim_templates: Some(vec![home_template(env)]),
            persistent_volume_claim_retention_policy: Some(
                StatefulSetPersistentVolumeClaimRetentionPolicy {
                    when_deleted: Some(when_deleted.to_owned()),
                    // Suspend is scaling to zero: the home must survive it.
                    when_scaled: Some("Retain".to_owned()),
                },
            ),
            // A change never restarts a running environment by itself.
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                ..StatefulSetUpdateStrategy::default()
            }),
            pod_management_policy: Some("Parallel".to_owned()),
            revision_history_limit: Some(2),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

fn home_template(env: &Environment) -> PersistentVolumeClaim {
    let annotations = env
        .owner
        .as_ref()
        .map(|owner| BTreeMap::from([(OWNER_ANNOTATION.to_owned(), owner.clone())]));
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(HOME_VOLUME.to_owned()),
            annotations,
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: env.home.storage_class.clone(),
            resources: Some(storage(&env.home.template_size)),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

/// The home with the size it should grow to; nothing else of the claim is ours to say.
pub(super) fn home_claim(env: &Environment) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(env.name.home_claim()),
            namespace: Some(env.namespace.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            resources: Some(storage(&env.home.size)),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

pub(super) fn storage(size: &Quantity) -> VolumeResourceRequirements {
    VolumeResourceRequirements {
        requests: Some(BTreeMap::from([("storage".to_owned(), size.clone())])),
        ..VolumeResourceRequirements::default()
    }
}
