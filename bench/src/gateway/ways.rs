//! The ways that are compared, and what was seen on each.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::results::{median, rounded};

/// A way from a client to the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Through the gateway.
    Gateway,
    /// Through an OpenSSH server, with OpenSSH's own `ProxyJump`.
    ProxyJump,
    /// Straight to the environment's sshd.
    Direct,
}

impl Way {
    /// All, in the order in which they take turns.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::ProxyJump, Self::Direct];

    /// Name in the figures and in the configuration of ssh.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::ProxyJump => "proxy_jump",
            Self::Direct => "direct",
        }
    }
}

/// Values of each way, one per round.
#[derive(Debug, Default)]
pub struct Samples(BTreeMap<Way, Vec<f64>>);

impl Samples {
    /// One more.
    pub fn push(&mut self, way: Way, value: f64) {
        self.0.entry(way).or_default().push(value);
    }

    /// Medians, and the median of the ratios of gateway to `ProxyJump` in the same round.
    pub fn to_json(&self) -> Value {
        let mut figures = Map::new();
        for (way, values) in &self.0 {
            figures.insert(way.name().to_owned(), rounded(median(values)));
        }
        let of = |way| self.0.get(&way).map(Vec::as_slice).unwrap_or_default();
        let pairs = of(Way::Gateway).iter().zip(of(Way::ProxyJump));
        let ratios: Vec<f64> = pairs.map(|(ours, theirs)| ours / theirs).collect();
        figures.insert("ratio".to_owned(), rounded(median(&ratios)));
        Value::Object(figures)
    }
}
