//! How long a body is: two that do not agree about that let one request in through another
//! (request smuggling; RFC 9112, 6).

use crate::conversation::check;

#[test]
fn content_length() {
    check(&[], CONTENT_LENGTH);
}

#[test]
fn transfer_encoding() {
    check(&[], TRANSFER_ENCODING);
}

#[test]
fn both() {
    check(&[], BOTH);
}

pub(crate) const CONTENT_LENGTH: &str = r#"
a body | POST / HTTP/1.1¶Host: a¶Content-Length: 5¶¶hello | 200 POST / @a "hello"; open
no body | POST / HTTP/1.1¶Host: a¶¶ | 200 POST / @a; open
an empty body | POST / HTTP/1.1¶Host: a¶Content-Length: 0¶¶ | 200 POST / @a; open
a body of GET | GET / HTTP/1.1¶Host: a¶Content-Length: 5¶¶hello | 200 GET / @a "hello"; open
zeros before it | POST / HTTP/1.1¶Host: a¶Content-Length: 00005¶¶hello | 200 POST / @a "hello"; open
spaces around it | POST / HTTP/1.1¶Host: a¶Content-Length:   5  ¶¶hello | 200 POST / @a "hello"; open
what lies beyond is the next request | POST / HTTP/1.1¶Host: a¶Content-Length: 5¶¶helloGET /2 HTTP/1.1¶Host: a¶¶ | 200 POST / @a "hello", 200 GET /2 @a; open
a request within a body is a body | POST / HTTP/1.1¶Host: a¶Content-Length: 31¶¶GET /2 HTTP/1.1¶Host: evil¶¶ | 200 POST / @a "GET /2 HTTP/1.1\r\nHost: evil\r\n\r\n"; open
a plus | POST / HTTP/1.1¶Host: a¶Content-Length: +5¶¶hello | 400; closed
a minus | POST / HTTP/1.1¶Host: a¶Content-Length: -5¶¶hello | 400; closed
hexadecimal | POST / HTTP/1.1¶Host: a¶Content-Length: 0x5¶¶hello | 400; closed
a fraction | POST / HTTP/1.1¶Host: a¶Content-Length: 5.0¶¶hello | 400; closed
an exponent | POST / HTTP/1.1¶Host: a¶Content-Length: 5e0¶¶hello | 400; closed
nothing | POST / HTTP/1.1¶Host: a¶Content-Length:¶¶hello | 400; closed
a word | POST / HTTP/1.1¶Host: a¶Content-Length: five¶¶hello | 400; closed
in quotes | POST / HTTP/1.1¶Host: a¶Content-Length: "5"¶¶hello | 400; closed
a space within | POST / HTTP/1.1¶Host: a¶Content-Length: 5 5¶¶hello | 400; closed
an underscore within | POST / HTTP/1.1¶Host: a¶Content-Length: 0_5¶¶hello | 400; closed
wide digits | POST / HTTP/1.1¶Host: a¶Content-Length: \xef\xbc\x95¶¶hello | 400; closed
NUL behind it | POST / HTTP/1.1¶Host: a¶Content-Length: 5\0¶¶hello | 400; closed
a semicolon behind it | POST / HTTP/1.1¶Host: a¶Content-Length: 5;¶¶hello | 400; closed
a list of the same | POST / HTTP/1.1¶Host: a¶Content-Length: 5, 5¶¶hello | 400; closed
a list of others | POST / HTTP/1.1¶Host: a¶Content-Length: 5, 6¶¶hello | 400; closed
a comma behind it | POST / HTTP/1.1¶Host: a¶Content-Length: 5,¶¶hello | 400; closed
# RFC 9110, 8.6 allows to take the same one twice for one; the service sees one.
the same twice | POST / HTTP/1.1¶Host: a¶Content-Length: 5¶Content-Length: 5¶¶hello | 200 POST / @a "hello"; open
the same twice, written otherwise | POST / HTTP/1.1¶Host: a¶Content-Length: 5¶Content-Length: 05¶¶hello | 200 POST / @a "hello"; open
another one | POST / HTTP/1.1¶Host: a¶Content-Length: 5¶Content-Length: 6¶¶hello | 400; closed
another one, the first is none | POST / HTTP/1.1¶Host: a¶Content-Length: 0¶Content-Length: 5¶¶hello | 400; closed
the other is nonsense | POST / HTTP/1.1¶Host: a¶Content-Length: 5¶Content-Length: x¶¶hello | 400; closed
too many digits | POST / HTTP/1.1¶Host: a¶Content-Length: 99999999999999999999¶¶hello | 400; closed
one too many | POST / HTTP/1.1¶Host: a¶Content-Length: 18446744073709551616¶¶hello | 400; closed
# hyper keeps the two largest numbers for itself.
the largest | POST / HTTP/1.1¶Host: a¶Content-Length: 18446744073709551615¶¶hello | 431; closed
very large | POST / HTTP/1.1¶Host: a¶Content-Length: 9223372036854775808¶¶hello | 413; closed
space before the colon | POST / HTTP/1.1¶Host: a¶Content-Length : 5¶¶hello | 400; closed
a folded one | POST / HTTP/1.1¶Host: a¶Content-Length:¶ 5¶¶hello | 400; closed
# Another name: nginx leaves out names with underscores, CGI makes the same of both. hyper does neither.
with an underscore it is another field | POST / HTTP/1.1¶Host: a¶Content_Length: 5¶¶GET /2 HTTP/1.1¶Host: a¶¶ | 200 POST / @a, 200 GET /2 @a; open
"#;

