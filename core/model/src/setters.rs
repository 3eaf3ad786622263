//! Setters for records of options, so that a field that is added breaks no program that makes one.

/// Gives a record one method for each field that is named here, which returns the record with that field set.
///
/// A name in front of `=>` is the parameter's name too; the expression behind it is what the field becomes.
#[doc(hidden)]
#[macro_export]
macro_rules! setters {
    ($name:ident { $($field:ident: $ty:ty => $value:expr,)* }) => {
        impl $name {
            $(
                #[doc = concat!("Sets `", stringify!($field), "`.")]
                #[must_use]
                #[inline]
                pub fn $field(mut self, $field: $ty) -> Self {
                    self.$field = $value;
                    self
                }
            )*
        }
    };
}

/// Declares a record that the router fills in: programs can read it and match on it, and a field that is added breaks
/// none of them. It has a setter for each field, so that a test can make one.
#[doc(hidden)]
#[macro_export]
macro_rules! record {
    ($(#[$($outer:tt)*])* pub struct $name:ident { $($(#[$($attr:tt)*])* pub $field:ident: $ty:ty,)* }) => {
        $(#[$($outer)*])*
        #[non_exhaustive]
        pub struct $name { $($(#[$($attr)*])* pub $field: $ty,)* }

        $crate::setters! { $name { $($field: $ty => $field,)* } }
    };
}
