//! Waiting for a condition with a deadline; a failure says what was seen last.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use anyhow::bail;

use crate::proxy::{
    request::Verb,
    trace::{Record, Trace},
};

/// What one look found.
#[derive(Debug)]
pub enum Seen<T> {
    /// The condition holds.
    Yes(T),
    /// It does not; what was there instead.
    NotYet(String),
}

impl Seen<()> {
    /// `Yes` when `holds`, else what was there instead.
    pub fn when(holds: bool, instead: impl Display) -> Self {
        if holds {
            Self::Yes(())
        } else {
            Self::NotYet(instead.to_string())
        }
    }
}

/// Looks until the condition holds. An error of a look counts as not yet: the API server may be busy.
pub async fn until<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Seen<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(20);
    loop {
        let last = match look().await {
            Ok(Seen::Yes(value)) => return Ok(value),
            Ok(Seen::NotYet(instead)) => instead,
            Err(why) => format!("{why:#}"),
        };
        if begun.elapsed() > deadline {
            bail!(
                "{what}: not within {} s; last seen: {last}",
                deadline.as_secs()
            );
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_millis(250));
    }
}

/// Looks again and again for the whole time; fails at once when the condition stops holding.
pub async fn stays(
    what: &str,
    time: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Seen<()>>,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < time {
        if let Seen::NotYet(instead) = look().await? {
            bail!(
                "{what}: held only for {} ms, then: {instead}",
                begun.elapsed().as_millis()
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Demands that no write is made for a time that begins now.
pub async fn no_writes(trace: &Trace, time: Duration) -> anyhow::Result<()> {
    let mark = trace.mark();
    stays("no writes at rest", time, async || {
        let writes: Vec<String> = trace
            .writes_since(mark)
            .iter()
            .map(|r| r.asked.summary())
            .collect();
        Ok(Seen::when(writes.is_empty(), writes.join(", ")))
    })
    .await
}

/// Waits until no write was made for `calm`.
pub async fn quiet(trace: &Trace, calm: Duration, deadline: Duration) -> anyhow::Result<()> {
    silent(trace, calm, deadline, |record| record.asked.is_write()).await
}

/// Waits until for `calm` no write was made and no DevServer was looked at: a look that found nothing to do may be followed by
/// another one.
pub async fn nobody_looks(trace: &Trace, calm: Duration, deadline: Duration) -> anyhow::Result<()> {
    let counts = |record: &Record| {
        let asked = &record.asked;
        asked.is_write() || asked.verb == Verb::Get && asked.plural == "devservers"
    };
    silent(trace, calm, deadline, counts).await
}

async fn silent(
    trace: &Trace,
    calm: Duration,
    deadline: Duration,
    counts: impl Fn(&Record) -> bool,
) -> anyhow::Result<()> {
    let mut mark = trace.mark();
    let mut since = Instant::now();
    until("quiet", deadline, async || {
        let latest = trace.since(mark, &counts);
        if !latest.is_empty() {
            mark = trace.mark();
            since = Instant::now();
        }
        let latest: Vec<String> = latest.iter().map(|r| r.asked.summary()).collect();
        Ok(Seen::when(since.elapsed() >= calm, latest.join(", ")))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_never_holds_fails_with_what_was_seen() {
        let never = async || Ok(Seen::<()>::NotYet("phase Pending".to_owned()));
        let why = until("box runs", Duration::from_millis(30), never)
            .await
            .unwrap_err();
        assert!(why.to_string().contains("phase Pending"), "{why}");
    }

    #[tokio::test]
    async fn a_condition_that_stops_holding_is_noticed() {
        let mut looks = 0;
        let flips = async || {
            looks += 1;
            Ok(Seen::when(looks < 2, "gone"))
        };
        let why = stays("box stays", Duration::from_secs(5), flips)
            .await
            .unwrap_err();
        assert!(why.to_string().contains("gone"), "{why}");
    }
}