pub(crate) const TRANSFER_ENCODING: &str = r#"
chunked | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked¶¶5¶hello¶0¶¶ | 200 POST / @a "hello"; open
codings know no capitals | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: cHuNkEd¶¶5¶hello¶0¶¶ | 200 POST / @a "hello"; open
no space is needed | POST / HTTP/1.1¶Host: a¶Transfer-Encoding:chunked¶¶5¶hello¶0¶¶ | 200 POST / @a "hello"; open
tabs around it | POST / HTTP/1.1¶Host: a¶Transfer-Encoding:\tchunked\t¶¶5¶hello¶0¶¶ | 200 POST / @a "hello"; open
a body of GET | GET / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked¶¶5¶hello¶0¶¶ | 200 GET / @a "hello"; open
what lies beyond is the next request | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked¶¶0¶¶GET /2 HTTP/1.1¶Host: a¶¶ | 200 POST / @a, 200 GET /2 @a; open
# hyper would give all of these to the service, still coded; see fault.rs.
another coding before it | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: gzip, chunked¶¶0¶¶ | 501; closed
identity before it | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: identity, chunked¶¶0¶¶ | 501; closed
twice | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked, chunked¶¶0¶¶ | 501; closed
twice in two lines | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked¶Transfer-Encoding: chunked¶¶0¶¶ | 501; closed
another coding in a line before | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: gzip¶Transfer-Encoding: chunked¶¶0¶¶ | 501; closed
nonsense in a line before | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: x¶Transfer-Encoding: chunked¶¶0¶¶ | 501; closed
a comma before it | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: , chunked¶¶0¶¶ | 501; closed
an empty line before | POST / HTTP/1.1¶Host: a¶Transfer-Encoding:¶Transfer-Encoding: chunked¶¶0¶¶ | 501; closed
a comma behind it | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked,¶¶0¶¶ | 400; closed
identity behind it | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked, identity¶¶0¶¶ | 400; closed
identity in a line behind | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked¶Transfer-Encoding: identity¶¶0¶¶ | 400; closed
identity | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: identity¶¶hello | 400; closed
gzip | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: gzip¶¶hello | 400; closed
nothing | POST / HTTP/1.1¶Host: a¶Transfer-Encoding:¶¶0¶¶ | 400; closed
a letter more | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: xchunked¶¶0¶¶ | 400; closed
a letter fewer | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunke¶¶0¶¶ | 400; closed
in quotes | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: "chunked"¶¶0¶¶ | 400; closed
in single quotes | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: 'chunked'¶¶0¶¶ | 400; closed
with a parameter | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked;q=1¶¶0¶¶ | 400; closed
with a semicolon | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked;¶¶0¶¶ | 400; closed
with a space within | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked x¶¶0¶¶ | 400; closed
vertical tab before it | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: \x0bchunked¶¶0¶¶ | 400; closed
vertical tab behind it | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked\x0b¶¶0¶¶ | 400; closed
NUL behind it | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked\0¶¶0¶¶ | 400; closed
another byte behind it | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked\xa0¶¶0¶¶ | 400; closed
space before the colon | POST / HTTP/1.1¶Host: a¶Transfer-Encoding : chunked¶¶0¶¶ | 400; closed
space before the name | POST / HTTP/1.1¶Host: a¶ Transfer-Encoding: chunked¶¶0¶¶ | 400; closed
a folded one | POST / HTTP/1.1¶Host: a¶Transfer-Encoding:¶ chunked¶¶0¶¶ | 400; closed
hidden in another field | POST / HTTP/1.1¶Host: a¶X: b\rTransfer-Encoding: chunked¶¶0¶¶ | 400; closed
with an underscore it is another field | POST / HTTP/1.1¶Host: a¶Transfer_Encoding: chunked¶¶GET /2 HTTP/1.1¶Host: a¶¶ | 200 POST / @a, 200 GET /2 @a; open
in HTTP/1.0 | POST / HTTP/1.0¶Transfer-Encoding: chunked¶¶5¶hello¶0¶¶ | 400; closed
"#;

