//! Durations in Go syntax (`8h`, `1h30m`, `90s`), whole seconds.
//!
//! `kube::core::Duration` reads the same syntax, but panics on texts such as `1h-1m` or a number too large for it,
//! and a text from a resource must never end the process.

/// Longest duration that is understood: ten years, far below what an instant can hold.
pub const MAX_SECONDS: u64 = 10 * 366 * 24 * 3600;

/// Why a text is not a duration that something may live.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not in the syntax above.
    #[error("is not a duration; write hours, minutes and seconds such as 8h or 1h30m")]
    Syntax,
    /// Zero.
    #[error("must be longer than zero, such as 8h")]
    NotPositive,
    /// Longer than [`MAX_SECONDS`].
    #[error("is longer than ten years")]
    TooLong,
}

/// Reads hours, minutes and seconds, in that order, each at most once, and demands more than zero.
pub fn parse_positive(text: &str) -> Result<u64, DurationError> {
    if text.is_empty() || text.len() > 32 {
        return Err(DurationError::Syntax);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    for (unit, seconds) in [('h', 3600), ('m', 60), ('s', 1)] {
        let Some((number, after)) = rest.split_once(unit) else {
            continue;
        };
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(DurationError::Syntax);
        }
        let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        total = number
            .checked_mul(seconds)
            .and_then(|part| total.checked_add(part))
            .ok_or(DurationError::TooLong)?;
        rest = after;
    }
    match total {
        _ if !rest.is_empty() => Err(DurationError::Syntax),
        0 => Err(DurationError::NotPositive),
        t if t > MAX_SECONDS => Err(DurationError::TooLong),
        t => Ok(t),
    }
}

/// A number of seconds as [`parse_positive`] reads it: `8h`, `1h30m`, `45s`.
pub fn go_syntax(seconds: u64) -> String {
    let parts = [
        (seconds / 3600, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ];
    let mut text = String::new();
    for (number, unit) in parts.into_iter().filter(|(number, _)| *number > 0) {
        text.push_str(&number.to_string());
        text.push(unit);
    }
    if text.is_empty() {
        text.push_str("0s");
    }
    text
}

/// A number of seconds for people: the two largest units, such as `7h 59m`, `2d 3h`, `45s`.
pub fn humanize(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    let s = seconds.unsigned_abs();
    let (days, hours, minutes, rest) = (s / 86_400, s / 3600 % 24, s / 60 % 60, s % 60);
    let text = match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => format!("{minutes}m {rest}s"),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_syntax_is_read() {
        for (text, seconds) in [
            ("8h", 28_800),
            ("1h30m", 5_400),
            ("90s", 90),
            ("2h1s", 7_201),
        ] {
            assert_eq!(parse_positive(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn what_never_or_at_once_expires_is_refused() {
        for text in [
            "",
            "0",
            "0s",
            "-1h",
            "1h-1m",
            "99999999999h",
            "1d",
            " 8h ",
            "8H",
            "8",
            "1m1h",
            "1h1h",
            "1.5h",
            "h",
            "+1h",
        ] {
            assert!(parse_positive(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (seconds, text) in [
            (28_800, "8h"),
            (5_400, "1h30m"),
            (45, "45s"),
            (7_201, "2h1s"),
            (0, "0s"),
        ] {
            assert_eq!(go_syntax(seconds), text);
        }
        for seconds in (1..200_000).step_by(977) {
            assert_eq!(parse_positive(&go_syntax(seconds)), Ok(seconds));
        }
    }

    #[test]
    fn people_read_two_units() {
        assert_eq!(humanize(45), "45s");
        assert_eq!(humanize(28_740), "7h 59m");
        assert_eq!(humanize(183_600), "2d 3h");
        assert_eq!(humanize(-90), "-1m 30s");
    }
}
