//! Rights of an environment's programs in the cluster: a binding for its ServiceAccount, a token that the kubelet renews, and
//! a folder for the kubeconfig that the agent writes. The token is bound to the pod and ends with it.

use devserver_api::group;
use k8s_openapi::api::{
    core::v1::{
        ConfigMapProjection, EmptyDirVolumeSource, KeyToPath, ProjectedVolumeSource,
        ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
    },
    rbac::v1::{RoleBinding, RoleRef, Subject},
};

use super::{meta::object_meta, pod::mount};
use crate::Environment;

const TOKEN_VOLUME: &str = "kube-token";
const CONFIG_VOLUME: &str = "kubeconfig";
/// The kubelet asks for a new one after four fifths of it.
const TOKEN_SECONDS: i64 = 3600;
/// Where Kubernetes puts the cluster's certificate authority in every namespace.
const AUTHORITY: &str = "kube-root-ca.crt";

pub(super) fn binding(env: &Environment) -> Option<RoleBinding> {
    let access = env.features.kube_access.as_ref()?;
    Some(RoleBinding {
        metadata: object_meta(env, env.name.role_binding()),
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "ClusterRole".to_owned(),
            name: access.role.clone(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: env.name.service_account(),
            namespace: Some(env.namespace.clone()),
            ..Subject::default()
        }]),
    })
}

/// Of the container `dev`, whose agent writes the kubeconfig.
pub(super) fn token_mount(env: &Environment) -> Option<VolumeMount> {
    let mount = || mount(TOKEN_VOLUME, group::KUBE_TOKEN, true);
    env.features.kube_access.as_ref().map(|_| mount())
}

/// Of every container that people work in; `home` is what their home is called there.
pub(super) fn config_mount(env: &Environment, home: &str) -> Option<VolumeMount> {
    let mount = || mount(CONFIG_VOLUME, &format!("{home}/.kube"), false);
    env.features.kube_access.as_ref().map(|_| mount())
}

pub(super) fn volumes(env: &Environment) -> Vec<Volume> {
    if env.features.kube_access.is_none() {
        return Vec::new();
    }
    let token = VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            expiration_seconds: Some(TOKEN_SECONDS),
            path: "token".to_owned(),
            ..ServiceAccountTokenProjection::default()
        }),
        ..VolumeProjection::default()
    };
    let authority = VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: AUTHORITY.to_owned(),
            items: Some(vec![KeyToPath {
                key: "ca.crt".to_owned(),
                path: "ca.crt".to_owned(),
                ..KeyToPath::default()
            }]),
            ..ConfigMapProjection::default()
        }),
        ..VolumeProjection::default()
    };
    vec![
        Volume {
            name: TOKEN_VOLUME.to_owned(),
            projected: Some(ProjectedVolumeSource {
                sources: Some(vec![token, authority]),
                // For the agent alone, which gives the login user a copy.
                default_mode: Some(0o400),
            }),
            ..Volume::default()
        },
        Volume {
            name: CONFIG_VOLUME.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        },
    ]
}
