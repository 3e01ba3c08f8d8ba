//! A smaller flavor that would have done: what was used, against what is set aside.

use std::{cmp::Ordering, collections::BTreeMap};

use crate::{
    price::Prices,
    report::{Sum, Total},
    subject::{Amounts, Phase, Subject},
};

/// Seconds of measuring below which nobody is told to take another flavor.
const MEASURED: i64 = 4 * 3_600;

/// A smaller flavor that would have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Its name.
    pub flavor: String,
    /// What it would have saved.
    pub saves_micros: i64,
}

/// What is known of an environment besides its sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Whose it is.
    pub owner: String,
    /// The flavor it ran longest with; empty: it did not run.
    pub flavor: String,
    /// A smaller flavor that would have done.
    pub fit: Option<Fit>,
}

/// What the flavors set aside that somebody used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers(BTreeMap<String, Amounts>);

impl Offers {
    /// Takes note of a flavor. Of one that had several sizes the largest counts: nobody is promised too much.
    pub fn note(&mut self, flavor: String, size: Amounts) {
        let rank = |size: &Amounts| (size.memory_bytes, size.cpu_milli, size.gpus);
        let known = self.0.entry(flavor).or_insert(size);
        if rank(&size) > rank(known) {
            *known = size;
        }
    }
}

/// What is known of environments and flavors besides their sums.
#[derive(Clone, Debug, Default)]
pub struct Sights {
    offers: Offers,
    environments: BTreeMap<String, (i64, Subject)>,
}

impl Sights {
    /// With these flavors to choose from.
    pub fn new(offers: Offers) -> Self {
        Self {
            offers,
            ..Self::default()
        }
    }

    /// Takes note of what an environment ran as.
    pub fn note(&mut self, sum: &Sum) {
        let subject = &sum.subject;
        if subject.phase == Phase::Stopped {
            return;
        }
        let key = format!("{}/{}", subject.namespace, subject.name);
        let known = self.environments.entry(key);
        let known = known.or_insert_with(|| (-1, Subject::default()));
        // Of two with the same time the one with the smaller number, so that the report does not depend on the order of rows.
        let is_longer = match sum.seconds.cmp(&known.0) {
            Ordering::Equal => subject.id() > known.1.id(),
            order => order.is_gt(),
        };
        if is_longer {
            *known = (sum.seconds, subject.clone());
        }
    }

    /// What is known of an environment (`namespace/name`) that has used so much, at the prices of an instant.
    pub fn details(&self, key: &str, total: &Total, prices: &Prices, instant: i64) -> Details {
        let Some((_, subject)) = self.environments.get(key) else {
            return Details::default();
        };
        Details {
            owner: subject.owner.clone(),
            flavor: subject.flavor.clone(),
            fit: fit(subject, total, &self.offers, prices, instant),
        }
    }
}

/// The cheapest flavor of those that somebody used in that time that has room for twice the processors used on average and
/// for a fifth more than the most memory ever used, and is not larger than what there is.
fn fit(
    subject: &Subject,
    total: &Total,
    offers: &Offers,
    prices: &Prices,
    instant: i64,
) -> Option<Fit> {
    if total.measured_seconds < MEASURED || total.peak_memory_bytes == 0 {
        return None;
    }
    let has = subject.requested;
    let used =
        i64::try_from(total.used_cpu_milli_seconds / i128::from(total.measured_seconds)).ok()?;
    let needs = Amounts {
        cpu_milli: used.saturating_mul(2),
        memory_bytes: total
            .peak_memory_bytes
            .saturating_add(total.peak_memory_bytes / 5),
        gpus: has.gpus,
    };
    let cost = |subject: &Subject| {
        let cost = prices.cost(subject, total.running_seconds, instant);
        cost.total() - cost.volume
    };
    let now = cost(subject);
    let would_do = offers.0.iter().filter_map(|(flavor, offered)| {
        let is_enough = offered.cpu_milli >= needs.cpu_milli
            && offered.memory_bytes >= needs.memory_bytes
            && offered.gpus == needs.gpus;
        let is_smaller = offered.cpu_milli <= has.cpu_milli
            && offered.memory_bytes <= has.memory_bytes
            && *offered != has;
        let moved = Subject {
            flavor: flavor.clone(),
            requested: *offered,
            ..subject.clone()
        };
        (is_enough && is_smaller).then(|| {
            let size = (offered.memory_bytes, offered.cpu_milli);
            (cost(&moved), size, flavor)
        })
    });
    let (price, _, flavor) = would_do.min()?;
    (price <= now).then(|| Fit {
        flavor: flavor.clone(),
        saves_micros: now - price,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flavor_that_had_several_sizes_the_largest_counts_in_whatever_order_they_are_seen() {
        let size = |memory_bytes| Amounts {
            memory_bytes,
            ..Amounts::default()
        };
        for sizes in [[1, 3, 2], [3, 2, 1], [2, 1, 3]] {
            let mut offers = Offers::default();
            for memory in sizes {
                offers.note("small".to_owned(), size(memory));
            }
            assert_eq!(offers.0.get("small"), Some(&size(3)), "{sizes:?}");
        }
    }
}
