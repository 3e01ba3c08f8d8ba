//! Money: millionths of a currency, read and shown exactly.

/// Millionths in one.
pub const MICROS: i64 = 1_000_000;
/// Powers of ten that are read: a price of OpenCost has a dozen places.
const PLACES: usize = 15;

/// Reads a decimal number such as `0.00005479452`, times 10¹⁵. No exponent, no sign: prices are not negative.
pub fn parse(text: &str) -> Option<i128> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.len() > 12
        || !is_number(whole)
        || !is_number(fraction)
        || (whole.is_empty() && fraction.is_empty())
    {
        return None;
    }
    let places: String = fraction
        .chars()
        .chain(std::iter::repeat('0'))
        .take(PLACES)
        .collect();
    format!("0{whole}{places}").parse().ok()
}

/// Millionths out of what [`parse`] reads, times a factor; half a millionth is rounded up.
pub fn micros(exact: i128, factor: i128) -> Option<i64> {
    const FINER: i128 = 1_000_000_000;
    let value = exact.checked_mul(factor)?;
    i64::try_from((value + FINER / 2) / FINER).ok()
}

/// `1234.56`: two places, the rest rounded half up.
pub fn cents(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let cents = (i128::from(micros).abs() + 5_000) / 10_000;
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

/// `0.30` or `0.0345`: two places, and more where they say something.
pub fn short(micros: i64) -> String {
    let exact = exact(micros);
    let least = exact.len() - 4;
    let said = exact.trim_end_matches('0').len().max(least);
    exact.chars().take(said).collect()
}

/// `1234.560001`: all six places.
pub fn exact(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let value = i128::from(micros).abs();
    let million = i128::from(MICROS);
    format!("{sign}{}.{:06}", value / million, value % million)
}

/// `12.3`: a ratio with one place, rounded half up; `scale` is how many of `amount` make one.
pub fn tenths(amount: i128, scale: i128) -> String {
    if scale <= 0 {
        return "0.0".to_owned();
    }
    let sign = if amount < 0 { "-" } else { "" };
    let tenths = (amount.abs() * 10 + scale / 2) / scale;
    format!("{sign}{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly_or_not_at_all() {
        assert_eq!(parse("0.031611").and_then(|x| micros(x, 1)), Some(31_611));
        // 0.04 for a GB-month of 730 hours, as OpenCost writes it for an hour.
        assert_eq!(
            parse("0.00005479452").and_then(|x| micros(x, 730)),
            Some(40_000)
        );
        assert_eq!(parse("7").and_then(|x| micros(x, 1)), Some(7_000_000));
        assert_eq!(parse(".5").and_then(|x| micros(x, 1)), Some(500_000));
        for wrong in ["", ".", "-1", "1e3", "1,5", "1.2.3", "NaN", "9999999999999"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn amounts_are_shown_with_their_places() {
        assert_eq!(cents(1_234_565_000), "1234.57");
        assert_eq!(cents(-5_000), "-0.01");
        assert_eq!(cents(0), "0.00");
        assert_eq!(
            [300_000, 34_500, 1, -2_000_000].map(short),
            ["0.30", "0.0345", "0.000001", "-2.00"]
        );
        assert_eq!(exact(1), "0.000001");
        assert_eq!(exact(-1_500_000), "-1.500000");
        assert_eq!(tenths(5_400, 3_600), "1.5");
    }
}
