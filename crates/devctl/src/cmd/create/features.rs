//! From the options of `create` for editor, Docker, rights, team and people to the fields of the spec.

use devserver_api::{
    Collaborator, DevServerSpec, DockerSpec, EditorSpec, KubeAccessSpec, names, port, quantity,
    ssh_key::PublicKey,
};

use super::invalid;
use crate::{
    args::{Features, Guest},
    failure::Outcome,
    keys,
};

/// What the API server would refuse, told before it is asked.
pub(super) fn check(args: &Features) -> Outcome {
    if let Some(Some(size)) = &args.docker {
        quantity::parse_positive(size).map_err(|e| invalid("--docker", size, e))?;
    }
    if let Some(role) = args.kube_role.as_ref().filter(|role| !is_role(role)) {
        let why = "is not the name of a ClusterRole: lower case letters, digits, '-', '.' and ':'";
        return Err(invalid("--kube-role", role, why));
    }
    if let Some(user) = args
        .login_user
        .as_ref()
        .filter(|u| !names::is_login_user(u))
    {
        let why = "cannot be a login user: lower case letters, digits, '-' and '_', such as coder";
        return Err(invalid("--login-user", user, why));
    }
    for (option, value) in [("--team", &args.team), ("--project", &args.project)] {
        if let Some(value) = value.as_ref().filter(|v| !names::is_label_value(v)) {
            let why = "cannot be a label: letters, digits, '-', '_' and '.', at most 63";
            return Err(invalid(option, value, why));
        }
    }
    let asked = DevServerSpec {
        editor: args.editor.then_some(EditorSpec { enabled: true }),
        ports: args.port.clone(),
        ..DevServerSpec::default()
    };
    if let Err(why) = port::declared(&asked) {
        let numbers: Vec<String> = args.port.iter().map(|p| p.port.to_string()).collect();
        return Err(invalid("--port", &numbers.join(", "), why));
    }
    Ok(())
}

/// Fields that were not asked for stay absent.
pub(super) fn fill(args: &Features, spec: &mut DevServerSpec) -> Outcome {
    spec.editor = args.editor.then_some(EditorSpec { enabled: true });
    spec.docker = args.docker.clone().map(|storage_size| DockerSpec {
        enabled: true,
        storage_size,
        storage_class_name: None,
    });
    spec.kube_access = args.kube_role.clone().map(|role| KubeAccessSpec { role });
    spec.login_user.clone_from(&args.login_user);
    spec.team.clone_from(&args.team);
    spec.project.clone_from(&args.project);
    spec.collaborators = collaborators(&args.collaborator)?;
    spec.ports.clone_from(&args.port);
    Ok(())
}

/// One entry for each, with all their keys, in the order in which they were named.
fn collaborators(guests: &[Guest]) -> Outcome<Vec<Collaborator>> {
    let mut people: Vec<Collaborator> = Vec::new();
    for guest in guests {
        let key = guest.key.as_deref().map(keys::read).transpose()?;
        let keys = key.iter().map(PublicKey::line);
        match people.iter_mut().find(|known| known.user == guest.user) {
            Some(known) => known.public_keys.extend(keys),
            None => people.push(Collaborator {
                user: guest.user.clone(),
                public_keys: keys.collect(),
            }),
        }
    }
    Ok(people)
}

/// By the rule of the field `spec.kubeAccess.role`.
fn is_role(name: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| edge(c) || matches!(c, '-' | '.' | ':');
    name.len() <= 253 && name.starts_with(edge) && name.ends_with(edge) && name.chars().all(inner)
}
