//! What a user should have, in the order in which it is applied: bounds before rights, so that nobody may act unbounded.

use std::collections::BTreeMap;

use devserver_api::{RoleReference, group, names};
use k8s_openapi::{
    api::{
        core::v1::{
            LimitRange, LimitRangeSpec, Namespace, ResourceQuota, ResourceQuotaSpec, ServiceAccount,
        },
        rbac::v1::{RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::core::ObjectMeta;

use super::{Account, OBJECT_NAME, USER_ROLE, UserKind, UserObject, service_account_name};
use crate::desired::stamp;

const RBAC: &str = "rbac.authorization.k8s.io";

/// Everything a user should have.
pub fn desired(account: &Account) -> Vec<UserObject> {
    let mut objects = vec![UserObject::Namespace(Box::new(namespace(account)))];
    objects.extend(quota(account).map(Box::new).map(UserObject::ResourceQuota));
    objects.extend(limits(account).map(Box::new).map(UserObject::LimitRange));
    objects.push(UserObject::ServiceAccount(Box::new(ServiceAccount {
        metadata: meta(account, service_account_name(&account.username)),
        ..ServiceAccount::default()
    })));
    objects.extend(
        bindings(account)
            .into_iter()
            .map(Box::new)
            .map(UserObject::RoleBinding),
    );
    for object in &mut objects {
        let says = object.to_value();
        stamp(object.metadata_mut(), &says);
    }
    objects
}

/// Kinds of which a user has one or none, and which are not in `objects`: what is there under [`OBJECT_NAME`] goes, if it is the user's.
pub fn superfluous(objects: &[UserObject]) -> Vec<UserKind> {
    [UserKind::ResourceQuota, UserKind::LimitRange]
        .into_iter()
        .filter(|kind| !objects.iter().any(|object| object.kind() == *kind))
        .collect()
}

/// The namespace as it is created: only the label that says whose it is. All else is applied, and so can be taken back.
pub fn namespace_identity(account: &Account) -> Namespace {
    Namespace {
        metadata: ObjectMeta {
            name: Some(account.namespace.clone()),
            labels: Some(identity(account)),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

/// Without an owner: it holds the homes, which outlive the user. And without a word on who manages it: an administrator's chart or
/// GitOps may have made it and says so there.
fn namespace(account: &Account) -> Namespace {
    let mut labels = identity(account);
    let level = account.pod_security.as_str();
    for word in ["enforce", "warn"] {
        labels.insert(
            format!("pod-security.kubernetes.io/{word}"),
            level.to_owned(),
        );
    }
    if let Some(team) = &account.team {
        labels.insert(group::LABEL_TEAM.to_owned(), team.clone());
    }
    let mut namespace = namespace_identity(account);
    namespace.metadata.labels = Some(labels);
    namespace
}

fn quota(account: &Account) -> Option<ResourceQuota> {
    (!account.quota.is_empty()).then(|| ResourceQuota {
        metadata: meta(account, OBJECT_NAME.to_owned()),
        spec: Some(ResourceQuotaSpec {
            hard: Some(account.quota.clone()),
            ..ResourceQuotaSpec::default()
        }),
        ..ResourceQuota::default()
    })
}

fn limits(account: &Account) -> Option<LimitRange> {
    (!account.limits.is_empty()).then(|| LimitRange {
        metadata: meta(account, OBJECT_NAME.to_owned()),
        spec: Some(LimitRangeSpec {
            limits: account.limits.clone(),
        }),
    })
}

fn bindings(account: &Account) -> Vec<RoleBinding> {
    let own = RoleReference {
        kind: "ClusterRole".to_owned(),
        name: USER_ROLE.to_owned(),
    };
    let mut bindings = vec![binding(account, OBJECT_NAME.to_owned(), &own)];
    for role in &account.roles {
        // A role has at most one binding, however often it is named; a binding cannot change its role.
        let name = binding_name(role);
        if !bindings
            .iter()
            .any(|b| b.metadata.name.as_ref() == Some(&name))
        {
            bindings.push(binding(account, name, role));
        }
    }
    bindings
}

fn binding_name(role: &RoleReference) -> String {
    let kind = role.kind.to_lowercase();
    format!("{OBJECT_NAME}-{kind}-{}", names::label_safe(&role.name))
}

fn binding(account: &Account, name: String, role: &RoleReference) -> RoleBinding {
    RoleBinding {
        metadata: meta(account, name),
        role_ref: RoleRef {
            api_group: Some(RBAC.to_owned()),
            kind: role.kind.clone(),
            name: role.name.clone(),
        },
        subjects: Some(vec![
            Subject {
                api_group: Some(RBAC.to_owned()),
                kind: "User".to_owned(),
                name: account.username.clone(),
                namespace: None,
            },
            Subject {
                api_group: None,
                kind: "ServiceAccount".to_owned(),
                name: service_account_name(&account.username),
                namespace: Some(account.namespace.clone()),
            },
        ]),
    }
}

fn meta(account: &Account, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(account.namespace.clone()),
        labels: Some(labels(account)),
        owner_references: Some(vec![owner_reference(&account.name, &account.uid)]),
        ..ObjectMeta::default()
    }
}

/// The reference by which garbage collection finds the rights of a user that is gone.
pub fn owner_reference(name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: group::API_VERSION.to_owned(),
        kind: "DevServerUser".to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

fn identity(account: &Account) -> BTreeMap<String, String> {
    BTreeMap::from([(
        group::LABEL_NAMESPACE_USER.to_owned(),
        account.username.clone(),
    )])
}

fn labels(account: &Account) -> BTreeMap<String, String> {
    let mut labels = identity(account);
    labels.insert(
        group::LABEL_MANAGED_BY.to_owned(),
        group::FIELD_MANAGER.to_owned(),
    );
    labels
}
