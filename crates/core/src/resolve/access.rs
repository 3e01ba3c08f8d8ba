//! Keys, exposure and greeting.

use devserver_api::{PasswordHash, SshMode, SshSpec, names::ServerName, ssh_key::PublicKey};

use super::keys;
use crate::{
    Platform, References,
    environment::{Login, Password, Ssh},
    invalid::InvalidAccess,
    references::Found,
};

const PASSWORD_FIELD: &str = "spec.ssh.passwordHashFrom";

/// `restricted_by` is the flavor that forbids root, if it does.
pub(super) fn resolve(
    spec: &SshSpec,
    people: keys::People<'_>,
    (name, login): (&ServerName, &Login),
    restricted_by: Option<&str>,
    references: &References,
    platform: &Platform,
) -> Result<Ssh, InvalidAccess> {
    let mode = mode(spec, restricted_by)?;
    let password = password(spec, mode, references, platform)?;
    let keys = keys::resolve(spec, people, references)?;
    let needs_key = mode != SshMode::Disabled && password.is_none();
    if keys.all.is_empty() && needs_key && keys::are_known(spec, references) {
        return Err(InvalidAccess::NoKey);
    }
    Ok(Ssh {
        keys: keys.all,
        referenced_keys: keys.referenced,
        gateway_authorities: gateway_authorities(mode, references, platform),
        mode,
        password,
        expose: spec.expose.unwrap_or(platform.default_expose),
        motd: motd(spec, platform, || {
            greeting(name, login, mode, restricted_by.is_some())
        })?,
        agent_forwarding: spec.agent_forwarding.unwrap_or(true),
    })
}

/// What the gateway tells of itself counts only where the platform's own configuration says so.
fn gateway_authorities(
    mode: SshMode,
    references: &References,
    platform: &Platform,
) -> Vec<PublicKey> {
    let is_direct = platform.gateway.as_ref().is_some_and(|g| g.direct);
    if is_direct && mode != SshMode::Disabled {
        references.gateway_authorities.clone()
    } else {
        Vec::new()
    }
}

/// Where nobody may be root, sshd cannot be beside the user's own processes, so a sidecar is what is meant.
pub(super) fn mode(spec: &SshSpec, restricted_by: Option<&str>) -> Result<SshMode, InvalidAccess> {
    match (spec.mode, restricted_by) {
        (Some(SshMode::InContainer), Some(flavor)) => Err(InvalidAccess::InContainerForbidden {
            flavor: flavor.to_owned(),
        }),
        (None, Some(_)) => Ok(SshMode::Sidecar),
        (asked, _) => Ok(asked.unwrap_or_default()),
    }
}

/// The operator reads the hash and puts it where the machine finds it: a machine gets no Secret that its user only names.
fn password(
    spec: &SshSpec,
    mode: SshMode,
    references: &References,
    platform: &Platform,
) -> Result<Option<Password>, InvalidAccess> {
    let Some(named) = &spec.password_hash_from else {
        return Ok(None);
    };
    if !platform.allow_password_authentication {
        return Err(InvalidAccess::PasswordNotAllowed);
    }
    if mode != SshMode::InContainer {
        return Err(InvalidAccess::PasswordNeedsInContainer);
    }
    keys::check(named, PASSWORD_FIELD)?;
    let (name, key) = (named.name.clone(), named.key.clone());
    match &references.password_hash {
        None => Ok(Some(Password::NotRead)),
        Some(Found::Missing) => Err(InvalidAccess::PasswordHashNotFound { name, key }),
        Some(Found::OfPlatform) => Err(keys::of_platform(PASSWORD_FIELD, "Secret", named)),
        Some(Found::Text(text)) => PasswordHash::parse(text)
            .map(|hash| Some(Password::Hash(hash)))
            .map_err(|error| InvalidAccess::PasswordHash { name, key, error }),
    }
}

fn motd(
    spec: &SshSpec,
    platform: &Platform,
    greeting: impl FnOnce() -> String,
) -> Result<String, InvalidAccess> {
    let text = match spec.motd.as_ref().or(platform.motd.as_ref()) {
        Some(text) => text.clone(),
        None => greeting(),
    };
    if text
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        return Err(InvalidAccess::Motd);
    }
    Ok(if text.is_empty() || text.ends_with('\n') {
        text
    } else {
        text + "\n"
    })
}

fn greeting(name: &ServerName, login: &Login, mode: SshMode, restricted: bool) -> String {
    let kept = match mode {
        SshMode::Sidecar => "/workspace is the home of the machine and".to_owned(),
        SshMode::InContainer | SshMode::Disabled => login.home(),
    };
    let mut text = format!(
        "Welcome to {name}. {kept} is kept when this machine restarts; everything else starts afresh.\n"
    );
    if mode == SshMode::InContainer && !restricted {
        text.push_str("You are root with: doas COMMAND\n");
    }
    text
}

#[cfg(test)]
mod people_tests;
#[cfg(test)]
mod tests;
