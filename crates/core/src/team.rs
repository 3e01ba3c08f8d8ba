//! Quotas of teams over all namespaces: what the others have in use, and who comes next.
//!
//! What runs stays. Of those that wait, the oldest that fits comes first, so that every look at any of them says the same.

use std::collections::BTreeMap;

use devserver_api::{DevServerSpec, DevServerUser, quantity};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::environment::Resources;

/// Amounts by resource: `cpu`, `memory`, `nvidia.com/gpu`, [`STORAGE`], [`CLAIMS`], [`DEVSERVERS`].
pub type Amounts = BTreeMap<String, Quantity>;

/// The resource that counts environments.
pub const DEVSERVERS: &str = "devservers";
/// The resource that counts their volumes, as a ResourceQuota calls it.
pub const CLAIMS: &str = "persistentvolumeclaims";
/// The resource that adds up the sizes of their volumes, as a ResourceQuota calls it.
pub const STORAGE: &str = "requests.storage";

/// What an environment asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asks {
    /// While it runs.
    pod: Amounts,
    /// Its volumes, which it has as long as it is there.
    volumes: Volumes,
}

/// Sizes of the volumes of an environment: those that are there, or that are to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volumes {
    /// Its home.
    pub home: Option<Quantity>,
    /// Its Docker daemon's.
    pub docker: Option<Quantity>,
}

impl Volumes {
    /// What they take of a quota.
    pub fn amounts(&self) -> Amounts {
        let mut sum = Amounts::new();
        for size in self.home.iter().chain(&self.docker) {
            let one = Quantity("1".to_owned());
            let claim = [(CLAIMS, one), (STORAGE, size.clone())];
            add(&mut sum, &claim.map(|(r, q)| (r.to_owned(), q)).into());
        }
        sum
    }
}

impl Asks {
    /// Of an environment with those containers and volumes.
    pub fn new(containers: &[Resources], volumes: Volumes) -> Self {
        let pod = of_pod(containers);
        Self { pod, volumes }
    }

    /// All of it.
    pub fn all(&self) -> Amounts {
        together(&self.pod, &self.volumes.amounts())
    }

    /// Whether the volumes it asks for are there.
    pub fn has_its_volumes(&self, kept: &Volumes) -> bool {
        let has =
            |wanted: &Option<Quantity>, kept: &Option<Quantity>| wanted.is_none() || kept.is_some();
        has(&self.volumes.home, &kept.home) && has(&self.volumes.docker, &kept.docker)
    }

    /// What would come to the volumes that are there when it is started.
    pub fn beside(&self, kept: &Volumes) -> Amounts {
        let missing = |wanted: &Option<Quantity>, kept: &Option<Quantity>| {
            wanted.clone().filter(|_| kept.is_none())
        };
        let new = Volumes {
            home: missing(&self.volumes.home, &kept.home),
            docker: missing(&self.volumes.docker, &kept.docker),
        };
        together(&self.pod, &new.amounts())
    }
}

/// An environment of a team, as its quota sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Which one.
    pub uid: String,
    /// Since when it waits.
    pub created: Option<Timestamp>,
    /// What it has: its volumes, and what it was started with.
    pub holds: Amounts,
    /// What it waits for besides; `None`: it was started, or is not to be.
    pub waits_for: Option<Amounts>,
}

/// The team it counts for: the one asked for, or the first of its user.
pub fn of<'a>(spec: &'a DevServerSpec, user: Option<&'a DevServerUser>) -> Option<&'a str> {
    let first = || user.and_then(|user| user.spec.teams.first());
    spec.team.as_ref().or_else(first).map(String::as_str)
}

/// Whether it may count for the team it asks for. In a namespace of nobody's, administrators say what they mean.
pub fn is_member(spec: &DevServerSpec, user: Option<&DevServerUser>) -> bool {
    match (&spec.team, user) {
        (Some(asked), Some(user)) => user.spec.teams.contains(asked),
        _ => true,
    }
}

