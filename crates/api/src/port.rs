//! Ports of an environment that people see in a browser, through the platform's console.

use std::{collections::BTreeMap, fmt};

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DevServerSpec, group};

/// A port of the environment that the console shows in a browser, at a host of its own.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PortSpec {
    /// What it is, for people: `web`, `docs`.
    #[schemars(length(min = 1, max = 15))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message("spec.ports[].name must begin with a letter and have lower case letters, digits and '-' only, such as web"))]
    pub name: String,
    /// Number of the TCP port. What listens there must do so at all addresses (`0.0.0.0`), not at `127.0.0.1` alone.
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 65535").message("spec.ports[].port must be from 1 to 65535, such as 3000"),
        validation = Rule::new("!(self in [22, 2222, 9022, 9023])").message("spec.ports[].port must not be 22, 2222, 9022 or 9023, where the platform's own programs listen; choose another, such as 3000")
    )]
    pub port: i32,
    /// Who may see it. Default `Owner`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
}

/// Who may see a port.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// The owner and `spec.collaborators`.
    #[default]
    Owner,
    /// Everybody who can log in to the console.
    Authenticated,
}

/// A port that may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// What it is, for people.
    pub name: String,
    /// Who may see it.
    pub share: Share,
}

/// Why ports cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortError {
    /// No number of a port.
    Range(i32),
    /// The platform's own.
    Reserved(i32),
    /// The editor's, while there is one.
    Editor,
    /// A number or a name that is there twice.
    Twice(String),
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(port) => write!(
                f,
                "{port} is no port; choose one from 1 to 65535, such as 3000"
            ),
            Self::Reserved(port) => write!(
                f,
                "a program of the platform listens at {port}; choose another port, such as 3000"
            ),
            Self::Editor => write!(
                f,
                "the editor listens at {}; choose another port, such as 3000, or remove spec.editor",
                group::EDITOR_PORT
            ),
            Self::Twice(what) => write!(f, "{what} is there twice; remove one of the two"),
        }
    }
}

impl std::error::Error for PortError {}

/// The ports that may be shown, by their numbers. The API server has checked the same; this is for specs that are older than
/// its rules, and for whoever opens a way by them.
pub fn declared(spec: &DevServerSpec) -> Result<BTreeMap<u16, Port>, PortError> {
    let has_editor = spec.editor.as_ref().is_some_and(|editor| editor.enabled);
    let mut ports: BTreeMap<u16, Port> = BTreeMap::new();
    for asked in &spec.ports {
        let number = u16::try_from(asked.port).ok().filter(|number| *number > 0);
        let number = number.ok_or(PortError::Range(asked.port))?;
        if group::RESERVED_PORTS.contains(&asked.port) {
            return Err(PortError::Reserved(asked.port));
        }
        if has_editor && asked.port == group::EDITOR_PORT {
            return Err(PortError::Editor);
        }
        if ports.values().any(|port| port.name == asked.name) {
            return Err(PortError::Twice(asked.name.clone()));
        }
        let port = Port {
            name: asked.name.clone(),
            share: asked.share.unwrap_or_default(),
        };
        if ports.insert(number, port).is_some() {
            return Err(PortError::Twice(number.to_string()));
        }
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EditorSpec;

    fn spec(ports: &[(&str, i32)], editor: bool) -> DevServerSpec {
        let port = |(name, port): &(&str, i32)| PortSpec {
            name: (*name).to_owned(),
            port: *port,
            share: None,
        };
        DevServerSpec {
            ports: ports.iter().map(port).collect(),
            editor: Some(EditorSpec { enabled: editor }),
            ..DevServerSpec::default()
        }
    }

    #[test]
    fn the_platforms_own_ports_are_never_shown_and_the_editors_only_without_one() {
        for port in group::RESERVED_PORTS {
            assert_eq!(
                declared(&spec(&[("web", port)], false)),
                Err(PortError::Reserved(port))
            );
        }
        assert_eq!(
            declared(&spec(&[("web", 8080)], true)),
            Err(PortError::Editor)
        );
        assert!(declared(&spec(&[("web", 8080)], false)).is_ok());
        for port in [0, -1, 65_536] {
            assert_eq!(
                declared(&spec(&[("web", port)], false)),
                Err(PortError::Range(port))
            );
        }
    }

    #[test]
    fn a_port_is_its_owners_until_it_is_shared_and_is_there_once() {
        let ports = declared(&spec(&[("web", 3000), ("docs", 65_535)], false)).unwrap();
        assert_eq!(ports.keys().copied().collect::<Vec<_>>(), [3000, 65_535]);
        assert!(ports.values().all(|port| port.share == Share::Owner));
        let twice = |ports: &[(&str, i32)]| declared(&spec(ports, false));
        assert_eq!(
            twice(&[("web", 1), ("docs", 1)]),
            Err(PortError::Twice("1".into()))
        );
        assert_eq!(
            twice(&[("web", 1), ("web", 2)]),
            Err(PortError::Twice("web".into()))
        );
    }
}
