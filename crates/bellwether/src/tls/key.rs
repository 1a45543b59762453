//! A private key in its text form (RFC 7468), read so that no second copy of it is left behind.
//!
//! The reader of rustls keeps the Base64 of a section in a buffer that grows and is given back as
//! it is; what was found there in the memory of handlers were whole lines of the key.

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use zeroize::Zeroizing;

type Form = fn(Vec<u8>) -> PrivateKeyDer<'static>;

/// The forms of a key, by the label of their section.
const FORMS: [(&str, Form); 3] = [
    ("PRIVATE KEY", |der| PrivatePkcs8KeyDer::from(der).into()),
    ("RSA PRIVATE KEY", |der| PrivatePkcs1KeyDer::from(der).into()),
    ("EC PRIVATE KEY", |der| PrivateSec1KeyDer::from(der).into()),
];

/// Finds the key in a text; `None`: there is none. It is up to the caller to wipe it.
pub(super) fn read(text: &[u8]) -> Result<Option<PrivateKeyDer<'static>>, String> {
    for (label, key) in FORMS {
        let [begin, end] = ["BEGIN", "END"].map(|word| format!("-----{word} {label}-----"));
        let Some((_, rest)) = cut(text, &begin) else { continue };
        let Some((body, _)) = cut(rest, &end) else {
            return Err(format!("its last line, `{end}`, is missing"));
        };
        return decoded(body).map(|der| Some(key(der)));
    }
    Ok(None)
}

/// What stands before and behind the first such words.
pub(super) fn cut<'t>(text: &'t [u8], words: &str) -> Option<(&'t [u8], &'t [u8])> {
    let at = text.windows(words.len()).position(|window| window == words.as_bytes())?;
    text.get(..at).zip(text.get(at + words.len()..))
}

/// Decodes Base64 (RFC 4648, 4) into memory that need not grow.
fn decoded(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 3));
    let (mut rest, mut length) = (0_u32, 0);
    let digits = text.iter().filter(|byte| !byte.is_ascii_whitespace());
    for digit in digits.take_while(|&&byte| byte != b'=') {
        rest = rest << 6 | value(*digit).ok_or("it is no Base64")?;
        length += 6;
        if length >= 8 {
            length -= 8;
            bytes.push((rest >> length).to_le_bytes()[0]);
        }
    }
    Ok(std::mem::take(&mut bytes))
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_as_rfc_4648_says() {
        let check = |text: &str, expected: Option<&[u8]>| {
            assert_eq!(decoded(text.as_bytes()).ok().as_deref(), expected, "{text}");
        };
        check("", Some(b""));
        check("Zg==", Some(b"f"));
        check("Zm8=", Some(b"fo"));
        check("Zm9v", Some(b"foo"));
        check("\nZm9v\r\nYmFy\n", Some(b"foobar"));
        check("+/+/", Some(&[0xfb, 0xff, 0xbf]));
        check("Zm9v-", None);
    }

    #[test]
    fn each_form_is_found_among_what_else_is_there() {
        let section =
            |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        let check = |text: String, expected: &str| {
            let found = match read(text.as_bytes()) {
                Ok(Some(PrivateKeyDer::Pkcs8(_))) => "pkcs8",
                Ok(Some(PrivateKeyDer::Pkcs1(_))) => "pkcs1",
                Ok(Some(PrivateKeyDer::Sec1(_))) => "sec1",
                Ok(_) => "none",
                Err(_) => "damaged",
            };
            assert_eq!(found, expected, "{text}");
        };
        check(section("PRIVATE KEY"), "pkcs8");
        check(section("CERTIFICATE") + &section("RSA PRIVATE KEY"), "pkcs1");
        check(section("EC PARAMETERS") + &section("EC PRIVATE KEY"), "sec1");
        check(section("ENCRYPTED PRIVATE KEY"), "none");
        check(section("PUBLIC KEY"), "none");
        check("-----BEGIN PRIVATE KEY-----\nAAAA\n".into(), "damaged");
        check(section("PRIVATE KEY").replace("AAAA", "A?A?"), "damaged");
    }
}
