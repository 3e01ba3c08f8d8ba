//! Tells people on the terminals that nobody seems to use the environment, and what is done about it: each stage once, on the
//! terminals that are open then. What to say is pure; what came before is all that is remembered.

use std::sync::{Mutex, PoisonError};

use devserver_activity::{Deed, Notice, NoticeStage};
use jiff::Timestamp;

use crate::expiration::{clock, span};

/// What was told last.
#[derive(Debug, Default)]
pub struct Notices(Mutex<Option<(Timestamp, NoticeStage, i64)>>);

impl Notices {
    /// The line to tell, if it is news.
    pub fn take(&self, notice: &Notice, name: &str, now: Timestamp) -> Option<String> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What lies ahead has not happened: it would keep all others from being news.
        let is_news = notice.since <= now && told.is_none_or(|told| notice.order() > told);
        is_news.then(|| {
            *told = Some(notice.order());
            line(notice, name, now)
        })
    }
}

fn line(notice: &Notice, name: &str, now: Timestamp) -> String {
    let when = |at: Timestamp| {
        let left = at.duration_since(now).as_secs();
        let clock = clock(at.as_second());
        if left > 0 {
            format!("in {} (at {clock})", span(left))
        } else {
            format!("now (at {clock})")
        }
    };
    let next = match notice.next {
        Some((Deed::Downscale, at)) => format!(" It is made smaller {}.", when(at)),
        Some((Deed::Warn, at)) => format!(" Its owner is warned {}.", when(at)),
        Some((Deed::Terminate, at)) => format!(" It is stopped {}; its home is kept.", when(at)),
        None => String::new(),
    };
    format!(
        "*** Nobody seems to use this environment.{next} To keep it as it is, use it, or: devctl snooze {name} ***"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn notice(since: i64, stage: NoticeStage, round: i64) -> Notice {
        Notice {
            since: at(since),
            stage,
            round,
            next: Some((Deed::Terminate, at(50_400))),
        }
    }

    #[test]
    fn each_stage_is_told_once_whoever_asks_again() {
        use NoticeStage::{Noticed, Warned};
        let notices = Notices::default();
        let told = |since, stage, round| {
            let notice = notice(since, stage, round);
            notices.take(&notice, "box", at(40_000)).is_some()
        };
        for (since, stage, round, expected) in [
            (100, Noticed, 0, true),
            (100, Noticed, 0, false),
            (100, Warned, 30, true),
            (100, Warned, 30, false),
            // After a snooze: what was told before is not told again, the warning is.
            (100, Noticed, 0, false),
            (100, Warned, 60, true),
            // Somebody was there meanwhile.
            (200, Noticed, 0, true),
            // An operator that knows less.
            (100, Warned, 90, false),
            // From a clock that is ahead.
            (50_000, Warned, 90, false),
            (300, Noticed, 0, true),
        ] {
            assert_eq!(
                told(since, stage, round),
                expected,
                "{since} {stage:?} {round}"
            );
        }
    }

    #[test]
    fn a_line_says_what_comes_when_and_how_to_avoid_it() {
        let mut notice = notice(0, NoticeStage::Warned, 0);
        assert_eq!(
            line(&notice, "box", at(46_800)),
            "*** Nobody seems to use this environment. It is stopped in 1 hour (at 14:00 UTC); its home is kept. \
             To keep it as it is, use it, or: devctl snooze box ***"
        );
        for (next, words) in [
            (None, "environment. To keep it"),
            (
                Some((Deed::Terminate, at(46_800))),
                "stopped now (at 13:00 UTC)",
            ),
            (
                Some((Deed::Downscale, at(50_400))),
                "made smaller in 1 hour",
            ),
            (Some((Deed::Warn, at(50_400))), "owner is warned in 1 hour"),
        ] {
            notice.next = next;
            let line = line(&notice, "box", at(46_800));
            assert!(line.contains(words), "{line}");
        }
    }
}
