//! Whether a DevServer of a flavor would find a node, and why, in words that stay the same while the answer does.

use std::collections::{BTreeMap, BTreeSet};

use devserver_api::Schedulable;
use jiff::Timestamp;

use super::{
    ask::Ask,
    autoscaler::Autoscaler,
    node::{Node, Obstacle},
    pool::{Pool, PoolObstacle},
    usage::{NodeUse, Usage},
};

/// Names told in one message; the rest is "others".
const TOLD: usize = 3;

/// What is known of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// What is set aside on them; or why nobody can say.
    pub usage: Known<Usage>,
    /// Karpenter's NodePools.
    pub pools: BTreeMap<String, Pool>,
    /// The Cluster Autoscaler, where there is one.
    pub autoscaler: Option<Autoscaler>,
}

/// What is known, or why it is not.
#[derive(Clone, Debug)]
pub enum Known<T> {
    /// Known.
    Yes(T),
    /// Not known, because of this.
    No(String),
}

impl<T: Default> Default for Known<T> {
    fn default() -> Self {
        Self::Yes(T::default())
    }
}

/// The answer and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The answer.
    pub schedulable: Schedulable,
    /// CamelCase word for the condition.
    pub reason: &'static str,
    /// Sentence: which node or pool, what is missing.
    pub message: String,
}

impl Answer {
    pub(super) fn new(schedulable: Schedulable, reason: &'static str, message: String) -> Self {
        Self {
            schedulable,
            reason,
            message,
        }
    }
}

/// The answer. `before` is the message told last: of several pools that would do, the one named stays named.
pub fn answer(ask: &Ask, cluster: &Cluster, before: Option<&str>, now: Timestamp) -> Answer {
    let mut obstacles = BTreeMap::new();
    for (name, node) in &cluster.nodes {
        let empty = NodeUse::default();
        let used = match &cluster.usage {
            Known::Yes(usage) => Some(usage.on(name).unwrap_or(&empty)),
            Known::No(_) => None,
        };
        let Some(obstacle) = node.obstacle(ask, used) else {
            // Which of the nodes is not told: it changes with every pod, and nobody needs it.
            return Answer::new(
                Schedulable::Yes,
                "NodeHasRoom",
                "a node has room".to_owned(),
            );
        };
        obstacles.insert(name.as_str(), obstacle);
    }
    let nodes = Nodes {
        ask,
        cluster,
        obstacles,
    };
    let (pool_answer, pool_words) = pools(&nodes, before);
    if let Some(answer) = pool_answer
        .clone()
        .filter(|a| a.schedulable == Schedulable::Autoscaled)
    {
        return answer;
    }
    let (group_answer, group_words) = groups(&nodes, now);
    if let Some(answer) = group_answer
        .clone()
        .filter(|a| a.schedulable == Schedulable::Autoscaled)
    {
        return answer;
    }
    let (reason, words) = nodes.words();
    let message = [Some(words), pool_words, group_words];
    let message = message.into_iter().flatten().collect::<Vec<_>>().join("; ");
    let is_unknown = nodes.are_unknown() || pool_answer.is_some() || group_answer.is_some();
    let schedulable = if is_unknown {
        Schedulable::Unknown
    } else {
        Schedulable::No
    };
    let unsure = pool_answer.or(group_answer).map(|a| a.reason);
    let reason = if nodes.are_unknown() {
        reason
    } else {
        unsure.unwrap_or(reason)
    };
    Answer::new(schedulable, reason, message)
}

struct Nodes<'a> {
    ask: &'a Ask,
    cluster: &'a Cluster,
    obstacles: BTreeMap<&'a str, Obstacle>,
}

