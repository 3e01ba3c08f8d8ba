//! Who may enter, and what they may reach.
//!
//! A key makes somebody a user; which servers that user reaches by it is decided at each channel. A key counts only as far
//! as whoever wrote it down can be believed:
//!
//! | where the key is written | counts for |
//! |---|---|
//! | DevServerUser, the file of an administrator, a certificate | everything the user may reach |
//! | a DevServer in the user's own namespace | everything the user may reach |
//! | a DevServer elsewhere that the user owns | the user's servers in that namespace |
//! | `spec.collaborators[].publicKeys` of a DevServer | that DevServer |
//!
//! So nobody who can write a DevServer that names another as its owner gets into what that owner has elsewhere.

use crate::{
    fingerprint::Fingerprint,
    table::{Server, Table},
    target::ServerId,
};

/// By what somebody is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A key whose owner has signed with it.
    Key(Fingerprint),
    /// A certificate that was checked; or a key that an administrator wrote down.
    Trusted(Fingerprint),
}

impl Proof {
    /// The key that signed.
    pub fn fingerprint(self) -> Fingerprint {
        match self {
            Self::Key(key) | Self::Trusted(key) => key,
        }
    }
}

/// Somebody who has shown a key of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The user.
    pub user: String,
    /// By what.
    pub proof: Proof,
}

/// What somebody is to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is theirs.
    Owner,
    /// Its owner named them.
    Collaborator,
}

/// What the user is to the server, whatever key was shown.
pub fn role(table: &Table, user: &str, id: &ServerId, server: &Server) -> Option<Role> {
    let is_owner = match &server.owner {
        Some(owner) => owner == user,
        None => table.namespaces(user).any(|own| own == id.namespace),
    };
    if is_owner {
        return Some(Role::Owner);
    }
    let is_named = server.collaborators.contains_key(user);
    is_named.then_some(Role::Collaborator)
}

/// Whether the key is one of the user's at all: whoever has it may enter, and then reaches what it counts for.
pub fn is_known(table: &Table, user: &str, key: Fingerprint) -> bool {
    counts_everywhere(table, user, key)
        || table
            .servers_of(user)
            .into_iter()
            .any(|(id, server)| counts_for(table, user, key, id, server))
}

/// Whether the user may reach the server, and as what. Asked again at each channel, so that a change counts at once, for
/// connections that are open, too.
pub fn may_reach(table: &Table, grant: &Grant, id: &ServerId, server: &Server) -> Option<Role> {
    let role = role(table, &grant.user, id, server)?;
    let counts = match grant.proof {
        Proof::Trusted(_) => true,
        Proof::Key(key) => {
            counts_everywhere(table, &grant.user, key)
                || counts_for(table, &grant.user, key, id, server)
        }
    };
    counts.then_some(role)
}

/// The same in direct mode, where the environment's sshd asks for no key of the user: what is let in here is in. So a key
/// counts for no more than whoever wrote it down could have opened with it: one of the user's own DevServerUser, or one
/// written into this very DevServer. Who can write one DevServer of a namespace opens no other.
pub fn may_enter(table: &Table, grant: &Grant, id: &ServerId, server: &Server) -> Option<Role> {
    let role = role(table, &grant.user, id, server)?;
    let counts = match grant.proof {
        Proof::Trusted(_) => true,
        Proof::Key(key) => {
            let own = table.people(&grant.user).any(|p| p.keys.contains(&key));
            let as_named = server.collaborators.get(&grant.user);
            own || as_named.is_some_and(|keys| keys.contains(&key))
                || (role == Role::Owner && server.keys.contains(&key))
        }
    };
    counts.then_some(role)
}

fn counts_everywhere(table: &Table, user: &str, key: Fingerprint) -> bool {
    let of_person = table.people(user).any(|person| person.keys.contains(&key));
    of_person
        || table.servers_of(user).into_iter().any(|(id, server)| {
            server.keys.contains(&key)
                && role(table, user, id, server) == Some(Role::Owner)
                && table.namespaces(user).any(|own| own == id.namespace)
        })
}

fn counts_for(table: &Table, user: &str, key: Fingerprint, id: &ServerId, server: &Server) -> bool {
    let as_named = server.collaborators.get(user);
    if as_named.is_some_and(|keys| keys.contains(&key)) {
        return true;
    }
    role(table, user, id, server) == Some(Role::Owner)
        && table.servers_of(user).into_iter().any(|(other, beside)| {
            other.namespace == id.namespace
                && beside.keys.contains(&key)
                && role(table, user, other, beside) == Some(Role::Owner)
        })
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
