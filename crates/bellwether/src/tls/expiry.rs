//! Whether a certificate is valid now, and the day from or until which it is.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

const DAY: u64 = 24 * 60 * 60;

/// Says what is wrong with a certificate at this time (seconds since 1970), if its time is wrong.
///
/// The time is what webpki looks at first, before it asks who has signed: so nobody needs to be
/// trusted for this.
pub(super) fn problem(certificate: &CertificateDer<'_>, now: u64) -> Option<String> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let usage = KeyUsage::server_auth();
    match certificate.verify_for_usage(&[], &[], &[], now, usage, None, None).err()? {
        Error::CertExpired { not_after, .. } => {
            let day = day(not_after.as_secs());
            Some(format!("it expired on {day}, and clients will refuse it; renew it and reload"))
        }
        Error::CertNotValidYet { not_before, .. } => {
            let day = day(not_before.as_secs());
            Some(format!("it is not valid before {day}, and clients refuse it until then"))
        }
        _ => None,
    }
}

/// The date in UTC of a time in seconds since 1970.
///
/// Counted in years that begin in March, so that the leap day is the last of its year ("civil from
/// days" in Howard Hinnant's chrono-compatible low-level date algorithms).
fn day(seconds: u64) -> String {
    let days = seconds / DAY + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, turn) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + turn)
}

#[cfg(test)]
mod tests {
    use super::super::tests::certificate_of_days;
    use super::*;

    #[test]
    fn a_time_has_its_date() {
        let check = |seconds, expected: &str| assert_eq!(day(seconds), expected, "{seconds}");
        check(0, "1970-01-01");
        check(951_782_400, "2000-02-29");
        check(951_868_800, "2000-03-01");
        check(1_798_761_599, "2026-12-31");
        check(4_107_542_400, "2100-03-01");
    }

    #[test]
    fn a_certificate_is_warned_of_outside_its_days() {
        let certificate = certificate_of_days((2026, 3, 1), (2026, 6, 1));
        let check = |now, expected: Option<&str>| {
            let found = problem(&certificate, now);
            let fits = match (&found, expected) {
                (Some(found), Some(expected)) => found.contains(expected),
                (found, expected) => found.is_none() && expected.is_none(),
            };
            assert!(fits, "{now}: {found:?}");
        };
        check(1_772_000_000, Some("not valid before 2026-03-01"));
        check(1_775_000_000, None);
        check(1_781_000_000, Some("expired on 2026-06-01"));
    }
}
