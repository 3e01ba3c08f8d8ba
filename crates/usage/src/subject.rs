//! What an interval is about: whose environment, for whom it counts, how much is set aside.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Amounts that are set aside, or may be used at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Amounts {
    /// Thousandths of a processor.
    pub cpu_milli: i64,
    /// Bytes of memory.
    pub memory_bytes: i64,
    /// GPUs.
    pub gpus: i64,
}

/// What an environment does, as far as it costs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Phase {
    /// It has no pod on a node; only its volumes cost.
    #[default]
    Stopped,
    /// Its pod takes a node's room.
    Running,
    /// The same, and nobody uses it.
    Idle,
}

impl Phase {
    /// The word in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Running => "Running",
            Self::Idle => "Idle",
        }
    }

    /// Reads the word; `None` for another.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Stopped, Self::Running, Self::Idle]
            .into_iter()
            .find(|phase| phase.as_str() == word)
    }
}

/// Everything that is the same all through an interval. A change of any of it ends the interval and begins another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// UID of the DevServer; a second one of the same name is another.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who it belongs to; empty: nobody said.
    pub owner: String,
    /// Team it counts for; empty: none.
    pub team: String,
    /// Project it counts for; empty: none.
    pub project: String,
    /// Its flavor.
    pub flavor: String,
    /// Whether its node can be taken away at any time, and costs less.
    pub spot: bool,
    /// What it does.
    pub phase: Phase,
    /// What is set aside for it; nothing while it is stopped.
    pub requested: Amounts,
    /// What it may use at most; nothing while it is stopped.
    pub limit: Amounts,
    /// Bytes of its volumes.
    pub volume_bytes: i64,
}

impl Subject {
    /// The same environment while it has no pod.
    #[must_use]
    pub fn stopped(&self) -> Self {
        Self {
            phase: Phase::Stopped,
            requested: Amounts::default(),
            limit: Amounts::default(),
            spot: false,
            ..self.clone()
        }
    }

    /// Its number in the ledger: made of what it says, so that writing it again writes the same.
    pub fn id(&self) -> i64 {
        // A struct of strings and numbers always has a JSON form.
        let text = serde_json::to_vec(self).unwrap_or_default();
        let hash = Sha256::digest(&text);
        let first: [u8; 8] = std::array::from_fn(|i| hash.get(i).copied().unwrap_or_default());
        i64::from_be_bytes(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_makes_another_subject() {
        let base = Subject {
            uid: "u".to_owned(),
            ..Subject::default()
        };
        let text = |change: fn(&mut Subject)| {
            let mut other = base.clone();
            change(&mut other);
            other.id()
        };
        let ids = [
            text(|_| ()),
            text(|s| s.uid.push('x')),
            text(|s| s.namespace.push('x')),
            text(|s| s.name.push('x')),
            text(|s| s.owner.push('x')),
            text(|s| s.team.push('x')),
            text(|s| s.project.push('x')),
            text(|s| s.flavor.push('x')),
            text(|s| s.spot = true),
            text(|s| s.phase = Phase::Idle),
            text(|s| s.requested.cpu_milli = 1),
            text(|s| s.limit.cpu_milli = 1),
            text(|s| s.volume_bytes = 1),
        ];
        let different: std::collections::BTreeSet<i64> = ids.into_iter().collect();
        assert_eq!(different.len(), ids.len());
        assert_eq!(text(|_| ()), base.id(), "the same says the same");
    }

    #[test]
    fn the_number_never_changes_because_ledgers_hold_it() {
        assert_eq!(Subject::default().id(), ID_OF_NOTHING);
    }

    const ID_OF_NOTHING: i64 = -1_349_206_101_908_776_106;
}
