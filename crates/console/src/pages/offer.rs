//! What an environment of a flavor costs, in sentences: while it runs, when it is forgotten, and when it is stopped. Pure.

use devserver_api::{DevServerFlavor, FlavorCost, duration, money};

/// Seconds of a day and of an hour.
const DAY: i128 = 86_400;
const HOUR: i128 = 3_600;

/// What is known of it; nothing where nothing has a price.
pub fn costs(flavor: &DevServerFlavor) -> Vec<String> {
    let Some(cost) = flavor.cost() else {
        return Vec::new();
    };
    let currency = &cost.currency;
    let mut lines = Vec::new();
    if cost.micros_per_hour > 0 {
        let hour = money::short(cost.micros_per_hour);
        lines.push(format!(
            "{hour} {currency} an hour while it runs, used or not"
        ));
        lines.push(idle(flavor, &cost));
    }
    if cost.volume_micros_per_gib_month > 0 {
        let month = money::short(cost.volume_micros_per_gib_month);
        lines.push(format!(
            "{month} {currency} a month for each GiB of its home, also while it is stopped"
        ));
    }
    lines
}

/// What it costs at most when its owner forgets it.
fn idle(flavor: &DevServerFlavor, cost: &FlavorCost) -> String {
    let currency = &cost.currency;
    let ends = flavor
        .status
        .as_ref()
        .and_then(|s| s.idle_termination.as_deref())
        .and_then(|text| duration::parse_positive(text).ok());
    match ends {
        Some(seconds) => format!(
            "Forgotten it is stopped after {}: {} {currency} at most",
            duration::go_syntax(seconds),
            money::cents(of(cost.micros_per_hour, i128::from(seconds)))
        ),
        None => format!(
            "Forgotten it costs {} {currency} a day until it is stopped or its time is over",
            money::cents(of(cost.micros_per_hour, DAY))
        ),
    }
}

fn of(micros_per_hour: i64, seconds: i128) -> i64 {
    let micros = i128::from(micros_per_hour) * seconds / HOUR;
    i64::try_from(micros).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(spec: &Value, status: &Value) -> Vec<String> {
        let flavor: DevServerFlavor = serde_json::from_value(json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": "small"},
            "spec": spec, "status": status,
        }))
        .unwrap();
        costs(&flavor)
    }

    #[test]
    fn what_is_forgotten_costs_until_it_is_stopped() {
        let cost =
            json!({"currency": "EUR", "microsPerHour": 120_500, "volumeMicrosPerGibMonth": 80_000});
        assert_eq!(
            told(&json!({}), &json!({"cost": cost, "idleTermination": "24h"})),
            [
                "0.1205 EUR an hour while it runs, used or not",
                "Forgotten it is stopped after 24h: 2.89 EUR at most",
                "0.08 EUR a month for each GiB of its home, also while it is stopped",
            ]
        );
        let never = told(&json!({}), &json!({"cost": cost}));
        assert!(
            never[1].starts_with("Forgotten it costs 2.89 EUR a day until"),
            "{never:?}"
        );
    }

    #[test]
    fn without_a_ledger_the_flavors_own_price_is_told_and_without_one_nothing() {
        let price = json!({"price": {"currency": "EUR", "microsPerHour": 1_500_000}});
        let told_of = told(&price, &json!({}));
        assert_eq!(
            told_of.first().map(String::as_str),
            Some("1.50 EUR an hour while it runs, used or not")
        );
        assert_eq!(told_of.len(), 2);
        assert_eq!(told(&json!({}), &json!({})), Vec::<String>::new());
        let free = json!({"currency": "EUR", "microsPerHour": 0, "volumeMicrosPerGibMonth": 0});
        assert_eq!(
            told(&json!({}), &json!({"cost": free})),
            Vec::<String>::new()
        );
    }
}
