//! Settings about users and teams.

use devserver_api::{names, quantity};

use super::{Platform, PlatformError, bad};
use crate::team::{CLAIMS, DEVSERVERS, STORAGE};

pub(super) fn check(platform: &Platform) -> Result<(), PlatformError> {
    for role in &platform.allowed_roles {
        let named = role
            .split_once('/')
            .filter(|(kind, name)| matches!(*kind, "ClusterRole" | "Role") && is_role(name));
        if named.is_none() {
            let why = format!("{role:?} must be ClusterRole/NAME or Role/NAME");
            return Err(bad("allowedRoles", why));
        }
    }
    for (team, settings) in &platform.teams {
        if !names::is_label_value(team) {
            let why = format!("{team:?} cannot be the value of a label, and so no team");
            return Err(bad("teams", why));
        }
        for (resource, amount) in &settings.quota {
            let counted = resource.contains('/')
                || matches!(resource.as_str(), "cpu" | "memory" | "ephemeral-storage")
                || [DEVSERVERS, CLAIMS, STORAGE].contains(&resource.as_str());
            if !counted {
                let why = format!(
                    "{team}: {resource:?} is not counted; use cpu, memory, ephemeral-storage, {STORAGE}, {CLAIMS}, {DEVSERVERS} or a device such as nvidia.com/gpu"
                );
                return Err(bad("teams", why));
            }
            // Nothing at all is a quota, too.
            let value = quantity::parse(&amount.0);
            if value.is_err() || amount.0.starts_with('-') {
                let why = format!("{team}: {resource} {:?} is not an amount", amount.0);
                return Err(bad("teams", why));
            }
        }
    }
    Ok(())
}

pub(super) fn is_role(name: &str) -> bool {
    !name.is_empty() && name.len() <= 253 && !name.contains(['/', '%', '*', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_refused_and_named() {
        for (text, word) in [
            ("allowedRoles: [view]", "allowedRoles"),
            ("allowedRoles: [ClusterRole/]", "allowedRoles"),
            ("allowedRoles: ['ClusterRole/*']", "allowedRoles"),
            ("allowedRoles: [Group/view]", "allowedRoles"),
            ("teams: {'no team': {}}", "teams"),
            ("teams: {a: {quota: {pods: 1}}}", "pods"),
            ("teams: {a: {quota: {cpu: many}}}", "many"),
            ("teams: {a: {quota: {cpu: -1}}}", "-1"),
            ("teams: {a: {limit: {cpu: 1}}}", "limit"),
        ] {
            let error = Platform::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn roles_and_quotas_are_read() {
        let text = "{allowedRoles: [ClusterRole/view, 'ClusterRole/system:x', Role/a], teams: {a: {quota: {cpu: 8, memory: 64Gi, devservers: 0, nvidia.com/gpu: 2, requests.storage: 1Ti, persistentvolumeclaims: 9}}}}";
        let platform = Platform::parse(text).unwrap();
        assert_eq!(platform.teams.get("a").map(|t| t.quota.len()), Some(6));
    }
}
