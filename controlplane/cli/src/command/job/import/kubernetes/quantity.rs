//! Quantities of Kubernetes: `8`, `0.5`, `500m`, `64Gi`, `2e3`.

/// A quantity in thousandths, rounded up; none if it is no quantity, negative or too large.
pub(super) fn milli(text: &str) -> Option<u128> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if part.contains('.') || part.len() > 12 || whole.len() > 20 {
        return None;
    }
    let digits: u128 = format!("{whole}{part}").parse().ok()?;
    let scale = 10u128.checked_pow(u32::try_from(part.len()).ok()?)?;
    let (times, by) = factor(unit)?;
    let above = digits.checked_mul(times)?.checked_mul(1000)?;
    Some(above.div_ceil(scale.checked_mul(by)?))
}

/// What a unit multiplies by and divides by.
fn factor(unit: &str) -> Option<(u128, u128)> {
    if let Some(exponent) = unit.strip_prefix(['e', 'E']).filter(|rest| !rest.is_empty()) {
        if !exponent.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+') {
            return None;
        }
        let exponent: i32 = exponent.parse().ok()?;
        let power = 10u128.checked_pow(exponent.unsigned_abs())?;
        return Some(if exponent < 0 { (1, power) } else { (power, 1) });
    }
    let units: [(&str, u128, u128); 16] = [
        ("n", 1, 1_000_000_000),
        ("u", 1, 1_000_000),
        ("m", 1, 1000),
        ("", 1, 1),
        ("k", 1000, 1),
        ("M", 1_000_000, 1),
        ("G", 1_000_000_000, 1),
        ("T", 1_000_000_000_000, 1),
        ("P", 1_000_000_000_000_000, 1),
        ("E", 1_000_000_000_000_000_000, 1),
        ("Ki", 1 << 10, 1),
        ("Mi", 1 << 20, 1),
        ("Gi", 1 << 30, 1),
        ("Ti", 1 << 40, 1),
        ("Pi", 1 << 50, 1),
        ("Ei", 1 << 60, 1),
    ];
    units.iter().find(|(name, ..)| *name == unit).map(|(_, times, by)| (*times, *by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_exact_and_odd_ones_are_none() {
        for (text, want) in [
            ("8", 8000),
            ("0.5", 500),
            ("500m", 500),
            ("1500u", 2),
            ("64Gi", 68_719_476_736_000),
            ("1.5Gi", 1_610_612_736_000),
            ("2e3", 2_000_000),
            ("2E", 2_000_000_000_000_000_000_000),
            ("25e-1", 2500),
            ("0", 0),
        ] {
            assert_eq!(milli(text), Some(want), "{text}");
        }
        for bad in
            ["", ".", "-1", "+1", "1.2.3", "Gi", "1 Gi", "1gi", "1ee3", "1e", "1e999", "many"]
        {
            assert_eq!(milli(bad), None, "{bad}");
        }
    }
}
