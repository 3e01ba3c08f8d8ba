//! Every request the operator made, in order. Oracles read this, not the logs.

use std::{
    fmt::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::request::{Asked, Verb};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Fate {
    /// Not known yet.
    Open,
    /// The server's answer was passed on.
    Answered,
    /// A fault hit it; which.
    Hit(String),
    /// The server could not be asked.
    Unreachable(String),
}

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Number in the trace, from 1.
    pub n: usize,
    /// Milliseconds since the proxy began.
    pub at: u128,
    /// What was asked.
    #[serde(flatten)]
    pub asked: Asked,
    /// `metadata.name` of the body, for creates.
    pub body_name: Option<String>,
    /// UID of the first owner in the body, for creates.
    pub body_owner: Option<String>,
    /// First 8 bytes of the body's SHA-256, in hexadecimal; empty without a body.
    pub body_hash: String,
    /// `preconditions.uid` of a delete.
    pub uid_precondition: Option<String>,
    /// HTTP status the server gave.
    pub status: Option<u16>,
    /// What became of it.
    pub fate: Fate,
}

impl Record {
    /// The write in one line, the object's own names replaced by its kind: `create secrets`, `patch devservers/status`.
    pub fn step(&self) -> String {
        let verb = format!("{:?}", self.asked.verb).to_lowercase();
        match &self.asked.subresource {
            Some(sub) => format!("{verb} {}/{sub}", self.asked.plural),
            None => format!("{verb} {}", self.asked.plural),
        }
    }
}

/// All requests of one proxy.
#[derive(Debug)]
pub struct Trace {
    begun: Instant,
    records: Mutex<Vec<Record>>,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            records: Mutex::default(),
        }
    }
}

impl Trace {
    /// Adds a request, with what its body says; returns its number.
    pub(super) fn open(&self, asked: Asked, body: &[u8]) -> usize {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let text = |path| json.as_ref()?.pointer(path)?.as_str().map(str::to_owned);
        let hash = Sha256::digest(body);
        let body_hash = hash.iter().take(8).fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let mut records = self.lock();
        let n = records.len() + 1;
        records.push(Record {
            n,
            at: self.begun.elapsed().as_millis(),
            asked,
            body_name: text("/metadata/name"),
            body_owner: text("/metadata/ownerReferences/0/uid"),
            body_hash: if body.is_empty() {
                String::new()
            } else {
                body_hash
            },
            uid_precondition: text("/preconditions/uid"),
            status: None,
            fate: Fate::Open,
        });
        n
    }

    /// Says what became of request `n`.
    pub(super) fn close(&self, n: usize, status: Option<u16>, fate: Fate) {
        if let Some(record) = self.lock().get_mut(n.saturating_sub(1)) {
            record.status = status.or(record.status);
            record.fate = fate;
        }
    }

    /// Everything so far.
    pub fn records(&self) -> Vec<Record> {
        self.lock().clone()
    }

    /// How many requests so far; a mark for [`Trace::writes_since`].
    pub fn mark(&self) -> usize {
        self.lock().len()
    }

    /// Writes after a mark, successful or not.
    pub fn writes_since(&self, mark: usize) -> Vec<Record> {
        self.since(mark, |r| r.asked.is_write())
    }

    /// Requests after a mark that count.
    pub fn since(&self, mark: usize, counts: impl Fn(&Record) -> bool) -> Vec<Record> {
        let records = self.lock();
        let after = records.iter().skip(mark);
        after.filter(|record| counts(record)).cloned().collect()
    }

    /// Requests of one kind and verb.
    pub fn count(&self, verb: Verb, plural: &str) -> usize {
        self.lock()
            .iter()
            .filter(|r| r.asked.verb == verb && r.asked.plural == plural)
            .count()
    }

    /// What no operator may ever do, whatever the test is about.
    ///
    /// A delete by name alone could hit another object that took the name since; a list with `resourceVersion=0` may
    /// be answered from a cache that lags, which sends a restarted operator back in time.
    pub fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        for r in self.lock().iter() {
            let what = r.asked.summary();
            match r.asked.verb {
                Verb::Delete if r.uid_precondition.is_none() => {
                    found.push(format!("request {}: {what} without preconditions.uid", r.n));
                }
                Verb::DeleteCollection => found.push(format!("request {}: {what}", r.n)),
                Verb::List if r.asked.resource_version.as_deref() == Some("0") => {
                    found.push(format!("request {}: {what} with resourceVersion=0", r.n));
                }
                _ => {}
            }
        }
        found
    }

    /// The last `limit` writes and faults as text, for a failing test.
    pub fn tail(&self, limit: usize) -> String {
        let records = self.lock();
        let told: Vec<&Record> = records
            .iter()
            .filter(|r| r.asked.is_write() || !matches!(r.fate, Fate::Answered | Fate::Open))
            .collect();
        let mut text = String::new();
        for r in told.iter().skip(told.len().saturating_sub(limit)) {
            let status = r.status.map_or_else(|| "-".to_owned(), |s| s.to_string());
            let _ = writeln!(
                text,
                "{:>5} {:>7} ms {:<55} {status} {:?}",
                r.n,
                r.at,
                r.asked.summary(),
                r.fate
            );
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        // A test that panicked while it held the lock must not hide its reason behind a second panic.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn record(trace: &Trace, method: &Method, address: &str, body: &str) {
        trace.open(
            Asked::read(method, &address.parse().unwrap()),
            body.as_bytes(),
        );
    }

    #[test]
    fn a_delete_by_name_alone_is_a_violation() {
        let trace = Trace::default();
        let address = "/apis/devserver.io/v1/namespaces/n/devservers/box";
        record(
            &trace,
            &Method::DELETE,
            address,
            r#"{"preconditions":{"uid":"u"}}"#,
        );
        assert!(trace.violations().is_empty());
        record(&trace, &Method::DELETE, address, "{}");
        assert_eq!(trace.violations().len(), 1);
    }

    #[test]
    fn a_list_that_may_come_from_the_past_is_a_violation() {
        let trace = Trace::default();
        record(&trace, &Method::GET, "/api/v1/pods?resourceVersion=0", "");
        record(
            &trace,
            &Method::GET,
            "/api/v1/pods?watch=true&resourceVersion=0",
            "",
        );
        assert_eq!(trace.violations().len(), 1);
    }

    #[test]
    fn writes_are_counted_from_a_mark() {
        let trace = Trace::default();
        let address = "/api/v1/namespaces/n/secrets/s";
        record(&trace, &Method::PATCH, address, "{}");
        let mark = trace.mark();
        record(&trace, &Method::GET, address, "");
        record(&trace, &Method::PATCH, address, "{}");
        assert_eq!(trace.writes_since(mark).len(), 1);
    }
}
