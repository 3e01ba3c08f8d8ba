//! The PROXY protocol, versions 1 and 2 (haproxy, `doc/proxy-protocol.txt`): who is behind a load balancer.
//!
//! Read only from networks that were named, and then demanded: a header from anybody else is just a bad greeting.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// First bytes of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Longest line of version 1, its end included.
const LINE_MAX: usize = 107;
/// Longest header of version 2 that is read: addresses, and room for additions (TLVs) that are skipped.
const BLOCK_MAX: usize = 16 + 1024;
/// Most bytes that can be needed.
pub const MAX: usize = BLOCK_MAX;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The client behind the load balancer.
    Client(SocketAddr),
    /// The load balancer itself, looking whether somebody is there.
    Local,
}

/// Not a header, and no more bytes will make it one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read the PROXY header: not one of version 1 or 2 for TCP")]
pub struct Malformed;

/// Reads the beginning of a connection: the header and its length, or `None` when more bytes are needed.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    let compared = bytes.len().min(SIGNATURE.len());
    if bytes.get(..compared) == SIGNATURE.get(..compared) && compared > 0 {
        return version_2(bytes);
    }
    let compared = bytes.len().min(6);
    if bytes.get(..compared) == b"PROXY ".get(..compared) {
        return version_1(bytes);
    }
    Err(Malformed)
}

fn version_1(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    let line = bytes.get(..bytes.len().min(LINE_MAX)).unwrap_or(bytes);
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() >= LINE_MAX {
            Err(Malformed)
        } else {
            Ok(None)
        };
    };
    let text = line.get(..end).and_then(|l| std::str::from_utf8(l).ok());
    let words: Vec<&str> = text.ok_or(Malformed)?.split(' ').collect();
    let header = match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Header::Local,
        ["PROXY", family, source, destination, from, to] => {
            let _: u16 = to.parse().map_err(|_| Malformed)?;
            let port = from.parse().map_err(|_| Malformed)?;
            let (source, destination) = match *family {
                "TCP4" => (v4(source)?, v4(destination)?),
                "TCP6" => (v6(source)?, v6(destination)?),
                _ => return Err(Malformed),
            };
            let _ = destination;
            Header::Client(SocketAddr::new(source, port))
        }
        _ => return Err(Malformed),
    };
    Ok(Some((header, end + 2)))
}

fn v4(text: &str) -> Result<IpAddr, Malformed> {
    text.parse().map(IpAddr::V4).map_err(|_| Malformed)
}

fn v6(text: &str) -> Result<IpAddr, Malformed> {
    let address: Ipv6Addr = text.parse().map_err(|_| Malformed)?;
    Ok(IpAddr::V6(address).to_canonical())
}

fn version_2(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    let Some((_, rest)) = bytes.split_first_chunk::<12>() else {
        return Ok(None);
    };
    let Some(([kind, family, high, low], rest)) = rest.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if 16 + length > BLOCK_MAX {
        return Err(Malformed);
    }
    let Some(block) = rest.get(..length) else {
        return Ok(None);
    };
    let header = match (kind, family) {
        (0x20, _) => Header::Local,
        (0x21, 0x11) => Header::Client(client_v4(block).ok_or(Malformed)?),
        (0x21, 0x21) => Header::Client(client_v6(block).ok_or(Malformed)?),
        _ => return Err(Malformed),
    };
    Ok(Some((header, 16 + length)))
}

/// Source, destination, port of the source, port of the destination.
fn client_v4(block: &[u8]) -> Option<SocketAddr> {
    let (source, rest) = block.split_first_chunk::<4>()?;
    let (_, rest) = rest.split_first_chunk::<4>()?;
    let (ports, _) = rest.split_first_chunk::<4>()?;
    let [high, low, ..] = *ports;
    let address = IpAddr::V4(Ipv4Addr::from(*source));
    Some(SocketAddr::new(address, u16::from_be_bytes([high, low])))
}

