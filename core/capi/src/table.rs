//! Structs of the ABI: callback tables and events. Each begins with its size, so that the host and the library may have
//! different versions.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

use cortensor_router::embed::{Error, Result};

use crate::guard::null;
use crate::unwind::quietly;

/// A struct of the ABI.
///
/// # Safety
/// It is `repr(C)`, its first field is the `usize` `struct_size`, and all bits zero are a valid value of it.
pub(crate) unsafe trait Table: Copy {
    /// The size of the struct in the first release, which is the smallest that a host may state.
    const LEAST: usize;
}

/// Reads the host's struct. Fields that the host's header does not have are zero.
///
/// # Safety
/// `given` is NULL, or has as many bytes as its `struct_size` says.
pub(crate) unsafe fn read<T: Table>(given: *const T, param: &str) -> Result<T> {
    // SAFETY: the caller's promise is the same.
    let size = unsafe { size(given, param) }?;
    let mut table = MaybeUninit::<T>::zeroed();
    // SAFETY: `given` has `size` bytes, `table` has `size_of::<T>()`, and they are different places.
    unsafe { ptr::copy_nonoverlapping(given.cast::<u8>(), table.as_mut_ptr().cast(), size.min(size_of::<T>())) };
    // SAFETY: its bits are zero or the host's, and both are valid by the trait's contract.
    Ok(unsafe { table.assume_init() })
}

/// Writes the fields of `value` for which the host's struct has room, except `struct_size`.
///
/// # Safety
/// `place` is writable and has as many bytes as its `struct_size` says, and [`size`] has accepted it.
pub(crate) unsafe fn write<T: Table>(place: *mut T, value: &T) {
    let first = size_of::<usize>();
    // SAFETY: every table begins with its size.
    let size = unsafe { place.cast::<usize>().read() };
    let value = ptr::from_ref(value).cast::<u8>();
    let (from, to) = (value.wrapping_add(first), place.cast::<u8>().wrapping_add(first));
    // SAFETY: both have that many bytes behind their size; they are different places.
    unsafe { ptr::copy_nonoverlapping(from, to, size.min(size_of::<T>()) - first) };
}

/// The size that the host's struct states. A size below that of the first release is refused.
///
/// # Safety
/// `given` is NULL or begins with a `size_t`.
pub(crate) unsafe fn size<T: Table>(given: *const T, param: &str) -> Result<usize> {
    if given.is_null() {
        return Err(null(param));
    }
    // SAFETY: it is not NULL, and the caller promises the rest.
    let size = unsafe { given.cast::<usize>().read() };
    if size < T::LEAST {
        let message =
            format!("{param}.struct_size is {size}: set it to the sizeof of the struct, at least {}", T::LEAST);
        return Err(Error::invalid(format!("{param}.struct_size"), message));
    }
    Ok(size)
}

/// The host's pointer and the function that releases it.
pub(crate) struct User {
    pub(crate) data: *mut c_void,
    drop: Option<unsafe extern "C" fn(*mut c_void)>,
}

impl User {
    pub(crate) fn new(data: *mut c_void, drop: Option<unsafe extern "C" fn(*mut c_void)>) -> Self {
        Self { data, drop }
    }
}

// SAFETY: the host promises that its callbacks may run on any thread; the router itself never reads through the
// pointer.
unsafe impl Send for User {}
// SAFETY: as above: callbacks may run on several threads at once.
unsafe impl Sync for User {}

impl Drop for User {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            // SAFETY: the host gave both together, and this is the one call of it.
            quietly(|| unsafe { drop(self.data) });
        }
    }
}
