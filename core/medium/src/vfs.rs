//! The table of functions that `SQLite` calls instead of the system's: each counts the operation, fails where a test
//! asked for it, and else passes on to the system's function.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, OnceLock};

use rusqlite::ffi;

use crate::medium::{Disk, Fault, Operation};

/// A file as `SQLite` holds it. The system's own structure follows it in memory.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    /// Made by [`Box::into_raw`]; null: the file is not watched.
    watched: *mut Watched,
}

struct Watched {
    disk: Arc<Disk>,
    path: PathBuf,
}

/// The system's table.
struct System(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite's table lives as long as the process, and nobody changes it after its registration.
unsafe impl Send for System {}
// SAFETY: as above.
unsafe impl Sync for System {}

static SYSTEM: OnceLock<System> = OnceLock::new();

/// Puts the table before the system's, once in a process.
pub(crate) fn install() {
    SYSTEM.get_or_init(|| {
        // SAFETY: a null name asks for the default table, and SQLite initialises itself first.
        let system = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        assert!(!system.is_null(), "SQLite has no file system");
        // SAFETY: the table was just found and is never freed.
        let mut own = unsafe { *system };
        own.zName = c"medium".as_ptr();
        own.szOsFile += size_of::<File>() as c_int;
        own.pNext = ptr::null_mut();
        own.xOpen = Some(open);
        own.xDelete = Some(delete);
        // SAFETY: the table is leaked, so it lives as long as the process.
        let code = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(own)), 1) };
        assert_eq!(code, ffi::SQLITE_OK, "SQLite refuses another file system");
        System(system)
    });
}

fn system() -> *mut ffi::sqlite3_vfs {
    SYSTEM.get().map_or(ptr::null_mut(), |system| system.0)
}

/// The system's part of a file.
fn inner(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // `szOsFile` made room for it, and the size of `File` keeps its alignment.
    file.cast::<File>().wrapping_add(1).cast()
}

/// The watch of a file.
///
/// # Safety
/// `file` was opened by [`open`] and is not closed yet.
unsafe fn watched<'a>(file: *mut ffi::sqlite3_file) -> Option<&'a Watched> {
    // SAFETY: the caller vouches for the file; its watch is freed when it is closed.
    unsafe { (*file.cast::<File>()).watched.as_ref() }
}

/// Calls the system's function of that name.
macro_rules! pass {
    ($file:ident.$method:ident($($argument:expr),*)) => {{
        let inner = inner($file);
        // SAFETY: SQLite calls a method only between `open` and `close`, so the system's part is open.
        match unsafe { (*(*inner).pMethods).$method } {
            // SAFETY: the arguments are those that SQLite gave for this very method.
            Some(method) => unsafe { method(inner, $($argument),*) },
            None => Default::default(),
        }
    }};
}