fn client_v6(block: &[u8]) -> Option<SocketAddr> {
    let (source, rest) = block.split_first_chunk::<16>()?;
    let (_, rest) = rest.split_first_chunk::<16>()?;
    let (ports, _) = rest.split_first_chunk::<4>()?;
    let [high, low, ..] = *ports;
    let address = IpAddr::V6(Ipv6Addr::from(*source)).to_canonical();
    Some(SocketAddr::new(address, u16::from_be_bytes([high, low])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(kind: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[kind, family], &length, addresses].concat()
    }

    #[test]
    fn both_versions_tell_the_client() {
        let client = |text: &str| Header::Client(text.parse().unwrap());
        let line = b"PROXY TCP4 203.0.113.9 10.0.0.1 51000 22\r\nSSH-2.0-x\r\n";
        assert_eq!(parse(line), Ok(Some((client("203.0.113.9:51000"), 42))));
        let line = b"PROXY TCP6 2001:db8::9 fd00::1 51000 22\r\n";
        assert_eq!(parse(line), Ok(Some((client("[2001:db8::9]:51000"), 41))));
        let v4 = block(
            0x21,
            0x11,
            &[203, 0, 113, 9, 10, 0, 0, 1, 0xc7, 0x38, 0, 22],
        );
        assert_eq!(parse(&v4), Ok(Some((client("203.0.113.9:51000"), 28))));
        let mut addresses = [0; 36 + 7];
        addresses[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        addresses[32..34].copy_from_slice(&51000_u16.to_be_bytes());
        let v6 = block(0x21, 0x21, &addresses);
        assert_eq!(parse(&v6), Ok(Some((client("[2001:db8::]:51000"), 59))));
    }

    #[test]
    fn a_look_from_the_load_balancer_is_no_client() {
        assert_eq!(parse(&block(0x20, 0, &[])), Ok(Some((Header::Local, 16))));
        assert_eq!(parse(b"PROXY UNKNOWN\r\n"), Ok(Some((Header::Local, 15))));
    }

    #[test]
    fn what_is_no_header_is_refused_at_its_first_wrong_byte() {
        for bytes in [
            &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
            b"GET / HTTP/1.1\r\n",
            b"PROXY TCP4 a b c d\r\n",
            b"PROXY TCP4 203.0.113.9 10.0.0.1 51000\r\n",
            b"PROXY TCP4 203.0.113.9 10.0.0.1 70000 22\r\n",
            b"PROXY TCP4 2001:db8::9 fd00::1 1 22\r\n",
            b"PROXY UDP4 203.0.113.9 10.0.0.1 1 22\r\n",
            b"PROXY  TCP4 203.0.113.9 10.0.0.1 1 22\r\n",
            b"P\r",
            &[b'P'; 200],
            &block(0x21, 0x12, &[0; 12]),
            &block(0x21, 0x11, &[0; 11]),
            &block(0x31, 0x11, &[0; 12]),
            &block(0x21, 0x11, &[0; 1025]),
        ] {
            assert_eq!(parse(bytes), Err(Malformed), "{bytes:?}");
        }
        assert_eq!(parse(b""), Ok(None));
        assert_eq!(parse(b"PROXY TCP4 203.0"), Ok(None));
    }

    proptest! {
        #[test]
        fn every_beginning_of_a_header_waits_for_the_rest(cut in 0_usize..28) {
            let v4 = block(0x21, 0x11, &[203, 0, 113, 9, 10, 0, 0, 1, 0xc7, 0x38, 0, 22]);
            prop_assert_eq!(parse(&v4[..cut]), Ok(None));
        }

        #[test]
        fn no_bytes_make_it_panic_and_it_never_waits_for_ever(bytes in prop::collection::vec(any::<u8>(), 0..1200)) {
            for start in [&b""[..], b"PROXY ", &SIGNATURE] {
                let bytes = [start, &bytes].concat();
                match parse(&bytes) {
                    Ok(Some((_, used))) => prop_assert!(used <= bytes.len()),
                    Ok(None) => prop_assert!(bytes.len() < MAX),
                    Err(Malformed) => {}
                }
            }
        }
    }
}
