//! How often one source may do something: token buckets, pure over time, bounded in memory.

use std::{collections::HashMap, net::IpAddr};

/// Sources remembered at most. When there are more, new ones are refused until others are forgotten.
const SOURCES: usize = 20_000;
/// Seconds after which a source has a full bucket again and is as one that never came.
const FORGOTTEN: f64 = 60.0;
/// Seconds between two looks for sources to forget, so that a flood of them does not pay for one at each request.
const SWEEP: f64 = 1.0;

/// An IPv4 address or an IPv6 /64: what one subscriber has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Source(IpAddr);

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(v4.into()),
            IpAddr::V6(v6) => Self(std::net::Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    seen: f64,
}

/// So many a minute from each source, and as many at once.
#[derive(Debug)]
pub struct Rate {
    per_minute: f64,
    buckets: HashMap<Source, Bucket>,
    swept: f64,
}

impl Rate {
    /// 0 a minute: nobody may.
    pub fn new(per_minute: u32) -> Self {
        Self {
            per_minute: f64::from(per_minute),
            buckets: HashMap::new(),
            swept: f64::NEG_INFINITY,
        }
    }

    /// Takes one at `now` (seconds of any clock that does not go back); `false`: too many.
    pub fn take(&mut self, address: IpAddr, now: f64) -> bool {
        if self.buckets.len() >= SOURCES && now - self.swept >= SWEEP {
            self.swept = now;
            self.buckets
                .retain(|_, bucket| now - bucket.seen < FORGOTTEN);
        }
        let full = self.per_minute;
        let source = Source::of(address);
        if self.buckets.len() >= SOURCES && !self.buckets.contains_key(&source) {
            return false;
        }
        let bucket = self.buckets.entry(source).or_insert(Bucket {
            left: full,
            seen: now,
        });
        bucket.left = (bucket.left + (now - bucket.seen).max(0.0) * full / FORGOTTEN).min(full);
        bucket.seen = now;
        if bucket.left < 1.0 {
            return false;
        }
        bucket.left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_minute_and_no_more() {
        let mut rate = Rate::new(3);
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert!((0..3).all(|_| rate.take(a, 0.0)));
        assert!(!rate.take(a, 1.0));
        assert!(rate.take(b, 1.0), "another source");
        assert!(rate.take(a, 21.0), "a third of a minute later");
        assert!(!rate.take(a, 21.0));
        assert!(!Rate::new(0).take(a, 0.0));
    }

    #[test]
    fn who_has_a_whole_network_of_addresses_is_one_source() {
        let mut rate = Rate::new(1);
        assert!(rate.take("2001:db8::1".parse().unwrap(), 0.0));
        assert!(!rate.take("2001:db8::ffff".parse().unwrap(), 0.0));
        assert!(rate.take("2001:db8:0:1::1".parse().unwrap(), 0.0));
        assert!(rate.take("::ffff:192.0.2.1".parse().unwrap(), 0.0));
        assert!(!rate.take("192.0.2.1".parse().unwrap(), 0.0));
    }

    #[test]
    fn many_sources_take_bounded_memory() {
        let mut rate = Rate::new(1);
        for n in 0..30_000_u32 {
            rate.take(IpAddr::V4(n.into()), 0.0);
        }
        assert_eq!(rate.buckets.len(), SOURCES);
        let late = "203.0.113.9".parse().unwrap();
        assert!(!rate.take(late, 59.0), "no room yet");
        assert!(!rate.take(late, 59.5), "not looked for again so soon");
        assert!(rate.take(late, 60.5), "the first are forgotten");
        assert_eq!(rate.buckets.len(), 1);
    }
}
