//! Kubernetes quantities: read, compare.

use std::cmp::Ordering;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube_quantity::ParsedQuantity;

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

/// Reads a quantity.
pub fn parse(text: &str) -> Result<ParsedQuantity, QuantityError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-');
    if text.is_empty() || text.len() > 32 || !text.chars().all(plain) {
        return Err(QuantityError::Syntax);
    }
    ParsedQuantity::try_from(text).map_err(|_| QuantityError::Syntax)
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
    let (a, b) = (parse(&a.0).ok()?, parse(&b.0).ok()?);
    a.partial_cmp(&b)
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
    }

    #[test]
    fn nothing_and_less_than_nothing_are_no_sizes() {
        for text in ["0", "0Gi", "-1Gi", "", "1k1", "ten", "1 Gi"] {
            assert!(parse_positive(text).is_err(), "{text:?}");
        }
    }
}