impl Nodes<'_> {
    fn are_unknown(&self) -> bool {
        self.obstacles.values().any(|o| *o == Obstacle::Unknown)
    }

    fn none_has_room(&self) -> &'static str {
        if self.are_unknown() {
            "it is not known whether a node has room"
        } else {
            "no node has room"
        }
    }

    /// Whether a node of the right kind exists, whatever it does at the moment.
    fn one_is_of_the_kind(&self) -> bool {
        let fits = |o: &Obstacle| {
            matches!(
                o,
                Obstacle::NotReady | Obstacle::Cordoned | Obstacle::Full(_) | Obstacle::Unknown
            )
        };
        self.obstacles.values().any(fits)
    }

    /// Nodes for which `tell` says something, and what it says, without repetition.
    fn told<T: Ord>(&self, tell: impl Fn(&Obstacle) -> Option<T>) -> (String, BTreeSet<T>) {
        let mut names = Vec::new();
        let mut all = BTreeSet::new();
        for (name, obstacle) in &self.obstacles {
            if let Some(told) = tell(obstacle) {
                names.push(*name);
                all.insert(told);
            }
        }
        (listed(&names), all)
    }

    /// What stands in the way on the nodes that come nearest. Nodes that are farther off are not told of.
    fn words(&self) -> (&'static str, String) {
        if let (true, Known::No(why)) = (self.are_unknown(), &self.cluster.usage) {
            return (
                "PodsUnknown",
                format!("it is not known what is free on the nodes: {why}"),
            );
        }
        let (names, lacking) = self.told(|o| match o {
            Obstacle::Full(lacking) => Some(lacking.clone()),
            _ => None,
        });
        if !lacking.is_empty() {
            let lacking: BTreeSet<&str> = lacking.iter().flatten().map(String::as_str).collect();
            let lacking = lacking.into_iter().collect::<Vec<_>>().join(" or ");
            return (
                "NoRoom",
                format!("too little is left on {names}: {lacking}"),
            );
        }
        let (cordoned, is_cordoned) = self.told(|o| (*o == Obstacle::Cordoned).then_some(()));
        let (not_ready, is_not_ready) = self.told(|o| (*o == Obstacle::NotReady).then_some(()));
        let down = [
            (!is_cordoned.is_empty()).then(|| format!("cordoned: {cordoned}")),
            (!is_not_ready.is_empty()).then(|| format!("not Ready: {not_ready}")),
        ];
        let down: Vec<String> = down.into_iter().flatten().collect();
        if !down.is_empty() {
            let down = down.join("; ");
            return (
                "NodesUnavailable",
                format!("the nodes it could run on take no pods; {down}"),
            );
        }
        if let Some(words) = self.too_small() {
            return ("NodesTooSmall", words);
        }
        let (names, taints) = self.told(|o| match o {
            Obstacle::Taint(taint) => Some(taint.clone()),
            _ => None,
        });
        if !taints.is_empty() {
            let taints = listed(&taints.iter().map(String::as_str).collect::<Vec<_>>());
            return (
                "TaintNotTolerated",
                format!("{names} would do, but spec.tolerations does not tolerate {taints}"),
            );
        }
        self.no_label()
    }

    fn too_small(&self) -> Option<String> {
        let mut small = self.obstacles.iter().filter_map(|(name, o)| match o {
            Obstacle::TooSmall(words) => Some(format!("{name} {words}")),
            _ => None,
        });
        let first = small.next()?;
        let others = if small.next().is_some() {
            ", others are too small, too"
        } else {
            ""
        };
        Some(format!("no node is large enough: {first}{others}"))
    }

    fn no_label(&self) -> (&'static str, String) {
        if self.cluster.nodes.is_empty() {
            return ("NoNodes", "there are no nodes".to_owned());
        }
        let labels = self.ask.node_selector.iter();
        let nowhere: Vec<String> = labels
            .clone()
            .filter(|(key, value)| {
                let label = BTreeMap::from([((*key).clone(), (*value).clone())]);
                !self.cluster.nodes.values().any(|node| node.has(&label))
            })
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let words = if nowhere.is_empty() {
            let all: Vec<String> = labels
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            format!(
                "no node has all labels of spec.nodeSelector: {}",
                all.join(", ")
            )
        } else {
            format!(
                "no node has the label {}, which spec.nodeSelector asks for",
                nowhere.join(" or ")
            )
        };
        ("NoNodeMatches", words)
    }
}

/// The answer of the NodePools, when they have one, and what to say of them when they have not.
fn pools(nodes: &Nodes<'_>, before: Option<&str>) -> (Option<Answer>, Option<String>) {
    let Nodes { ask, cluster, .. } = nodes;
    let none = nodes.none_has_room();
    let (mut fitting, mut against, mut unsure) = (Vec::new(), Vec::new(), Vec::new());
    for (name, pool) in &cluster.pools {
        match pool.obstacle(ask, cluster.nodes.values()) {
            None => fitting.push(format!("{none}; NodePool {name} would bring one")),
            Some(PoolObstacle::No(why)) => against.push(format!("NodePool {name} {why}")),
            Some(PoolObstacle::Unknown(why)) => unsure.push(format!("NodePool {name} {why}")),
        }
    }
    let named_before = fitting.iter().find(|words| Some(words.as_str()) == before);
    if let Some(words) = named_before.or(fitting.first()) {
        let answer = Answer::new(Schedulable::Autoscaled, "NodePoolFits", words.clone());
        return (Some(answer), None);
    }
    // What may yet be comes first.
    let answer = (!unsure.is_empty())
        .then(|| Answer::new(Schedulable::Unknown, "NodePoolUnknown", String::new()));
    unsure.append(&mut against);
    let more = if unsure.len() > TOLD {
        "; other NodePools would not do either"
    } else {
        ""
    };
    unsure.truncate(TOLD);
    let words = (!unsure.is_empty()).then(|| format!("{}{more}", unsure.join("; ")));
    (answer, words)
}

/// The same for the node groups of the Cluster Autoscaler.
fn groups(nodes: &Nodes<'_>, now: Timestamp) -> (Option<Answer>, Option<String>) {
    let Some(autoscaler) = &nodes.cluster.autoscaler else {
        return (None, None);
    };
    match autoscaler.room(now) {
        Err(why) => (None, Some(format!("the Cluster Autoscaler {why}"))),
        Ok(_) if nodes.one_is_of_the_kind() => {
            let words = format!(
                "{}; nodes of the right kind exist, and the Cluster Autoscaler has a node group that can grow, but does \
                not say of which kind",
                nodes.none_has_room()
            );
            let answer = Answer::new(Schedulable::Autoscaled, "NodeGroupGrows", words);
            (Some(answer), None)
        }
        Ok(group) => {
            let words = format!(
                "node group {group} of the Cluster Autoscaler can grow, but the labels and the size of its nodes are not known"
            );
            (
                Some(Answer::new(
                    Schedulable::Unknown,
                    "NodeGroupUnknown",
                    String::new(),
                )),
                Some(words),
            )
        }
    }
}

fn listed(names: &[&str]) -> String {
    let told = names
        .iter()
        .take(TOLD)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > TOLD {
        format!("{told} and others")
    } else {
        told
    }
}
