//! Maps by ids that the router makes itself.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// A map by ids. A task is looked up about ten times on its way; the standard library's hash took 140 instructions each
/// time. It protects from keys that a sender chose, and these ids are counted by the router.
pub(crate) type IdMap<K, V> = HashMap<K, V, RandomState>;
