//! Why a router could not be spoken to, and what mends it.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, Error as Tls, InvalidMessage};

use crate::cli::exit::Exit;

/// The end of a call to `base` that failed with that error; `absent` says what to do where nobody is there.
pub(in crate::cli) fn exit(base: &str, error: &(dyn StdError + 'static), is_connect: bool, absent: &str) -> Exit {
    let secure = base.starts_with("https://");
    if let Some(tls) = find::<Tls>(error) {
        return Exit::usage(format!("{base} cannot be reached by TLS: {}", of_tls(base, tls)));
    }
    let cause = root(error);
    if is_connect {
        return Exit::new(Exit::UNREACHABLE, format!("nobody answers at {base}: {cause}: {absent}"));
    }
    // A server of TLS answers a plain request with an alert, or hangs up.
    let no_http = find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse);
    if no_http && !secure {
        let secured = base.replacen("http://", "https://", 1);
        return Exit::usage(format!(
            "what answers at {base} does not speak plain HTTP ({cause}): if it has a certificate, write {secured}"
        ));
    }
    Exit::new(6, format!("the connection to {base} broke: {cause}"))
}

fn of_tls(base: &str, error: &Tls) -> String {
    let own = "name the certificate of its authority with --ca-file or CORTENSOR_CA_FILE";
    match error {
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => {
            let plain = base.replacen("https://", "http://", 1);
            format!("what answers there speaks no TLS: for plain HTTP write {plain}")
        }
        Tls::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!("its certificate is of an authority that is not trusted here: {own}")
        }
        Tls::InvalidCertificate(CertificateError::Other(other)) if other.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is that of an authority (CA:TRUE), which is not taken for a server's: let that authority \
             sign a certificate for the server and set it as listen.tls.cert"
                .to_owned()
        }
        Tls::InvalidCertificate(
            why @ (CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }),
        ) => format!("its certificate is for another name ({why}): use a name that stands in it, or make it anew"),
        Tls::InvalidCertificate(why @ (CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            format!("its certificate has expired ({why}): renew it and send the router SIGHUP")
        }
        Tls::InvalidCertificate(
            why @ (CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }),
        ) => format!("its certificate is not valid yet ({why}): look at the clocks of both machines"),
        Tls::InvalidCertificate(why) => format!("its certificate is not taken ({why}): {own}"),
        Tls::AlertReceived(AlertDescription::CertificateRequired) => {
            "it wants a certificate of its clients (listen.tls.client_ca): speak to it over another listener".to_owned()
        }
        other => format!("{other}: is there a router with TLS at that address?"),
    }
}

/// The first error of that type behind another.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An I/O error shows what it wraps by this alone.
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
