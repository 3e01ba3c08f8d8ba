//! A lease on the environment that is taken from outside: an annotation of the DevServer, written by `devctl hold`.

use std::collections::BTreeMap;

use devserver_activity::plain;
use devserver_api::duration::go_syntax;
use jiff::{SignedDuration, Timestamp};

use super::{Hold, Policy};

/// Two instants, `SINCE/UNTIL` (RFC 3339, as an interval of ISO 8601).
pub const HOLD_ANNOTATION: &str = "devserver.io/hold";
/// Who took it, in their own words.
pub const HELD_BY_ANNOTATION: &str = "devserver.io/held-by";

/// Why a lease does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoldError {
    /// Not two instants in their order.
    #[error(
        "annotation {HOLD_ANNOTATION} is not SINCE/UNTIL, such as 2026-01-31T08:00:00Z/2026-01-31T12:00:00Z; use devctl hold"
    )]
    Syntax,
    /// Longer than the policy allows.
    #[error(
        "annotation {HOLD_ANNOTATION} asks for more than {0}, the longest hold of this platform; ask for less"
    )]
    TooLong(String),
    /// It has not begun.
    #[error("annotation {HOLD_ANNOTATION} begins in the future; use devctl hold")]
    Future,
}

/// The lease that the annotations of a DevServer speak of. One that is over is none.
pub fn annotated(
    annotations: &BTreeMap<String, String>,
    policy: &Policy,
    now: Timestamp,
) -> Result<Option<Hold>, HoldError> {
    let Some(text) = annotations.get(HOLD_ANNOTATION) else {
        return Ok(None);
    };
    let instant = |text: &str| text.parse::<Timestamp>().map_err(|_| HoldError::Syntax);
    let (since, until) = text.split_once('/').ok_or(HoldError::Syntax)?;
    let (since, until) = (instant(since)?, instant(until)?);
    if until < since {
        return Err(HoldError::Syntax);
    }
    // The writer's clock may be a little ahead.
    if since.duration_since(now) > SignedDuration::from_mins(5) {
        return Err(HoldError::Future);
    }
    let longest = SignedDuration::from_secs(policy.max_hold_seconds.try_into().unwrap_or(i64::MAX));
    if until.duration_since(since) > longest {
        return Err(HoldError::TooLong(go_syntax(policy.max_hold_seconds)));
    }
    let by = annotations
        .get(HELD_BY_ANNOTATION)
        .map_or("devctl hold", String::as_str);
    Ok((until > now).then(|| Hold {
        by: plain(by),
        what: String::new(),
        since: since.min(now),
        until,
    }))
}

/// The value of [`HOLD_ANNOTATION`] for a lease that begins now.
pub fn annotation(now: Timestamp, seconds: u64) -> Option<String> {
    let span = SignedDuration::from_secs(seconds.try_into().ok()?);
    let whole = Timestamp::from_second(now.as_second()).ok()?;
    Some(format!("{whole}/{}", whole.checked_add(span).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn read(value: &str) -> Result<Option<Hold>, HoldError> {
        let annotations = BTreeMap::from([
            (HOLD_ANNOTATION.to_owned(), value.to_owned()),
            (HELD_BY_ANNOTATION.to_owned(), "ada\n\u{1b}[2J".to_owned()),
        ]);
        annotated(&annotations, &Policy::default(), at("2026-01-31T10:00:00Z"))
    }

    #[test]
    fn what_devctl_writes_is_a_lease_until_it_is_over() {
        let value = annotation(at("2026-01-31T09:00:00.7Z"), 4 * 3600).unwrap();
        assert_eq!(value, "2026-01-31T09:00:00Z/2026-01-31T13:00:00Z");
        let hold = read(&value).unwrap().unwrap();
        assert_eq!(
            (hold.until, hold.by.as_str()),
            (at("2026-01-31T13:00:00Z"), "ada???2J")
        );
        assert_eq!(
            read(&annotation(at("2026-01-31T09:00:00Z"), 3600).unwrap()),
            Ok(None)
        );
        assert_eq!(
            annotated(
                &BTreeMap::new(),
                &Policy::default(),
                at("2026-01-31T10:00:00Z")
            ),
            Ok(None)
        );
    }

    #[test]
    fn e3_a_lease_beyond_the_bound_or_from_the_future_is_none() {
        let long = read("2026-01-31T09:00:00Z/2026-02-01T09:00:01Z").unwrap_err();
        assert!(long.to_string().contains("24h"), "{long}");
        assert_eq!(
            read("2026-01-31T11:00:00Z/2026-01-31T12:00:00Z"),
            Err(HoldError::Future)
        );
        for rubbish in [
            "",
            "/",
            "4h",
            "2026-01-31T09:00:00Z",
            "2026-01-31T09:00:00Z/2026-01-31T08:00:00Z",
        ] {
            assert_eq!(read(rubbish), Err(HoldError::Syntax), "{rubbish}");
        }
    }
}
