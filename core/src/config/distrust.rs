//! Errors of TLS in words that say how to mend them.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// Says why TLS with a server failed; `plain` is its address without TLS, `trust` the setting that names an
/// authority.
pub fn words(error: &Error, plain: &str, trust: &str) -> String {
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("what answers there speaks no TLS: without TLS its address is {plain}")
        }
        Error::InvalidCertificate(why) => of_certificate(why, trust),
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it wants a certificate of whoever connects (listen.tls.client_ca)".to_owned()
        }
        other => format!("{other}: is there a server with TLS at that address?"),
    }
}

fn of_certificate(why: &CertificateError, trust: &str) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            format!("its certificate is of an authority that is not trusted here: name that authority's with {trust}")
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is that of an authority (CA:TRUE), which is not taken for a server's: let that authority \
             sign a certificate for the server (of a router: listen.tls.cert)"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is for another name ({why}): use a name that stands in it, or make it anew")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("its certificate has expired ({why}): renew it; a router reads it again at SIGHUP")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("its certificate is not valid yet ({why}): look at the clocks of both machines")
        }
        why => format!("its certificate is not taken ({why}): name the certificate of its authority with {trust}"),
    }
}

/// Finds the error of TLS inside of an I/O error.
pub fn behind(error: &std::io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}
