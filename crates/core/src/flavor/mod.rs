//! What is told of a flavor: whether it makes sense, whether it is the default, whether a node would be found.
//!
//! ```text
//! flavor ─► faults ─► Ask (from the pod that would be made) ─┐
//! nodes, sums of requests, NodePools, Cluster Autoscaler ────┴─► answer ─► status
//! ```
//!
//! It is a hint, not a promise: spread, volumes' zones and what others ask for at the same moment are the scheduler's.

mod amount;
mod ask;
pub mod autoscaler;
mod check;
mod default;
mod node;
mod pool;
mod usage;
mod verdict;

use devserver_api::{
    DevServerFlavor, DevServerFlavorStatus, DevServerSpec, FlavorCost, IdleStage, Schedulable,
    condition::{self, Verdict},
    duration,
};
use jiff::Timestamp;

use crate::{Platform, idle};

pub use amount::{Amounts, thousandths};
pub use ask::Ask;
pub use autoscaler::Autoscaler;
pub use check::faults;
pub use default::effective_default;
pub use node::Node;
pub use pool::{LABEL_POOL, Pool};
pub use usage::{NodeUse, PodUse, Usage, requests};
pub use verdict::{Answer, Cluster, Known, answer};

/// Conditions that are told here, in this order.
const OURS: [&str; 3] = [condition::VALID, condition::SCHEDULABLE, condition::DEFAULT];

/// The status to write. `default` is the name of the one default flavor; `cost` says what a pod that asks for so much costs.
pub fn status(
    flavor: &DevServerFlavor,
    default: Option<&str>,
    cluster: &Cluster,
    platform: &Platform,
    cost: &dyn Fn(&Ask) -> Option<FlavorCost>,
    now: Timestamp,
) -> DevServerFlavorStatus {
    let before = flavor.status.clone().unwrap_or_default();
    let asked = checked(flavor, platform);
    let answer = match &asked {
        Ok(ask) => answer(ask, cluster, before.message.as_deref(), now),
        Err(fault) => Answer::new(
            Schedulable::No,
            "InvalidFlavor",
            format!("the flavor cannot be used: {}", fault.message),
        ),
    };
    let cost = asked.as_ref().ok().and_then(cost);
    let mut verdicts = vec![
        asked.err().unwrap_or_else(|| {
            Verdict::new(condition::VALID, true, "Valid", "the spec is understood")
        }),
        schedulable(&answer),
    ];
    verdicts.extend(is_default(flavor, default));
    let generation = flavor.metadata.generation;
    DevServerFlavorStatus {
        schedulable: Some(answer.schedulable),
        message: Some(answer.message),
        cost,
        idle_termination: idle_termination(flavor, platform),
        observed_generation: generation,
        conditions: verdicts
            .iter()
            .map(|verdict| verdict.since(&before.conditions, generation, now))
            .collect(),
    }
}

/// When an environment of the flavor is stopped because nobody uses it, where neither it nor its team says otherwise.
fn idle_termination(flavor: &DevServerFlavor, platform: &Platform) -> Option<String> {
    let name = flavor.metadata.name.as_deref().unwrap_or_default();
    let around = idle::Around {
        flavor: flavor.spec.idle.as_ref().map(|policy| (name, policy)),
        team: None,
    };
    let rules = idle::rules(&DevServerSpec::default(), around, platform)?;
    let limit = rules.get(IdleStage::Terminate)?;
    (!rules.dry_run).then(|| duration::go_syntax(limit.seconds))
}

/// Whether a status says all of this already. Conditions of others in it are theirs.
pub fn is_told(before: Option<&DevServerFlavorStatus>, new: &DevServerFlavorStatus) -> bool {
    before.is_some_and(|before| {
        let mut before = before.clone();
        before
            .conditions
            .retain(|c| OURS.contains(&c.type_.as_str()));
        before == *new
    })
}

/// What a pod of the flavor asks for, or the condition that says what is wrong.
fn checked(flavor: &DevServerFlavor, platform: &Platform) -> Result<Ask, Verdict> {
    let invalid = |reason: &str, message| Verdict::new(condition::VALID, false, reason, message);
    let faults = faults(&flavor.spec);
    if !faults.is_empty() {
        return Err(invalid("InvalidFlavor", faults.join("; ")));
    }
    Ask::of(flavor, platform).map_err(|error| invalid(error.reason(), error.to_string()))
}

fn schedulable(answer: &Answer) -> Verdict {
    Verdict {
        type_: condition::SCHEDULABLE,
        status: match answer.schedulable {
            Schedulable::Yes | Schedulable::Autoscaled => Some(true),
            Schedulable::No => Some(false),
            Schedulable::Unknown => None,
        },
        reason: answer.reason.to_owned(),
        message: answer.message.clone(),
    }
}

fn is_default(flavor: &DevServerFlavor, default: Option<&str>) -> Option<Verdict> {
    if !flavor.spec.default {
        return None;
    }
    let type_ = condition::DEFAULT;
    Some(match default {
        Some(other) if flavor.metadata.name.as_deref() != Some(other) => Verdict::new(
            type_,
            false,
            "AnotherIsDefault",
            format!(
                "DevServerFlavor {other} is the default already and stays it; set spec.default to false here, or there first"
            ),
        ),
        _ => Verdict::new(
            type_,
            true,
            "IsDefault",
            "used by DevServers that name no flavor",
        ),
    })
}
