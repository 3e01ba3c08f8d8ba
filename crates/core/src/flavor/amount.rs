//! Amounts of resources as whole thousandths: exact, cheap to add, and never floating point.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Longest text that is read as a quantity.
const MAX_TEXT: usize = 32;
/// Largest power of ten that is read: more than any cluster has.
const MAX_EXPONENT: u32 = 21;

/// Amounts by resource name (`cpu`, `memory`, `nvidia.com/gpu`), in thousandths of the resource's unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts(BTreeMap<String, i128>);

impl Amounts {
    /// Reads a list of quantities; what is no quantity counts as nothing, as [`super::check`] tells of it.
    pub fn of(list: &BTreeMap<String, Quantity>) -> Self {
        let read = |(name, quantity): (&String, &Quantity)| {
            Some((name.clone(), thousandths(&quantity.0)?))
        };
        Self(list.iter().filter_map(read).collect())
    }

    /// The amount of one resource; nothing when it is not named.
    pub fn get(&self, resource: &str) -> i128 {
        self.0.get(resource).copied().unwrap_or_default()
    }

    /// Whether the resource is named.
    pub fn names(&self, resource: &str) -> bool {
        self.0.contains_key(resource)
    }

    /// All resources with their amounts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i128)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// Sets one resource.
    pub fn set(&mut self, resource: &str, amount: i128) {
        self.0.insert(resource.to_owned(), amount);
    }

    /// Adds all resources of `other`.
    pub fn add(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            self.set(name, self.get(name).saturating_add(amount));
        }
    }

    /// Takes all resources of `other` away; what becomes nothing is no longer named.
    pub fn subtract(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            self.set(name, self.get(name).saturating_sub(amount));
        }
        self.0.retain(|_, amount| *amount != 0);
    }

    /// The larger of both, for each resource.
    pub fn raise_to(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            self.set(name, self.get(name).max(amount));
        }
    }

    /// Takes over what `other` names and this does not.
    pub fn fill_from(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            if !self.names(name) {
                self.set(name, amount);
            }
        }
    }

    /// Names of the resources of which `available` has less.
    pub fn lacking(&self, available: &Self) -> Vec<String> {
        let short = |(name, amount): &(&str, i128)| *amount > 0 && *amount > available.get(name);
        self.iter()
            .filter(short)
            .map(|(name, _)| name.to_owned())
            .collect()
    }
}

/// Reads a quantity, rounded up to thousandths as the scheduler rounds; `None` when it is none.
pub fn thousandths(text: &str) -> Option<i128> {
    if text.is_empty() || text.len() > MAX_TEXT {
        return None;
    }
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = (text.get(..end)?, text.get(end..)?);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || fraction.contains('.') {
        return None;
    }
    let mantissa: i128 = digits.parse().ok()?;
    let below = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let (times, divided_by) = unit(suffix)?;
    let above = mantissa.checked_mul(times)?.checked_mul(1000)?;
    let below = below.checked_mul(divided_by)?;
    // Up, away from zero: half a thousandth that is asked for is asked for.
    let rounded = above.checked_add(below - 1)? / below;
    Some(if is_negative { -rounded } else { rounded })
}

/// What the suffix multiplies by and divides by.
fn unit(suffix: &str) -> Option<(i128, i128)> {
    let power = |base: i128, exponent| base.checked_pow(exponent);
    Some(match suffix {
        "n" => (1, power(10, 9)?),
        "u" => (1, power(10, 6)?),
        "m" => (1, 1000),
        "" => (1, 1),
        "k" => (1000, 1),
        "M" => (power(10, 6)?, 1),
        "G" => (power(10, 9)?, 1),
        "T" => (power(10, 12)?, 1),
        "P" => (power(10, 15)?, 1),
        "E" => (power(10, 18)?, 1),
        "Ki" => (power(1024, 1)?, 1),
        "Mi" => (power(1024, 2)?, 1),
        "Gi" => (power(1024, 3)?, 1),
        "Ti" => (power(1024, 4)?, 1),
        "Pi" => (power(1024, 5)?, 1),
        "Ei" => (power(1024, 6)?, 1),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let size = exponent.unsigned_abs();
            if size > MAX_EXPONENT {
                return None;
            }
            let power = power(10, size)?;
            if exponent < 0 { (1, power) } else { (power, 1) }
        }
    })
}

/// An amount for people: `3.5` processors, `15.2Gi` of anything that is counted in bytes.
pub struct Words<'a>(pub &'a str, pub i128);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(resource, amount) = *self;
        let is_bytes = matches!(resource, "memory" | "ephemeral-storage" | "storage")
            || resource.starts_with("hugepages-");
        let mut units = ["", "Ki", "Mi", "Gi", "Ti", "Pi"].iter();
        let (mut scale, mut unit) = (1000_i128, *units.next().unwrap_or(&""));
        if is_bytes {
            for next in units {
                if amount < scale * 1024 {
                    break;
                }
                (scale, unit) = (scale * 1024, next);
            }
        }
        // Tenths, cut off: nobody may be told that there is more than there is.
        let tenths = amount * 10 / scale;
        match tenths % 10 {
            0 => write!(f, "{}{unit}", tenths / 10),
            tenth => write!(f, "{}.{}{unit}", tenths / 10, tenth.abs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_exactly() {
        for (text, expected) in [
            ("0", 0),
            ("2", 2000),
            ("500m", 500),
            ("1.5", 1500),
            (".5", 500),
            ("1.", 1000),
            ("0.1m", 1),
            ("1n", 1),
            ("100u", 1),
            ("1Ki", 1_024_000),
            ("1.5Gi", 1_610_612_736_000),
            ("1e3", 1_000_000),
            ("2E-1", 200),
            ("12E", 12_000_000_000_000_000_000_000),
            ("-1", -1000),
            ("+1", 1000),
            ("9223372036854775807", 9_223_372_036_854_775_807_000),
        ] {
            assert_eq!(thousandths(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in [
            "", " ", "1 Gi", "ten", "1k1", "1.2.3", "Gi", "-", "1e99999", "1e400", "0x10", "١",
            "1Kib", "NaN",
        ] {
            assert_eq!(thousandths(text), None, "{text:?}");
        }
    }

    #[test]
    fn amounts_are_shown_in_the_largest_unit_and_cut_off() {
        for (resource, text, expected) in [
            ("cpu", "3920m", "3.9"),
            ("cpu", "8", "8"),
            ("memory", "16Gi", "16Gi"),
            ("memory", "15900000Ki", "15.1Gi"),
            ("nvidia.com/gpu", "2", "2"),
        ] {
            let amount = thousandths(text).unwrap_or_default();
            assert_eq!(Words(resource, amount).to_string(), expected);
        }
    }
}
