//! Counters of what is there now. A count goes down when its guard is dropped, however a connection ends.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

/// How many there are of each, with a bound for one and a bound for all.
#[derive(Debug)]
pub struct Counts<K> {
    each: usize,
    all: usize,
    now: Mutex<Now<K>>,
}

#[derive(Debug)]
struct Now<K> {
    of: HashMap<K, usize>,
    sum: usize,
}

/// Which bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// That of this one.
    Each,
    /// That of all.
    All,
}

impl<K: Clone + Eq + Hash> Counts<K> {
    /// Nothing counted.
    pub fn new(each: usize, all: usize) -> Arc<Self> {
        let (of, sum) = (HashMap::new(), 0);
        let now = Mutex::new(Now { of, sum });
        Arc::new(Self { each, all, now })
    }

    /// Counts one more, until the guard is dropped.
    pub fn enter(self: &Arc<Self>, key: K) -> Result<Guard<K>, Full> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.sum >= self.all {
            return Err(Full::All);
        }
        if now.of.get(&key).is_some_and(|count| *count >= self.each) || self.each == 0 {
            return Err(Full::Each);
        }
        now.sum += 1;
        *now.of.entry(key.clone()).or_default() += 1;
        Ok(Guard {
            counts: Arc::clone(self),
            key,
        })
    }

    /// How many there are.
    pub fn sum(&self) -> usize {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.sum
    }

    fn leave(&self, key: &K) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.sum = now.sum.saturating_sub(1);
        if let Some(count) = now.of.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                now.of.remove(key);
            }
        }
    }
}

/// One that is counted.
#[derive(Debug)]
pub struct Guard<K: Clone + Eq + Hash> {
    counts: Arc<Counts<K>>,
    key: K,
}

impl<K: Clone + Eq + Hash> Drop for Guard<K> {
    fn drop(&mut self) {
        self.counts.leave(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cannot_take_everything_and_what_is_left_can_be_taken_again() {
        let counts = Counts::new(2, 3);
        let first = counts.enter("a").unwrap();
        let _second = counts.enter("a").unwrap();
        assert_eq!(counts.enter("a").unwrap_err(), Full::Each);
        let _third = counts.enter("b").unwrap();
        assert_eq!(counts.enter("c").unwrap_err(), Full::All);
        drop(first);
        assert_eq!(counts.sum(), 2);
        assert!(counts.enter("a").is_ok());
    }
}
