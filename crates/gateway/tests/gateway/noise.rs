//! Text and bytes that nobody means.

use rand::{Rng, rngs::StdRng, seq::IndexedRandom as _};

/// What names, addresses and attacks on them are made of.
const PIECES: [&str; 44] = [
    "alice",
    "box",
    "dev-alice",
    "bob",
    "a",
    "0",
    "7",
    ".",
    ".",
    "+",
    "+",
    "@",
    "-",
    "_",
    ":",
    "/",
    "..",
    "../",
    "A",
    "Box",
    " ",
    "\t",
    "\n",
    "\0",
    "%00",
    "%2e",
    "10.0.0.1",
    "127.0.0.1",
    "::1",
    "[::1]",
    "::ffff:7f00:1",
    "0x7f",
    "2130706433",
    "svc.cluster.local",
    "-oProxyCommand=id",
    "$(id)",
    "`id`",
    ";id",
    "'",
    "\"",
    "а",
    "\u{202e}",
    "\u{feff}",
    "e\u{301}",
];

/// A name, or something that would like to be taken for one.
pub fn text(random: &mut StdRng) -> String {
    let count = random.random_range(0..7);
    let mut text: String = (0..count)
        .map(|_| *PIECES.choose(random).unwrap())
        .collect();
    if random.random_ratio(1, 20) {
        text = text.repeat(random.random_range(2..80));
    }
    if random.random_ratio(1, 8) {
        let mut bytes = text.into_bytes();
        bytes.insert(random.random_range(0..=bytes.len()), random.random());
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    text
}

/// Changes, cuts, repeats.
pub fn mutate(bytes: &mut Vec<u8>, random: &mut StdRng) {
    for _ in 0..random.random_range(0..6) {
        if bytes.is_empty() {
            return;
        }
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..5) {
            0 => bytes[at] = random.random(),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, random.random()),
            3 => bytes[at] ^= 1 << random.random_range(0..8),
            _ => {
                let end = bytes.len().min(at + random.random_range(1..64));
                let part = bytes[at..end].to_vec();
                bytes.extend(part);
            }
        }
    }
}
