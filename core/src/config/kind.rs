//! The kinds of values that keys take, by the types of their fields.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use super::fixed::{Differences, is_fixed};

/// The kinds of values that a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A text.
    Text,
    /// A list of texts.
    TextList,
    /// A list of whole numbers.
    IntegerList,
    /// A table of texts by name.
    TextMap,
    /// A table with keys of its own.
    Section,
    /// A list of tables (`[[upstream]]`) with keys of their own.
    Tables,
}

impl KeyKind {
    /// The words for people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::TextList => "a list of texts",
            Self::IntegerList => "a list of whole numbers",
            Self::TextMap => "a table of texts",
            Self::Section => "a table",
            Self::Tables => "a list of tables",
        }
    }

    /// The kind of a list of such values. A list of anything else has no kind, and the compiler refuses it.
    const fn listed(self) -> Self {
        match self {
            Self::Text => Self::TextList,
            Self::Integer => Self::IntegerList,
            Self::Section => Self::Tables,
            _ => panic!("a key takes a list of texts, of whole numbers or of tables"),
        }
    }
}

/// A field of a configuration struct, as `documented!` found it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldDoc {
    pub(crate) field: &'static str,
    pub(crate) kind: KeyKind,
    /// The fields of its table, or of each table in its list.
    pub(crate) fields: &'static [FieldDoc],
    /// The defaults of a table in its list.
    pub(crate) element: fn() -> Option<toml::Value>,
    pub(crate) doc: &'static str,
    /// Names given by `serde(rename, alias)`, one slice an attribute.
    pub(crate) names: &'static [&'static [&'static str]],
    /// One flag an attribute: whether it is `serde(skip_serializing)`, which only secrets have.
    pub(crate) secret: &'static [bool],
}

/// A type of a field of the configuration. A field of a type without a kind does not compile.
pub(crate) trait Kind {
    /// The kind of the key's value.
    const KIND: KeyKind;

    /// The fields of a table, or of each table in a list.
    const FIELDS: &'static [FieldDoc] = &[];

    /// The defaults of a table.
    fn defaults() -> Option<toml::Value> {
        None
    }

    /// The defaults of each table in a list.
    fn element() -> Option<toml::Value> {
        None
    }

    /// Compares the value with the one in force at that path, and notes it if it differs. Takes the one in force if a
    /// running router cannot change the key.
    fn settle(&mut self, in_force: &Self, path: &str, found: &mut Differences)
    where
        Self: Clone + PartialEq,
    {
        if self == in_force {
            return;
        }
        if is_fixed(path) {
            *self = in_force.clone();
            found.fixed.push(path.to_owned());
        } else {
            found.changed.push(path.to_owned());
        }
    }
}

/// The path of a field below its section. `names` are those that `serde` gives it, one slice an attribute.
pub(crate) fn path_of(section: &str, field: &str, names: &[&[&'static str]]) -> String {
    let name = names.iter().find_map(|names| names.first()).copied().unwrap_or(field);
    join(section, name)
}

/// The path of a key in a section; in none, its name.
pub(super) fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

/// Gives types the kind of their values.
macro_rules! kinds {
    ($($kind:ident: $($ty:ty),+;)*) => {
        $($(impl Kind for $ty {
            const KIND: KeyKind = KeyKind::$kind;
        })+)*
    };
}

kinds! {
    Bool: bool;
    Integer: u16, u32, u64, usize, NonZeroU16, NonZeroU64, NonZeroUsize;
    Number: f64;
    Text: String, IpAddr, PathBuf, super::Anonymous, super::Durability, super::StreamUsage, super::UnknownSession,
        super::UpstreamApi, crate::model::OnFailure, crate::model::Scope;
    TextMap: BTreeMap<String, String>;
}

/// A key that may be left out takes what it takes otherwise.
impl<T: Kind> Kind for Option<T> {
    const KIND: KeyKind = T::KIND;
    const FIELDS: &'static [FieldDoc] = T::FIELDS;
}

impl<T: Kind> Kind for Vec<T> {
    const KIND: KeyKind = T::KIND.listed();
    const FIELDS: &'static [FieldDoc] = T::FIELDS;

    fn element() -> Option<toml::Value> {
        T::defaults()
    }
}
