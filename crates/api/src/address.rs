//! Which addresses may be dialled: checked after resolution, whatever the cluster says the address of a pod is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cidr::Cidr;

/// The metadata service of a cloud over IPv6; the one over IPv4 is link-local.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Whether the address can be that of an environment: one of a pod, never one that means this machine, its link, a group of
/// machines or a metadata service, whatever form it is written in.
pub fn is_dialable(address: IpAddr, pod_networks: &[Cidr]) -> bool {
    let safe = match address {
        IpAddr::V4(v4) => is_safe_v4(v4),
        IpAddr::V6(v6) => is_safe_v6(v6),
    };
    safe && (pod_networks.is_empty() || pod_networks.iter().any(|n| holds(*n, address)))
}

/// Whether the network holds the address.
pub fn holds(network: Cidr, address: IpAddr) -> bool {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    Cidr::parse(&format!("{address}/{bits}")).is_ok_and(|one| network.contains(one))
}

fn is_safe_v4(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first != 0
        && first < 240
        && !address.is_loopback()
        && !address.is_link_local()
        && !address.is_multicast()
        && !address.is_broadcast()
}

/// An IPv4 address within an IPv6 one is refused: no pod has such an address, and it would pass the checks of IPv6.
fn is_safe_v6(address: Ipv6Addr) -> bool {
    let [first, ..] = address.segments();
    let holds_v4 = address.to_ipv4().is_some() || first == 0x2002 || is_nat64(address);
    !holds_v4
        && !address.is_unspecified()
        && !address.is_loopback()
        && !address.is_multicast()
        && !address.is_unicast_link_local()
        && address != METADATA_V6
}

/// `64:ff9b::/96` (RFC 6052) and `64:ff9b:1::/48` (RFC 8215).
fn is_nat64(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    first == 0x64 && second == 0xff9b
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_of_pods_are_dialled() {
        for text in [
            "10.244.1.7",
            "100.64.3.2",
            "192.168.7.9",
            "fd00:10:244::7",
            "2001:db8::7",
        ] {
            assert!(is_dialable(address(text), &[]), "{text}");
        }
    }

    #[test]
    fn c8_an_address_that_means_another_thing_is_not_dialled() {
        for text in [
            "127.0.0.1",
            "127.1.2.3",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.1.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
        ] {
            assert!(!is_dialable(address(text), &[]), "{text}");
        }
    }

    #[test]
    fn with_pod_networks_nothing_else_is_dialled() {
        let networks = [
            Cidr::parse("10.244.0.0/16").unwrap(),
            Cidr::parse("fd00:10:244::/48").unwrap(),
        ];
        assert!(is_dialable(address("10.244.9.9"), &networks));
        assert!(is_dialable(address("fd00:10:244::9"), &networks));
        assert!(!is_dialable(address("10.96.0.1"), &networks));
        assert!(!is_dialable(
            address("127.0.0.1"),
            &[Cidr::parse("0.0.0.0/0").unwrap()]
        ));
    }

    proptest! {
        #[test]
        fn no_ipv4_address_gets_through_as_ipv6(v4 in any::<Ipv4Addr>()) {
            prop_assert!(!is_dialable(IpAddr::V6(v4.to_ipv6_mapped()), &[]));
        }
    }
}
