//! Quotas of teams over all namespaces: what the others have in use, and who comes next.
//!
//! What runs stays. Of those that wait, the oldest that fits comes first, so that every look at any of them says the same.

use std::collections::BTreeMap;

use devserver_api::{DevServerSpec, DevServerUser, quantity};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::environment::Resources;

/// Amounts by resource: `cpu`, `memory`, `nvidia.com/gpu`, [`DEVSERVERS`].
pub type Amounts = BTreeMap<String, Quantity>;

/// The resource that counts environments.
pub const DEVSERVERS: &str = "devservers";

/// An environment of a team, as its quota sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Which one.
    pub uid: String,
    /// Since when it waits.
    pub created: Option<Timestamp>,
    /// What it asks for.
    pub asks: Amounts,
    /// What it has got, when it was started.
    pub holds: Option<Amounts>,
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

/// What an environment with those resources takes of a quota. A limit without a request counts as a request, as in Kubernetes.
pub fn amounts(resources: &Resources) -> Amounts {
    let mut amounts = resources.limits.clone();
    amounts.extend(resources.requests.clone());
    amounts.insert(DEVSERVERS.to_owned(), Quantity("1".to_owned()));
    amounts
}

/// What is not to be had for `me`: what the others hold, and what those will take that wait longer and fit.
pub fn in_use(me: &Member, others: &[Member], quota: &Amounts) -> Amounts {
    let mut sum = Amounts::new();
    for holds in others.iter().filter_map(|other| other.holds.as_ref()) {
        add(&mut sum, holds);
    }
    let mut earlier: Vec<&Member> = others
        .iter()
        .filter(|other| other.holds.is_none() && rank(other) < rank(me))
        .collect();
    earlier.sort_by(|a, b| rank(a).cmp(&rank(b)));
    for other in earlier {
        if excess(&sum, &other.asks, &Amounts::new(), quota).is_none() {
            add(&mut sum, &other.asks);
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
            asks: amounts(cpu),
            holds: runs.then(|| amounts(cpu)),
        }
    }

    fn quota(cpu: &str) -> Amounts {
        [("cpu".to_owned(), Quantity(cpu.to_owned()))].into()
    }

    fn may_start(me: &Member, all: &[Member], quota: &Amounts) -> bool {
        let others: Vec<Member> = all.iter().filter(|m| m.uid != me.uid).cloned().collect();
        let held = me.holds.clone().unwrap_or_default();
        excess(&in_use(me, &others, quota), &me.asks, &held, quota).is_none()
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
        let mut grows = member("a", 1, "2", true);
        grows.asks = amounts("8");
        let others = [member("b", 2, "2", true)];
        let all = [grows.clone(), others[0].clone()];
        assert!(!may_start(&grows, &all, &quota("4")));
        assert!(may_start(&grows, &all, &quota("10")));
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
        let amounts = super::amounts(&resources);
        assert_eq!(amounts.get("cpu").map(|q| q.0.as_str()), Some("1"));
        assert_eq!(
            amounts.get("nvidia.com/gpu").map(|q| q.0.as_str()),
            Some("2")
        );
    }
}
