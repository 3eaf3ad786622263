//! A change of a setting that may be absent.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::absent;

/// A change of a setting that may be absent. In JSON a missing member and `null` keep the setting, and the number 0 or
/// an empty text lifts it.
///
/// ```
/// # mod cortensor_router { pub use cortensor_router_model as model; }
/// use cortensor_router::model::{Change, SessionPatch};
/// let patch = SessionPatch::default().model(Change::Lift);
/// assert_eq!((patch.model, patch.max_num_of_nodes), (Change::Lift, Change::Keep));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// The setting stays as it is.
    #[default]
    Keep,
    /// The setting is absent from now on.
    Lift,
    /// The setting has this value from now on.
    Set(T),
}

impl<T> Change<T> {
    /// Applies the change.
    pub fn apply(self, setting: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Lift => *setting = None,
            Self::Set(value) => *setting = Some(value),
        }
    }
}

impl<T> From<T> for Change<T> {
    fn from(value: T) -> Self {
        Self::Set(value)
    }
}

/// A value that has an absent form in JSON.
trait Lifted: Serialize + Sized {
    /// Writes the absent form.
    fn write_none<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads a value or the absent form.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error>;
}

impl Lifted for String {
    fn write_none<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
        absent::text::serialize(&None::<Self>, serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        absent::text::deserialize(deserializer)
    }
}

impl<N: absent::number::NonZero> Lifted for N {
    fn write_none<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
        absent::number::serialize(&None::<Self>, serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        absent::number::deserialize(deserializer)
    }
}

impl<T: Lifted> Serialize for Change<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep => serializer.serialize_none(),
            Self::Lift => T::write_none(serializer),
            Self::Set(value) => value.serialize(serializer),
        }
    }
}

impl<'de, T: Lifted> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Given<T>(Option<T>);
        impl<'de, T: Lifted> Deserialize<'de> for Given<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                T::read(deserializer).map(Self)
            }
        }
        Ok(match Option::<Given<T>>::deserialize(deserializer)? {
            None => Self::Keep,
            Some(Given(None)) => Self::Lift,
            Some(Given(Some(value))) => Self::Set(value),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::Change;
    use crate::{SessionPatch, SessionSpec};

    #[test]
    fn nothing_keeps_and_zero_lifts() {
        let read = |text: &str| serde_json::from_str::<SessionPatch>(text).unwrap();
        for nothing in ["{}", r#"{"max_num_of_nodes":null,"model":null}"#] {
            let patch = read(nothing);
            assert_eq!((patch.max_num_of_nodes, patch.model), (Change::Keep, Change::Keep), "{nothing}");
        }
        let lifts = read(r#"{"max_nodes":0,"model":"","max_tasks":0.0}"#);
        assert_eq!((lifts.max_num_of_nodes, &lifts.model), (Change::Lift, &Change::Lift));
        let sets = read(r#"{"max_nodes":4,"model":"m"}"#);
        assert_eq!(sets.max_num_of_nodes, Change::Set(NonZeroU32::new(4).unwrap()));
        let spec = SessionSpec { name: "s".into(), ..SessionSpec::default() };
        let set = spec.patched(sets).unwrap();
        assert_eq!((set.max_num_of_nodes, set.model.as_deref()), (NonZeroU32::new(4), Some("m")));
        assert_eq!(set.patched(read("{}")).unwrap().max_num_of_nodes, NonZeroU32::new(4));
        let lifted = set.patched(lifts).unwrap();
        assert_eq!((lifted.max_num_of_nodes, lifted.model), (None, None));
        for wrong in [r#"{"model":5}"#, r#"{"max_nodes":-1}"#, r#"{"max_nodes":"4"}"#] {
            assert!(serde_json::from_str::<SessionPatch>(wrong).is_err(), "{wrong}");
        }
    }
}