/// What a pod with those containers takes of a quota. A limit without a request counts as a request, as in Kubernetes.
pub fn of_pod(containers: &[Resources]) -> Amounts {
    let mut sum = Amounts::from([(DEVSERVERS.to_owned(), Quantity("1".to_owned()))]);
    for container in containers {
        let mut amounts = container.limits.clone();
        amounts.extend(container.requests.clone());
        add(&mut sum, &amounts);
    }
    sum
}

/// The sum of both.
pub fn together(a: &Amounts, b: &Amounts) -> Amounts {
    let mut sum = a.clone();
    add(&mut sum, b);
    sum
}

/// What is not to be had for `me`: what the others hold, and what those will take that wait longer and fit.
pub fn in_use(me: &Member, others: &[Member], quota: &Amounts) -> Amounts {
    let mut sum = Amounts::new();
    for other in others {
        add(&mut sum, &other.holds);
    }
    let mut earlier: Vec<(&Member, &Amounts)> = others
        .iter()
        .filter(|other| rank(other) < rank(me))
        .filter_map(|other| Some((other, other.waits_for.as_ref()?)))
        .collect();
    earlier.sort_by(|(a, _), (b, _)| rank(a).cmp(&rank(b)));
    for (_, wanted) in earlier {
        if excess(&sum, wanted, &Amounts::new(), quota).is_none() {
            add(&mut sum, wanted);
        }
    }
    sum
}

/// The first resource of which more is asked than there is and than is held already.
pub fn excess<'a>(
    used: &Amounts,
    asked: &Amounts,
    held: &Amounts,
    quota: &'a Amounts,
) -> Option<&'a str> {
    let zero = Quantity("0".to_owned());
    let more =
        |a: &Quantity, b: &Quantity| quantity::compare(a, b).is_none_or(std::cmp::Ordering::is_gt);
    quota
        .iter()
        .find(|(resource, allowed)| {
            let amount = |amounts: &Amounts| amounts.get(*resource).unwrap_or(&zero).clone();
            let (used, asked, held) = (amount(used), amount(asked), amount(held));
            let total = quantity::sum(&used, &asked);
            more(&asked, &held) && total.is_none_or(|total| more(&total, allowed))
        })
        .map(|(resource, _)| resource.as_str())
}

fn add(sum: &mut Amounts, more: &Amounts) {
    for (resource, amount) in more {
        let total = match sum.get(resource) {
            // What is no quantity was refused by the API server; it adds nothing.
            Some(before) => quantity::sum(before, amount).unwrap_or_else(|| before.clone()),
            None => amount.clone(),
        };
        sum.insert(resource.clone(), total);
    }
}

