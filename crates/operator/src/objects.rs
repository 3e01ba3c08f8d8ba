//! What every writer of objects goes by: whose an object is, how its kind is addressed, how it is applied, and how exactly
//! the one that was seen is deleted.

use std::fmt::Debug;

use devserver_api::group;
use devserver_core::Problem;
use json_patch::{AddOperation, PatchOperation, TestOperation, jsonptr::PointerBuf};
use kube::{
    Api, Resource, ResourceExt,
    api::{
        ApiResource, DeleteParams, DynamicObject, ObjectMeta, Patch, PatchParams, Preconditions,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::error::{Error, bounded};

/// Whose an object is. Names are not identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Controlled by this very owner.
    Ours,
    /// Controlled by another owner of the kind, which is gone or about to give it up; garbage collection will take it.
    Collected,
    /// Somebody else's.
    Foreign,
}

impl Ownership {
    /// What keeps the object from being written, if something does.
    pub fn problem(self, kind: &str, name: &str) -> Option<Problem> {
        match self {
            Self::Ours => None,
            Self::Collected => Some(Problem::waiting_for_collection(kind, name)),
            Self::Foreign => Some(Problem::name_taken(kind, name)),
        }
    }
}

/// Whose an object is, asked for the owner of kind `Owner` with that UID.
pub fn ownership<Owner: Resource<DynamicType = ()>>(meta: &ObjectMeta, uid: &str) -> Ownership {
    let mut owners = meta.owner_references.iter().flatten();
    match owners.find(|owner| owner.controller == Some(true)) {
        Some(owner) if owner.uid == uid => Ownership::Ours,
        Some(owner) if owner.kind == Owner::kind(&()) => Ownership::Collected,
        _ => Ownership::Foreign,
    }
}

/// A kind of version `v1`; the group of the core is empty.
pub fn resource(group: &str, plural: &str, kind: &str) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        version: "v1".to_owned(),
        api_version: if group.is_empty() {
            "v1".to_owned()
        } else {
            format!("{group}/v1")
        },
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// Makes the object say what is wanted; as it is afterwards.
pub async fn apply(
    api: &Api<DynamicObject>,
    name: &str,
    wanted: &Value,
) -> Result<DynamicObject, Error> {
    let params = PatchParams::apply(group::FIELD_MANAGER).force();
    let patch = Patch::Apply(wanted);
    bounded("apply an object", api.patch(name, &params, &patch)).await
}

/// Writes the status of the very object that was read; as it is afterwards, or `None` when it is gone, though another may have its name.
///
/// When a status is patched, the API server takes all metadata from the stored object, whatever the patch says of the UID, and so writes to
/// whoever has the name. Therefore the patch itself asks for the UID (RFC 6902, section 4.6).
pub async fn write_status<K, S>(api: &Api<K>, read: &K, status: &S) -> Result<Option<K>, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    S: Serialize,
{
    let (name, uid) = (read.name_any(), read.uid());
    let params = PatchParams {
        field_manager: Some(group::FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::<()>::Json(json_patch::Patch(vec![
        PatchOperation::Test(TestOperation {
            path: PointerBuf::from_tokens(["metadata", "uid"]),
            value: json!(uid),
        }),
        PatchOperation::Add(AddOperation {
            path: PointerBuf::from_tokens(["status"]),
            value: json!(status),
        }),
    ]));
    let written = bounded("write the status", api.patch_status(&name, &params, &patch)).await;
    match written {
        Ok(written) => Ok(Some(written)),
        Err(error) if error.is_not_found() => Ok(None),
        // What the answer to a test that failed says of it is not specified.
        Err(error) if error.is_invalid() => {
            let there = bounded("read what has the name", api.get_opt(&name)).await?;
            if there.and_then(|other| other.uid()) == uid {
                Err(error)
            } else {
                Ok(None)
            }
        }
        Err(error) => Err(error),
    }
}

/// A refusal by the API server becomes a problem to tell; every other error is tried again.
pub fn refused(kind: &str, name: &str, error: Error) -> Result<Problem, Error> {
    match error.refusal() {
        Some(status) => Ok(Problem::refused(kind, name, &status.message)),
        None => Err(error),
    }
}

/// Deletes only the object that was seen, and only if nobody has changed it since.
pub fn exactly(seen: &ObjectMeta) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: seen.uid.clone(),
            resource_version: seen.resource_version.clone(),
        }),
        ..DeleteParams::default()
    }
}

/// Deletes an object that is no longer asked for, exactly as it was seen. One that is gone already is as good.
pub async fn delete(api: &Api<DynamicObject>, seen: &ObjectMeta) -> Result<(), Error> {
    let (name, params) = (seen.name.as_deref().unwrap_or_default(), exactly(seen));
    let deleted = bounded(
        "delete an object that is no longer asked for",
        api.delete(name, &params),
    );
    match deleted.await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
