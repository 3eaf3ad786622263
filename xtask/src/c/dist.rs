//! Installs the C library: headers, shared and static library, pkg-config, CMake.

use std::fs;
use std::path::{Path, PathBuf};

use crate::contents::{BILL, LICENSES};
use crate::step::Steps;
use crate::{Outcome, environment, portable, programs, sbom};

/// The system libraries that a program with the static library needs, as `rustc --print native-static-libs` lists
/// them.
const NATIVE: &[&str] = &["gcc_s", "util", "rt", "pthread", "m", "dl", "c"];
/// The linker's flag that leaves out unused parts. With it, the static library adds a third of the size that it adds
/// without it.
const TRIM: &str = "-Wl,--gc-sections";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The place of the pages below the prefix.
const DOC: &str = "share/doc/cortensor_router";

/// The profile of the installed build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// The build of the tests: slow, with assertions, and made already.
    Dev,
    /// The build of the figures, in the profile of the Rust that they are compared with.
    Figures,
    /// The build for users of this machine.
    Release,
    /// The build that packages for other machines carry: on Linux it needs no newer glibc than they promise.
    Portable,
}

/// Builds the library and installs it under `prefix`.
///
/// # Errors
/// When it does not build or cannot be written.
pub(crate) fn lay_out(steps: &mut Steps, prefix: &Path, build: Build) -> Outcome {
    let libraries = match build {
        Build::Dev => {
            steps.run("build the C library", &mut programs::all())?;
            environment::target().join("debug")
        }
        Build::Figures => {
            let mut cargo = environment::cargo(&["build", "--profile", "bench", "--package", "cortensor-router-capi"]);
            steps.run("build the C library (bench)", &mut cargo)?;
            environment::target().join("release")
        }
        Build::Release => {
            steps.check("build the C library", release)?;
            environment::target().join("dist")
        }
        Build::Portable => portable::build(steps, "cortensor-router-capi", "", "libcortensor_router_capi.so")?,
    };
    steps.check(&format!("lay out {}", prefix.display()), || {
        let abi = abi()?;
        write(prefix, &libraries, abi, build).map_err(|error| format!("{}: {error}", prefix.display()))?;
        Ok(format!("cortensor_router {VERSION}, ABI {abi}, in {}", prefix.display()))
    })?;
    match build {
        Build::Dev | Build::Figures => Ok(()),
        Build::Release | Build::Portable => sbom::write(steps, "core/capi", &prefix.join(DOC).join(BILL)),
    }
}

/// Installs the library in its place below `target`, which the suites and the packages of other languages share. Gives
/// the prefix.
///
/// # Errors
/// As [`lay_out`].
pub(crate) fn prefix(steps: &mut Steps, build: Build) -> Outcome<PathBuf> {
    let place = match build {
        Build::Dev => "c/prefix",
        Build::Figures => "bench/c",
        Build::Release => "dist/c",
        Build::Portable => "dist/c-portable",
    };
    let prefix = environment::target().join(place);
    lay_out(steps, &prefix, build)?;
    Ok(prefix)
}

/// The bill of materials below `prefix`, which a build for users has.
pub(crate) fn bill(prefix: &Path) -> Option<PathBuf> {
    Some(prefix.join(DOC).join(BILL)).filter(|bill| bill.exists())
}

/// Builds for release, and compares the needed system libraries with the list in the packages.
fn release() -> Outcome<String> {
    let mut cargo = environment::cargo(&["rustc", "--profile", "dist", "--package", "cortensor-router-capi", "--lib"]);
    let output =
        cargo.args(["--", "--print", "native-static-libs"]).output().map_err(|error| format!("cargo: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(told);
    }
    let line = told.lines().find_map(|line| line.split_once("native-static-libs: "));
    let mut libraries: Vec<&str> =
        line.map(|(_, libraries)| libraries.split_whitespace().collect()).unwrap_or_default();
    libraries.dedup();
    let written: Vec<String> = NATIVE.iter().map(|name| format!("-l{name}")).collect();
    if libraries == written {
        Ok(format!("native libraries: {}", libraries.join(" ")))
    } else {
        Err(format!("rustc wants {libraries:?}; xtask/src/c/dist.rs writes {written:?}"))
    }
}

/// The ABI number, from the header.
fn abi() -> Outcome<u32> {
    let header = environment::read(&environment::root().join("include/cortensor_router.h"))?;
    let number = header.lines().find_map(|line| line.strip_prefix("#define CORTENSOR_ABI_VERSION "));
    number.and_then(|number| number.trim().parse().ok()).ok_or_else(|| "the header has no ABI number".into())
}

fn write(prefix: &Path, built: &Path, abi: u32, profile: Build) -> std::io::Result<()> {
    let root = environment::root();
    let (include, lib, doc) = (prefix.join("include"), prefix.join("lib"), prefix.join(DOC));
    let (pkgconfig, cmake) = (lib.join("pkgconfig"), lib.join("cmake/cortensor_router"));
    for directory in [&include, &lib, &doc, &pkgconfig, &cmake] {
        fs::create_dir_all(directory)?;
    }
    for header in ["cortensor_router.h", "cortensor_router.hpp"] {
        fs::copy(root.join("include").join(header), include.join(header))?;
    }
    for page in LICENSES.into_iter().chain(["docs/c-api.md"]) {
        let name = Path::new(page).file_name().unwrap_or_default();
        fs::copy(root.join(page), doc.join(name))?;
    }
    let real = format!("libcortensor_router-{VERSION}.so");
    for (name, place) in
        [("libcortensor_router_capi.a", "libcortensor_router.a"), ("libcortensor_router_capi.so", &real)]
    {
        let (from, to) = (built.join(name), lib.join(place));
        match profile {
            Build::Dev | Build::Figures => environment::link(&from, &to)?,
            // A build for users stays as it is when the library is built again.
            Build::Release | Build::Portable => {
                let _ = fs::remove_file(&to);
                fs::copy(from, to)?;
            }
        }
    }
    for name in [format!("libcortensor_router.so.{abi}"), "libcortensor_router.so".into()] {
        let link = lib.join(name);
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&real, link)?;
    }
    fs::write(pkgconfig.join("cortensor_router.pc"), shared_package())?;
    fs::write(pkgconfig.join("cortensor_router-static.pc"), static_package())?;
    fs::write(cmake.join("cortensor_router-config.cmake"), config(&real, abi))?;
    fs::write(cmake.join("cortensor_router-config-version.cmake"), config_version())
}

