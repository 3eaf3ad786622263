//! The statuses of the C library, one a kind of error.

use std::fmt::Write as _;

use cortensor_router_model::{ErrorKind, KINDS, KindRow};

/// The constant of a kind in the C header.
pub(super) fn constant(row: &KindRow) -> String {
    format!("CORTENSOR_STATUS_{}", row.code.to_uppercase())
}

/// `core/capi/src/status.rs`
pub(super) fn rust() -> String {
    let mut out = String::from(
        "//! Status codes. Made from the table of kinds by `cargo xtask gen`; do not edit.\n\nuse std::ffi::{CStr, \
         c_char};\n\nuse cortensor_router::embed::ErrorKind;\n\n/// The result of a call. The numbers never change.\n\
         #[repr(i32)]\n#[derive(Debug, Clone, Copy, PartialEq, Eq)]\npub enum Status {\n    /// The call succeeded.\n    \
         Ok = 0,\n",
    );
    for row in KINDS {
        let _ = writeln!(out, "    /// {}\n    {:?} = {},", row.says, row.kind, row.c_status);
    }
    out.push_str(
        "}\n\nimpl Status {\n    /// The status of an error.\n    pub(crate) fn of(kind: ErrorKind) -> Self {\n        \
         match kind {\n",
    );
    for row in KINDS.iter().filter(|row| row.kind != ErrorKind::Internal) {
        let _ = writeln!(out, "            ErrorKind::{0:?} => Self::{0:?},", row.kind);
    }
    out.push_str(
        "            // Internal, or a kind that is newer than this file; a test fails then.\n            _ => Self::Internal,\n        \
         }\n    }\n\n    /// The name of the status with that number.\n    pub(crate) fn name(number: i32) -> &'static \
         CStr {\n        match number {\n            0 => c\"ok\",\n",
    );
    for row in KINDS {
        let _ = writeln!(out, "            {} => c\"{}\",", row.c_status, row.code);
    }
    out.push_str(
        "            _ => c\"unknown\",\n        }\n    }\n}\n\n/// The name of a status, for example `\"not_found\"`; \
         `\"unknown\"` for another number. The text is valid for ever.\n#[unsafe(no_mangle)]\npub extern \"C\" fn \
         cortensor_status_name(status: i32) -> *const c_char {\n    Status::name(status).as_ptr()\n}\n",
    );
    out
}
