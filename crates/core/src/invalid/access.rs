//! Every way `spec.ssh` can be wrong.

use devserver_api::{PasswordHashError, ssh_key::KeyError};

/// Why nobody could be let in as asked. No message holds what was read from a Secret or ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccess {
    /// A key is not a key.
    #[error("{field} {error}")]
    Key {
        /// `spec.ssh.publicKey`, `spec.ssh.publicKeys[2]`, or an object and the line in it.
        field: String,
        /// What is wrong with it.
        #[source]
        error: KeyError,
    },
    /// Nobody could log in.
    #[error(
        "spec.ssh needs publicKey, publicKeys, or authorizedKeysFrom with a key in it, or nobody could log in; \
         with mode Disabled none is needed"
    )]
    NoKey,
    /// More keys than sshd should be asked to look through.
    #[error("spec.ssh has {count} keys; at most {max} may log in, remove those that are not used")]
    TooManyKeys {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// The name of an object or of a key in it cannot be one.
    #[error(
        "{0} must name an object of this namespace and a key in it: lower case letters, digits, '-' and '.', such as name: team-keys, key: authorized_keys"
    )]
    Reference(String),
    /// An object with keys, or the key in it, is missing.
    #[error(
        "{field}: there is no {kind} {name:?} with a key {key:?} in this namespace; create it, or remove the entry"
    )]
    KeysNotFound {
        /// `spec.ssh.authorizedKeysFrom[0]`.
        field: String,
        /// `Secret` or `ConfigMap`.
        kind: &'static str,
        /// Name of the object.
        name: String,
        /// Key in it.
        key: String,
    },
    /// sshd in the container `dev` needs root.
    #[error(
        "spec.ssh.mode: InContainer starts as root, which the flavor {flavor:?} forbids (isolation Restricted); \
         ask for Sidecar or Disabled, leave the field out, or choose another flavor"
    )]
    InContainerForbidden {
        /// The flavor.
        flavor: String,
    },
    /// Passwords are not allowed here.
    #[error(
        "spec.ssh.passwordHashFrom: this platform allows no login by password; remove the field and use publicKey, \
         or ask an administrator for allowPasswordAuthentication"
    )]
    PasswordNotAllowed,
    /// A password needs an account file that can be written.
    #[error(
        "spec.ssh.passwordHashFrom needs mode InContainer: a sidecar has no account file of its own; remove one of the two"
    )]
    PasswordNeedsInContainer,
    /// The Secret with the password hash, or the key in it, is missing.
    #[error(
        "spec.ssh.passwordHashFrom: there is no Secret {name:?} with a key {key:?} in this namespace; create it with the output of \
         `openssl passwd -6`, or remove the field"
    )]
    PasswordHashNotFound {
        /// Name of the Secret.
        name: String,
        /// Key in it.
        key: String,
    },
    /// What is there is no password hash.
    #[error("spec.ssh.passwordHashFrom: the key {key:?} of the Secret {name:?} {error}")]
    PasswordHash {
        /// Name of the Secret.
        name: String,
        /// Key in it.
        key: String,
        /// Why it is none.
        #[source]
        error: PasswordHashError,
    },
    /// An object that the platform made for a DevServer, perhaps another one.
    #[error(
        "{field}: the {kind} {name:?} belongs to the platform, which made it for a DevServer; name an object of your own"
    )]
    OfPlatform {
        /// `spec.ssh.passwordHashFrom`, `spec.ssh.authorizedKeysFrom[0]`.
        field: String,
        /// `Secret` or `ConfigMap`.
        kind: &'static str,
        /// Name of the object.
        name: String,
    },
    /// The message of the day holds control characters.
    #[error(
        "spec.ssh.motd must not hold control characters; they could take over the reader's terminal"
    )]
    Motd,
}

impl InvalidAccess {
    /// CamelCase word for the condition and for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Key { .. } | Self::NoKey | Self::TooManyKeys { .. } => "InvalidPublicKey",
            Self::Reference(_) => "InvalidReference",
            Self::KeysNotFound { .. } => "AuthorizedKeysNotFound",
            Self::InContainerForbidden { .. } => "SshModeNotAllowed",
            Self::PasswordNotAllowed | Self::PasswordNeedsInContainer => {
                "PasswordAuthenticationNotAllowed"
            }
            Self::PasswordHashNotFound { .. } => "PasswordHashNotFound",
            Self::PasswordHash { .. } => "InvalidPasswordHash",
            Self::OfPlatform { .. } => "ReferenceNotAllowed",
            Self::Motd => "InvalidMotd",
        }
    }
}
