//! Which notifications are on their way and which are done, of this process.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, PoisonError},
};

/// Notifications that are remembered; an older one would be sent twice, and has the same identity then.
const REMEMBERED: usize = 20_000;

#[derive(Default)]
struct State {
    on_their_way: HashSet<String>,
    done: HashSet<String>,
    order: VecDeque<String>,
}

/// Which notifications are on their way and which are done.
#[derive(Default)]
pub(super) struct Jobs(Mutex<State>);

impl Jobs {
    /// Whether it is to be sent now: neither on its way nor done.
    pub(super) fn begin(&self, id: &str) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !state.done.contains(id) && state.on_their_way.insert(id.to_owned())
    }

    /// Whether [`Self::begin`] would say so.
    pub(super) fn is_open(&self, id: &str) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !state.done.contains(id) && !state.on_their_way.contains(id)
    }

    /// It was delivered or given up.
    pub(super) fn end(&self, id: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.on_their_way.remove(id);
        if state.done.insert(id.to_owned()) {
            state.order.push_back(id.to_owned());
        }
        if state.order.len() > REMEMBERED
            && let Some(oldest) = state.order.pop_front()
        {
            state.done.remove(&oldest);
        }
    }

    pub(super) fn is_done(&self, id: &str) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.done.contains(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_sent_once_at_a_time_and_not_again_when_it_is_done() {
        let jobs = Jobs::default();
        assert!(jobs.is_open("a") && jobs.begin("a"));
        assert!(!jobs.is_open("a") && !jobs.begin("a") && jobs.begin("b"));
        assert!(!jobs.is_done("a"));
        jobs.end("a");
        assert!(jobs.is_done("a") && !jobs.is_open("a") && !jobs.begin("a"));
    }

    #[test]
    fn memory_is_bounded() {
        let jobs = Jobs::default();
        for number in 0..=REMEMBERED {
            jobs.end(&number.to_string());
        }
        assert!(!jobs.is_done("0") && jobs.is_done("1"));
    }
}
