//! `spec.ssh`: keys, exposure, message of the day.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the environment is reached by ssh.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
// On the object, not on the field: the API server repeats the value of a field that a rule refuses.
#[x_kube(validation = Rule::new("!has(self.publicKey) || !self.publicKey.contains('PRIVATE KEY')").message("spec.ssh.publicKey holds a PRIVATE key: it is no longer private, make a new pair; the public key is in the file that ends in .pub").field_path(".publicKey"))]
#[x_kube(validation = Rule::new("has(self.publicKey) || (has(self.publicKeys) && self.publicKeys.size() > 0)").message("spec.ssh needs publicKey or publicKeys, or nobody could log in"))]
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
