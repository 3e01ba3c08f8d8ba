//! What the Cluster Autoscaler says of itself in the ConfigMap `kube-system/cluster-autoscaler-status` (YAML, since 1.30).
//!
//! It names its node groups, but not what their nodes are like. So room in a group is an answer only where a node of the
//! right kind exists already, and the message says what is not known.

use jiff::{SignedDuration, Timestamp, fmt::strtime};
use serde::Deserialize;

/// Namespace of the ConfigMap.
pub const NAMESPACE: &str = "kube-system";
/// Name of the ConfigMap.
pub const NAME: &str = "cluster-autoscaler-status";
/// Key in its data.
pub const KEY: &str = "status";
/// The autoscaler writes every 10 s; after this long it is gone, and the ConfigMap stays.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// What the Cluster Autoscaler says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Autoscaler {
    written_at: Option<Timestamp>,
    is_healthy: bool,
    groups: Vec<Group>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: String,
    has_room: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Read {
    time: String,
    autoscaler_status: String,
    cluster_wide: Parts,
    node_groups: Vec<ReadGroup>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ReadGroup {
    name: String,
    health: Part,
    scale_up: Part,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Parts {
    health: Part,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Part {
    status: String,
    cloud_provider_target: i64,
    max_size: i64,
}

impl Autoscaler {
    /// Reads the text; one that cannot be read is an autoscaler that is not healthy.
    pub fn read(text: &str) -> Self {
        let Ok(read) = serde_saphyr::from_str::<Read>(text) else {
            return Self::default();
        };
        let group = |group: ReadGroup| Group {
            has_room: group.health.status == "Healthy"
                && group.scale_up.status != "Backoff"
                && group.health.cloud_provider_target < group.health.max_size,
            name: group.name,
        };
        Self {
            written_at: written_at(&read.time),
            is_healthy: read.autoscaler_status == "Running"
                && read.cluster_wide.health.status == "Healthy",
            groups: read.node_groups.into_iter().map(group).collect(),
        }
    }

    /// The same but for the time: such a change is no news, unless it was silent before.
    pub fn is_same(&self, other: &Self) -> bool {
        self.is_healthy == other.is_healthy && self.groups == other.groups
    }

    /// A group that can grow, the first by name; else why none can.
    pub fn room(&self, now: Timestamp) -> Result<&str, &'static str> {
        let is_fresh = self
            .written_at
            .is_some_and(|at| now.duration_since(at) < FRESH);
        if !is_fresh {
            return Err("has not written its status for minutes");
        }
        if !self.is_healthy {
            return Err("is not healthy");
        }
        let with_room = self.groups.iter().filter(|group| group.has_room);
        with_room
            .map(|group| group.name.as_str())
            .min()
            .ok_or("has no node group that can grow")
    }
}

/// Go's `2006-01-02 15:04:05.999999999 -0700 MST`.
fn written_at(text: &str) -> Option<Timestamp> {
    let mut words = text.split_ascii_whitespace();
    let parts = [words.next()?, words.next()?, words.next()?];
    let parsed = strtime::parse("%Y-%m-%d %H:%M:%S%.f %z", parts.join(" ")).ok()?;
    parsed.to_timestamp().ok()
}
