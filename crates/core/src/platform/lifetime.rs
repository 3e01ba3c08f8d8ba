//! Settings about the end of an environment's time.

use devserver_api::duration;

use super::{Platform, PlatformError, bad, positive};

/// Most warnings; each is an event and a line in every terminal.
const MAX_WARNINGS: usize = 8;

pub(super) fn check(platform: &Platform) -> Result<(), PlatformError> {
    let mut bounds = [None, None];
    for (bound, (field, text)) in bounds.iter_mut().zip([
        ("defaultTimeToLive", &platform.default_time_to_live),
        ("maxTimeToLive", &platform.max_time_to_live),
    ]) {
        if let Some(text) = text {
            let seconds = duration::parse_positive(text).map_err(|e| bad(field, e.to_string()))?;
            *bound = Some(seconds);
        }
    }
    if let [Some(default), Some(max)] = bounds
        && default > max
    {
        let why = "must not be longer than maxTimeToLive, or who asks for nothing would live longer than anybody may ask for";
        return Err(bad("defaultTimeToLive", why));
    }
    if platform.expiration_warnings.len() > MAX_WARNINGS {
        let why = format!("must be at most {MAX_WARNINGS}");
        return Err(bad("expirationWarnings", why));
    }
    for text in &platform.expiration_warnings {
        positive("expirationWarnings", text)?;
    }
    if platform.max_expirations_per_minute == 0 {
        let why = "must be at least 1; 0 would mean that nothing ever ends";
        return Err(bad("maxExpirationsPerMinute", why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_refused_and_named() {
        for (text, word) in [
            ("maxTimeToLive: 1d", "maxTimeToLive"),
            (
                "{defaultTimeToLive: 9h, maxTimeToLive: 8h}",
                "defaultTimeToLive",
            ),
            ("expirationWarnings: [1h, soon]", "soon"),
            ("expirationWarnings: [0s]", "expirationWarnings"),
            (
                "expirationWarnings: [1h, 2h, 3h, 4h, 5h, 6h, 7h, 8h, 9h]",
                "at most 8",
            ),
            ("maxExpirationsPerMinute: 0", "maxExpirationsPerMinute"),
        ] {
            let error = Platform::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn no_warning_at_all_may_be_wished() {
        assert!(Platform::parse("expirationWarnings: []").is_ok());
    }
}
