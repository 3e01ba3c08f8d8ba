//! Sources that misbehave wait. Time is an argument: seconds of a clock that only goes forward.
//!
//! After OpenSSH's `PerSourcePenalties`: each offence adds seconds; a source whose sum passes the threshold is refused until
//! the sum has run off. Only the source pays, never the user that was tried: failing as somebody locks nobody else out.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

/// Whom limits count: an IPv4 address, or the `/64` that one IPv6 host has for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(IpAddr);

impl Source {
    /// Of an address; IPv4 within IPv6 is IPv4.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64))),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

/// What a source can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// Went away, or was sent away, without having shown a key that counts.
    Failed,
    /// Came and went without having tried.
    NoTry,
    /// Did not finish in time.
    TooSlow,
    /// Spoke something that is not the protocol.
    Protocol,
}

impl Offence {
    /// Seconds it costs.
    fn seconds(self) -> f64 {
        match self {
            Self::NoTry => 1.0,
            Self::Failed => 5.0,
            Self::TooSlow => 10.0,
            Self::Protocol => 20.0,
        }
    }
}

/// Bounds of the penalties and of the rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Seconds of penalty from which a source is refused; zero: penalties are off.
    pub threshold: f64,
    /// Most seconds that are ever kept.
    pub most: f64,
    /// New connections per second and source; zero: the rate is off.
    pub rate: f64,
    /// New connections at once, before the rate counts.
    pub burst: f64,
    /// Most sources that are remembered.
    pub sources: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            threshold: 30.0,
            most: 600.0,
            rate: 100.0,
            burst: 300.0,
            sources: 65_536,
        }
    }
}

/// Why a source is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its penalties have not run off.
    Penalty,
    /// Too many connections in too little time.
    Rate,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    /// When the penalty has run off.
    until: f64,
    /// Whether the threshold was passed: refused until `until`.
    refused: bool,
    /// Connections that may still come at once, as of `seen`.
    tokens: f64,
    seen: f64,
}

/// What is remembered of sources; bounded.
#[derive(Debug)]
pub struct Penalties {
    rules: Rules,
    records: HashMap<Source, Record>,
    swept: f64,
}

impl Penalties {
    /// Nothing remembered.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            records: HashMap::new(),
            swept: 0.0,
        }
    }

    /// Whether the source may connect now; counts the connection.
    pub fn admit(&mut self, source: Source, now: f64) -> Result<(), Refused> {
        let rules = self.rules;
        let Some(record) = self.record(source, now) else {
            return Ok(());
        };
        if record.refused {
            if now < record.until {
                return Err(Refused::Penalty);
            }
            record.refused = false;
        }
        let earned = (now - record.seen).max(0.0) * rules.rate;
        record.tokens = (record.tokens + earned).min(rules.burst);
        record.seen = now;
        if rules.rate > 0.0 {
            if record.tokens < 1.0 {
                return Err(Refused::Rate);
            }
            record.tokens -= 1.0;
        }
        Ok(())
    }

    /// The source did something wrong.
    pub fn punish(&mut self, source: Source, offence: Offence, now: f64) {
        let rules = self.rules;
        if rules.threshold <= 0.0 {
            return;
        }
        if let Some(record) = self.record(source, now) {
            record.until = (record.until.max(now) + offence.seconds()).min(now + rules.most);
            record.refused |= record.until - now >= rules.threshold;
        }
    }

    /// Sources remembered.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// `None` when too many are remembered: the limits that count all sources together hold then.
    fn record(&mut self, source: Source, now: f64) -> Option<&mut Record> {
        if self.records.len() >= self.rules.sources && !self.records.contains_key(&source) {
            self.sweep(now);
            if self.records.len() >= self.rules.sources {
                return None;
            }
        }
        let fresh = Record {
            until: now,
            refused: false,
            tokens: self.rules.burst,
            seen: now,
        };
        Some(self.records.entry(source).or_insert(fresh))
    }

    /// Forgets whoever has nothing to wait for; at most once a second, because it looks at all.
    fn sweep(&mut self, now: f64) {
        if now - self.swept < 1.0 && self.swept > 0.0 {
            return;
        }
        self.swept = now;
        let refill = self.rules.burst / self.rules.rate.max(f64::EPSILON);
        self.records
            .retain(|_, record| now < record.until || now - record.seen < refill);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    #[test]
    fn e7_failing_blocks_the_source_for_a_while_and_nobody_else() {
        let mut penalties = Penalties::new(Rules::default());
        let (bad, good) = (source("198.51.100.7"), source("198.51.100.8"));
        for second in 0..8 {
            assert_eq!(penalties.admit(bad, f64::from(second)), Ok(()), "{second}");
            penalties.punish(bad, Offence::Failed, f64::from(second));
        }
        assert_eq!(penalties.admit(bad, 8.0), Err(Refused::Penalty));
        assert_eq!(penalties.admit(good, 8.0), Ok(()));
        assert_eq!(penalties.admit(bad, 39.0), Err(Refused::Penalty));
        assert_eq!(penalties.admit(bad, 40.0), Ok(()));
    }

    #[test]
    fn a_typing_error_now_and_then_costs_nothing() {
        let mut penalties = Penalties::new(Rules::default());
        let clumsy = source("198.51.100.7");
        for minute in 0..100 {
            let now = f64::from(minute) * 60.0;
            assert_eq!(penalties.admit(clumsy, now), Ok(()));
            penalties.punish(clumsy, Offence::Failed, now);
        }
    }

    #[test]
    fn e6_a_burst_is_let_in_and_a_flood_is_not() {
        let mut penalties = Penalties::new(Rules::default());
        let flood = source("2001:db8::1");
        let admitted = (0..5000)
            .filter(|_| penalties.admit(flood, 1.0).is_ok())
            .count();
        assert_eq!(admitted, 300);
        let same_host = source("2001:db8::ffff:1");
        assert_eq!(penalties.admit(same_host, 1.0), Err(Refused::Rate));
        assert_eq!(penalties.admit(source("2001:db8:0:1::1"), 1.0), Ok(()));
        assert_eq!(penalties.admit(flood, 1.5), Ok(()));
    }

    #[test]
    fn a_penalty_never_lasts_longer_than_the_most() {
        let mut penalties = Penalties::new(Rules::default());
        let bad = source("198.51.100.7");
        for _ in 0..10_000 {
            penalties.punish(bad, Offence::Protocol, 5.0);
        }
        assert_eq!(penalties.admit(bad, 604.0), Err(Refused::Penalty));
        assert_eq!(penalties.admit(bad, 605.0), Ok(()));
    }

    #[test]
    fn ipv4_within_ipv6_is_the_same_source() {
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }

    proptest! {
        #[test]
        fn memory_is_bounded(addresses in prop::collection::vec(any::<u32>(), 0..400)) {
            let rules = Rules { sources: 50, ..Rules::default() };
            let mut penalties = Penalties::new(rules);
            for (index, address) in addresses.iter().enumerate() {
                let at = f64::from(u32::try_from(index).unwrap()) / 10.0;
                let from = Source::of(IpAddr::from(address.to_be_bytes()));
                let _ = penalties.admit(from, at);
                penalties.punish(from, Offence::Protocol, at);
                prop_assert!(penalties.len() <= 50);
            }
        }
    }
}
