//! How long it may live.

use devserver_api::{DevServer, duration};

use crate::{Invalid, Platform};

/// Seconds from creation to deletion; `None`: for ever.
pub fn time_to_live(server: &DevServer, platform: &Platform) -> Result<Option<u64>, Invalid> {
    let asked = server
        .spec
        .lifecycle
        .as_ref()
        .and_then(|l| l.time_to_live.as_ref());
    let max = bound(platform.max_time_to_live.as_ref());
    let Some(text) = asked else {
        // Who asks for nothing gets the default, and the bound where there is no default.
        return Ok(bound(platform.default_time_to_live.as_ref()).or(max));
    };
    let seconds = duration::parse_positive(text).map_err(Invalid::TimeToLive)?;
    match (max, &platform.max_time_to_live) {
        (Some(max), Some(text)) if seconds > max => {
            Err(Invalid::TimeToLiveTooLong { max: text.clone() })
        }
        _ => Ok(Some(seconds)),
    }
}

fn bound(text: Option<&String>) -> Option<u64> {
    text.and_then(|text| duration::parse_positive(text).ok())
}
