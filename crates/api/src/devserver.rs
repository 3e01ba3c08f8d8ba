//! `DevServer`: one developer's environment.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    features::{DockerSpec, EditorSpec, KubeAccessSpec},
    idle::IdleSpec,
    port::PortSpec,
    ssh::{Collaborator, SshSpec},
    status::DevServerStatus,
    workload::{
        AutoscalingSpec, CheckpointSpec, PackagesSpec, ResourcesSpec, TopologySpreadSpec,
        VolumeSpec,
    },
};

/// What a developer asks for.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "devserver.io",
    version = "v1",
    kind = "DevServer",
    plural = "devservers",
    shortname = "dsv",
    category = "devserver-io",
    namespaced,
    status = "DevServerStatus",
    derive = "PartialEq",
    doc = "A development environment: one pod with a persistent home that its owner reaches by ssh.",
    selectable = ".spec.owner",
    selectable = ".spec.flavor",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Flavor", type_ = "string", json_path = ".status.flavor"),
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expirationTime"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1),
    validation = Rule::new("self.metadata.name.size() <= 52").message("metadata.name is too long: at most 52 characters, because Kubernetes adds to it for the pod and the Services"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name must be a DNS label that starts with a letter: lower case letters, digits and '-', such as my-dev-server"),
    // `has` of the other side guards the case where the field was or becomes absent.
    validation = Rule::new("!has(oldSelf.spec.owner) || (has(self.spec.owner) && self.spec.owner == oldSelf.spec.owner)").message("spec.owner cannot change; create a new DevServer for another owner").field_path(".spec.owner"),
    // Unless the old size was refused: a typing error must be correctable. The operator compares with the volume itself.
    validation = Rule::new("!has(self.spec.persistentHomeSize) || !has(oldSelf.spec.persistentHomeSize) || !isQuantity(self.spec.persistentHomeSize) || !isQuantity(oldSelf.spec.persistentHomeSize) || quantity(self.spec.persistentHomeSize).compareTo(quantity(oldSelf.spec.persistentHomeSize)) >= 0 || (has(oldSelf.status) && has(oldSelf.status.conditions) && oldSelf.status.conditions.exists(c, c.type == 'Valid' && c.status == 'False'))").message("spec.persistentHomeSize cannot shrink, because a file system with data on it cannot").field_path(".spec.persistentHomeSize"),
    validation = Rule::new("!has(oldSelf.spec.storageClassName) || (has(self.spec.storageClassName) && self.spec.storageClassName == oldSelf.spec.storageClassName)").message("spec.storageClassName cannot change; a volume cannot move to another class").field_path(".spec.storageClassName"),
    validation = Rule::new("!has(self.spec.ports) || !has(self.spec.editor) || !self.spec.editor.enabled || !self.spec.ports.exists(p, p.port == 8080)").message("spec.ports: the editor listens at 8080; choose another port, such as 3000, or remove spec.editor").field_path(".spec.ports")
)]
#[serde(rename_all = "camelCase")]
pub struct DevServerSpec {
    /// Who the environment belongs to, such as `user@example.com`. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[^\s\x00-\x1f\x7f]+$"))]
    pub owner: Option<String>,

    /// Name of the `DevServerFlavor` (size). Absent: the flavor marked as the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("spec.flavor must be the name of a DevServerFlavor: lower case letters, digits, '-' and '.'"))]
    pub flavor: Option<String>,

    /// Container image of the environment, such as `ubuntu:22.04`. Absent: the flavor's, then the platform's default.
    /// Needs nothing but `/bin/sh`; sshd and what it needs are brought along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([a-zA-Z0-9._:-]*[a-zA-Z0-9])?(/[a-z0-9]+((\\\\.|_|__|-+)[a-z0-9]+)*)*(:[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127})?(@sha256:[a-f0-9]{64})?$')").message("spec.image must be an image reference such as ubuntu:22.04 or registry.example.com/team/image:tag"))]
    pub image: Option<String>,

    /// What the image calls its user with id 1000, such as `coder` in images made for code-server. The name is kept, and the home
    /// volume is at `/home/<name>` and at `/workspace`. Absent: the flavor's for its own image, then `dev`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z][a-z0-9_-]*$') && !(self in ['root', 'sshd', 'nobody'])").message("spec.loginUser must be the name of the user with id 1000 that the image was made for: lower case letters, digits, '-' and '_', such as coder"))]
    pub login_user: Option<String>,

    /// Stop the environment and keep its home.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,

    /// How the environment is reached by ssh.
    pub ssh: SshSpec,

