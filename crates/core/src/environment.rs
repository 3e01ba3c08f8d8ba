//! An environment: everything checked, everything defaulted. What is built from it cannot fail.

use std::collections::BTreeMap;

use devserver_api::{
    Expose, PasswordHash, RestartPolicy, SshMode, VolumeRetention, WhenUnsatisfiable,
    cidr::Cidr,
    group,
    names::{self, ServerName},
    ssh_key::PublicKey,
};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Toleration, apimachinery::pkg::api::resource::Quantity};

use crate::platform::{TeamAffinity, ToolsDelivery};

/// One developer's machine, as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    /// Name of the DevServer and stem of all names made from it.
    pub name: ServerName,
    /// Namespace of the DevServer and of everything it has.
    pub namespace: String,
    /// UID of the DevServer: what makes an object ours.
    pub uid: String,
    /// Who it belongs to, as written.
    pub owner: Option<String>,
    /// Team and project it counts for.
    pub counts_for: CountsFor,
    /// Size.
    pub flavor: Flavor,
    /// What the container gets.
    pub resources: Resources,
    /// Where the pod may run.
    pub placement: Placement,
    /// Image of the container `dev`.
    pub image: String,
    /// Who people are inside.
    pub login: Login,
    /// Stopped on request.
    pub suspend: bool,
    /// Who may log in, how, and what greets them.
    pub ssh: Ssh,
    /// Volume at the login user's home.
    pub home: Home,
    /// Claim at `/shared`.
    pub shared_claim: Option<String>,
    /// Further claims.
    pub volumes: Vec<MountedClaim>,
    /// Packages of `pip install`, each a checked requirement.
    pub pip_packages: Vec<String>,
    /// Index that pip installs from; `None`: pip's own.
    pub pip_index_url: Option<String>,
    /// Command that saves the work before the end.
    pub checkpoint: Option<Vec<String>>,
    /// Secrets for private registries.
    pub image_pull_secrets: Vec<String>,
    /// Annotations of the ServiceAccount.
    pub service_account_annotations: BTreeMap<String, String>,
    /// Name in the DNS.
    pub dns: Option<Dns>,
    /// Who may reach it and what it may reach; `None`: no NetworkPolicy.
    pub network: Option<Network>,
    /// Clients that come from outside of the cluster.
    pub clients: Clients,
    /// Instant after which it is deleted.
    pub expires_at: Option<Timestamp>,
    /// How long before the end its users are warned, longest first, in seconds.
    pub warnings: Vec<u64>,
    /// What it offers beside shells.
    pub features: Features,
    /// Digest of the token that its agent is asked with for a report of use; `None`: the agent collects nothing.
    pub activity: Option<String>,
    /// Where the tools come from.
    pub tools: Tools,
    /// `imagePullPolicy` of `image`; absent: Kubernetes decides.
    pub image_pull_policy: Option<String>,
    /// `hostUsers: false`.
    pub user_namespace: bool,
    /// Nobody is root inside and nothing can be gained.
    pub restricted: bool,
    /// Seconds the pod has to end.
    pub termination_grace_period_seconds: i64,
    /// Whether a change restarts by itself.
    pub restart_policy: RestartPolicy,
}

/// Who people are inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Checked name.
    pub user: String,
}

impl Default for Login {
    fn default() -> Self {
        let user = group::LOGIN_USER.to_owned();
        Self { user }
    }
}

impl Login {
    /// Where the home volume is.
    pub fn home(&self) -> String {
        names::login_home(&self.user)
    }

    /// Whether the image was made for somebody else than ours.
    pub fn is_of_image(&self) -> bool {
        self.user != group::LOGIN_USER
    }
}

/// The flavor an environment is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Flavor {
    /// Name.
    pub name: String,
}

/// Team and project an environment counts for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountsFor {
    /// `swish.io/team`.
    pub team: Option<String>,
    /// `swish.io/project`.
    pub project: Option<String>,
}

/// What the container gets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// Requests.
    pub requests: BTreeMap<String, Quantity>,
    /// Limits.
    pub limits: BTreeMap<String, Quantity>,
}

/// Node pool an environment belongs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkloadClass {
    /// Any node without a taint.
    #[default]
    General,
    /// More memory than the platform's threshold: nodes of the high-memory pool may be used.
    HighMemory,
    /// It asks for a GPU.
    Gpu,
}

impl WorkloadClass {
    /// Value of the label `swish.io/workload`, and of the pools' taints.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::HighMemory => "high-memory",
            Self::Gpu => "gpu",
        }
    }
}

