//! Keys, exposure and greeting.

use devserver_api::{SshSpec, names::ServerName, ssh_key::PublicKey};

use crate::{Invalid, Platform, environment::Ssh};

pub(super) fn resolve(
    spec: &SshSpec,
    name: &ServerName,
    platform: &Platform,
) -> Result<Ssh, Invalid> {
    let single = spec
        .public_key
        .iter()
        .map(|text| ("spec.ssh.publicKey".to_owned(), text));
    let listed = spec
        .public_keys
        .iter()
        .enumerate()
        .map(|(index, text)| (format!("spec.ssh.publicKeys[{index}]"), text));
    let mut keys: Vec<PublicKey> = Vec::new();
    for (field, text) in single.chain(listed) {
        let key = PublicKey::parse(text).map_err(|error| Invalid::Key { field, error })?;
        if !keys.iter().any(|known| known.is_same_key(&key)) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return Err(Invalid::NoKey);
    }
    Ok(Ssh {
        keys,
        expose: spec.expose.unwrap_or(platform.default_expose),
        motd: motd(spec, name, platform)?,
        agent_forwarding: spec.agent_forwarding.unwrap_or(true),
    })
}

fn motd(spec: &SshSpec, name: &ServerName, platform: &Platform) -> Result<String, Invalid> {
    let text = match spec.motd.as_ref().or(platform.motd.as_ref()) {
        Some(text) => text.clone(),
        None => format!(
            "Welcome to {name}. /home/dev is kept when this machine restarts; everything else starts afresh.\n\
             You are root with: doas COMMAND\n"
        ),
    };
    if text
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        return Err(Invalid::Motd);
    }
    Ok(if text.is_empty() || text.ends_with('\n') {
        text
    } else {
        text + "\n"
    })
}
