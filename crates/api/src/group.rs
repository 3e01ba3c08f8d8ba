//! Group, version, label and annotation keys, the field manager: every constant that two crates must agree on.

/// Name of the gateway's objects in the platform's namespace; its ConfigMap tells its public host keys.
pub const GATEWAY: &str = "devserver-gateway";
/// Key of that ConfigMap: one public key a line.
pub const GATEWAY_HOST_KEYS: &str = "host-keys";
/// API group of the three kinds.
pub const GROUP: &str = "devserver.io";
/// Served and stored version.
pub const VERSION: &str = "v1";
/// `apiVersion` of the three kinds.
pub const API_VERSION: &str = "devserver.io/v1";

/// Field manager of every server-side apply the operator makes (KEP-555).
pub const FIELD_MANAGER: &str = "devserver-operator";
/// Namespace the platform is installed into by the chart and by `make up`.
pub const PLATFORM_NAMESPACE: &str = "devserver-system";

/// Field manager of the one write the gateway makes: waking what a policy suspended.
pub const GATEWAY_FIELD_MANAGER: &str = "devserver-gateway";

/// Name of the DevServer an object belongs to.
pub const LABEL_NAME: &str = "devserver.io/name";
/// UID of the DevServer an object belongs to; names are not identity.
pub const LABEL_UID: &str = "devserver.io/uid";
/// Owner of the DevServer in a label-safe form.
pub const LABEL_USER: &str = "devserver.io/user";
/// Flavor of the DevServer.
pub const LABEL_FLAVOR: &str = "devserver.io/flavor";
/// Team the environment counts for (document 003).
pub const LABEL_TEAM: &str = "swish.io/team";
/// Project the environment counts for (document 003).
pub const LABEL_PROJECT: &str = "swish.io/project";
/// Node pool the environment belongs on: `general`, `high-memory` or `gpu`; also the key of the pools' taints.
pub const LABEL_WORKLOAD: &str = "swish.io/workload";
/// Marks a claim that DevServers of its namespace may mount (value `true`).
pub const LABEL_SHARED: &str = "devserver.io/shared";
/// Marks a namespace that belongs to a DevServerUser; the value is its name.
pub const LABEL_NAMESPACE_USER: &str = "devserver.io/namespace-of";
/// Group of those who administrate all environments, whatever else they may do.
pub const ADMIN_GROUP: &str = "devserver-admins";
/// Document 000 spreads pods by this label.
pub const LABEL_SERVICE: &str = "service";
/// Value of [`LABEL_SERVICE`] and of `app.kubernetes.io/name`.
pub const APP_NAME: &str = "devserver";
/// Recommended label: name of the application.
pub const LABEL_APP_NAME: &str = "app.kubernetes.io/name";
/// Recommended label: instance of the application.
pub const LABEL_APP_INSTANCE: &str = "app.kubernetes.io/instance";
/// Recommended label: who manages the object.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// On a DevServer: UID of the pod that its user wants made anew. A UID and not an instant, so that no clock matters
/// and a pod is never restarted twice for one wish.
pub const ANNOTATION_RESTART: &str = "devserver.io/restart-pod";

/// On a DevServer: who or what set `spec.suspend`, see [`crate::suspension`]. The gateway wakes only what a policy stopped.
pub const ANNOTATION_SUSPENDED_BY: &str = "devserver.io/suspended-by";
/// Value of [`ANNOTATION_SUSPENDED_BY`]: a rule of the platform, such as the one for idle environments.
pub const SUSPENDED_BY_POLICY: &str = "policy";

/// Container that is the developer's machine.
pub const CONTAINER: &str = "dev";
/// Login user inside the environment, uid and gid [`LOGIN_ID`], unless its image was made for another one.
pub const LOGIN_USER: &str = "dev";
/// Uid and gid of the login user (document 002).
pub const LOGIN_ID: i64 = 1000;
/// Tells the agent and the startup script what the login user is called, when that is not [`LOGIN_USER`].
pub const LOGIN_USER_VARIABLE: &str = "DEVSERVER_LOGIN_USER";
/// Home directory of the login user; where the home claim is mounted.
pub const HOME: &str = "/home/dev";
/// Where the shared claim is mounted.
pub const SHARED: &str = "/shared";
/// Where the tools image is mounted.
pub const TOOLS: &str = "/opt/devserver";
/// Port of sshd in the container and of every SSH Service.
pub const SSH_PORT: i32 = 22;
/// Port of sshd in a container of its own; inside it is not root and cannot have port 22.
pub const SIDECAR_SSH_PORT: i32 = 2222;
/// Container of sshd in mode `Sidecar`.
pub const SIDECAR_CONTAINER: &str = "ssh";
/// The home's other name, where sshd is in a sidecar (document 003) or the login user is not [`LOGIN_USER`].
pub const WORKSPACE: &str = "/workspace";
/// Port of the health endpoint in the container.
pub const HEALTH_PORT: i32 = 9022;
/// Where the editor's image is mounted.
pub const EDITOR: &str = "/opt/devserver-editor";
/// Port of the editor in the container `dev`.
pub const EDITOR_PORT: i32 = 8080;
/// Name of that port, which the Service and the NetworkPolicy go by.
pub const EDITOR_PORT_NAME: &str = "http";
/// Port of the sidecar's health endpoint: the containers of a pod share their ports.
pub const SIDECAR_HEALTH_PORT: i32 = 9023;
/// Ports of the platform's own programs, which are never shown in a browser.
pub const RESERVED_PORTS: [i32; 4] = [SSH_PORT, SIDECAR_SSH_PORT, HEALTH_PORT, SIDECAR_HEALTH_PORT];
/// Where the image with Docker's client is mounted.
pub const DOCKER_CLIENT: &str = "/opt/devserver-docker";
/// Container of the Docker daemon.
pub const DOCKER_CONTAINER: &str = "docker";
/// Folder of the Docker daemon's socket.
pub const DOCKER_SOCKET_FOLDER: &str = "/run/devserver-docker";
/// `DOCKER_HOST` of sessions and editor.
pub const DOCKER_HOST: &str = "unix:///run/devserver-docker/docker.sock";
/// Where the token of the environment's ServiceAccount is mounted; nothing but the agent reads it there.
pub const KUBE_TOKEN: &str = "/var/run/secrets/devserver.io/kube";
