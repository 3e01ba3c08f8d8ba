//! The public keys that may log in, from the spec and from the objects it names.

use devserver_api::{Collaborator, KeyRef, KeysSource, SshSpec, group, names, ssh_key::PublicKey};
use kube::core::ObjectMeta;

use crate::{References, invalid::InvalidAccess, references::Found};

/// More are no team but a mistake, and sshd would read them all at every login.
const MAX_KEYS: usize = 1000;

/// Whose keys log in besides those of the spec.
#[derive(Clone, Copy, Default)]
pub(super) struct People<'a> {
    /// The owner, whose DevServerUser may have keys.
    pub owner: Option<&'a str>,
    /// Those the owner named.
    pub collaborators: &'a [Collaborator],
}

impl<'a> People<'a> {
    /// The keys of the owner's DevServerUser (decision C-KEYS), in whichever namespace the machine is.
    fn own_keys(self, references: &'a References) -> impl Iterator<Item = (String, &'a str)> {
        let mut people = references.people.iter().map(|user| &user.spec);
        let own = people.find(|user| self.owner == Some(user.username.as_str()));
        let keys = own
            .map_or(&[][..], |user| &user.ssh_public_keys)
            .iter()
            .enumerate();
        keys.map(|(index, text)| {
            (
                format!("spec.sshPublicKeys[{index}] of the DevServerUser"),
                text.as_str(),
            )
        })
    }

    fn keys_of_collaborators(self) -> impl Iterator<Item = (String, &'a str)> {
        self.collaborators
            .iter()
            .enumerate()
            .flat_map(|(index, other)| {
                let keys = other.public_keys.iter().enumerate();
                keys.map(move |(key, text)| {
                    let field = format!("spec.collaborators[{index}].publicKeys[{key}]");
                    (field, text.as_str())
                })
            })
    }
}

/// Of the DevServerUsers of collaborators for whom the owner wrote down no key. They are an administrator's to write and not
/// the owner's: one that is none, or one too many, is left out and keeps nobody from their machine.
fn keys_of_users(people: People<'_>, references: &References) -> impl Iterator<Item = PublicKey> {
    let owner = people.owner;
    let unwritten = people
        .collaborators
        .iter()
        .filter(move |other| other.public_keys.is_empty() && owner != Some(other.user.as_str()));
    let users = unwritten.filter_map(move |other| {
        let mut known = references.people.iter().map(|user| &user.spec);
        known.find(|user| user.username == other.user)
    });
    users
        .flat_map(|user| &user.ssh_public_keys)
        .filter_map(|text| PublicKey::parse(text).ok())
}

/// The keys that log in.
#[derive(Default)]
pub(super) struct Keys {
    /// All, without repetition.
    pub all: Vec<PublicKey>,
    /// Those that `spec.ssh.authorizedKeysFrom` names: the ones that nobody can see in the spec.
    pub referenced: Vec<PublicKey>,
}

/// What no cluster was asked about, as when rendering, is left out.
pub(super) fn resolve(
    spec: &SshSpec,
    people: People<'_>,
    references: &References,
) -> Result<Keys, InvalidAccess> {
    let single = spec
        .public_key
        .iter()
        .map(|text| ("spec.ssh.publicKey".to_owned(), text.as_str()));
    let listed = spec
        .public_keys
        .iter()
        .enumerate()
        .map(|(index, text)| (format!("spec.ssh.publicKeys[{index}]"), text.as_str()));
    let of_people = people
        .own_keys(references)
        .chain(people.keys_of_collaborators());
    let mut texts: Vec<(String, &str)> = single.chain(listed).chain(of_people).collect();
    let visible = texts.len();
    for (index, source) in spec.authorized_keys_from.iter().enumerate() {
        let field = format!("spec.ssh.authorizedKeysFrom[{index}]");
        let (kind, named) = named(source).ok_or_else(|| InvalidAccess::Reference(field.clone()))?;
        check(named, &field)?;
        match references.keys_from.get(index) {
            None => {}
            Some(Found::Missing) => return Err(missing(field, kind, named)),
            Some(Found::OfPlatform) => return Err(of_platform(field, kind, named)),
            Some(Found::Text(text)) => texts.extend(lines(&field, kind, named, text)),
        }
    }
    if texts.len() > MAX_KEYS {
        let (count, max) = (texts.len(), MAX_KEYS);
        return Err(InvalidAccess::TooManyKeys { count, max });
    }
    let mut keys = Keys::default();
    for (index, (field, text)) in texts.into_iter().enumerate() {
        let key = PublicKey::parse(text).map_err(|error| InvalidAccess::Key { field, error })?;
        if index >= visible {
            add(&mut keys.referenced, key.clone());
        }
        add(&mut keys.all, key);
    }
    for key in keys_of_users(people, references) {
        if keys.all.len() < MAX_KEYS {
            add(&mut keys.all, key);
        }
    }
    Ok(keys)
}

