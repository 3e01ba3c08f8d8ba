//! Settings about homes that outlive their DevServers. Without them they are kept for ever, and nothing is written to them.

use serde::{Deserialize, Serialize};

use super::{Platform, PlatformError, bad, positive};

/// What becomes of homes that outlive their DevServers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TrashSettings {
    /// How long a home is kept after its DevServer has ended, in Go syntax. Absent: for ever.
    pub retention: Option<String>,
    /// How long before its removal that is announced, in Go syntax.
    pub warning: String,
}

impl Default for TrashSettings {
    fn default() -> Self {
        Self {
            retention: None,
            warning: "24h".to_owned(),
        }
    }
}

pub(super) fn check(platform: &Platform) -> Result<(), PlatformError> {
    let Some(trash) = &platform.trash else {
        return Ok(());
    };
    let warning = positive("trash.warning", &trash.warning)?;
    let Some(text) = &trash.retention else {
        return Ok(());
    };
    if positive("trash.retention", text)? <= warning {
        let why =
            "must be longer than trash.warning, or homes would be announced for removal at once";
        return Err(bad("trash.retention", why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_refused_and_named() {
        for (text, word) in [
            ("trash: {retention: 30d}", "trash.retention"),
            ("trash: {retention: 0s}", "trash.retention"),
            ("trash: {retention: 24h}", "longer than trash.warning"),
            ("trash: {retention: 720h, warning: 720h}", "longer"),
            ("trash: {warning: soon}", "trash.warning"),
            ("trash: {days: 30}", "days"),
        ] {
            let error = Platform::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
        for text in ["trash: {}", "trash: {retention: 720h}"] {
            assert!(Platform::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn homes_are_kept_for_ever_unless_that_is_said() {
        let settings = Platform::parse("trash: {}").unwrap().trash.unwrap();
        assert_eq!(settings.retention, None);
        assert_eq!(Platform::default().trash, None);
    }
}
