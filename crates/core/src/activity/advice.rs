//! What the owner of an environment should know before something goes wrong, or why it went wrong.
//!
//! It stands in the status, so its words move in coarse steps: a volume by 80, 90 and 100 %, memory by the hour, work by the
//! names of folders. What rises and falls around a step keeps the higher one for a while.

use std::{collections::BTreeMap, sync::Arc};

use devserver_api::{Advice, DevServer, DevServerFlavor, group};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{ContainerState, Pod},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::ResourceExt as _;

use super::{Disk, Report};
use crate::flavor::{Amounts, thousandths};

/// How long a kill for lack of memory is told of.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
/// Percent points that a volume must have fallen below a step before that step is left.
const RELIEF: u64 = 3;
const HOUR: i64 = 3_600;
/// Letters of a folder's name that are told.
const FOLDER: usize = 200;
const GPU: &str = "nvidia.com/gpu";

/// What is known of an environment's inside.
#[derive(Clone, Copy, Debug)]
pub enum Inside<'a> {
    /// Nobody asks its agent.
    NotAsked,
    /// Its agent does not answer at the moment: what was told before stays.
    Silent,
    /// What its agent says.
    Report(&'a Report),
}

/// What advice is made of.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The environment, with what was told before.
    pub server: &'a DevServer,
    /// Its pod; `None`: it has none, and there is nothing to say.
    pub pod: Option<&'a Pod>,
    /// What its agent says.
    pub inside: Inside<'a>,
    /// All flavors.
    pub flavors: &'a [Arc<DevServerFlavor>],
    /// Whether somebody works in it: then it is no news that work is not committed yet.
    pub is_used: bool,
    /// The time.
    pub now: Timestamp,
}

