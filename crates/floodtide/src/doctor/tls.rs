//! The certificate: readable, fitting its key, in its time, with names.

use super::finding::Finding;
use node::config::Tls;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Whoever renews by hand wants to know some time before; automatic renewal has happened by then.
const RENEW_WITHIN_DAYS: i64 = 14;
const DAY_SECONDS: i64 = 86_400;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Its names and addresses.
    pub(super) names: Vec<String>,
    /// In seconds since 1970.
    not_before: i64,
    not_after: i64,
    self_signed: bool,
    /// How many certificates the file has.
    chain: usize,
}

/// The leaf, if there is one that can be read.
pub(super) fn read(tls: &Tls) -> Option<Certificate> {
    let path = tls.certificate.as_ref()?;
    let chain: Vec<_> = CertificateDer::pem_file_iter(path).ok()?.collect::<Result<_, _>>().ok()?;
    let (_, leaf) = X509Certificate::from_der(chain.first()?).ok()?;
    let names = leaf.subject_alternative_name().ok().flatten();
    let names = names.map(|extension| extension.value.general_names.iter().filter_map(name).collect());
    Some(Certificate {
        names: names.unwrap_or_default(),
        not_before: leaf.validity().not_before.timestamp(),
        not_after: leaf.validity().not_after.timestamp(),
        self_signed: leaf.subject() == leaf.issuer(),
        chain: chain.len(),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|ip| std::net::Ipv6Addr::from(ip).to_string()),
        },
        _ => None,
    }
}

/// `now` is the time that the certificate has to be good at.
pub(super) fn check(tls: &Tls, certificate: Option<&Certificate>, now: SystemTime) -> Vec<Finding> {
    if tls.certificate.is_none() && tls.key.is_none() {
        return vec![Finding::ok("certificate", "none configured: no RTMPS and no HTTPS")];
    }
    if let Err(error) = node::check_certificate(tls) {
        let advice = "set tls.certificate and tls.key to PEM files that belong together and that the server's user may read";
        return vec![Finding::failure("certificate", format!("{error:#}")).advise(advice)];
    }
    let Some(certificate) = certificate else {
        return vec![Finding::warning("certificate", "it is used, but what it says can't be read")];
    };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let mut findings = vec![in_time(certificate, i64::try_from(now).unwrap_or(i64::MAX))];
    findings.push(named(certificate));
    findings.extend(chained(certificate));
    findings.extend(tls.key.as_deref().and_then(readable_by_all));
    findings
}

fn in_time(certificate: &Certificate, now: i64) -> Finding {
    let days = (certificate.not_after - now).div_euclid(DAY_SECONDS);
    let renew = "renew it, then reload the server";
    if now >= certificate.not_after {
        return Finding::failure("certificate", format!("it expired {} days ago", -days - 1)).advise(renew);
    }
    if now < certificate.not_before {
        return Finding::failure("certificate", "it isn't good yet")
            .advise("set the clock right, or take one that is good already");
    }
    let found = format!("good for {days} more days");
    match days < RENEW_WITHIN_DAYS {
        true => Finding::warning("certificate", found).advise(renew),
        false => Finding::ok("certificate", found),
    }
}

fn named(certificate: &Certificate) -> Finding {
    match certificate.names.as_slice() {
        [] => Finding::warning("certificate's names", "it has none: browsers and players refuse it")
            .advise("take one with subjectAltName"),
        names => Finding::ok("certificate's names", names.join(", ")),
    }
}

fn chained(certificate: &Certificate) -> Option<Finding> {
    if certificate.self_signed {
        return Some(
            Finding::warning("certificate's issuer", "it signed itself: clients trust it only if told to")
                .advise("take one of an authority that clients know"),
        );
    }
    (certificate.chain < 2).then(|| {
        Finding::warning(
            "certificate's issuer",
            "the file has no intermediate certificate: many players refuse it",
        )
        .advise("set tls.certificate to the full chain (fullchain.pem)")
    })
}

fn readable_by_all(key: &Path) -> Option<Finding> {
    let mode = std::fs::metadata(key).ok()?.permissions().mode();
    let shown = key.display();
    (mode & 0o004 != 0).then(|| {
        Finding::warning("certificate's key", format!("every user of this machine can read {shown}"))
            .advise(format!("chmod 640 {shown}, with the server's group"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn certificate(not_before: i64, not_after: i64) -> Certificate {
        Certificate {
            names: vec!["h.example".to_owned()],
            not_before,
            not_after,
            self_signed: false,
            chain: 2,
        }
    }

    #[test]
    fn time_is_judged_by_days() {
        let check = |now: i64, verdict: Verdict, text: &str| {
            let told = in_time(&certificate(10 * DAY_SECONDS, 100 * DAY_SECONDS), now * DAY_SECONDS);
            assert_eq!(told.verdict, verdict, "{told:?}");
            assert!(told.found.contains(text), "{told:?}");
        };
        check(50, Verdict::Ok, "50 more days");
        check(90, Verdict::Warning, "10 more days");
        check(105, Verdict::Failure, "expired");
        check(5, Verdict::Failure, "isn't good yet");
    }

    #[test]
    fn names_and_issuers_that_clients_refuse_warn() {
        let good = certificate(0, 1);
        assert_eq!(named(&good).verdict, Verdict::Ok);
        assert_eq!(chained(&good), None);
        let nameless = Certificate { names: Vec::new(), ..good.clone() };
        assert_eq!(named(&nameless).verdict, Verdict::Warning);
        let bare = Certificate { chain: 1, ..good.clone() };
        assert!(chained(&bare).is_some_and(|told| told.found.contains("intermediate")));
        let own = Certificate { self_signed: true, ..good };
        assert!(chained(&own).is_some_and(|told| told.found.contains("signed itself")));
    }
}
