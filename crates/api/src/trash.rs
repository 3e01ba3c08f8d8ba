//! What the claim of a home says about the DevServer it was made for, so that a home that outlives it can be told of, and the
//! DevServer made again.
//!
//! The operator writes these annotations where the platform has a trash; whoever may read claims reads them. Nothing in them opens
//! anything: a spec names Secrets and holds none.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::PersistentVolumeClaim, apimachinery::pkg::api::resource::Quantity,
};
use serde::{Deserialize, Serialize};

use crate::{DevServerSpec, IdleSpec, group, names::ServerName};

/// What is needed to make the DevServer again: JSON of a [`Record`]. Kept up to date while the DevServer lives.
pub const RECORD: &str = "devserver.io/devserver";
/// When its DevServer was seen to be gone. Absent while there is one.
pub const ENDED: &str = "devserver.io/ended";
/// Why it ended: [`Ended`].
pub const BECAUSE: &str = "devserver.io/ended-because";
/// When the claim is removed for good. Absent: never.
pub const REMOVAL: &str = "devserver.io/removal";
/// When that was announced; nothing is removed unannounced.
pub const WARNED: &str = "devserver.io/removal-warned";
/// All of them.
pub const ALL: [&str; 5] = [RECORD, ENDED, BECAUSE, REMOVAL, WARNED];

/// Longest record. All annotations of an object together may have 256 KiB.
const LARGEST: usize = 96 * 1024;

/// What is needed to make a DevServer again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// UID it had.
    pub uid: String,
    /// Flavor it was of, also where its spec names none.
    pub flavor: String,
    /// When its time would have been over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// What was asked for.
    pub spec: DevServerSpec,
}

impl Record {
    /// The annotation; `None`: there is no room for it.
    pub fn text(&self) -> Option<String> {
        let text = serde_json::to_string(self).ok()?;
        (text.len() <= LARGEST).then_some(text)
    }
}

/// The spec to make it again with: what was asked for, without what was meant for a moment.
pub fn wanted_again(spec: &DevServerSpec) -> DevServerSpec {
    let mut spec = spec.clone();
    spec.suspend = false;
    if let Some(idle) = &mut spec.idle {
        idle.snoozed_until = None;
    }
    spec.idle = spec.idle.filter(|idle| *idle != IdleSpec::default());
    spec
}

/// Why a DevServer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// Its time to live was over.
    Expired,
    /// Somebody deleted it.
    Deleted,
}

impl Ended {
    /// The word in the annotation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "Expired",
            Self::Deleted => "Deleted",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Expired, Self::Deleted]
            .into_iter()
            .find(|ended| ended.as_str() == word)
    }
}

/// How far a home without a DevServer is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// When its DevServer was seen to be gone.
    pub ended: Option<Timestamp>,
    /// Why that was.
    pub because: Option<Ended>,
    /// When it is removed for good; `None`: never.
    pub removal: Option<Timestamp>,
    /// When that was announced.
    pub warned: Option<Timestamp>,
}

impl Marks {
    /// What the annotations say; what is not understood is not there.
    pub fn read(annotations: &BTreeMap<String, String>) -> Self {
        let instant = |key: &str| annotations.get(key)?.parse().ok();
        Self {
            ended: instant(ENDED),
            because: annotations.get(BECAUSE).and_then(|word| Ended::parse(word)),
            removal: instant(REMOVAL),
            warned: instant(WARNED),
        }
    }

