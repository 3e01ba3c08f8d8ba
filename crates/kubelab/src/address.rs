//! The addresses of a lab: thirty-two disjoint plans inside 198.18.0.0/15.
//!
//! That range is set aside for tests between networks (RFC 2544), so it clashes neither with company networks nor
//! with the ranges of other local clusters. A machine that does route it is noticed and another plan is taken.

use std::{fmt, net::Ipv4Addr};

use serde::{Deserialize, Serialize};

/// The number of plans, and so of labs that can run side by side.
pub const PLANS: u8 = 32;

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    first: Ipv4Addr,
    bits: u8,
}

impl Range {
    /// The range of `bits` fixed bits around an address.
    pub fn new(address: Ipv4Addr, bits: u8) -> Self {
        Self {
            first: Ipv4Addr::from_bits(address.to_bits() & mask(bits)),
            bits,
        }
    }

    /// Reads `10.0.0.0/8` or a single address, as `ip` prints them.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        let bits = bits.parse().ok().filter(|bits| *bits <= 32)?;
        Some(Self::new(address.parse().ok()?, bits))
    }

    /// Whether any address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        let bits = self.bits.min(other.bits);
        self.first.to_bits() & mask(bits) == other.first.to_bits() & mask(bits)
    }

    /// Whether all of the other is in this one.
    pub fn contains(self, other: Self) -> bool {
        self.bits <= other.bits && self.overlaps(other)
    }

    /// Whether this is everything, as in a default route.
    pub fn is_everything(self) -> bool {
        self.bits == 0
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

fn mask(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

/// The addresses of one lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Which of the plans.
    pub index: u8,
}

impl Plan {
    /// All plans in the order they are tried.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PLANS).map(|index| Self { index })
    }

    /// The host's end of the link.
    pub fn host(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.base(), 1)
    }

    /// The node's end of the link: API server and node ports.
    pub fn node(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.base(), 2)
    }

    /// The link between host and node.
    pub fn link(self) -> Range {
        Range::new(self.host(), 30)
    }

    /// Cluster addresses of Services.
    pub fn services(self) -> Range {
        Range::new(Ipv4Addr::new(198, 18, self.base() + 4, 0), 22)
    }

    /// The Service `kubernetes`: always the first address of the range.
    pub fn kubernetes(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.base() + 4, 1)
    }

    /// The Service of the cluster's DNS.
    pub fn dns(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.base() + 4, 10)
    }

    /// Addresses of pods.
    pub fn pods(self) -> Range {
        Range::new(Ipv4Addr::new(198, 19, self.base(), 0), 21)
    }

    /// Where the API server listens.
    pub fn server(self) -> String {
        format!("https://{}:6443", self.node())
    }

    /// The host's end of the veth pair.
    pub fn host_link(self) -> String {
        format!("klab{}", self.index)
    }

    /// The ranges that must be free on the host.
    pub fn ranges(self) -> [Range; 3] {
        [self.link(), self.services(), self.pods()]
    }

    fn base(self) -> u8 {
        // 31 * 8 + 4 is the largest third byte in use, so this cannot overflow for a plan of `all`.
        (self.index % PLANS) * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_plans_and_no_two_ranges_of_one_plan_overlap() {
        let all: Vec<Range> = Plan::all().flat_map(Plan::ranges).collect();
        for (i, a) in all.iter().enumerate() {
            for b in &all[i + 1..] {
                assert!(!a.overlaps(*b), "{a} {b}");
            }
        }
    }

    #[test]
    fn the_last_plan_stays_inside_the_test_range() {
        let last = Plan { index: PLANS - 1 };
        assert_eq!(last.services().to_string(), "198.18.252.0/22");
        assert_eq!(last.pods().to_string(), "198.19.248.0/21");
        assert_eq!(last.server(), "https://198.18.248.2:6443");
        assert_eq!(last.dns().to_string(), "198.18.252.10");
    }

    #[test]
    fn ranges_are_read_as_ip_prints_them() {
        assert_eq!(
            Range::parse("198.18.9.7/16").unwrap().to_string(),
            "198.18.0.0/16"
        );
        assert_eq!(Range::parse("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
        assert!(Range::parse("0.0.0.0/0").unwrap().is_everything());
        assert!(Range::parse("default").is_none());
        assert!(Range::parse("10.0.0.0/40").is_none());
        assert!(
            Range::parse("198.18.0.0/15")
                .unwrap()
                .overlaps(Plan { index: 7 }.pods())
        );
        assert!(
            !Range::parse("10.0.0.0/8")
                .unwrap()
                .overlaps(Plan { index: 7 }.pods())
        );
    }
}