/// The system's libraries and the flag, as arguments of a linker.
fn native() -> String {
    let libraries: Vec<String> = NATIVE.iter().map(|name| format!("-l{name}")).collect();
    format!("{} {TRIM}", libraries.join(" "))
}

/// `pkg-config --static` adds these for a program that is static as a whole.
fn shared_package() -> String {
    format!("{}Libs.private: {}\n", package("", "-L${libdir} -lcortensor_router"), native())
}

fn static_package() -> String {
    package(" (static)", &format!("${{libdir}}/libcortensor_router.a {}", native()))
}

fn package(kind: &str, libs: &str) -> String {
    format!(
        "prefix=${{pcfiledir}}/../..\nincludedir=${{prefix}}/include\nlibdir=${{prefix}}/lib\n\n\
         Name: cortensor_router{kind}\nDescription: A router for AI inference inside your program\nVersion: {VERSION}\n\
         Cflags: -I${{includedir}}\nLibs: {libs}\n"
    )
}

fn config(real: &str, abi: u32) -> String {
    format!(
        r#"# cortensor::router is the shared library, cortensor::router_static the static one.
get_filename_component(_cortensor_prefix "${{CMAKE_CURRENT_LIST_DIR}}/../../.." ABSOLUTE)
if(NOT TARGET cortensor::router)
  add_library(cortensor::router SHARED IMPORTED)
  set_target_properties(cortensor::router PROPERTIES
    IMPORTED_LOCATION "${{_cortensor_prefix}}/lib/{real}"
    IMPORTED_SONAME "libcortensor_router.so.{abi}"
    INTERFACE_INCLUDE_DIRECTORIES "${{_cortensor_prefix}}/include")
  add_library(cortensor::router_static STATIC IMPORTED)
  set_target_properties(cortensor::router_static PROPERTIES
    IMPORTED_LOCATION "${{_cortensor_prefix}}/lib/libcortensor_router.a"
    INTERFACE_INCLUDE_DIRECTORIES "${{_cortensor_prefix}}/include"
    INTERFACE_LINK_LIBRARIES "{}"
    INTERFACE_LINK_OPTIONS "{TRIM}")
endif()
unset(_cortensor_prefix)
"#,
        NATIVE.join(";")
    )
}

fn config_version() -> String {
    format!(
        r#"# The same major version, and while that is 0 the same minor one; the one found is not older than the one asked for.
set(PACKAGE_VERSION "{VERSION}")
string(REGEX MATCH "^(0\\.[0-9]+|[0-9]+)" _cortensor_series "{VERSION}")
if(PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION OR NOT "${{PACKAGE_FIND_VERSION}}." MATCHES "^${{_cortensor_series}}\\.")
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()
unset(_cortensor_series)
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_that_links_the_static_library_trims_it() {
        let line = |package: &str, field: &str| {
            let found = package.lines().find_map(|line| line.strip_prefix(field)).map(str::trim);
            found.unwrap_or_else(|| panic!("no {field} in {package}")).to_owned()
        };
        assert_eq!(line(&shared_package(), "Libs:"), "-L${libdir} -lcortensor_router");
        assert!(line(&shared_package(), "Libs.private:").ends_with("-lc -Wl,--gc-sections"));
        assert!(line(&static_package(), "Libs:").ends_with("-lc -Wl,--gc-sections"));
        let cmake = config("libcortensor_router-1.so", 1);
        let (shared, fixed) = cmake.split_once("cortensor::router_static STATIC").unwrap();
        assert!(fixed.contains("INTERFACE_LINK_OPTIONS \"-Wl,--gc-sections\""));
        assert!(!shared.contains("gc-sections"), "the shared library is linked as it is");
    }
}
