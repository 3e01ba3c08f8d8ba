//! What a unit costs, from when on, and what a subject costs by that.
//!
//! Prices lie in the ledger with the instant from which they count, so that a report of a past week says the same again.

use std::{collections::BTreeMap, fmt};

use crate::{
    subject::{Phase, Subject},
    window::Window,
};

/// Seconds of an hour.
const HOUR: i128 = 3_600;
/// Bytes of a GiB.
const GIB: i128 = 1 << 30;
/// Seconds of a month as clouds and OpenCost count: 730 hours.
const MONTH: i128 = 730 * HOUR;

/// What has a price.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// One core for one hour.
    CpuCoreHour,
    /// One GiB of memory for one hour.
    MemoryGibHour,
    /// One GPU for one hour.
    GpuHour,
    /// One GiB of a volume for one month of 730 hours.
    VolumeGibMonth,
    /// Not money: millionths that come off on spot nodes; 600000 are 60 %.
    SpotDiscount,
    /// A running environment of this flavor for one hour, instead of its cores, memory and GPUs. Zero: it has no price of its own.
    Flavor(String),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CpuCoreHour => f.write_str("cpuCoreHour"),
            Self::MemoryGibHour => f.write_str("memoryGibHour"),
            Self::GpuHour => f.write_str("gpuHour"),
            Self::VolumeGibMonth => f.write_str("volumeGibMonth"),
            Self::SpotDiscount => f.write_str("spotDiscount"),
            Self::Flavor(name) => write!(f, "flavor/{name}"),
        }
    }
}

impl Item {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("flavor/") {
            return Some(Self::Flavor(name.to_owned()));
        }
        [
            Self::CpuCoreHour,
            Self::MemoryGibHour,
            Self::GpuHour,
            Self::VolumeGibMonth,
            Self::SpotDiscount,
        ]
        .into_iter()
        .find(|item| item.to_string() == text)
    }
}

/// A price from an instant on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Of what.
    pub item: Item,
    /// In which currency.
    pub currency: String,
    /// From when on, in seconds since the epoch.
    pub starts: i64,
    /// Millionths.
    pub micros: i64,
}

/// All prices in one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// The currency (ISO 4217).
    pub currency: String,
    points: BTreeMap<Item, BTreeMap<i64, i64>>,
}

/// What something costs, by what it is for. Millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Cores.
    pub cpu: i64,
    /// Memory.
    pub memory: i64,
    /// GPUs.
    pub gpu: i64,
    /// Where the flavor has a price of its own: that, instead of the three.
    pub flavor: i64,
    /// Volumes.
    pub volume: i64,
}

impl Cost {
    /// All of it.
    pub fn total(&self) -> i64 {
        [self.cpu, self.memory, self.gpu, self.flavor, self.volume]
            .into_iter()
            .fold(0, i64::saturating_add)
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.cpu, other.cpu),
            (&mut self.memory, other.memory),
            (&mut self.gpu, other.gpu),
            (&mut self.flavor, other.flavor),
            (&mut self.volume, other.volume),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

impl Prices {
    /// Those of the points that are in the currency.
    pub fn new(currency: &str, points: &[Point]) -> Self {
        let mut prices = Self {
            currency: currency.to_owned(),
            ..Self::default()
        };
        for point in points.iter().filter(|point| point.currency == currency) {
            let of_item = prices.points.entry(point.item.clone()).or_default();
            of_item.insert(point.starts, point.micros.max(0));
        }
        prices
    }

    /// What the item costs at an instant. Before the first price of it: that first one, because what was there before
    /// somebody wrote prices down was not free.
    pub fn at(&self, item: &Item, second: i64) -> i64 {
        let Some(points) = self.points.get(item) else {
            return 0;
        };
        let newest = points.range(..=second).next_back();
        let first = points.iter().next();
        newest.or(first).map_or(0, |(_, micros)| *micros)
    }

    /// Whether that very price is among them.
    pub fn has(&self, point: &Point) -> bool {
        let points = self.points.get(&point.item);
        points.and_then(|points| points.get(&point.starts)) == Some(&point.micros)
    }

    /// The same, but nothing before the first: a flavor's own price takes the place of others from when it is told.
    fn flavor_at(&self, flavor: &str, second: i64) -> i64 {
        let points = self.points.get(&Item::Flavor(flavor.to_owned()));
        let newest = points.and_then(|points| points.range(..=second).next_back());
        newest.map_or(0, |(_, micros)| *micros)
    }

    /// The parts of a window in each of which no price changes.
    pub fn parts(&self, window: Window) -> Vec<Window> {
        let instants: std::collections::BTreeSet<i64> = self
            .points
            .values()
            .flat_map(|points| points.keys().copied())
            .collect();
        window.split(instants.into_iter())
    }

