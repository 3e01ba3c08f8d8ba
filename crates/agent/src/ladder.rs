//! What a shutdown does when: pure over the time gone by, so that every boundary can be tested.

use std::time::Duration;

/// How long processes get after SIGKILL before the agent leaves anyway: a process in an
/// uninterruptible sleep does not go, and the kernel ends all when the first process exits.
const AFTER_KILL: Duration = Duration::from_secs(1);

/// One step of a shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Hang up terminals, terminate services; leave the SSH connections to end with their shells.
    Ask,
    /// Terminate whatever is left, the SSH connections too.
    Insist,
    /// Kill what is still there.
    Kill,
    /// Leave, whatever is still there.
    Leave,
}

/// The steps still to come.
#[derive(Debug)]
pub struct Ladder {
    grace: Duration,
    taken: usize,
}

impl Ladder {
    /// A shutdown in which processes get `grace` to end by themselves.
    pub fn new(grace: Duration) -> Self {
        Self { grace, taken: 0 }
    }

    /// The next step if its time has come. A late caller gets the steps one by one, none skipped.
    pub fn next(&mut self, elapsed: Duration) -> Option<Step> {
        let steps = [
            (Duration::ZERO, Step::Ask),
            (self.grace / 2, Step::Insist),
            (self.grace, Step::Kill),
            (self.grace + AFTER_KILL, Step::Leave),
        ];
        let (due, step) = *steps.get(self.taken)?;
        if elapsed < due {
            return None;
        }
        self.taken += 1;
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn each_step_comes_once_at_its_time() {
        let mut ladder = Ladder::new(seconds(20));
        assert_eq!(ladder.next(seconds(0)), Some(Step::Ask));
        assert_eq!(ladder.next(seconds(0)), None);
        assert_eq!(ladder.next(Duration::from_millis(9_999)), None);
        assert_eq!(ladder.next(seconds(10)), Some(Step::Insist));
        assert_eq!(ladder.next(seconds(19)), None);
        assert_eq!(ladder.next(seconds(20)), Some(Step::Kill));
        assert_eq!(ladder.next(seconds(20)), None);
        assert_eq!(ladder.next(seconds(21)), Some(Step::Leave));
        assert_eq!(ladder.next(seconds(99)), None);
    }

    #[test]
    fn late_caller_skips_no_step() {
        let mut ladder = Ladder::new(seconds(2));
        let steps: Vec<_> = std::iter::from_fn(|| ladder.next(seconds(60))).collect();
        assert_eq!(steps, [Step::Ask, Step::Insist, Step::Kill, Step::Leave]);
    }

    #[test]
    fn no_grace_still_asks_first() {
        let mut ladder = Ladder::new(Duration::ZERO);
        assert_eq!(ladder.next(Duration::ZERO), Some(Step::Ask));
        assert_eq!(ladder.next(Duration::ZERO), Some(Step::Insist));
        assert_eq!(ladder.next(Duration::ZERO), Some(Step::Kill));
        assert_eq!(ladder.next(Duration::ZERO), None);
    }
}
