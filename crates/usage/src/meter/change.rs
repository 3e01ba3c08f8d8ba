//! What a look changes: intervals that begin, end, and are cut at midnight.

use std::collections::BTreeMap;

use super::{Interval, Meter, Open, Seen, UNSEEN, Used};
use crate::{
    subject::Subject,
    window::{DAY, Window},
};

impl Meter {
    /// A ledger begins with what is there at its first look.
    pub(super) fn begin(&mut self, at: i64, seen: &[Seen]) {
        for seen in seen {
            self.start(&seen.subject, at);
        }
    }

    pub(super) fn change(&mut self, window: Window, unseen: bool, seen: &[Seen]) {
        let now: BTreeMap<&str, &Seen> = seen
            .iter()
            .map(|seen| (seen.subject.uid.as_str(), seen))
            .collect();
        // Nobody knows when it ended. While we look it was between two looks, and then this is when.
        let latest = if unseen {
            window.until.min(window.since.saturating_add(UNSEEN))
        } else {
            window.until
        };
        let gone: Vec<String> = self
            .open
            .keys()
            .filter(|uid| !now.contains_key(uid.as_str()))
            .cloned()
            .collect();
        for uid in gone {
            if let Some(open) = self.open.remove(&uid) {
                self.close(&open, latest);
            }
        }
        for seen in now.into_values() {
            match self.open.remove(&seen.subject.uid) {
                None => self.appear(seen, window),
                Some(open) => self.follow(open, seen, window, (unseen, latest)),
            }
        }
    }

    /// One that was not there at the look before.
    fn appear(&mut self, seen: &Seen, window: Window) {
        let within = |second: i64| second.clamp(window.since, window.until);
        let since = within(seen.since.or(seen.created).unwrap_or(window.until));
        let created = within(seen.created.unwrap_or(since)).min(since);
        self.piece(&seen.subject.stopped(), created, since);
        self.start(&seen.subject, since);
        self.measure(seen, window.until - since);
    }

    /// One that was there, perhaps as another.
    fn follow(
        &mut self,
        mut open: Open,
        seen: &Seen,
        window: Window,
        (unseen, latest): (bool, i64),
    ) {
        let began = seen.since.filter(|since| *since > window.since);
        let is_same = open.subject == seen.subject;
        if is_same && (began.is_none() || !unseen) {
            // What it used while nobody looked is not known.
            if let Some(used) = seen.used.filter(|_| !unseen) {
                open.used.add(used, window.seconds());
            }
            self.open.insert(open.subject.uid.clone(), open);
            return;
        }
        let change = match (began, seen.since) {
            (Some(began), _) => began.min(window.until),
            // It runs since before the look before, but only now it is told: a cache that was behind. A change of a label or of a
            // size, which nobody dates, counts from when it is seen.
            (None, Some(_)) if !unseen && open.subject.phase != seen.subject.phase => window.since,
            _ => latest,
        };
        let end = change.min(latest);
        let stopped = seen.subject.stopped();
        self.close(&open, end);
        self.piece(&stopped, end, change);
        self.start(&seen.subject, change);
        self.measure(seen, window.until - change);
    }

    fn measure(&mut self, seen: &Seen, seconds: i64) {
        if let (Some(open), Some(used)) = (self.open.get_mut(&seen.subject.uid), seen.used) {
            open.used.add(used, seconds);
        }
    }

    fn start(&mut self, subject: &Subject, start: i64) {
        self.insert(self.opened(subject, start));
    }

    fn opened(&self, subject: &Subject, start: i64) -> Open {
        Open {
            id: subject.id(),
            subject: subject.clone(),
            batch: self.batch,
            start,
            used: Used::default(),
            written: false,
        }
    }

    pub(super) fn insert(&mut self, open: Open) {
        self.pend(&open, None);
        self.open.insert(open.subject.uid.clone(), open);
    }

    /// A whole interval that lies behind already.
    fn piece(&mut self, subject: &Subject, start: i64, end: i64) {
        if start < end {
            self.close(&self.opened(subject, start), end);
        }
    }

    /// Ends an interval, cut at each midnight, so that days and weeks can be added up without cutting anything.
    pub(super) fn close(&mut self, open: &Open, end: i64) {
        let end = end.max(open.start);
        let rest = self.cut_one(open.clone(), end);
        if rest.start < end || rest.written {
            self.pend(&rest, Some(end));
        } else {
            // It has no second and the ledger does not know it.
            self.pending.remove(&(rest.id, rest.batch, rest.start));
        }
    }

    /// Cuts all that goes on at the midnights before `until`.
    pub(super) fn cut(&mut self, until: i64) {
        for (uid, open) in std::mem::take(&mut self.open) {
            let rest = self.cut_one(open, until);
            self.pend_new(&rest);
            self.open.insert(uid, rest);
        }
    }

    /// What is left of an interval after the last midnight that is not after `until`; the days before are ended.
    fn cut_one(&mut self, mut open: Open, until: i64) -> Open {
        loop {
            let midnight = (open.start.div_euclid(DAY) + 1) * DAY;
            if midnight > until {
                return open;
            }
            self.pend(&open, Some(midnight));
            open = Open {
                batch: self.batch,
                start: midnight,
                used: Used::default(),
                written: false,
                ..open
            };
        }
    }

    fn pend_new(&mut self, open: &Open) {
        if !open.written {
            self.pend(open, None);
        }
    }

    pub(super) fn pend(&mut self, open: &Open, end: Option<i64>) {
        self.subjects
            .entry(open.id)
            .or_insert_with(|| open.subject.clone());
        let interval = Interval {
            subject: open.id,
            batch: open.batch,
            start: open.start,
            end,
            used: open.used,
        };
        self.pending
            .insert((open.id, open.batch, open.start), interval);
    }
}