    /// What a subject costs for so many seconds, by the prices of that instant. Each part is rounded once, half up.
    pub fn cost(&self, subject: &Subject, seconds: i64, instant: i64) -> Cost {
        let seconds = i128::from(seconds.max(0));
        let price = |item: &Item| i128::from(self.at(item, instant));
        let volume = i128::from(subject.volume_bytes) * seconds * price(&Item::VolumeGibMonth);
        let mut cost = Cost {
            volume: rounded(volume, GIB * MONTH),
            ..Cost::default()
        };
        if subject.phase == Phase::Stopped {
            return cost;
        }
        let off = if subject.spot {
            price(&Item::SpotDiscount).min(1_000_000)
        } else {
            0
        };
        let (kept, whole) = (1_000_000 - off, 1_000_000);
        let flavor = i128::from(self.flavor_at(&subject.flavor, instant));
        if flavor > 0 {
            cost.flavor = rounded(flavor * seconds * kept, HOUR * whole);
            return cost;
        }
        let part = |amount: i64, unit: i128, item: &Item| {
            rounded(
                i128::from(amount) * seconds * price(item) * kept,
                unit * HOUR * whole,
            )
        };
        cost.cpu = part(subject.requested.cpu_milli, 1_000, &Item::CpuCoreHour);
        cost.memory = part(subject.requested.memory_bytes, GIB, &Item::MemoryGibHour);
        cost.gpu = part(subject.requested.gpus, 1, &Item::GpuHour);
        cost
    }
}

fn rounded(amount: i128, divisor: i128) -> i64 {
    i64::try_from((amount + divisor / 2) / divisor).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Amounts;

    fn point(item: Item, starts: i64, micros: i64) -> Point {
        Point {
            item,
            currency: "EUR".to_owned(),
            starts,
            micros,
        }
    }

    fn prices() -> Prices {
        Prices::new(
            "EUR",
            &[
                point(Item::CpuCoreHour, 0, 30_000),
                point(Item::CpuCoreHour, 7_200, 60_000),
                point(Item::MemoryGibHour, 0, 4_000),
                point(Item::GpuHour, 0, 1_000_000),
                point(Item::VolumeGibMonth, 0, 100_000),
                point(Item::SpotDiscount, 0, 600_000),
                point(Item::Flavor("big".to_owned()), 3_600, 2_500_000),
            ],
        )
    }

    fn subject() -> Subject {
        Subject {
            phase: Phase::Running,
            flavor: "small".to_owned(),
            requested: Amounts {
                cpu_milli: 2_000,
                memory_bytes: 4 << 30,
                gpus: 1,
            },
            volume_bytes: 73 << 30,
            ..Subject::default()
        }
    }

    #[test]
    fn an_hour_costs_what_its_parts_cost() {
        let cost = prices().cost(&subject(), 3_600, 0);
        let expected = Cost {
            cpu: 60_000,
            memory: 16_000,
            gpu: 1_000_000,
            flavor: 0,
            // 73 GiB for 1/730 month at 0.1.
            volume: 10_000,
        };
        assert_eq!(cost, expected);
        assert_eq!(cost.total(), 1_086_000);
    }

    #[test]
    fn spot_is_cheaper_and_a_volume_on_it_is_not() {
        let spot = Subject {
            spot: true,
            ..subject()
        };
        let cost = prices().cost(&spot, 3_600, 0);
        assert_eq!((cost.cpu, cost.gpu, cost.volume), (24_000, 400_000, 10_000));
    }

    #[test]
    fn a_flavors_own_price_takes_the_place_of_the_others_from_its_day_on() {
        let big = Subject {
            flavor: "big".to_owned(),
            ..subject()
        };
        assert_eq!(prices().cost(&big, 3_600, 0).flavor, 0);
        let cost = prices().cost(&big, 1_800, 3_600);
        assert_eq!((cost.flavor, cost.cpu), (1_250_000, 0));
    }

    #[test]
    fn what_is_stopped_costs_its_volume() {
        let cost = prices().cost(&subject().stopped(), 3_600, 0);
        assert_eq!(cost.total(), 10_000);
    }

    #[test]
    fn a_price_counts_from_its_instant_on() {
        let parts = prices().parts(Window {
            since: 0,
            until: 10_000,
        });
        assert_eq!(
            parts.iter().map(|p| p.since).collect::<Vec<_>>(),
            [0, 3_600, 7_200]
        );
        assert_eq!(prices().at(&Item::CpuCoreHour, 7_199), 30_000);
        assert_eq!(prices().at(&Item::CpuCoreHour, 7_200), 60_000);
        assert_eq!(prices().at(&Item::CpuCoreHour, -5), 30_000);
        assert_eq!(Prices::default().at(&Item::GpuHour, 0), 0);
    }

    #[test]
    fn names_of_items_are_read_back() {
        for item in prices().points.keys() {
            assert_eq!(Item::parse(&item.to_string()).as_ref(), Some(item));
        }
        assert_eq!(Item::parse("pods"), None);
    }
}