fn rank(member: &Member) -> (Option<Timestamp>, &str) {
    (member.created, &member.uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(cpu: &str) -> Amounts {
        [
            ("cpu".to_owned(), Quantity(cpu.to_owned())),
            (DEVSERVERS.to_owned(), Quantity("1".to_owned())),
        ]
        .into()
    }

    fn member(uid: &str, created: i64, cpu: &str, runs: bool) -> Member {
        Member {
            uid: uid.to_owned(),
            created: Timestamp::from_second(created).ok(),
            holds: if runs { amounts(cpu) } else { Amounts::new() },
            waits_for: (!runs).then(|| amounts(cpu)),
        }
    }

    fn quota(cpu: &str) -> Amounts {
        [("cpu".to_owned(), Quantity(cpu.to_owned()))].into()
    }

    fn may_start(me: &Member, all: &[Member], quota: &Amounts) -> bool {
        let asks = me.waits_for.as_ref().unwrap_or(&me.holds);
        may_have(me, asks, all, quota)
    }

    fn may_have(me: &Member, asks: &Amounts, all: &[Member], quota: &Amounts) -> bool {
        let others: Vec<Member> = all.iter().filter(|m| m.uid != me.uid).cloned().collect();
        excess(&in_use(me, &others, quota), asks, &me.holds, quota).is_none()
    }

    #[test]
    fn the_older_of_two_that_wait_starts_and_both_looks_agree() {
        let all = [member("b", 2, "2", false), member("a", 1, "2", false)];
        let quota = quota("3");
        assert!(may_start(&all[1], &all, &quota));
        assert!(!may_start(&all[0], &all, &quota));
    }

    #[test]
    fn what_runs_stays_though_older_ones_wait_and_the_quota_has_shrunk() {
        let all = [member("old", 1, "2", false), member("new", 2, "2", true)];
        assert!(may_start(&all[1], &all, &quota("1")));
        assert!(!may_start(&all[0], &all, &quota("3")));
    }

    #[test]
    fn one_that_never_fits_holds_up_nobody() {
        let all = [
            member("huge", 1, "100", false),
            member("small", 2, "500m", false),
        ];
        assert!(!may_start(&all[0], &all, &quota("4")));
        assert!(may_start(&all[1], &all, &quota("4")));
    }

    #[test]
    fn what_runs_may_not_grow_beyond_the_quota() {
        let all = [member("a", 1, "2", true), member("b", 2, "2", true)];
        assert!(!may_have(&all[0], &amounts("8"), &all, &quota("4")));
        assert!(may_have(&all[0], &amounts("8"), &all, &quota("10")));
    }

    #[test]
    fn a_limit_without_a_request_counts() {
        let resources = Resources {
            requests: [("cpu".to_owned(), Quantity("1".to_owned()))].into(),
            limits: [
                ("cpu".to_owned(), Quantity("4".to_owned())),
                ("nvidia.com/gpu".to_owned(), Quantity("2".to_owned())),
            ]
            .into(),
        };
        let amounts = of_pod(&[resources.clone(), resources]);
        assert_eq!(said(&amounts, "cpu"), "2");
        assert_eq!(said(&amounts, "nvidia.com/gpu"), "4");
        assert_eq!(said(&amounts, DEVSERVERS), "1");
    }

    fn said<'a>(amounts: &'a Amounts, resource: &str) -> &'a str {
        amounts.get(resource).map_or("", |q| q.0.as_str())
    }

    #[test]
    fn volumes_count_once_whether_they_are_there_or_are_to_be() {
        let volume = |size: &str| Some(Quantity(size.to_owned()));
        let wanted = Volumes {
            home: volume("10Gi"),
            docker: volume("20Gi"),
        };
        let asks = Asks::new(&[], wanted);
        let all = asks.all();
        assert_eq!((said(&all, STORAGE), said(&all, CLAIMS)), ("30Gi", "2"));
        let kept = Volumes {
            home: volume("10Gi"),
            docker: None,
        };
        let more = asks.beside(&kept);
        assert_eq!((said(&more, STORAGE), said(&more, CLAIMS)), ("20Gi", "1"));
        assert_eq!(said(&together(&more, &kept.amounts()), STORAGE), "30Gi");
    }

    #[test]
    fn what_is_stopped_keeps_its_volumes_and_nobody_waits_for_it() {
        let storage = |size: &str| Amounts::from([(STORAGE.to_owned(), Quantity(size.to_owned()))]);
        let mut stopped = member("old", 1, "2", false);
        (stopped.holds, stopped.waits_for) = (storage("20Gi"), None);
        let quota = together(&quota("2"), &storage("30Gi"));
        let mut new = member("new", 2, "2", false);
        new.waits_for = Some(together(&amounts("2"), &storage("10Gi")));
        assert!(may_start(&new, &[stopped.clone(), new.clone()], &quota));
        new.waits_for = Some(together(&amounts("2"), &storage("11Gi")));
        assert!(!may_start(&new, &[stopped, new.clone()], &quota));
    }
}
