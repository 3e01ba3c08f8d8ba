//! Bars in SVG. What they show stands in tables, too, for those who cannot see them and for mail programs that show none.

use std::fmt::Write as _;

use super::html::escape;

/// What is under a bar, its lower part, its upper part.
pub(super) type Bar = (String, i64, i64);

const WIDTH: i64 = 560;
const HEIGHT: i64 = 190;
/// Where bars stand, and how high they get.
const FLOOR: i64 = 150;
const ROOM: i64 = 118;

/// Two-part bars side by side. `show` writes an amount.
pub(super) fn bars(
    title: &str,
    lower: &str,
    upper: &str,
    bars: &[Bar],
    show: impl Fn(i64) -> String,
) -> String {
    let highest = bars
        .iter()
        .map(|(_, a, b)| a.saturating_add(*b))
        .max()
        .unwrap_or(0)
        .max(1);
    let height = |amount: i64| {
        i64::try_from(i128::from(amount.max(0)) * i128::from(ROOM) / i128::from(highest))
            .unwrap_or(0)
    };
    let step = WIDTH / i64::try_from(bars.len()).unwrap_or(1).max(1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\"><title>{}</title>\
         <text x=\"0\" y=\"13\" font-size=\"14\" font-weight=\"bold\" fill=\"#1f2933\">{}</text>\
         <rect x=\"300\" y=\"3\" width=\"12\" height=\"12\" fill=\"#2b6cb0\"/><text x=\"317\" y=\"13\" fill=\"#1f2933\">{}</text>\
         <rect x=\"420\" y=\"3\" width=\"12\" height=\"12\" fill=\"#dd9a28\"/><text x=\"437\" y=\"13\" fill=\"#1f2933\">{}</text>\
         <line x1=\"0\" x2=\"{WIDTH}\" y1=\"{FLOOR}\" y2=\"{FLOOR}\" stroke=\"#9aa5b1\"/>",
        escape(title),
        escape(title),
        escape(lower),
        escape(upper)
    );
    for (place, (label, a, b)) in bars.iter().enumerate() {
        let left = i64::try_from(place).unwrap_or(0) * step;
        let (low, high) = (height(*a), height(*b));
        let middle = left + step / 2;
        // Writing to a String cannot fail.
        let _ = write!(
            svg,
            "<rect x=\"{x}\" y=\"{y1}\" width=\"{w}\" height=\"{low}\" fill=\"#2b6cb0\"/>\
             <rect x=\"{x}\" y=\"{y2}\" width=\"{w}\" height=\"{high}\" fill=\"#dd9a28\"/>\
             <text x=\"{middle}\" y=\"{y3}\" text-anchor=\"middle\" fill=\"#1f2933\">{sum}</text>\
             <text x=\"{middle}\" y=\"{y4}\" text-anchor=\"middle\" fill=\"#52606d\">{label}</text>",
            x = left + step / 6,
            w = step * 2 / 3,
            y1 = FLOOR - low,
            y2 = FLOOR - low - high,
            y3 = FLOOR - low - high - 5,
            y4 = FLOOR + 17,
            sum = escape(&show(a.saturating_add(*b))),
            label = escape(label),
        );
    }
    svg.push_str("</svg>");
    svg
}
