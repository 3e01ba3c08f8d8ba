//! What the operator has people told who sit in an environment. It travels with the question for a report. The words are the
//! agent's: nothing but stages and instants comes over the network, and so nothing that could do something to a terminal.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Header of the question that carries it, as JSON.
pub const NOTICE_HEADER: &str = "devserver-notice";
/// Longest text of one.
const LONGEST: usize = 512;

/// How far it has come. Later stages are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NoticeStage {
    /// Its owner was told that nobody uses it.
    Noticed,
    /// Its owner was warned of the stop.
    Warned,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Deed {
    /// It is made smaller.
    Downscale,
    /// Its owner is warned.
    Warn,
    /// It is stopped.
    Terminate,
}

/// That nobody uses the environment, and what is done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// When there was last a sign of life.
    pub since: Timestamp,
    /// How far it has come.
    pub stage: NoticeStage,
    /// Greater when the same is told anew, as after a snooze.
    #[serde(default)]
    pub round: i64,
    /// What comes next, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<(Deed, Timestamp)>,
}

impl Notice {
    /// Reads the header; what is not understood is none.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        serde_json::from_str(text).ok()
    }

    /// The header.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What has to grow for it to be news: nothing is told twice, and nothing that is over.
    pub fn order(&self) -> (Timestamp, NoticeStage, i64) {
        (self.since, self.stage, self.round)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_read_as_it_was_written_and_rubbish_is_none() {
        let notice = Notice {
            since: "2026-01-01T12:00:00Z".parse().unwrap(),
            stage: NoticeStage::Warned,
            round: 7,
            next: Some((Deed::Terminate, "2026-01-02T12:00:00Z".parse().unwrap())),
        };
        let text = notice.text();
        assert!(text.is_ascii() && text.len() <= LONGEST, "{text}");
        assert_eq!(Notice::parse(&text), Some(notice));
        let long = format!("{text}{}", " ".repeat(LONGEST));
        for rubbish in ["", "{}", r#"{"since":"x","stage":"warned"}"#, &long] {
            assert_eq!(Notice::parse(rubbish), None, "{rubbish}");
        }
    }
}