/// RFC 9112, 6.3: the coding counts, and the connection is closed: whatever a server in front of us
/// has taken for the next request is not heard.
pub(crate) const BOTH: &str = r#"
the length first | POST / HTTP/1.1¶Host: a¶Content-Length: 3¶Transfer-Encoding: chunked¶¶5¶hello¶0¶¶ | 200 POST / @a "hello"; closed
the coding first | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked¶Content-Length: 3¶¶5¶hello¶0¶¶ | 200 POST / @a "hello"; closed
CL.TE: what is behind the last chunk is not heard | POST / HTTP/1.1¶Host: a¶Content-Length: 35¶Transfer-Encoding: chunked¶¶0¶¶GET /2 HTTP/1.1¶Host: evil¶¶ | 200 POST / @a; closed
TE.CL: the request within the chunk is a body | POST / HTTP/1.1¶Host: a¶Content-Length: 4¶Transfer-Encoding: chunked¶¶1c¶GET /2 HTTP/1.1¶Host: b¶¶¶0¶¶ | 200 POST / @a "GET /2 HTTP/1.1\r\nHost: b\r\n\r\n"; closed
a length of nonsense behind the coding | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked¶Content-Length: x¶¶0¶¶ | 200 POST / @a; closed
a length of nonsense before the coding | POST / HTTP/1.1¶Host: a¶Content-Length: x¶Transfer-Encoding: chunked¶¶0¶¶ | 400; closed
two lengths and a coding | POST / HTTP/1.1¶Host: a¶Content-Length: 1¶Content-Length: 2¶Transfer-Encoding: chunked¶¶0¶¶ | 400; closed
TE.TE: a coding that is none, and a length | POST / HTTP/1.1¶Host: a¶Content-Length: 5¶Transfer-Encoding: xchunked¶¶hello | 400; closed
TE.TE: two codings, and a length | POST / HTTP/1.1¶Host: a¶Content-Length: 5¶Transfer-Encoding: chunked¶Transfer-Encoding: x¶¶hello | 400; closed
a length and a coding of GET | GET / HTTP/1.1¶Host: a¶Content-Length: 0¶Transfer-Encoding: chunked¶¶5¶hello¶0¶¶ | 200 GET / @a "hello"; closed
"#;