/// Everything there is to say, the most urgent first.
pub fn advice(situation: &Situation<'_>) -> Vec<Advice> {
    if situation.pod.is_none() {
        return Vec::new();
    }
    let memory = memory(situation);
    let before = || situation.server.status.iter().flat_map(|s| &s.advice);
    let report = match situation.inside {
        Inside::NotAsked => return memory.into_iter().collect(),
        Inside::Silent => {
            let kept = before().filter(|a| memory.is_none() || a.reason != OUT_OF_MEMORY);
            return memory.iter().chain(kept).cloned().collect();
        }
        Inside::Report(report) => report,
    };
    let name = situation.server.name_any();
    let volume = |volume: &Volume, disk: Option<Disk>| {
        let told = |reason: &&str| before().any(|advice| advice.reason == **reason);
        let [filling, nearly, full] = &volume.reasons;
        let was = match (told(full), told(nearly), told(filling)) {
            (true, ..) => Fullness::Full,
            (_, true, _) => Fullness::NearlyFull,
            (.., true) => Fullness::Filling,
            _ => Fullness::Fine,
        };
        volume.advice(disk?, was, &name)
    };
    [
        memory,
        volume(&HOME, report.home),
        volume(&DOCKER, report.docker),
        git(report).filter(|_| !situation.is_used),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// How full a volume is, in words people act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fullness {
    /// Below 80 %.
    Fine,
    /// 80 % and more.
    Filling,
    /// 90 % and more.
    NearlyFull,
    /// Nothing fits any more.
    Full,
}

impl Fullness {
    /// Of a volume that was so full before. One that tells no size is fine.
    fn of(disk: Disk, was: Self) -> Self {
        let percent = disk.percent();
        let is = |step: Self, at: u64| {
            let relief = if was >= step { RELIEF } else { 0 };
            percent.saturating_add(relief) >= at && percent > 0
        };
        // With room again a full one is only nearly so.
        if percent >= 100 {
            Self::Full
        } else if is(Self::NearlyFull, 90) {
            Self::NearlyFull
        } else if is(Self::Filling, 80) {
            Self::Filling
        } else {
            Self::Fine
        }
    }
}

/// A volume and the words for it.
struct Volume {
    word: &'static str,
    field: &'static str,
    remedy: &'static str,
    /// Filling, nearly full, full.
    reasons: [&'static str; 3],
}

const HOME: Volume = Volume {
    word: "home",
    field: "spec.persistentHomeSize",
    remedy: "remove what is not needed (du -xhd1 ~ shows what is large)",
    reasons: ["HomeFilling", "HomeNearlyFull", "HomeFull"],
};
const DOCKER: Volume = Volume {
    word: "Docker",
    field: "spec.docker.storageSize",
    remedy: "remove what no container uses (docker system prune)",
    reasons: ["DockerFilling", "DockerNearlyFull", "DockerFull"],
};

impl Volume {
    fn advice(&self, disk: Disk, was: Fullness, name: &str) -> Option<Advice> {
        let [filling, nearly, full] = self.reasons;
        let (reason, how) = match Fullness::of(disk, was) {
            Fullness::Fine => return None,
            Fullness::Filling => (filling, "is more than 80 % full"),
            Fullness::NearlyFull => (nearly, "is more than 90 % full"),
            Fullness::Full => (full, "is full"),
        };
        let (word, field, remedy) = (self.word, self.field, self.remedy);
        Some(Advice {
            reason: reason.to_owned(),
            message: format!("the {word} volume ({}) {how}", bytes(disk.total)),
            remedy: format!("{remedy}, or ask for a larger one: {field} of {name}"),
        })
    }
}

const OUT_OF_MEMORY: &str = "OutOfMemory";

/// What happened when memory ran out, and which flavor would do; `None`: it did not lately.
fn memory(situation: &Situation<'_>) -> Option<Advice> {
    let container = situation.pod.and_then(killed);
    let inside = match situation.inside {
        Inside::Report(report) => report.memory.last_oom,
        Inside::NotAsked | Inside::Silent => None,
    };
    let last = inside.max(container)?;
    if situation.now.duration_since(last) > REMEMBERED {
        return None;
    }
    // By the hour: what is killed again and again is not written again and again.
    let second = last.as_second();
    let hour = Timestamp::from_second(second - second.rem_euclid(HOUR)).unwrap_or(last);
    let what = if container >= inside {
        "the environment was started again because its memory ran out"
    } else {
        "programs were killed for lack of memory"
    };
    let limit = limit(situation);
    let all = limit.map(|limit| format!(": all {} were in use", bytes(limit)));
    let remedy = match limit.and_then(|limit| fitting(situation, limit)) {
        Some((has, name)) => format!("flavor {name} has {}; or do less at a time", bytes(has)),
        None => "do less at a time; no flavor that may be used here has much more, so ask an administrator for a larger one".to_owned(),
    };
    Some(Advice {
        reason: OUT_OF_MEMORY.to_owned(),
        message: format!(
            "{what}, the last time in the hour after {}{}",
            hour.strftime("%Y-%m-%d %H:%M UTC"),
            all.unwrap_or_default()
        ),
        remedy,
    })
}

/// When the kernel ended the container itself, as the node tells it.
fn killed(pod: &Pod) -> Option<Timestamp> {
    let mut statuses = pod
        .status
        .iter()
        .flat_map(|s| s.container_statuses.iter().flatten());
    let dev = statuses.find(|c| c.name == group::CONTAINER)?;
    let ended = |state: &Option<ContainerState>| {
        let ended = state.as_ref()?.terminated.as_ref()?;
        let is_killed = ended.reason.as_deref() == Some("OOMKilled");
        ended
            .finished_at
            .as_ref()
            .filter(|_| is_killed)
            .map(|at| at.0)
    };
    ended(&dev.state).or_else(|| ended(&dev.last_state))
}

/// Bytes of memory that it may use.
fn limit(situation: &Situation<'_>) -> Option<u64> {
    if let Inside::Report(report) = situation.inside
        && report.memory.limit.is_some()
    {
        return report.memory.limit;
    }
    let mut containers = situation.pod?.spec.iter().flat_map(|spec| &spec.containers);
    let dev = containers.find(|container| container.name == group::CONTAINER)?;
    let limits = dev.resources.as_ref()?.limits.as_ref()?;
    let bytes = thousandths(&limits.get("memory")?.0)? / 1_000;
    u64::try_from(bytes).ok()
}

/// The flavor with the least memory of those that have at least half as much again as there is, and as many GPUs as now: what
/// was killed needed more than there was, how much more nobody knows.
fn fitting<'a>(situation: &Situation<'a>, limit: u64) -> Option<(u64, &'a str)> {
    let spec = &situation.server.spec;
    let told = situation
        .server
        .status
        .as_ref()
        .and_then(|s| s.flavor.as_ref());
    let current = told.or(spec.flavor.as_ref());
    let named = |flavor: &&Arc<DevServerFlavor>| flavor.metadata.name.as_ref() == current;
    let gpus = situation
        .flavors
        .iter()
        .find(named)
        .map_or(0, |flavor| gpus(flavor));
    let wanted = limit.saturating_add(limit / 2);
    situation
        .flavors
        .iter()
        .filter(|flavor| is_offered(flavor, situation.server) && self::gpus(flavor) == gpus)
        .filter_map(|flavor| Some((memory_of(flavor)?, flavor.metadata.name.as_deref()?)))
        .filter(|(has, _)| *has >= wanted)
        .min()
}

/// Whether the owner may use it, as far as the environment tells.
fn is_offered(flavor: &DevServerFlavor, server: &DevServer) -> bool {
    let names = |all: &Option<Vec<String>>, one: &Option<String>| {
        all.iter().flatten().any(|name| Some(name) == one.as_ref())
    };
    let spec = &flavor.spec;
    let is_for_all = spec.allowed_users.is_none() && spec.allowed_teams.is_none();
    is_for_all
        || names(&spec.allowed_users, &server.spec.owner)
        || names(&spec.allowed_teams, &server.spec.team)
}

fn amount(flavor: &DevServerFlavor, resource: &str) -> i128 {
    let resources = &flavor.spec.resources;
    let of = |list: &BTreeMap<String, Quantity>| Amounts::of(list).get(resource);
    Some(of(&resources.limits))
        .filter(|amount| *amount > 0)
        .unwrap_or_else(|| of(&resources.requests))
}

fn gpus(flavor: &DevServerFlavor) -> i128 {
    amount(flavor, GPU)
}

/// Bytes of memory that an environment of this flavor may use.
fn memory_of(flavor: &DevServerFlavor) -> Option<u64> {
    u64::try_from(amount(flavor, "memory") / 1_000).ok()
}

/// Work that would be lost with the home; `None`: none is known of.
fn git(report: &Report) -> Option<Advice> {
    let (first, others) = report.git.split_first()?;
    let more = if others.is_empty() { "" } else { " and others" };
    let folder: String = first.path.chars().take(FOLDER).collect();
    Some(Advice {
        reason: "UnsavedWork".to_owned(),
        message: format!("there is work that is nowhere else: {folder}{more}"),
        remedy: "commit and push it; it stays in the home until that is deleted".to_owned(),
    })
}

/// In the unit people order by, rounded to a tenth.
fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("Ti", 1 << 40),
        ("Gi", 1 << 30),
        ("Mi", 1 << 20),
        ("Ki", 1 << 10),
    ];
    let Some((unit, size)) = UNITS.iter().find(|(_, size)| count >= *size) else {
        return format!("{count} bytes");
    };
    let tenths = (u128::from(count) * 10 + u128::from(*size) / 2) / u128::from(*size);
    match tenths % 10 {
        0 => format!("{} {unit}", tenths / 10),
        rest => format!("{}.{rest} {unit}", tenths / 10),
    }
}

#[cfg(test)]
#[path = "advice_tests.rs"]
mod tests;
