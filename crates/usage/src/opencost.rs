//! OpenCost: its prices in, its names out.

use serde_json::{Map, Value, json};

use crate::{
    money,
    price::{Item, Point},
    report::{Line, Report},
};

/// Why prices of OpenCost cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenCostError {
    /// No JSON object.
    #[error("is not the JSON object that OpenCost keeps its custom prices in: {0}")]
    Syntax(String),
    /// A price that is no number.
    #[error("{key} {text:?} is not a price; write a decimal number such as 0.031611")]
    Price {
        /// Its key.
        key: &'static str,
        /// What is written there.
        text: String,
    },
    /// No price at all.
    #[error("holds none of CPU, RAM, GPU and storage")]
    Empty,
}

/// Reads OpenCost's custom prices (`default.json`: `CPU`, `RAM`, `GPU`, `storage` and `spotCPU` for an hour, as texts) and
/// lets them count from an instant on. Storage is priced for a GiB-hour there and for a month of 730 hours here.
pub fn prices(text: &str, currency: &str, starts: i64) -> Result<Vec<Point>, OpenCostError> {
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|e| OpenCostError::Syntax(e.to_string()))?;
    let read = |key: &'static str| -> Result<Option<i128>, OpenCostError> {
        let text = match object.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        match money::parse(&text) {
            Some(exact) => Ok(Some(exact)),
            None => Err(OpenCostError::Price { key, text }),
        }
    };
    let mut points = Vec::new();
    for (key, item, factor) in [
        ("CPU", Item::CpuCoreHour, 1),
        ("RAM", Item::MemoryGibHour, 1),
        ("GPU", Item::GpuHour, 1),
        ("storage", Item::VolumeGibMonth, 730),
    ] {
        if let Some(micros) = read(key)?.and_then(|exact| money::micros(exact, factor)) {
            points.push(point(item, currency, starts, micros));
        }
    }
    if points.is_empty() {
        return Err(OpenCostError::Empty);
    }
    // One discount for all: that of the processor.
    if let (Some(cpu), Some(spot)) = (read("CPU")?.filter(|cpu| *cpu > 0), read("spotCPU")?) {
        let off = (cpu - spot).max(0) * 1_000_000 / cpu;
        let micros = i64::try_from(off).unwrap_or_default();
        points.push(point(Item::SpotDiscount, currency, starts, micros));
    }
    Ok(points)
}

fn point(item: Item, currency: &str, starts: i64, micros: i64) -> Point {
    Point {
        item,
        currency: currency.to_owned(),
        starts,
        micros,
    }
}

/// A report as OpenCost's allocation API tells it: the same names and units. Its costs are numbers with a point there, made
/// from whole millionths at the very end; `totalCostMicros` beside them is exact.
pub fn allocation(report: &Report) -> Value {
    let set: Map<String, Value> = report
        .lines
        .iter()
        .map(|line| (line.key.clone(), one(line, report)))
        .collect();
    json!({"code": 200, "status": "success", "data": [set]})
}

#[allow(
    clippy::cast_precision_loss,
    reason = "nothing is calculated with it: it is how the other side writes numbers"
)]
fn number(amount: i128, scale: i64) -> f64 {
    amount as f64 / scale as f64
}

fn one(line: &Line, report: &Report) -> Value {
    let total = &line.total;
    let cost = |micros: i64| number(i128::from(micros), money::MICROS);
    let time = |second: i64| {
        jiff::Timestamp::from_second(second).map_or_else(|_| String::new(), |t| t.to_string())
    };
    json!({
        "name": line.key,
        "window": {"start": time(report.window.since), "end": time(report.window.until)},
        "minutes": number(total.running_seconds.into(), 60),
        "cpuCoreHours": number(total.cpu_milli_seconds, 3_600_000),
        "cpuCost": cost(total.cost.cpu.saturating_add(total.cost.flavor)),
        "gpuHours": number(total.gpu_seconds, 3_600),
        "gpuCost": cost(total.cost.gpu),
        "ramByteHours": number(total.memory_byte_seconds, 3_600),
        "ramCost": cost(total.cost.memory),
        "pvByteHours": number(total.volume_byte_seconds, 3_600),
        "pvCost": cost(total.cost.volume),
        "totalCost": cost(total.cost.total()),
        "totalCostMicros": total.cost.total(),
        "currency": report.currency,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = r#"{"provider": "custom", "description": "Default prices", "CPU": "0.031611", "spotCPU": "0.006655",
        "RAM": "0.004237", "spotRAM": "0.000892", "GPU": "0.95", "storage": "0.00005479452", "zoneNetworkEgress": "0.01"}"#;

    #[test]
    fn opencosts_own_default_prices_are_read() {
        let points = prices(DEFAULT, "USD", 7).unwrap();
        let told: Vec<(String, i64)> = points
            .iter()
            .map(|p| (p.item.to_string(), p.micros))
            .collect();
        let expected = [
            ("cpuCoreHour", 31_611),
            ("memoryGibHour", 4_237),
            ("gpuHour", 950_000),
            ("volumeGibMonth", 40_000),
            ("spotDiscount", 789_472),
        ];
        assert_eq!(
            told,
            expected.map(|(item, micros)| (item.to_owned(), micros))
        );
        assert!(points.iter().all(|p| p.starts == 7 && p.currency == "USD"));
    }

    #[test]
    fn an_allocation_has_opencosts_names() {
        let total = crate::Total {
            running_seconds: 5_400,
            cpu_milli_seconds: 7_200_000,
            memory_byte_seconds: 3_600 << 30,
            cost: crate::price::Cost {
                cpu: 60_000,
                memory: 4_000,
                volume: 1,
                ..crate::price::Cost::default()
            },
            ..crate::Total::default()
        };
        let report = Report {
            window: crate::Window {
                since: 0,
                until: 86_400,
            },
            currency: "EUR".to_owned(),
            by: crate::By::Team,
            lines: vec![Line {
                key: "genomics".to_owned(),
                total,
                details: None,
            }],
            total,
        };
        let told = allocation(&report);
        let one = told.pointer("/data/0/genomics").unwrap();
        let expected = json!({
            "name": "genomics",
            "window": {"start": "1970-01-01T00:00:00Z", "end": "1970-01-02T00:00:00Z"},
            "minutes": 90.0, "cpuCoreHours": 2.0, "cpuCost": 0.06, "gpuHours": 0.0, "gpuCost": 0.0,
            "ramByteHours": 1_073_741_824.0, "ramCost": 0.004, "pvByteHours": 0.0, "pvCost": 0.000_001,
            "totalCost": 0.064_001, "totalCostMicros": 64_001, "currency": "EUR",
        });
        assert_eq!(one, &expected);
    }

    #[test]
    fn a_mistake_is_refused_and_named() {
        for (text, word) in [
            ("[]", "JSON object"),
            ("{}", "none of"),
            (r#"{"CPU": "cheap"}"#, "CPU"),
            (r#"{"CPU": "-1"}"#, "-1"),
            (r#"{"CPU": 0.1, "storage": "1e9"}"#, "storage"),
        ] {
            let error = prices(text, "EUR", 0).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