fn add(keys: &mut Vec<PublicKey>, key: PublicKey) {
    if !keys.iter().any(|known| known.is_same_key(&key)) {
        keys.push(key);
    }
}

/// Whether all objects with keys were looked at.
pub(super) fn are_known(spec: &SshSpec, references: &References) -> bool {
    references.keys_from.len() >= spec.authorized_keys_from.len()
}

/// The one object an entry names. Its name becomes part of a request's path, so whoever looks it up needs it checked.
pub fn named(source: &KeysSource) -> Option<(&'static str, &KeyRef)> {
    match (&source.secret_key_ref, &source.config_map_key_ref) {
        (Some(secret), None) => Some(("Secret", secret)),
        (None, Some(config_map)) => Some(("ConfigMap", config_map)),
        _ => None,
    }
}

/// Whether the name of the object and of the key in it can be such.
pub fn is_nameable(named: &KeyRef) -> bool {
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    names::is_subdomain(&named.name)
        && (1..=253).contains(&named.key.len())
        && named.key.chars().all(is_key)
}

/// Whether the platform made the object, for whichever DevServer: who names it would have its content come to another machine.
pub fn is_of_platform(metadata: &ObjectMeta) -> bool {
    let labels = metadata.labels.as_ref();
    let manager = labels.and_then(|labels| labels.get(group::LABEL_MANAGED_BY));
    let mut owners = metadata.owner_references.iter().flatten();
    manager.is_some_and(|manager| manager == group::FIELD_MANAGER)
        || owners.any(|owner| owner.api_version == group::API_VERSION && owner.kind == "DevServer")
}

pub(super) fn check(named: &KeyRef, field: &str) -> Result<(), InvalidAccess> {
    if is_nameable(named) {
        Ok(())
    } else {
        Err(InvalidAccess::Reference(field.to_owned()))
    }
}

fn missing(field: String, kind: &'static str, named: &KeyRef) -> InvalidAccess {
    InvalidAccess::KeysNotFound {
        field,
        kind,
        name: named.name.clone(),
        key: named.key.clone(),
    }
}

pub(super) fn of_platform(
    field: impl Into<String>,
    kind: &'static str,
    named: &KeyRef,
) -> InvalidAccess {
    InvalidAccess::OfPlatform {
        field: field.into(),
        kind,
        name: named.name.clone(),
    }
}

/// The keys of one object, each with its place. A private key is found as a whole, before it is taken apart into lines.
fn lines<'a>(field: &str, kind: &str, named: &KeyRef, text: &'a str) -> Vec<(String, &'a str)> {
    let place = format!("{field} ({kind} {:?}, key {:?})", named.name, named.key);
    if text.contains("PRIVATE KEY") {
        return vec![(place, text)];
    }
    text.split('\n')
        .map(|line| {
            line.strip_suffix('\r')
                .unwrap_or(line)
                .trim_matches([' ', '\t'])
        })
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(index, line)| (format!("{place}: line {}", index + 1), line))
        .collect()
}