/// Where the pod may run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placement {
    /// Node pool.
    pub class: WorkloadClass,
    /// Whether it asks for more memory than the platform's threshold: guaranteed (C-QOS), and protected from drains (C-PDB).
    pub high_memory: bool,
    /// Labels a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints a node may have: the flavor's, and those of the pool.
    pub tolerations: Vec<Toleration>,
    /// How nodes of the team and the project are sought.
    pub team_affinity: TeamAffinity,
    /// Spread over nodes.
    pub spread: Option<Spread>,
    /// Priority class.
    pub priority_class: Option<String>,
    /// Runtime class.
    pub runtime_class: Option<String>,
}

/// How environments of one namespace spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// How much fuller one place may be than the emptiest.
    pub max_skew: i32,
    /// Node label whose values are the places.
    pub topology_key: String,
    /// What happens when it cannot be kept.
    pub when_unsatisfiable: WhenUnsatisfiable,
}

/// A claim and where it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountedClaim {
    /// Name of the claim.
    pub claim: String,
    /// Checked absolute path.
    pub path: String,
    /// Whether it can be read only.
    pub read_only: bool,
}

/// Name in the DNS, as ExternalDNS makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Full host name, unique by construction.
    pub host: String,
    /// Seconds a resolver may keep it.
    pub ttl_seconds: u32,
}

/// Who may reach the environment and what it may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Networks that may reach sshd.
    pub ssh_from: Vec<Block>,
    /// Networks it may reach.
    pub reaches: Vec<Block>,
    /// Name servers besides the cluster's own pods.
    pub name_servers: Vec<Cidr>,
    /// Namespace of the platform's pods, which may reach it.
    pub platform_namespace: String,
}

/// A network without parts of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The network.
    pub cidr: Cidr,
    /// What is not meant; each lies in the network and is smaller.
    pub except: Vec<Cidr>,
}

/// Clients that come from outside of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    /// Networks that a load balancer lets through; empty: all.
    pub source_ranges: Vec<Cidr>,
    /// Whether the pod must see the client's own address. Then only the node of the pod answers at a node port.
    pub keep_address: bool,
}

/// Who may log in, how, and what greets them.
#[derive(Clone, Debug, PartialEq)]
pub struct Ssh {
    /// Keys of `authorized_keys`, without repetition.
    pub keys: Vec<PublicKey>,
    /// Those of them that only `authorizedKeysFrom` names.
    pub referenced_keys: Vec<PublicKey>,
    /// Authorities of the gateway, whose certificates for this environment log in; none without direct mode.
    pub gateway_authorities: Vec<PublicKey>,
    /// Where sshd runs.
    pub mode: SshMode,
    /// Login by password; `None`: there is none.
    pub password: Option<Password>,
    /// How the Service is exposed.
    pub expose: Expose,
    /// Message of the day; ends with a line end.
    pub motd: String,
    /// Whether clients may forward their agent.
    pub agent_forwarding: bool,
}

/// The password that lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// Nobody looked for its hash, as when rendering without a cluster.
    NotRead,
    /// Its hash.
    Hash(PasswordHash),
}

/// The volume at the login user's home.
#[derive(Clone, Debug, PartialEq)]
pub struct Home {
    /// Size it should have.
    pub size: Quantity,
    /// Size in the claim template, which cannot change once the StatefulSet exists.
    pub template_size: Quantity,
    /// Whether the claim exists with less than `size`.
    pub grows: bool,
    /// StorageClass; absent: the cluster's default.
    pub storage_class: Option<String>,
    /// What happens to it at the end.
    pub retention: VolumeRetention,
}

/// What an environment offers beside shells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    /// VS Code in the browser.
    pub editor: Option<Editor>,
    /// Ports that the console shows.
    pub ports: Vec<u16>,
    /// Docker daemon.
    pub docker: Option<Docker>,
    /// Rights in the cluster.
    pub kube_access: Option<KubeAccess>,
}

/// VS Code in the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Editor {
    /// Image, which gets into the pod as the tools do.
    pub image: String,
    /// Where extensions come from, as JSON; `None`: the editor's own choice.
    pub extensions_gallery: Option<String>,
}

/// A Docker daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct Docker {
    /// Image with daemon and client.
    pub image: String,
    /// As root of the node.
    pub privileged: bool,
    /// Profile of its nodes that takes system calls from a daemon without rights; `None`: it may make all.
    pub seccomp_profile: Option<String>,
    /// Size of its volume.
    pub size: Quantity,
    /// StorageClass of its volume; absent: the cluster's default.
    pub storage_class: Option<String>,
}

/// Rights in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeAccess {
    /// ClusterRole that is bound in the namespace.
    pub role: String,
    /// Addresses of the API server that would be blocked otherwise.
    pub api_servers: Vec<Cidr>,
}

/// Where the tools come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Tools {
    /// Image.
    pub image: String,
    /// How it gets into the pod.
    pub delivery: ToolsDelivery,
    /// `imagePullPolicy`; absent: Kubernetes decides.
    pub pull_policy: Option<String>,
}
