//! Values read with patience: what is missing, null or of another type is none, never an error.

use serde::Deserializer;
use serde::de::{Deserialize, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// A text field of an object.
pub(crate) fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// A number field of an object; numbers in quotes count.
pub(crate) fn number(object: &Map<String, Value>, key: &str) -> Option<f64> {
    let value = object.get(key)?;
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| number.is_finite())
}

/// A text or a count, wherever one stands in a stream; none for anything else.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) text: Option<String>,
    pub(crate) count: Option<u64>,
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar { count: text.trim().parse().ok(), text: Some(text.to_owned()) })
    }

    fn visit_u64<E>(self, count: u64) -> Result<Scalar, E> {
        Ok(Scalar { text: None, count: Some(count) })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Scalar, E> {
        Ok(Scalar::default())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        // Beyond 2^53 a float does not hold every whole number.
        let is_count = number >= 0.0 && number.fract() == 0.0 && number <= 9_007_199_254_740_992.0;
        Ok(Scalar { text: None, count: is_count.then_some(number as u64) })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::default())
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Scalar, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_is_read_and_only_what_fits_is_kept() {
        let table = [
            ("12", None, Some(12)),
            ("12.0", None, Some(12)),
            ("12.5", None, None),
            ("1e300", None, None),
            ("-3", None, None),
            (r#""12""#, Some("12"), Some(12)),
            (r#""a""#, Some("a"), None),
            ("null", None, None),
            ("true", None, None),
            (r#"[1,[2]]"#, None, None),
            (r#"{"a":{"b":1}}"#, None, None),
        ];
        for (json, text, count) in table {
            let scalar: Scalar = serde_json::from_str(json).unwrap();
            assert_eq!(scalar, Scalar { text: text.map(str::to_owned), count }, "{json}");
        }
    }
}
