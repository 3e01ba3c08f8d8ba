//! Bars of two parts, one for each day: where they stand in the drawing. The template writes it as SVG, and a table beside it
//! has the same numbers for those who cannot see it.

use devserver_api::{costs::UsageDay, money};

/// Size of the drawing, where its bars begin and stand, and how high they get.
pub const WIDTH: i64 = 720;
/// Height of the drawing.
pub const HEIGHT: i64 = 220;
const LEFT: i64 = 56;
const FLOOR: i64 = 190;
const ROOM: i64 = 160;
/// With more bars than this there is no room for amounts above them.
const WITH_AMOUNTS: usize = 10;

/// A drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// What its parts are known by on the page.
    pub id: &'static str,
    /// What it shows.
    pub title: String,
    /// What the lower part of a bar is.
    pub lower: &'static str,
    /// What the upper part is.
    pub upper: &'static str,
    /// Lines across: where, and what they stand for.
    pub lines: Vec<(i64, String)>,
    /// The bars.
    pub bars: Vec<Bar>,
}

/// A bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Its left side.
    pub x: i64,
    /// Its width.
    pub width: i64,
    /// Top and height of the lower part.
    pub low: (i64, i64),
    /// Top and height of the upper part.
    pub high: (i64, i64),
    /// Its middle.
    pub middle: i64,
    /// What stands below it.
    pub label: String,
    /// What stands above it.
    pub amount: Option<String>,
    /// What is said of it.
    pub said: String,
}

/// One drawing of hours in use and idle, and one of money used and wasted.
pub fn charts(days: &[UsageDay], currency: &str) -> [Chart; 2] {
    let hours = |seconds: i64| money::tenths(seconds.into(), 3_600);
    let cost = bars(days, money::cents, |day| {
        let waste = day.total.waste_micros;
        (day.total.total_cost_micros.saturating_sub(waste), waste)
    });
    let time = bars(days, hours, |day| {
        let idle = day.total.idle_seconds;
        (day.total.running_seconds.saturating_sub(idle), idle)
    });
    let chart = |id, title: String, (lower, upper), (lines, bars)| Chart {
        id,
        title,
        lower,
        upper,
        lines,
        bars,
    };
    [
        chart(
            "cost",
            format!("Cost by day, in {currency}"),
            ("used", "wasted"),
            cost,
        ),
        chart(
            "hours",
            "Compute hours by day".to_owned(),
            ("in use", "idle"),
            time,
        ),
    ]
}

type Lines = Vec<(i64, String)>;

fn bars(
    days: &[UsageDay],
    show: impl Fn(i64) -> String,
    parts: impl Fn(&UsageDay) -> (i64, i64),
) -> (Lines, Vec<Bar>) {
    let mut parts: Vec<(i64, i64)> = days
        .iter()
        .map(|day| {
            let (low, high) = parts(day);
            (low.max(0), high.max(0))
        })
        .collect();
    let sums = parts.iter().map(|(low, high)| low.saturating_add(*high));
    let mut most = sums.max().unwrap_or_default();
    // What is shown as nothing is drawn as nothing.
    if show(most) == show(0) {
        most = 0;
        parts.fill((0, 0));
    }
    let height = |amount: i64| {
        let height = i128::from(amount) * i128::from(ROOM) / i128::from(most.max(1));
        i64::try_from(height).unwrap_or_default()
    };
    let count = i64::try_from(days.len()).unwrap_or(1).max(1);
    // A week's bars are no wider than a thumb.
    let step = ((WIDTH - LEFT) / count).min(96);
    let mut left = LEFT;
    let mut bars = Vec::with_capacity(days.len());
    for (day, (low, high)) in days.iter().zip(&parts) {
        let (bottom, top) = (height(*low), height(*high));
        let sum = low.saturating_add(*high);
        bars.push(Bar {
            x: left + step / 8,
            width: step * 3 / 4,
            low: (FLOOR - bottom, bottom),
            high: (FLOOR - bottom - top, top),
            middle: left + step / 2,
            label: label(&day.date, days.len()),
            amount: (days.len() <= WITH_AMOUNTS && sum > 0).then(|| show(sum)),
            said: format!("{}: {} and {}", day.date, show(*low), show(*high)),
        });
        left += step;
    }
    let line = |part: i64| (FLOOR - ROOM * part / 2, show(most / 2 * part));
    let lines = if most > 1 {
        vec![line(0), line(1), (FLOOR - ROOM, show(most))]
    } else {
        vec![line(0)]
    };
    (lines, bars)
}

/// The day's number, or its month too where there is room.
fn label(date: &str, days: usize) -> String {
    let short = if days <= WITH_AMOUNTS {
        date.get(5..)
    } else {
        date.get(8..)
    };
    short.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use devserver_api::usage::UsageLine;

    use super::*;

    fn day(date: &str, cost: i64, waste: i64) -> UsageDay {
        UsageDay {
            date: date.to_owned(),
            total: UsageLine {
                total_cost_micros: cost,
                waste_micros: waste,
                running_seconds: 7_200,
                idle_seconds: 3_600,
                ..UsageLine::default()
            },
        }
    }

    #[test]
    fn bars_are_as_high_as_what_they_show_and_stand_inside_the_drawing() {
        let days = [
            day("2026-11-29", 4_000_000, 1_000_000),
            day("2026-11-30", 2_000_000, 0),
        ];
        let [cost, hours] = charts(&days, "EUR");
        let (first, second) = (&cost.bars[0], &cost.bars[1]);
        assert_eq!((first.low.1, first.high.1), (ROOM * 3 / 4, ROOM / 4));
        assert_eq!(first.high.0, FLOOR - ROOM);
        assert_eq!((second.low.1, second.high.1), (ROOM / 2, 0));
        assert_eq!(first.amount.as_deref(), Some("4.00"));
        assert_eq!(first.said, "2026-11-29: 3.00 and 1.00");
        assert_eq!(first.label, "11-29");
        assert_eq!(hours.bars[0].low.1, hours.bars[0].high.1);
        let tops: Vec<&str> = cost.lines.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(tops, ["0.00", "2.00", "4.00"]);
    }

    #[test]
    fn a_whole_month_fits_and_nothing_at_all_is_drawn_as_nothing() {
        let month: Vec<UsageDay> = (1..=31)
            .map(|d| day(&format!("2026-12-{d:02}"), 0, 0))
            .collect();
        let [cost, _] = charts(&month, "EUR");
        let last = cost.bars.last().unwrap();
        assert!(last.x + last.width <= WIDTH, "{last:?}");
        assert!(
            cost.bars
                .iter()
                .all(|bar| bar.low.1 == 0 && bar.amount.is_none())
        );
        assert_eq!(last.label, "31");
        assert_eq!(charts(&[], "EUR")[0].bars, []);
        let [little, _] = charts(&[day("2026-12-01", 4_999, 0)], "EUR");
        assert_eq!((little.bars[0].low.1, little.lines.len()), (0, 1));
        let [cent, _] = charts(&[day("2026-12-01", 5_000, 0)], "EUR");
        assert_eq!((cent.bars[0].low.1, cent.lines.len()), (ROOM, 3));
        let odd = [day("x", i64::MAX, i64::MIN)];
        assert_eq!(charts(&odd, "EUR")[0].bars.len(), 1);
    }
}
