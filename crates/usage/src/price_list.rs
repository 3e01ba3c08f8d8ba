//! Prices as administrators write them: in the platform's configuration, and on flavors.

use devserver_api::DevServerFlavor;
use devserver_core::platform::UsageSettings;

use crate::{
    price::{Item, Point, Prices},
    window,
};

/// The prices of the configuration.
pub fn configured(settings: &UsageSettings) -> Vec<Point> {
    let mut points = Vec::new();
    for price in &settings.prices {
        let Some(starts) = window::midnight(price.from) else {
            continue;
        };
        let discount = price.spot_discount_percent.map(|percent| percent * 10_000);
        let plain = [
            (Item::CpuCoreHour, price.cpu_micros_per_core_hour),
            (Item::MemoryGibHour, price.memory_micros_per_gib_hour),
            (Item::GpuHour, price.gpu_micros_per_hour),
            (Item::VolumeGibMonth, price.volume_micros_per_gib_month),
            (Item::SpotDiscount, discount),
        ];
        let flavors = price
            .flavor_micros_per_hour
            .iter()
            .map(|(name, micros)| (Item::Flavor(name.clone()), Some(*micros)));
        for (item, micros) in plain.into_iter().chain(flavors) {
            if let Some(micros) = micros {
                points.push(Point {
                    item,
                    currency: settings.currency.clone(),
                    starts,
                    micros,
                });
            }
        }
    }
    points
}

/// Prices on flavors that are not what the ledger has for now: they count from now on. A price in another currency cannot be
/// added up and does not count; one that is gone ends.
pub fn news(
    flavors: &[impl AsRef<DevServerFlavor>],
    settings: &UsageSettings,
    prices: &Prices,
    now: i64,
) -> Vec<Point> {
    let mut points = Vec::new();
    let in_configuration = |name: &String| {
        let mut lists = settings.prices.iter();
        lists.any(|price| price.flavor_micros_per_hour.contains_key(name))
    };
    for flavor in flavors {
        let flavor = flavor.as_ref();
        let Some(name) = flavor
            .metadata
            .name
            .clone()
            .filter(|name| !in_configuration(name))
        else {
            continue;
        };
        let price = flavor
            .spec
            .price
            .as_ref()
            .filter(|price| price.currency == settings.currency);
        let micros = price.map_or(0, |price| price.micros_per_hour.max(0));
        let item = Item::Flavor(name);
        if prices.at(&item, now) != micros {
            points.push(Point {
                item,
                currency: settings.currency.clone(),
                starts: now,
                micros,
            });
        }
    }
    points
}

/// Of some prices those that are not what the ledger has for now.
pub fn changed(points: Vec<Point>, prices: &Prices, now: i64) -> Vec<Point> {
    let is_new = |point: &Point| prices.at(&point.item, now) != point.micros;
    points.into_iter().filter(is_new).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use devserver_core::Platform;
    use serde_json::json;

    use super::*;

    fn settings() -> UsageSettings {
        let text = "usage: {databaseFile: /l, currency: EUR, prices: [{from: 2026-01-01, cpuMicrosPerCoreHour: 30000, spotDiscountPercent: 60, \
            flavorMicrosPerHour: {big: 5}}, {from: 2026-07-01, cpuMicrosPerCoreHour: 40000}]}";
        Platform::parse(text).unwrap().usage.unwrap()
    }

    fn flavor(name: &str, currency: &str, micros: i64) -> Arc<DevServerFlavor> {
        let value = json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": name},
            "spec": {"price": {"currency": currency, "microsPerHour": micros}},
        });
        Arc::new(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn days_of_the_configuration_are_instants() {
        let points = configured(&settings());
        assert_eq!(points.len(), 4);
        let prices = Prices::new("EUR", &points);
        let at = |text: &str| {
            let instant: jiff::Timestamp = text.parse().unwrap();
            prices.at(&Item::CpuCoreHour, instant.as_second())
        };
        assert_eq!(
            (at("2026-06-30T23:59:59Z"), at("2026-07-01T00:00:00Z")),
            (30_000, 40_000)
        );
        assert_eq!(prices.at(&Item::SpotDiscount, i64::MAX), 600_000);
    }

    #[test]
    fn a_flavors_price_is_noted_once_and_again_when_it_changes() {
        let settings = settings();
        let flavors = [
            flavor("a", "EUR", 7),
            flavor("b", "USD", 7),
            flavor("big", "EUR", 9),
        ];
        let first = news(&flavors, &settings, &Prices::new("EUR", &[]), 100);
        assert_eq!(first.len(), 1, "{first:?}");
        let known = Prices::new("EUR", &first);
        assert!(news(&flavors, &settings, &known, 200).is_empty());
        let second = news(&[flavor("a", "EUR", 0)], &settings, &known, 300);
        assert_eq!(second.first().map(|p| (p.micros, p.starts)), Some((0, 300)));
    }
}
