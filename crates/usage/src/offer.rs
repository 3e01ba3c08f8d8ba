//! What an environment will cost, for people who choose: by the same prices as what it has cost.

use devserver_api::FlavorCost;
use devserver_core::flavor::Amounts;

use crate::{
    price::{Item, Prices},
    sight,
    subject::{Phase, Subject},
};

/// Seconds of an hour.
const HOUR: i64 = 3_600;

/// What an environment of a flavor costs that asks for so much, at that second.
pub fn cost(prices: &Prices, flavor: &str, requests: &Amounts, second: i64) -> FlavorCost {
    let subject = Subject {
        flavor: flavor.to_owned(),
        phase: Phase::Running,
        requested: sight::amounts(requests),
        ..Subject::default()
    };
    FlavorCost {
        currency: prices.currency.clone(),
        micros_per_hour: prices.cost(&subject, HOUR, second).total(),
        volume_micros_per_gib_month: prices.at(&Item::VolumeGibMonth, second),
    }
}

#[cfg(test)]
mod tests {
    use devserver_core::flavor::thousandths;

    use super::*;
    use crate::price::Point;

    #[test]
    fn an_offer_costs_what_an_hour_of_it_will_have_cost() {
        let point = |item, starts, micros| Point {
            item,
            currency: "EUR".to_owned(),
            starts,
            micros,
        };
        let prices = Prices::new(
            "EUR",
            &[
                point(Item::CpuCoreHour, 0, 30_000),
                point(Item::MemoryGibHour, 0, 4_000),
                point(Item::GpuHour, 0, 900_000),
                point(Item::VolumeGibMonth, 0, 80_000),
                point(Item::SpotDiscount, 0, 600_000),
                point(Item::Flavor("big".to_owned()), 100, 2_500_000),
            ],
        );
        let mut asks = Amounts::default();
        for (name, amount) in [("cpu", "1500m"), ("memory", "2Gi"), ("nvidia.com/gpu", "1")] {
            asks.set(name, thousandths(amount).unwrap_or_default());
        }
        let hour = |flavor: &str, second| cost(&prices, flavor, &asks, second).micros_per_hour;
        assert_eq!(hour("small", 0), 45_000 + 8_000 + 900_000);
        assert_eq!(hour("big", 99), 953_000);
        assert_eq!(hour("big", 100), 2_500_000);
        let told = cost(&prices, "small", &asks, 0);
        assert_eq!(told.volume_micros_per_gib_month, 80_000);
        assert_eq!(told.currency, "EUR");
    }
}
