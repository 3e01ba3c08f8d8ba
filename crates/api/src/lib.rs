//! The custom resources of `devserver.io/v1` and the checked words they are made of.
//!
//! ```text
//! DevServerUser ──(namespace, later quotas)──► [ DevServer ] ──spec.flavor──► [ DevServerFlavor ] (cluster)
//!                                                  │ controller owner reference
//!                                                  ▼
//!  ServiceAccount, Secrets, ConfigMap, Services, StatefulSet ──► Pod ──► home claim (outlives the DevServer)
//! ```
//!
//! This crate knows types and their rules. It never talks to a cluster, never reads a clock.

pub mod address;
pub mod advice;
pub mod cidr;
pub mod condition;
pub mod costs;
pub mod crds;
pub mod devserver;
pub mod direct;
pub mod duration;
pub mod features;
pub mod flavor;
pub mod group;
pub mod idle;
pub mod image;
pub mod machine;
pub mod money;
pub mod names;
pub mod password_hash;
pub mod port;
pub mod quantity;
pub mod signpost;
pub mod ssh;
pub mod ssh_key;
pub mod status;
pub mod suspension;
pub mod trash;
pub mod usage;
pub mod user;
pub mod workload;

pub use advice::Advice;
pub use devserver::{DevServer, DevServerSpec, LifecycleSpec, RestartPolicy, VolumeRetention};
pub use features::{DockerMode, DockerSpec, EditorSpec, EditorStatus, KubeAccessSpec};
pub use flavor::{
    DevServerFlavor, DevServerFlavorSpec, DevServerFlavorStatus, FlavorCost, Isolation, Price,
    Schedulable,
};
pub use idle::{
    Downscaled, IdlePolicySpec, IdleSpec, IdleStage, IdleStages, IdleState, IdleStatus,
};
pub use password_hash::{PasswordHash, PasswordHashError};
pub use port::{PortSpec, Share};
pub use ssh::{Collaborator, Expose, KeyRef, KeysSource, SshMode, SshSpec};
pub use status::{DevServerStatus, GatewayStatus, Phase, SshStatus};
pub use user::{DevServerUser, DevServerUserSpec, DevServerUserStatus, PodSecurity, RoleReference};
pub use workload::{
    AutoscalingSpec, CheckpointSpec, PackagesSpec, ResourcesSpec, TopologySpreadSpec, VolumeSpec,
    WhenUnsatisfiable,
};
