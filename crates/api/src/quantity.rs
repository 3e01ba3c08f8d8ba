//! Kubernetes quantities: read, compare, add up. Exact: one byte more than `64Gi` is more than `64Gi`.

use std::cmp::Ordering;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::{Schema, SchemaGenerator, json_schema};

/// Why a text is not a size a volume may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a quantity.
    #[error("is not a Kubernetes quantity; write a number and a unit such as 20Gi")]
    Syntax,
    /// Zero or negative.
    #[error("must be larger than zero, such as 20Gi")]
    NotPositive,
}

/// A quantity as a number: billionths, the finest that Kubernetes keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(i128);

const UNIT: i128 = 1_000_000_000;
/// Larger ones Kubernetes cannot hold (2⁶³ − 1).
const MAX: i128 = 9_223_372_036_854_775_807 * UNIT;
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Reads a quantity (`apimachinery/pkg/api/resource`): a decimal number and a unit or an exponent.
pub fn parse(text: &str) -> Result<Amount, QuantityError> {
    if text.len() > 32 {
        return Err(QuantityError::Syntax);
    }
    exact(text).map(Amount).ok_or(QuantityError::Syntax)
}

fn exact(text: &str) -> Option<i128> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    // A second dot is refused here, as no digit.
    let mantissa: i128 = digits.parse().ok()?;
    let (factor, exponent) = scale(unit)?;
    let exponent = 9 + exponent - i32::try_from(fraction.len()).ok()?;
    let value = mantissa.checked_mul(factor)?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs());
    let value = match (exponent < 0, power) {
        (false, power) => value.checked_mul(power?)?,
        // Finer than a billionth is rounded up, as Kubernetes does.
        (true, Some(power)) => value / power + i128::from(value % power != 0),
        (true, None) => i128::from(value != 0),
    };
    (value <= MAX).then_some(if negative { -value } else { value })
}

/// What a unit multiplies by, and the power of ten.
fn scale(unit: &str) -> Option<(i128, i32)> {
    if let Some(place) = BINARY.iter().position(|b| *b == unit) {
        return Some((1 << (10 * (place + 1)), 0));
    }
    let exponent = match unit {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        _ => {
            let number = unit.strip_prefix(['e', 'E'])?;
            number.parse().ok().filter(|e| (-40..=40).contains(e))?
        }
    };
    Some((1, exponent))
}

impl Amount {
    /// Whether it is a whole number, as devices are counted.
    pub fn is_whole(self) -> bool {
        self.0 % UNIT == 0
    }
}

/// Reads a quantity and demands that it is positive.
pub fn parse_positive(text: &str) -> Result<Quantity, QuantityError> {
    let parsed = parse(text)?;
    let zero = parse("0")?;
    if parsed > zero {
        Ok(Quantity(text.to_owned()))
    } else {
        Err(QuantityError::NotPositive)
    }
}

/// Compares two quantities by value (`1024Mi` equals `1Gi`); `None` when one is not a quantity.
pub fn compare(a: &Quantity, b: &Quantity) -> Option<Ordering> {
    Some(parse(&a.0).ok()?.cmp(&parse(&b.0).ok()?))
}

/// The sum of two quantities; `None` when one is not a quantity or the sum is too large to be one.
pub fn sum(a: &Quantity, b: &Quantity) -> Option<Quantity> {
    let total = parse(&a.0).ok()?.0 + parse(&b.0).ok()?.0;
    let is_binary = [a, b].iter().any(|q| q.0.ends_with('i'));
    (total.abs() <= MAX).then(|| Quantity(text(total, is_binary)))
}

/// Whole ones with the largest unit that fits, parts of one with the largest decimal one.
fn text(nano: i128, is_binary: bool) -> String {
    for (unit, suffix) in [(UNIT, ""), (UNIT / 1_000, "m"), (1_000, "u"), (1, "n")] {
        if nano % unit != 0 {
            continue;
        }
        let (mut number, mut suffix) = (nano / unit, suffix);
        if is_binary && unit == UNIT && number != 0 {
            for binary in BINARY {
                if number % 1024 != 0 {
                    break;
                }
                (number, suffix) = (number / 1024, binary);
            }
        }
        return format!("{number}{suffix}");
    }
    // Every number is a number of billionths.
    String::new()
}

/// Schema of a list of quantities by resource: numbers, or texts that are quantities (the pattern is that of Kubernetes'
/// own generator). Bounded, so that rules over it are cheap enough to be admitted.
pub fn schema(_: &mut SchemaGenerator) -> Schema {
    let number = r"(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))";
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {
            "description": "Amount: a number and a unit, such as 500m or 16Gi.",
            "x-kubernetes-int-or-string": true,
            "pattern": format!("^\\+?{number}(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]+))?$"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q(text: &str) -> Quantity {
        Quantity(text.to_owned())
    }

    #[test]
    fn values_are_compared_not_texts() {
        assert_eq!(compare(&q("1024Mi"), &q("1Gi")), Some(Ordering::Equal));
        assert_eq!(compare(&q("1500m"), &q("2")), Some(Ordering::Less));
        assert_eq!(compare(&q("30Gi"), &q("4Gi")), Some(Ordering::Greater));
        assert_eq!(compare(&q("1e3"), &q("1k")), Some(Ordering::Equal));
        assert_eq!(compare(&q("0.5"), &q("500m")), Some(Ordering::Equal));
        assert_eq!(compare(&q("-1"), &q("0")), Some(Ordering::Less));
        assert_eq!(compare(&q("+1."), &q(".1e1")), Some(Ordering::Equal));
    }

    #[test]
    fn no_byte_is_lost() {
        assert_eq!(
            compare(&q("68719476737"), &q("64Gi")),
            Some(Ordering::Greater)
        );
        assert_eq!(
            compare(&q("68719476736"), &q("64Gi")),
            Some(Ordering::Equal)
        );
        assert_eq!(compare(&q("68719476735"), &q("64Gi")), Some(Ordering::Less));
        assert_eq!(
            compare(&q("0.0000000001"), &q("1n")),
            Some(Ordering::Equal),
            "rounded up"
        );
    }

    #[test]
    fn what_kubernetes_cannot_hold_is_no_quantity() {
        assert!(parse("9223372036854775807").is_ok());
        for text in [
            "9223372036854775808",
            "8Ei",
            "1e400",
            "1e30",
            "99999999999999999999999Ei",
            ".",
            "1.1.1",
            "1e",
            "1ee3",
            "1E+",
            "+-1",
            "1KI",
            "1K",
            "١",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_sum_is_one_of_values() {
        for (a, b, total) in [
            ("500m", "1", "1500m"),
            ("1Gi", "512Mi", "1536Mi"),
            ("0", "2", "2"),
            ("1n", "1", "1000000001n"),
            ("1Gi", "1", "1073741825"),
            ("0", "0Gi", "0"),
        ] {
            let sum = sum(&q(a), &q(b)).unwrap();
            assert_eq!(
                compare(&sum, &q(total)),
                Some(Ordering::Equal),
                "{a} + {b} = {sum:?}"
            );
            assert_eq!(sum.0, total);
        }
        assert_eq!(sum(&q("1"), &q("one")), None);
    }

    #[test]
    fn nothing_and_less_than_nothing_are_no_sizes() {
        for text in ["0", "0Gi", "-1Gi", "", "1k1", "ten", "1 Gi"] {
            assert!(parse_positive(text).is_err(), "{text:?}");
        }
    }
}
