//! Networks as `address/bits` (RFC 4632, RFC 4291): parsed once, trusted afterwards.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Not in the syntax above.
    #[error(
        "is not a network; write an address and a number of bits, such as 203.0.113.0/24, 198.51.100.7/32 or 2001:db8::/32"
    )]
    Syntax,
    /// Bits are set after the prefix: one address was meant, or another network.
    #[error(
        "has bits set after its first {prefix}; write {network} for the network, or {address} for the one address"
    )]
    HostBits {
        /// Bits of the prefix.
        prefix: u8,
        /// The network that contains the address.
        network: String,
        /// The address alone, as a network.
        address: String,
    },
    /// An IPv4 address in the clothes of IPv6, which no packet carries.
    #[error(
        "is an IPv4 network written as IPv6, and no packet has such an address; write it as IPv4"
    )]
    Mapped,
}

/// A network: an address whose bits after the prefix are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Reads the text.
    pub fn parse(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = text.split_once('/').ok_or(CidrError::Syntax)?;
        let address: IpAddr = address.parse().map_err(|_| CidrError::Syntax)?;
        let prefix = prefix_of(prefix).filter(|bits| *bits <= bits_of(address));
        let prefix = prefix.ok_or(CidrError::Syntax)?;
        if matches!(address, IpAddr::V6(a) if a.to_ipv4_mapped().is_some()) {
            return Err(CidrError::Mapped);
        }
        let network = masked(address, prefix);
        if network != address {
            return Err(CidrError::HostBits {
                prefix,
                network: format!("{network}/{prefix}"),
                address: format!("{address}/{}", bits_of(address)),
            });
        }
        Ok(Self { address, prefix })
    }

    /// Whether it is a network of IPv4.
    pub fn is_v4(self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether it is every address of its family.
    pub fn is_everything(self) -> bool {
        self.prefix == 0
    }

    /// Whether every address of the other is in this one.
    pub fn contains(self, other: Self) -> bool {
        self.is_v4() == other.is_v4()
            && self.prefix <= other.prefix
            && masked(other.address, self.prefix) == self.address
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        Self::parse(text)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| de::Error::custom(format!("{text:?} {error}")))
    }
}

/// Digits only and no zero in front, which some programs read as octal.
fn prefix_of(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn bits_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let rest = u32::from(bits_of(address).saturating_sub(prefix));
    match address {
        IpAddr::V4(a) => IpAddr::V4((a.to_bits() & u32::MAX.checked_shl(rest).unwrap_or(0)).into()),
        IpAddr::V6(a) => {
            IpAddr::V6((a.to_bits() & u128::MAX.checked_shl(rest).unwrap_or(0)).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn networks_are_read_and_written_alike() {
        for text in [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "203.0.113.7/32",
            "::/0",
            "fd00:ec2::254/128",
            "2001:db8::/32",
        ] {
            assert_eq!(Cidr::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Cidr::parse("FD00::/8").unwrap().to_string(), "fd00::/8");
    }

    #[test]
    fn what_a_policy_would_refuse_or_misread_is_refused() {
        for text in [
            "",
            "/",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.0.0.0/-1",
            "10.0.0/8",
            "010.0.0.0/8",
            "10.0.0.0/8 ",
            " 10.0.0.0/8",
            "10.0.0.0/255.0.0.0",
            "::/129",
            "fe80::1%eth0/128",
            "corp.example.com/32",
        ] {
            assert_eq!(Cidr::parse(text), Err(CidrError::Syntax), "{text:?}");
        }
        assert_eq!(Cidr::parse("::ffff:10.0.0.0/104"), Err(CidrError::Mapped));
    }

    #[test]
    fn bits_after_the_prefix_are_refused_and_both_meanings_told() {
        let said = Cidr::parse("203.0.113.7/24").unwrap_err().to_string();
        assert!(said.contains("203.0.113.0/24"), "{said}");
        assert!(said.contains("203.0.113.7/32"), "{said}");
        let said = Cidr::parse("2001:db8::1/32").unwrap_err().to_string();
        assert!(said.contains("2001:db8::1/128"), "{said}");
    }

    #[test]
    fn families_never_contain_each_other() {
        let cidr = |text| Cidr::parse(text).unwrap();
        assert!(cidr("10.0.0.0/8").contains(cidr("10.244.0.0/16")));
        assert!(cidr("10.0.0.0/8").contains(cidr("10.0.0.0/8")));
        assert!(!cidr("10.244.0.0/16").contains(cidr("10.0.0.0/8")));
        assert!(!cidr("0.0.0.0/0").contains(cidr("::/0")));
        assert!(!cidr("::/0").contains(cidr("0.0.0.0/0")));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9a-fA-F:./%]{0,50}") {
            let _ = Cidr::parse(&text);
        }

        #[test]
        fn a_network_contains_exactly_what_shares_its_first_bits(a in any::<u32>(), b in any::<u32>(), p in 0_u8..=32, q in 0_u8..=32) {
            let cidr = |bits: u32, prefix: u8| {
                let address = masked(IpAddr::V4(bits.into()), prefix);
                Cidr { address, prefix }
            };
            let (one, other) = (cidr(a, p), cidr(b, q));
            let shift = 32 - u32::from(p);
            let same = (a.checked_shr(shift).unwrap_or(0)) == (b.checked_shr(shift).unwrap_or(0));
            prop_assert_eq!(one.contains(other), p <= q && same);
        }
    }
}
