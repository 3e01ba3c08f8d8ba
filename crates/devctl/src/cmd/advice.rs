//! What to tell somebody whose flavor has no node at the moment: why, and which other would do. Nobody is stopped.

use std::cmp::Reverse;

use devserver_api::{DevServerFlavor, Schedulable, condition};
use devserver_core::flavor::{Amounts, effective_default};
use kube::ResourceExt as _;

/// The advice for the flavor asked for, or for the default one; `None` when there is nothing to warn of.
///
/// `owner` is whose DevServer it is: flavors that the owner may not use are not recommended.
pub fn advice(
    asked: Option<&str>,
    owner: Option<&str>,
    flavors: &[DevServerFlavor],
) -> Option<String> {
    let found = match asked {
        Some(name) => flavors.iter().find(|flavor| flavor.name_any() == name),
        None => effective_default(flavors),
    };
    let Some(flavor) = found else {
        return Some(match asked {
            Some(name) => format!("warning: there is no flavor '{name}' yet; {}", see(flavors)),
            None => format!(
                "warning: no flavor is the default, so one is needed; {}",
                see(flavors)
            ),
        });
    };
    let name = flavor.name_any();
    let told = match answer(flavor)? {
        Schedulable::Yes | Schedulable::Autoscaled => return None,
        Schedulable::No => "has no node at the moment",
        Schedulable::Unknown => "may have no node at the moment",
    };
    let status = flavor.status.as_ref();
    let why = status.and_then(|status| status.message.as_deref());
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    let instead = match instead_of(flavor, owner, flavors) {
        Some(other) => format!("flavor '{0}' would fit: --flavor {0}", other.name_any()),
        None => "it starts as soon as there is one".to_owned(),
    };
    Some(format!("warning: flavor '{name}' {told}{why}; {instead}"))
}

/// The smallest flavor that is at least as large in everything and finds a node.
fn instead_of<'a>(
    flavor: &DevServerFlavor,
    owner: Option<&str>,
    flavors: &'a [DevServerFlavor],
) -> Option<&'a DevServerFlavor> {
    let asked = size(flavor);
    flavors
        .iter()
        .filter(|other| is_for(other, owner))
        .filter(|other| {
            matches!(
                answer(other),
                Some(Schedulable::Yes | Schedulable::Autoscaled)
            )
        })
        .filter(|other| asked.lacking(&size(other)).is_empty())
        .min_by_key(|other| {
            let size = size(other);
            let is_ordinary = |name: &str| matches!(name, "cpu" | "memory" | "ephemeral-storage");
            let devices: i128 = size
                .iter()
                .filter(|(n, _)| !is_ordinary(n))
                .map(|(_, a)| a)
                .sum();
            let has_room = answer(other) == Some(Schedulable::Yes);
            (
                devices,
                size.get("memory"),
                size.get("cpu"),
                Reverse(has_room),
                other.name_any(),
            )
        })
}

/// What is set aside: requests, and limits where nothing is requested.
fn size(flavor: &DevServerFlavor) -> Amounts {
    let mut size = Amounts::of(&flavor.spec.resources.requests);
    size.fill_from(&Amounts::of(&flavor.spec.resources.limits));
    size
}

/// What was told; `None` where nothing has been yet, as of a flavor made a moment ago: that is no reason to warn.
fn answer(flavor: &DevServerFlavor) -> Option<Schedulable> {
    flavor.status.as_ref()?.schedulable
}

/// Whether the owner may use it as far as can be seen from here: teams are not.
fn is_for(flavor: &DevServerFlavor, owner: Option<&str>) -> bool {
    let status = flavor.status.as_ref();
    let conditions = status.map(|s| s.conditions.as_slice()).unwrap_or_default();
    let is_valid =
        condition::find(conditions, condition::VALID).is_none_or(|c| c.status != "False");
    let for_all = flavor.spec.allowed_users.is_none() && flavor.spec.allowed_teams.is_none();
    let mut named = flavor.spec.allowed_users.iter().flatten();
    is_valid && (for_all || named.any(|user| Some(user.as_str()) == owner))
}

