//! Request lines, versions, and where lines end (RFC 9112, 2 and 3).

use crate::conversation::check;

#[test]
fn the_first_line() {
    check(&[], LINES);
}

pub(crate) const LINES: &str = r"
a plain request | GET / HTTP/1.1¶Host: a¶¶ | 200 GET / @a; open
a query | GET /a?b=c&d HTTP/1.1¶Host: a¶¶ | 200 GET /a?b=c&d @a; open
another method | BREW /pot HTTP/1.1¶Host: a¶¶ | 200 BREW /pot @a; open
methods know capitals | get / HTTP/1.1¶Host: a¶¶ | 200 get / @a; open
a method of all that a token may have | !#$%&'*+-.^_`~0Aa / HTTP/1.1¶Host: a¶¶ | 200 !#$%&'*+-.^_`~0Aa / @a; open
a long method | {M*100} / HTTP/1.1¶Host: a¶¶ | 200 MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM / @a; open
a method with a slash | G/T / HTTP/1.1¶Host: a¶¶ | 400; closed
a method with a colon | GET: / HTTP/1.1¶Host: a¶¶ | 400; closed
a method with NUL | G\0T / HTTP/1.1¶Host: a¶¶ | 400; closed
a method of other bytes | G\xc3\x89T / HTTP/1.1¶Host: a¶¶ | 400; closed
no method | / HTTP/1.1¶Host: a¶¶ | 400; closed
a space first |  GET / HTTP/1.1¶Host: a¶¶ | 400; closed
a tab first | \tGET / HTTP/1.1¶Host: a¶¶ | 400; closed
two spaces before the target | GET  / HTTP/1.1¶Host: a¶¶ | 400; closed
two spaces before the version | GET /  HTTP/1.1¶Host: a¶¶ | 400; closed
a tab before the target | GET\t/ HTTP/1.1¶Host: a¶¶ | 400; closed
a tab before the version | GET /\tHTTP/1.1¶Host: a¶¶ | 400; closed
a space after the version | GET / HTTP/1.1 ¶Host: a¶¶ | 400; closed
a space in the target | GET /a b HTTP/1.1¶Host: a¶¶ | 400; closed
no target | GET HTTP/1.1¶Host: a¶¶ | 400; closed
an empty target | GET  HTTP/1.1¶Host: a¶¶ | 400; closed
no version, as in HTTP/0.9 | GET /¶Host: a¶¶ | 400; closed
a version only | HTTP/1.1¶¶ | 400; closed
an answer in place of a request | HTTP/1.1 200 OK¶Host: a¶¶ | 400; closed
HTTP/1.0 is closed | GET / HTTP/1.0¶¶ | 200 GET / @; closed
HTTP/1.0 that asks is kept | GET / HTTP/1.0¶Connection: keep-alive¶¶ | 200 GET / @; open
HTTP/1.0 with a host | GET / HTTP/1.0¶Host: a¶¶ | 200 GET / @a; closed
# 505 would be better, and says the same: neither is served.
HTTP/1.2 | GET / HTTP/1.2¶Host: a¶¶ | 400; closed
HTTP/1.9 | GET / HTTP/1.9¶Host: a¶¶ | 400; closed
HTTP/0.9 by name | GET / HTTP/0.9¶Host: a¶¶ | 400; closed
HTTP/2.0 in words | GET / HTTP/2.0¶Host: a¶¶ | 400; closed
HTTP/3 in words | GET / HTTP/3¶Host: a¶¶ | 400; closed
HTTP/11 | GET / HTTP/11¶Host: a¶¶ | 400; closed
HTTP/1.10 | GET / HTTP/1.10¶Host: a¶¶ | 400; closed
HTTP/01.1 | GET / HTTP/01.1¶Host: a¶¶ | 400; closed
a version in small letters | GET / http/1.1¶Host: a¶¶ | 400; closed
another protocol | GET / ICAP/1.0¶Host: a¶¶ | 400; closed
a version without a number | GET / HTTP/¶Host: a¶¶ | 400; closed
empty lines before a request | ¶¶GET / HTTP/1.1¶Host: a¶¶ | 200 GET / @a; open
empty lines of LF alone | \n\nGET / HTTP/1.1¶Host: a¶¶ | 200 GET / @a; open
CR before a request | \rGET / HTTP/1.1¶Host: a¶¶ | 400; closed
# RFC 9112, 2.2 allows to take LF alone for the end of a line. Who forwards must not: that is up to
# a server in front of us; it cannot be led astray here, as every LF ends a line, wherever it is.
LF ends the first line | GET / HTTP/1.1\nHost: a¶¶ | 200 GET / @a; open
LF ends a field | GET / HTTP/1.1¶Host: a\nX: b¶¶ | 200 GET / @a x=b; open
LF ends the head | GET / HTTP/1.1¶Host: a¶\n | 200 GET / @a; open
LF everywhere | GET / HTTP/1.1\nHost: a\nX: b\n\n | 200 GET / @a x=b; open
CR alone does not end the first line | GET / HTTP/1.1\rHost: a¶¶ | 400; closed
CR alone does not end a field | GET / HTTP/1.1¶Host: a\rX: b¶¶ | 400; closed
CR alone does not end the head | GET / HTTP/1.1¶Host: a¶\rGET¶¶ | 400; closed
CR CR LF | GET / HTTP/1.1\r¶Host: a¶¶ | 400; closed
NUL after the version | GET / HTTP/1.1\0¶Host: a¶¶ | 400; closed
TLS to a port of plain HTTP | \x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03¶¶ | 400; closed
noise | \xde\xad\xbe\xef¶¶ | 400; closed
SMTP | EHLO example.org¶¶ | 400; closed
Redis | *1¶$4¶PING¶¶ | 400; closed
";
