//! Errors of calls that did not reach a router, with advice.

use std::error::Error as StdError;
use std::io;

use crate::exit::Exit;
use cortensor_router::internals::distrust;

/// The advice if no program listens at the address.
const ABSENT: &str = "start one with `cortensor-router serve`, or name another with --url";

/// The settings that name an authority to trust.
const TRUST: &str = "--ca-file or CORTENSOR_CA_FILE";

/// Describes a call to `base` that failed with that error.
pub(crate) fn exit(base: &str, error: &(dyn StdError + 'static), is_connect: bool) -> Exit {
    let secure = base.starts_with("https://");
    if let Some(tls) = find::<rustls::Error>(error) {
        let plain = base.replacen("https://", "http://", 1);
        return Exit::usage(format!("{base} cannot be reached by TLS: {}", distrust::words(tls, &plain, TRUST)));
    }
    let cause = root(error);
    if is_connect {
        return Exit::new(Exit::UNREACHABLE, format!("no server answers at {base}: {cause}: {ABSENT}"));
    }
    // A server that speaks TLS answers a plain request with an alert, or hangs up.
    let no_http = find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse);
    if no_http && !secure {
        let secured = base.replacen("http://", "https://", 1);
        return Exit::usage(format!(
            "what answers at {base} does not speak plain HTTP ({cause}): if it has a certificate, write {secured}"
        ));
    }
    Exit::new(6, format!("the connection to {base} broke: {cause}"))
}

/// Finds the first error of that type behind another one.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An I/O error shows the error inside of it only by this method.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn root(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