    /// The annotations that say it; `None`: that one is not there.
    pub fn annotations(&self) -> [(&'static str, Option<String>); 4] {
        let instant = |at: Option<Timestamp>| at.map(|at| at.to_string());
        [
            (ENDED, instant(self.ended)),
            (BECAUSE, self.because.map(|why| why.as_str().to_owned())),
            (REMOVAL, instant(self.removal)),
            (WARNED, instant(self.warned)),
        ]
    }
}

/// The DevServer whose home the claim is, or was: as its StatefulSet names and labels it.
pub fn home_of(claim: &PersistentVolumeClaim) -> Option<ServerName> {
    let labels = claim.metadata.labels.as_ref()?;
    labels.get(group::LABEL_UID)?;
    let name = ServerName::parse(labels.get(group::LABEL_NAME)?).ok()?;
    (claim.metadata.name.as_ref() == Some(&name.home_claim())).then_some(name)
}

/// Whether the claim stays by itself: nobody deletes it, and it does not go with something else, as by `volumeRetention: Delete`.
pub fn stays(claim: &PersistentVolumeClaim) -> bool {
    let owners = claim.metadata.owner_references.as_ref();
    claim.metadata.deletion_timestamp.is_none() && owners.is_none_or(Vec::is_empty)
}

/// The DevServer of which the claim is left: it was its home, there is none of its name now, and it does not go with anything either.
pub fn left_of(
    claim: &PersistentVolumeClaim,
    is_living: impl Fn(&str) -> bool,
) -> Option<ServerName> {
    let owners = claim.metadata.owner_references.as_ref();
    let is_owned = owners.is_some_and(|owners| !owners.is_empty());
    home_of(claim).filter(|name| !is_owned && !is_living(&name.to_string()))
}

/// What it has, or what it asks for.
pub fn size(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    let has = claim.status.as_ref().and_then(|s| s.capacity.as_ref());
    let asks = claim.spec.as_ref().and_then(|s| s.resources.as_ref());
    let has = has.and_then(|capacity| capacity.get("storage"));
    has.or_else(|| asks?.requests.as_ref()?.get("storage"))
}

/// What its annotations hold, if they hold it.
pub fn record(claim: &PersistentVolumeClaim) -> Option<Record> {
    let text = claim.metadata.annotations.as_ref()?.get(RECORD)?;
    serde_json::from_str(text).ok()
}

/// How far it is on its way.
pub fn marks(claim: &PersistentVolumeClaim) -> Marks {
    let annotations = claim.metadata.annotations.as_ref();
    annotations.map(Marks::read).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claim(name: &str, labels: &serde_json::Value) -> PersistentVolumeClaim {
        serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap()
    }

    #[test]
    fn a_home_is_known_by_its_labels_and_its_name_together() {
        let labels = json!({"devserver.io/name": "box", "devserver.io/uid": "1"});
        let of = |claim: &PersistentVolumeClaim| home_of(claim).map(|name| name.to_string());
        assert_eq!(of(&claim("home-box-0", &labels)).as_deref(), Some("box"));
        for (name, labels) in [
            ("docker-box-0", labels.clone()),
            ("home-other-0", labels.clone()),
            ("home-box-0", json!({"devserver.io/name": "box"})),
            ("home-box-0", json!({})),
            (
                "home-../x-0",
                json!({"devserver.io/name": "../x", "devserver.io/uid": "1"}),
            ),
        ] {
            assert_eq!(of(&claim(name, &labels)), None, "{name} {labels}");
        }
    }

    #[test]
    fn marks_are_read_as_they_are_written_and_rubbish_is_none() {
        let marks = Marks {
            ended: "2026-01-01T00:00:00Z".parse().ok(),
            because: Some(Ended::Expired),
            removal: "2026-02-01T00:00:00Z".parse().ok(),
            warned: None,
        };
        let written = marks.annotations().into_iter();
        let mut annotations: BTreeMap<String, String> = written
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect();
        assert_eq!(Marks::read(&annotations), marks);
        for value in annotations.values_mut() {
            value.push('?');
        }
        assert_eq!(Marks::read(&annotations), Marks::default());
    }

    #[test]
    fn what_was_meant_for_a_moment_is_not_wanted_again() {
        let spec: DevServerSpec = serde_json::from_value(json!({
            "ssh": {}, "suspend": true, "flavor": "small",
            "idle": {"disabled": true, "snoozedUntil": "2026-01-01T00:00:00Z"},
        }))
        .unwrap();
        let again = serde_json::to_value(wanted_again(&spec)).unwrap();
        assert_eq!(
            again,
            json!({"ssh": {}, "flavor": "small", "idle": {"disabled": true}})
        );
    }

    #[test]
    fn a_record_without_room_is_none() {
        let mut record = Record {
            uid: "1".to_owned(),
            flavor: "small".to_owned(),
            expires: None,
            spec: DevServerSpec::default(),
        };
        let text = record.text().unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        record.spec.image = Some("x".repeat(LARGEST));
        assert_eq!(record.text(), None);
    }
}
