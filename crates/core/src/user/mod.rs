//! What a `DevServerUser` becomes: a namespace, bounds, and rights in it. Pure.
//!
//! ```text
//! DevServerUser, all others, Platform ─► resolve ─► Account ─► desired ─► namespace, quota, limits, account, bindings
//!                                          └─► InvalidUser (field, reason, remedy)          what was seen, now ─► status
//! ```

mod desired;
mod object;
mod resolve;
mod status;

pub use desired::{desired, namespace_identity, owner_reference, superfluous};
pub use object::{UserKind, UserObject};
pub use resolve::{Account, InvalidUser, of_namespace, resolve};
pub use status::{Seen, Standing, namespace_problem, standing, status};

/// ClusterRole that every user has in the own namespace; the chart makes it.
pub const USER_ROLE: &str = "devserver-user";
/// Name of the objects of which a user's namespace has one: the quota, the limits and the binding of [`USER_ROLE`].
pub const OBJECT_NAME: &str = "devserver-user";
/// What namespaces of users begin with.
pub const NAMESPACE_PREFIX: &str = "dev-";
/// Longest username: with the prefix it is a namespace, and a namespace has 63 characters.
pub const USERNAME_MAX: usize = 59;

/// The namespace of a user.
pub fn namespace_name(username: &str) -> String {
    format!("{NAMESPACE_PREFIX}{username}")
}

/// Whose namespace it is by its name; `None` for one that is no user's.
pub fn username_of(namespace: &str) -> Option<&str> {
    namespace.strip_prefix(NAMESPACE_PREFIX)
}

/// The ServiceAccount that stands for a user, for programs of theirs.
pub fn service_account_name(username: &str) -> String {
    format!("{username}-sa")
}
