//! Which reports were sent, and which way. A report is claimed before it is sent: two senders cannot both have it.

use sqlx::Row;

use super::{Doing as _, Store, StoreError};

/// How a report reaches people: each way is a matter of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// By mail.
    Mail,
    /// To an address that takes events.
    Webhook,
}

impl Way {
    /// The word in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
        }
    }
}

/// Whether a report is to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is ours to send; then say [`Store::report_ended`].
    Ours,
    /// It was sent.
    Done,
    /// Somebody began to send it and did not come to say how that ended: it may have arrived, and is not sent again.
    Unknown,
    /// It failed a moment ago.
    Waits,
    /// It failed as often as it may.
    GivenUp,
}

/// How often a report is tried whose sending is known to have failed.
const ATTEMPTS: i64 = 8;
/// Seconds between two tries.
const BETWEEN: i64 = 600;

impl Store {
    /// Claims the report of a week for a team.
    pub async fn claim_report(
        &self,
        (week, team, way): (&str, &str, Way),
        now: i64,
    ) -> Result<Turn, StoreError> {
        const DOING: &str = "claim a report";
        let claimed = sqlx::query(
            "INSERT INTO report (week, team, way, state, attempts, changed) VALUES ($1, $2, $3, 'Sending', 1, $4) \
             ON CONFLICT (week, team, way) DO UPDATE SET state = 'Sending', attempts = report.attempts + 1, changed = excluded.changed \
             WHERE report.state = 'Failed' AND report.attempts < $5 AND report.changed <= excluded.changed - $6",
        )
        .bind(week.to_owned())
        .bind(team.to_owned())
        .bind(way.as_str())
        .bind(now)
        .bind(ATTEMPTS)
        .bind(BETWEEN)
        .execute(&self.pool)
        .await
        .doing(DOING)?;
        if claimed.rows_affected() == 1 {
            return Ok(Turn::Ours);
        }
        let text = "SELECT state, attempts FROM report WHERE week = $1 AND team = $2 AND way = $3";
        let row = sqlx::query(text)
            .bind(week.to_owned())
            .bind(team.to_owned())
            .bind(way.as_str())
            .fetch_one(&self.pool)
            .await
            .doing(DOING)?;
        let state: String = row.try_get(0).doing(DOING)?;
        let attempts: i64 = row.try_get(1).doing(DOING)?;
        Ok(match state.as_str() {
            "Sent" => Turn::Done,
            "Sending" => Turn::Unknown,
            _ if attempts >= ATTEMPTS => Turn::GivenUp,
            _ => Turn::Waits,
        })
    }

    /// Says how sending a claimed report ended.
    pub async fn report_ended(
        &self,
        (week, team, way): (&str, &str, Way),
        sent: bool,
        now: i64,
    ) -> Result<(), StoreError> {
        let text = "UPDATE report SET state = $4, changed = $5 WHERE week = $1 AND team = $2 AND way = $3 AND state = 'Sending'";
        sqlx::query(text)
            .bind(week.to_owned())
            .bind(team.to_owned())
            .bind(way.as_str())
            .bind(if sent { "Sent" } else { "Failed" })
            .bind(now)
            .execute(&self.pool)
            .await
            .doing("say how a report ended")
            .map(|_| ())
    }
}