/// Counts an operation of a watched file.
macro_rules! meets {
    ($file:ident, $operation:ident) => {{
        // SAFETY: SQLite calls a method only between `open` and `close`.
        unsafe { watched($file) }.and_then(|watched| watched.disk.meets(Operation::$operation))
    }};
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives room for `szOsFile` bytes. No methods: it must not close the file if this fails.
    unsafe { (*file).pMethods = ptr::null() };
    let path = (!name.is_null()).then(|| {
        // SAFETY: a name that is not null is a text that ends with a NUL.
        let name = unsafe { CStr::from_ptr(name) };
        PathBuf::from(OsStr::from_bytes(name.to_bytes()))
    });
    let watched = path.and_then(|path| Some(Watched { disk: Disk::of(&path)?, path }));
    if let Some(watched) = &watched {
        if watched.disk.meets(Operation::Open).is_some() {
            return ffi::SQLITE_CANTOPEN;
        }
        watched.disk.image.lock().opened(&watched.path);
    }
    let system = system();
    // SAFETY: the system's table is never freed.
    let Some(open) = (unsafe { (*system).xOpen }) else { return ffi::SQLITE_CANTOPEN };
    // SAFETY: the arguments are those that SQLite gave, with the system's own part of the file.
    let code = unsafe { open(system, name, inner(file), flags, out) };
    if code == ffi::SQLITE_OK {
        let watched = watched.map_or(ptr::null_mut(), |watched| Box::into_raw(Box::new(watched)));
        // SAFETY: the file has room for both fields.
        unsafe {
            (*file.cast::<File>()).watched = watched;
            (*file).pMethods = &raw const METHODS;
        }
    }
    code
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite gives the name of the file to delete, a text that ends with a NUL.
    let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()));
    let disk = Disk::of(path);
    if let Some(disk) = &disk {
        if disk.meets(Operation::Delete).is_some() {
            return ffi::SQLITE_IOERR_DELETE;
        }
        disk.image.lock().deleted(path);
    }
    let system = system();
    // SAFETY: the system's table is never freed, and the arguments are those that SQLite gave.
    unsafe { (*system).xDelete.map_or(ffi::SQLITE_ERROR, |delete| delete(system, name, sync)) }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let code = pass!(file.xClose());
    // SAFETY: the file is open until here, and its watch came from `Box::into_raw` or is null.
    unsafe {
        let watched = std::mem::replace(&mut (*file.cast::<File>()).watched, ptr::null_mut());
        if !watched.is_null() {
            drop(Box::from_raw(watched));
        }
    }
    code
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, size: c_int, at: i64) -> c_int {
    match meets!(file, Read) {
        None | Some(Fault::Lie) => pass!(file.xRead(to, size, at)),
        Some(_) => ffi::SQLITE_IOERR_READ,
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, size: c_int, at: i64) -> c_int {
    let fault = meets!(file, Write);
    let most = if fault == Some(Fault::Half) { size / 2 } else { size };
    let code = match fault {
        Some(Fault::Error) => return ffi::SQLITE_IOERR_WRITE,
        Some(Fault::Full) => return ffi::SQLITE_FULL,
        _ => pass!(file.xWrite(from, most, at)),
    };
    // SAFETY: the file is open.
    if let Some(watched) = unsafe { watched(file) }
        && code == ffi::SQLITE_OK
    {
        let kept = if fault == Some(Fault::Lie) { size / 2 } else { most };
        // SAFETY: SQLite gives at least that many bytes.
        let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), kept as usize) };
        watched.disk.image.lock().wrote(&watched.path, at as usize, bytes);
    }
    if fault == Some(Fault::Half) { ffi::SQLITE_IOERR_WRITE } else { code }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    match meets!(file, Truncate) {
        None | Some(Fault::Lie) => {}
        Some(Fault::Full) => return ffi::SQLITE_FULL,
        Some(_) => return ffi::SQLITE_IOERR_TRUNCATE,
    }
    let code = pass!(file.xTruncate(size));
    // SAFETY: the file is open.
    if let Some(watched) = unsafe { watched(file) }
        && code == ffi::SQLITE_OK
    {
        watched.disk.image.lock().truncated(&watched.path, size as usize);
    }
    code
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: the file is open.
    let Some(watched) = (unsafe { watched(file) }) else { return pass!(file.xSync(flags)) };
    match watched.disk.meets(Operation::Sync) {
        // The real disk is spared: a power loss is a matter of the image.
        None => {
            watched.disk.image.lock().synced(&watched.path);
            ffi::SQLITE_OK
        }
        Some(Fault::Lie) => ffi::SQLITE_OK,
        Some(_) => ffi::SQLITE_IOERR_FSYNC,
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    pass!(file.xFileSize(out))
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    match meets!(file, Lock) {
        None | Some(Fault::Lie) => pass!(file.xLock(level)),
        Some(Fault::Full) => ffi::SQLITE_BUSY,
        Some(_) => ffi::SQLITE_IOERR_LOCK,
    }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    pass!(file.xUnlock(level))
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    pass!(file.xCheckReservedLock(out))
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    pass!(file.xFileControl(operation, argument))
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    pass!(file.xSectorSize())
}

/// Claims nothing: a disk may write any part of a page before it loses its power.
unsafe extern "C" fn device_characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    0
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    match meets!(file, Map) {
        None | Some(Fault::Lie) => pass!(file.xShmMap(page, size, extend, out)),
        Some(_) => ffi::SQLITE_IOERR_SHMMAP,
    }
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, offset: c_int, n: c_int, flags: c_int) -> c_int {
    if flags & ffi::SQLITE_SHM_LOCK != 0 {
        match meets!(file, Lock) {
            None | Some(Fault::Lie) => {}
            Some(Fault::Full) => return ffi::SQLITE_BUSY,
            Some(_) => return ffi::SQLITE_IOERR_SHMLOCK,
        }
    }
    pass!(file.xShmLock(offset, n, flags))
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    pass!(file.xShmBarrier());
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    pass!(file.xShmUnmap(delete))
}

/// Version 2: the functions for mapped files are left out, and the store maps none.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
