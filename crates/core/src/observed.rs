//! What was seen, reduced to what is used.

use devserver_api::{Advice, GatewayStatus, IdleStatus};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Pod, Service},
};

use crate::due::Hold;

const WRITE_REFUSED: &str = "WriteRefused";

/// What was seen of one environment.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Public host keys, from the Secret.
    pub host_keys: Vec<String>,
    /// The StatefulSet, when it is ours.
    pub workload: Option<StatefulSet>,
    /// Its pod, when it is ours.
    pub pod: Option<Pod>,
    /// The SSH Service, when it is ours.
    pub ssh_service: Option<Service>,
    /// Why the StatefulSet controller could not create the pod, in its words.
    pub create_failure: Option<String>,
    /// Claims that the pod mounts and that have no volume yet.
    pub unbound_claims: Vec<UnboundClaim>,
    /// Why a write of ours did not succeed.
    pub problem: Option<Problem>,
    /// The gateway, when it has told its host keys.
    pub gateway: Option<GatewayStatus>,
    /// Its time is over; why it is still there.
    pub hold: Option<Hold>,
    /// How idle it is, as far as it was looked at, and what of the policy has come.
    pub idle: Option<IdleStatus>,
    /// What its owner should know.
    pub advice: Vec<Advice>,
}

/// A claim without a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnboundClaim {
    /// Name.
    pub name: String,
    /// Its StorageClass; `None`: it names none, and the cluster has no default.
    pub storage_class: Option<String>,
}

/// Why a write of ours did not succeed, in a form for the condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// CamelCase word.
    pub reason: &'static str,
    /// Sentence that says what and what to do.
    pub message: String,
}

impl Problem {
    /// An object of a name we need is not ours; it is never touched.
    pub fn name_taken(kind: &str, name: &str) -> Self {
        Self {
            reason: "NameTaken",
            message: format!(
                "a {kind} {name:?} exists already and does not belong to this DevServer; \
                 rename or remove it, or choose another name for the DevServer"
            ),
        }
    }

    /// An object of a deleted DevServer of the same name has not been collected yet.
    pub fn waiting_for_collection(kind: &str, name: &str) -> Self {
        Self {
            reason: "WaitingForGarbageCollection",
            message: format!(
                "the {kind} {name:?} of a deleted DevServer of the same name is still being removed"
            ),
        }
    }

    /// Whether trying again soon is of no use: nothing that others do by themselves will heal it.
    pub fn is_refusal(&self) -> bool {
        self.reason == WRITE_REFUSED
    }

    /// The API server refused an object for good.
    pub fn refused(kind: &str, name: &str, why: &str) -> Self {
        let reason = if why.contains("exceeded quota") {
            "QuotaExceeded"
        } else {
            "WriteRefused"
        };
        Self {
            reason,
            message: format!("the API server refused the {kind} {name:?}: {why}"),
        }
    }
}
