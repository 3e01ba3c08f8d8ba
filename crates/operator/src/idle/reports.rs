//! What agents said last, of this process. To lose it costs one round of questions.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use devserver_api::DevServer;
use devserver_core::activity::{Activity, Known, Policy, Report, annotated, judge};
use jiff::Timestamp;

/// What is known of one pod.
#[derive(Clone, Default)]
struct Entry {
    known: Known,
    /// The newest report and when it came, on a clock that only goes forward.
    newest: Option<(Report, Duration)>,
    /// Since when nothing comes.
    asked: Duration,
    /// When a change of its size was refused.
    refused: Option<Duration>,
}

/// How long a pod that could not be resized is left alone: a node that cannot do it now may be one that never can.
const REFUSED: Duration = Duration::from_secs(600);

/// What agents said last, by the UID of their pod.
#[derive(Default)]
pub struct Reports(Mutex<HashMap<String, Entry>>);

impl Reports {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an answer, or that there was none.
    pub fn take(
        &self,
        pod: &str,
        server: &DevServer,
        report: Option<Report>,
        policy: &Policy,
        (now, steady): (Timestamp, Duration),
    ) {
        let mut all = self.lock();
        let entry = all.entry(pod.to_owned()).or_insert_with(|| Entry {
            asked: steady,
            ..Entry::default()
        });
        if let Some(report) = report {
            entry.newest = Some((report, steady));
        }
        let known = with_holds(&entry.known, server, policy, now);
        entry.known = known.after(entry.believed(policy, steady), policy, now);
    }

    /// What that means; `None`: the agent was not asked yet, or it may be a moment until it answers.
    pub fn verdict(
        &self,
        pod: &str,
        server: &DevServer,
        policy: &Policy,
        (now, steady): (Timestamp, Duration),
    ) -> Option<Activity> {
        let all = self.lock();
        let entry = all.get(pod)?;
        let report = entry.believed(policy, steady);
        let is_new = entry.newest.is_none() && !is_over(entry.asked, policy, steady);
        if is_new {
            return None;
        }
        let known = with_holds(&entry.known, server, policy, now);
        Some(judge(&known, report, policy, now))
    }

    /// What its agent said last, while that can be believed.
    pub fn newest(&self, pod: &str, policy: &Policy, steady: Duration) -> Option<Report> {
        self.lock().get(pod)?.believed(policy, steady).cloned()
    }

    /// A change of its size was refused.
    pub fn refuse(&self, pod: &str, steady: Duration) {
        if let Some(entry) = self.lock().get_mut(pod) {
            entry.refused = Some(steady);
        }
    }

    /// Whether to leave its size alone for a while.
    pub fn is_refused(&self, pod: &str, steady: Duration) -> bool {
        let refused = self.lock().get(pod).and_then(|entry| entry.refused);
        refused.is_some_and(|at| steady.saturating_sub(at) < REFUSED)
    }

    /// Forgets all other pods.
    pub fn keep(&self, pods: &HashSet<String>) {
        self.lock().retain(|pod, _| pods.contains(pod));
    }
}

fn is_over(since: Duration, policy: &Policy, steady: Duration) -> bool {
    steady.saturating_sub(since) > Duration::from_secs(policy.stale_seconds)
}

impl Entry {
    /// An answer that did not come does not make the one before it wrong, for a while.
    fn believed(&self, policy: &Policy, steady: Duration) -> Option<&Report> {
        let newest = self.newest.as_ref();
        newest
            .filter(|(_, at)| !is_over(*at, policy, steady))
            .map(|(report, _)| report)
    }
}

/// With the lease that the DevServer itself speaks of. One that does not count is none.
fn with_holds(known: &Known, server: &DevServer, policy: &Policy, now: Timestamp) -> Known {
    let annotations = server.metadata.annotations.as_ref();
    let hold = annotations.and_then(|all| annotated(all, policy, now).ok().flatten());
    Known {
        holds: hold.into_iter().collect(),
        ..known.clone()
    }
}

#[cfg(test)]
mod tests {
    use devserver_api::DevServerSpec;

    use super::*;

    const POD: &str = "pod-1";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn time(second: u64) -> (Timestamp, Duration) {
        (
            at(i64::try_from(second).unwrap()),
            Duration::from_secs(second),
        )
    }

    fn report(now: i64, typed: i64) -> Report {
        let (now, typed, begun) = (at(now), at(typed), at(0));
        let text = format!(
            r#"{{"at":"{now}","sampledAt":"{now}","startedAt":"{begun}","typed":{{"last":"{typed}"}}}}"#
        );
        Report::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_agent_that_does_not_answer_for_a_moment_makes_nothing_unknown() {
        let (reports, policy) = (Reports::default(), Policy::default());
        let server = DevServer::new("x", DevServerSpec::default());
        let says = |second| reports.verdict(POD, &server, &policy, time(second));
        assert_eq!(says(0), None, "nobody was asked");
        reports.take(POD, &server, None, &policy, time(10));
        assert_eq!(says(11), None, "it may be starting");
        reports.take(POD, &server, None, &policy, time(400));
        assert!(matches!(says(401), Some(Activity::Unknown { .. })));
        reports.take(
            POD,
            &server,
            Some(report(10_000, 5_000)),
            &policy,
            time(10_000),
        );
        let idle = Activity::Idle {
            since: at(5_000),
            last: Some(devserver_core::activity::Signal::Typed),
        };
        assert_eq!(says(10_000), Some(idle.clone()));
        reports.take(POD, &server, None, &policy, time(10_060));
        assert_eq!(says(10_060), Some(idle));
        reports.take(POD, &server, None, &policy, time(10_400));
        assert!(matches!(says(10_400), Some(Activity::Unknown { .. })));
        reports.keep(&HashSet::new());
        assert_eq!(says(10_401), None, "another pod is another matter");
    }
}