    /// Further people who may reach it through the gateway and log in. The owner decides; they may not change it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.user == a.user))").message("spec.collaborators names somebody twice; write one entry with all keys"))]
    pub collaborators: Vec<Collaborator>,

    /// Size of the home volume mounted at `/home/dev`, such as `20Gi`. Can grow, never shrink. Absent: the platform's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(
        validation = Rule::new("isQuantity(self) && quantity(self).compareTo(quantity('1Mi')) >= 0").message("spec.persistentHomeSize must be a Kubernetes quantity of at least 1Mi, such as 20Gi"),
        validation = Rule::new("!isQuantity(self) || quantity(self).compareTo(quantity('1Pi')) <= 0").message("spec.persistentHomeSize is too large: at most 1Pi")
    )]
    pub persistent_home_size: Option<String>,

    /// StorageClass of the home volume. Absent: the cluster's default class. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,

    /// Existing PersistentVolumeClaim of the same namespace, mounted at `/shared`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("spec.sharedVolumeClaimName must be the name of a PersistentVolumeClaim in the namespace of the DevServer"))]
    pub shared_volume_claim_name: Option<String>,

    /// Further claims of the same namespace and where they are mounted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.mountPath == a.mountPath || b.mountPath.startsWith(a.mountPath + '/')))").message("spec.volumes: no mountPath can be that of another volume or lie in it; choose paths beside each other, such as /data and /models"))]
    pub volumes: Vec<VolumeSpec>,

    /// Team it counts for, such as `genomics`: label `swish.io/team`. Absent: the first team of its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')").message("spec.team must be usable as a label value: letters, digits, '-', '_' and '.', such as genomics"))]
    pub team: Option<String>,

    /// Project it counts for: label `swish.io/project`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')").message("spec.project must be usable as a label value: letters, digits, '-', '_' and '.', such as assembly-2"))]
    pub project: Option<String>,

    /// Requests and limits that replace the flavor's, within the flavor's `maximumResources`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesSpec>,

    /// Packages installed at start, into the home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<PackagesSpec>,

    /// How environments of the namespace spread over nodes. Absent: the platform's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology_spread: Option<TopologySpreadSpec>,

    /// A HorizontalPodAutoscaler. Refused where the home is ReadWriteOnce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<AutoscalingSpec>,

    /// Names of Secrets of type `kubernetes.io/dockerconfigjson` for a private registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 253)))]
    #[x_kube(validation = Rule::new("self.all(name, name.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'))").message("spec.imagePullSecrets must be names of Secrets in the namespace of the DevServer, such as registry-login"))]
    pub image_pull_secrets: Vec<String>,

    /// VS Code in the browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub editor: Option<EditorSpec>,

    /// Ports that people see in a browser, through the platform's console: each at a host of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(
        validation = Rule::new("self.all(a, self.exists_one(b, b.port == a.port))").message("spec.ports must not have a port twice; write one entry for each port"),
        validation = Rule::new("self.all(a, self.exists_one(b, b.name == a.name))").message("spec.ports must not have a name twice; give each port a name of its own")
    )]
    pub ports: Vec<PortSpec>,

    /// A Docker daemon of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker: Option<DockerSpec>,

    /// Rights of its programs in the cluster. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube_access: Option<KubeAccessSpec>,

    /// How long it lives and what happens to it at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<LifecycleSpec>,

    /// What is done when nobody uses it, where that differs from the platform's policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<IdleSpec>,
}

/// How long an environment lives and what happens to it at the end.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LifecycleSpec {
    /// Time from creation to deletion in Go syntax: `30m`, `8h`, `1h30m`. Absent: the platform's default, which may be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 32))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,6}h)?([0-9]{1,8}m)?([0-9]{1,9}s)?$') && duration(self) > duration('0s')").message("spec.lifecycle.timeToLive must be a positive duration in hours, minutes and seconds, such as 8h or 1h30m"))]
    pub time_to_live: Option<String>,

    /// What happens to the home volume when the DevServer is deleted. Default `Retain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_retention: Option<VolumeRetention>,

    /// Whether a change that needs a restart restarts by itself. Default `Manual`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,

    /// A command that saves the work in progress before the environment ends, for whatever reason it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointSpec>,
}

/// What happens to the home volume when the DevServer is deleted.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VolumeRetention {
    /// The home claim stays and is found again by a DevServer of the same name.
    #[default]
    Retain,
    /// The home claim is deleted with the DevServer.
    Delete,
}

/// Whether a change that needs a restart restarts a running environment.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestartPolicy {
    /// The condition `RestartPending` says what waits; the user restarts.
    #[default]
    Manual,
    /// The operator restarts at once.
    Automatic,
}
