//! A reader of our own rules: what the kernel would do with the first packet of a connection. It knows the statements
//! that we write and panics at any other, so that no rule is ever passed over.

use std::{collections::BTreeMap, net::Ipv4Addr};

use super::super::rules::BRIDGE;
use crate::address::Range;

/// The first packet of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// From where.
    pub source: Ipv4Addr,
    /// To where.
    pub target: Ipv4Addr,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: &'static str,
    /// To which port.
    pub port: u16,
    /// Whether the target is the node itself.
    pub to_node: bool,
}

/// A ruleset that has been read.
pub struct Rules<'a>(BTreeMap<&'a str, Vec<Vec<&'a str>>>);

impl<'a> Rules<'a> {
    /// Reads a text. Words are apart by blanks, as we write them.
    pub fn read(text: &'a str) -> Self {
        let mut chains: BTreeMap<&str, Vec<Vec<&str>>> = BTreeMap::new();
        let mut current = None;
        for line in text.lines() {
            let words: Vec<&str> = line
                .split([' ', '\t', ','])
                .filter(|word| !word.is_empty())
                .collect();
            match words.as_slice() {
                ["add" | "delete", "table", ..] | ["table", ..] | [] => {}
                ["chain", name, "{"] => {
                    assert!(chains.insert(name, Vec::new()).is_none(), "{name} twice");
                    current = Some(*name);
                }
                ["}"] => current = None,
                _ => chains
                    .get_mut(current.expect("a rule is in a chain"))
                    .unwrap()
                    .push(words),
            }
        }
        Self(chains)
    }

    /// Whether the packet arrives.
    pub fn admit(&self, packet: Packet) -> bool {
        let bases: &[&str] = if packet.to_node {
            &["base-egress-to-node"]
        } else {
            &["base-egress", "base-ingress"]
        };
        // The policy of a base chain is to accept.
        bases
            .iter()
            .filter(|name| self.0.contains_key(**name))
            .all(|name| self.walk(name, packet).unwrap_or(true))
    }

    fn walk(&self, chain: &str, packet: Packet) -> Option<bool> {
        let rules = self
            .0
            .get(chain)
            .unwrap_or_else(|| panic!("no chain {chain}"));
        rules.iter().find_map(|rule| self.rule(rule, packet))
    }

    fn rule(&self, rule: &[&str], packet: Packet) -> Option<bool> {
        let mut words = rule;
        loop {
            let (matched, rest) = match words {
                ["type", ..] => return None,
                // The first packet belongs to no connection yet.
                ["ct", "state", "established", "related", rest @ ..] => (false, rest),
                ["counter", rest @ ..] => (true, rest),
                ["meta", "nfproto", version, rest @ ..] => (*version == "ipv4", rest),
                ["meta", "l4proto", protocol, rest @ ..] => (*protocol == packet.protocol, rest),
                ["iifname", name, rest @ ..] => (*name == format!("\"{BRIDGE}\""), rest),
                ["ip", "daddr", ".", protocol, "dport", "{", rest @ ..] => {
                    let (set, rest) = split(rest);
                    let pair = [packet.target.to_string(), packet.port.to_string()];
                    let mut triples = set.chunks(3);
                    assert!(
                        triples.clone().all(|it| it.len() == 3 && it[1] == "."),
                        "{rule:?}"
                    );
                    let found = triples.any(|it| it[0] == pair[0] && it[2] == pair[1]);
                    (*protocol == packet.protocol && found, rest)
                }
                ["ip", field, "vmap", "{", rest @ ..] => {
                    let (set, rest) = split(rest);
                    assert!(rest.is_empty(), "{rule:?}");
                    let address = address(field, packet).to_string();
                    let mut entries = set.chunks(4);
                    let entry = entries.find(|it| it[0] == address)?;
                    assert_eq!(entry[1..3], [":", "goto"], "{rule:?}");
                    return self.walk(entry[3], packet);
                }
                ["ip", field, "!=", "{", rest @ ..] => {
                    let (set, rest) = split(rest);
                    (!within(set, address(field, packet)), rest)
                }
                ["ip", field, "{", rest @ ..] => {
                    let (set, rest) = split(rest);
                    (within(set, address(field, packet)), rest)
                }
                ["ip", field, range, rest @ ..] => {
                    (within(&[*range], address(field, packet)), rest)
                }
                [protocol, "dport", "{", rest @ ..] => {
                    let (set, rest) = split(rest);
                    let found = set.iter().any(|range| ports(range).contains(&packet.port));
                    (*protocol == packet.protocol && found, rest)
                }
                ["accept"] => return Some(true),
                ["drop"] => return Some(false),
                ["jump", chain] => return self.walk(chain, packet),
                other => panic!("unknown words {other:?} in {rule:?}"),
            };
            if !matched {
                return None;
            }
            words = rest;
        }
    }
}

/// The inside of a set and what follows it.
fn split<'a, 'b>(words: &'b [&'a str]) -> (&'b [&'a str], &'b [&'a str]) {
    let end = words.iter().position(|word| *word == "}").unwrap();
    assert!(end > 0, "an empty set is an error of syntax");
    (&words[..end], &words[end + 1..])
}

fn address(field: &str, packet: Packet) -> Ipv4Addr {
    match field {
        "saddr" => packet.source,
        "daddr" => packet.target,
        other => panic!("unknown field {other}"),
    }
}

fn within(set: &[&str], address: Ipv4Addr) -> bool {
    let one = Range::new(address, 32);
    set.iter()
        .any(|range| Range::parse(range).unwrap().contains(one))
}

fn ports(range: &str) -> std::ops::RangeInclusive<u16> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    first.parse().unwrap()..=last.parse().unwrap()
}