fn see(flavors: &[DevServerFlavor]) -> &'static str {
    if flavors.is_empty() {
        "an administrator has to create one first"
    } else {
        "see `devctl flavors`"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flavor(name: &str, resources: &str, schedulable: &str, more: &str) -> DevServerFlavor {
        serde_saphyr::from_str(&format!(
            "{{apiVersion: devserver.io/v1, kind: DevServerFlavor, metadata: {{name: {name}}}, \
             spec: {{resources: {resources}{more}}}, status: {{schedulable: {schedulable}, message: too little is left}}}}"
        ))
        .unwrap()
    }

    fn flavors() -> Vec<DevServerFlavor> {
        let size =
            |cpu: &str, memory: &str| format!("{{requests: {{cpu: '{cpu}', memory: {memory}}}}}");
        let gpu = "{requests: {cpu: '4', memory: 32Gi}, limits: {nvidia.com/gpu: '1'}}";
        vec![
            flavor("small", &size("1", "2Gi"), "'No'", ", default: true"),
            flavor("tiny", &size("500m", "1Gi"), "'Yes'", ""),
            flavor("narrow", &size("500m", "64Gi"), "'Yes'", ""),
            flavor("huge", &size("32", "128Gi"), "'Yes'", ""),
            flavor("medium", &size("2", "4Gi"), "AUTOSCALED", ""),
            flavor(
                "private",
                &size("1", "2Gi"),
                "'Yes'",
                ", allowedUsers: [carol]",
            ),
            flavor("gpu", gpu, "'Yes'", ""),
            flavor("gpu-old", gpu, "Unknown", ""),
        ]
    }

    #[test]
    fn the_smallest_flavor_that_is_large_enough_is_recommended() {
        for (asked, owner, expected) in [
            (Some("small"), None, "--flavor medium"),
            (None, None, "--flavor medium"),
            (Some("small"), Some("carol"), "--flavor private"),
            (Some("gpu-old"), None, "--flavor gpu"),
        ] {
            let told = advice(asked, owner, &flavors()).unwrap();
            assert!(told.ends_with(expected), "{asked:?} {owner:?}: {told}");
            assert!(told.contains("(too little is left)"), "{told}");
        }
    }

    #[test]
    fn nothing_is_said_of_a_flavor_that_finds_a_node() {
        for asked in ["tiny", "medium", "gpu"] {
            assert_eq!(advice(Some(asked), None, &flavors()), None);
        }
    }

    #[test]
    fn who_cannot_be_helped_is_told_to_wait_and_who_asks_for_nothing_real_is_told_so() {
        let alone = &flavors()[..1];
        let told = advice(Some("small"), None, alone).unwrap();
        assert!(
            told.ends_with("it starts as soon as there is one"),
            "{told}"
        );
        let told = advice(Some("none"), None, alone).unwrap();
        assert!(told.contains("there is no flavor 'none' yet"), "{told}");
        let told = advice(None, None, &flavors()[1..]).unwrap();
        assert!(told.contains("no flavor is the default"), "{told}");
    }

    #[test]
    fn a_flavor_that_is_told_to_be_unknown_may_have_no_node() {
        let flavor = flavor("new", "{}", "Unknown", "");
        let told = advice(Some("new"), None, &[flavor]).unwrap();
        assert!(told.contains("may have no node"), "{told}");
    }

    #[test]
    fn a_flavor_of_which_nothing_was_told_yet_is_neither_warned_of_nor_recommended() {
        let mut silent = flavor("new", "{}", "'Yes'", ", default: true");
        silent.status = None;
        for asked in [Some("new"), None] {
            assert_eq!(advice(asked, None, &[silent.clone()]), None);
        }
        if let Some(status) = flavor("new", "{}", "'Yes'", "").status {
            silent.status = Some(devserver_api::DevServerFlavorStatus {
                schedulable: None,
                ..status
            });
        }
        assert_eq!(advice(None, None, &[silent.clone()]), None);
        let full = flavor("full", "{}", "'No'", "");
        let told = advice(Some("full"), None, &[full, silent]).unwrap();
        assert!(
            told.ends_with("it starts as soon as there is one"),
            "{told}"
        );
    }
}
