//! `spec.ssh`: keys, exposure, message of the day.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the environment is reached by ssh.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
// On the object, not on the field: the API server repeats the value of a field that a rule refuses.
#[x_kube(validation = Rule::new("!has(self.publicKey) || !self.publicKey.contains('PRIVATE KEY')").message("spec.ssh.publicKey holds a PRIVATE key: it is no longer private, make a new pair; the public key is in the file that ends in .pub").field_path(".publicKey"))]
#[x_kube(validation = Rule::new("has(self.publicKey) || (has(self.publicKeys) && self.publicKeys.size() > 0) || (has(self.authorizedKeysFrom) && self.authorizedKeysFrom.size() > 0) || has(self.passwordHashFrom) || (has(self.mode) && self.mode == 'Disabled')").message("spec.ssh needs publicKey, publicKeys or authorizedKeysFrom, or nobody could log in"))]
#[x_kube(validation = Rule::new("!has(self.passwordHashFrom) || !has(self.mode) || self.mode == 'InContainer'").message("spec.ssh.passwordHashFrom needs mode InContainer: elsewhere there is no account file for it; remove one of the two").field_path(".passwordHashFrom"))]
#[serde(rename_all = "camelCase")]
pub struct SshSpec {
    /// One line of an OpenSSH public key file, such as the content of `~/.ssh/id_ed25519.pub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8192))]
    #[x_kube(
        validation = Rule::new("self.contains('PRIVATE KEY') || self.matches('^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh[.]com|sk-ecdsa-sha2-nistp256@openssh[.]com) AAAA[A-Za-z0-9+/]{40,}={0,3}( [ -~]{0,128})?\\\\n?$')").message("spec.ssh.publicKey is not an OpenSSH public key: it must be one line, type, base64 and an optional comment and nothing before them, such as the line in ~/.ssh/id_ed25519.pub (ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI... you@laptop)")
    )]
    pub public_key: Option<String>,

    /// Further public keys that may log in, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 8192)))]
    #[x_kube(
        validation = Rule::new("self.all(k, k.matches('^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh[.]com|sk-ecdsa-sha2-nistp256@openssh[.]com) AAAA[A-Za-z0-9+/]{40,}={0,3}( [ -~]{0,128})?\\\\n?$'))").message("every entry of spec.ssh.publicKeys must be one line of an OpenSSH public key file: type, base64, optional comment, no options")
    )]
    pub public_keys: Vec<String>,

    /// Secrets or ConfigMaps of the same namespace that hold further public keys, one per line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub authorized_keys_from: Vec<KeysSource>,

    /// Where sshd runs. Default `InContainer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SshMode>,

    /// Networks that may reach sshd, such as `10.0.0.0/8`. Absent: the platform's; empty: nobody but the gateway.
    #[serde(
        default,
        rename = "allowedCIDRs",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = 64), inner(length(min = 1, max = 49)))]
    #[x_kube(
        validation = Rule::new("self.all(c, isCIDR(c) && cidr(c) == cidr(c).masked())").message("every entry of spec.ssh.allowedCIDRs must be a network: an address whose bits after the prefix are zero, such as 203.0.113.0/24, 198.51.100.7/32 or 2001:db8::/32")
    )]
    pub allowed_cidrs: Option<Vec<String>>,

    /// Key of a Secret with a password hash as in `crypt(5)`, for login by password. Refused unless the platform allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash_from: Option<KeyRef>,

    /// How the SSH Service is exposed. Absent: the platform's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expose: Option<Expose>,

    /// Message of the day, shown at interactive logins. Printable characters, tabs and line ends only. Absent: the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    #[x_kube(validation = Rule::new("self.matches('^[^\\\\x00-\\\\x08\\\\x0b-\\\\x1f\\\\x7f-\\\\x{9f}]*$')").message("spec.ssh.motd must not hold control characters; they could take over the reader's terminal"))]
    pub motd: Option<String>,

    /// Whether sshd lets clients forward their agent. Default true (document 002); clients still have to ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_forwarding: Option<bool>,
}

/// Somebody besides the owner who may reach an environment.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Collaborator {
    /// Their name, as in the `spec.owner` of their own environments or the `spec.username` of their DevServerUser.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[A-Za-z0-9][-A-Za-z0-9._@]*$")
    )]
    pub user: String,
    /// Public keys by which they may enter this environment, one line each. Absent: those of their DevServerUser, wherever
    /// this environment is; at the gateway those of the environments in their own namespace count, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    // Shorter than elsewhere: the cost of the rule is bounded over all keys of all collaborators.
    #[schemars(length(max = 4), inner(length(min = 1, max = 2048)))]
    #[x_kube(
        validation = Rule::new("self.all(k, k.matches('^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh[.]com|sk-ecdsa-sha2-nistp256@openssh[.]com) AAAA[A-Za-z0-9+/]{40,}={0,3}( [ -~]{0,128})?\\\\n?$'))").message("every entry of spec.collaborators[].publicKeys must be one line of an OpenSSH public key file: type, base64, optional comment, no options")
    )]
    pub public_keys: Vec<String>,
}

/// An object with public keys, one per line. Exactly one of the two.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = Rule::new("has(self.secretKeyRef) != has(self.configMapKeyRef)").message("every entry of spec.ssh.authorizedKeysFrom needs exactly one of secretKeyRef and configMapKeyRef"))]
#[serde(rename_all = "camelCase")]
pub struct KeysSource {
    /// Key of a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// Key of a ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
}

/// A key of a Secret or ConfigMap of the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = Rule::new("self.name.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$') && self.key.matches('^[-._a-zA-Z0-9]+$')").message("name must be that of an object in the namespace of the DevServer, and key that of an entry in its data, such as name: team-keys, key: authorized_keys"))]
#[serde(rename_all = "camelCase")]
pub struct KeyRef {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in its data, such as `authorized_keys`.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// Where sshd runs.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SshMode {
    /// In the container `dev`, on port 22 (document 002).
    #[default]
    InContainer,
    /// In a container of its own beside it, on port 2222, with `/workspace` in common (document 003).
    Sidecar,
    /// Nowhere.
    Disabled,
}

/// How the SSH Service of an environment is exposed.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expose {
    /// A port on every node (document 001).
    #[default]
    NodePort,
    /// Inside the cluster only.
    ClusterIP,
    /// A load balancer of the cloud.
    LoadBalancer,
    /// No Service; port-forward still works.
    None,
}
