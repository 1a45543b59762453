//! Several requests, answers that come before a body, and who ends it (RFC 9112, 9; RFC 9110, 10.1.1).

use crate::conversation::check;

#[test]
fn one_after_the_other() {
    check(&[], DIALOGUES);
}

pub(crate) const DIALOGUES: &str = r#"
two at once | GET /1 HTTP/1.1¶Host: a¶¶GET /2 HTTP/1.1¶Host: b¶¶ | 200 GET /1 @a, 200 GET /2 @b; open
three at once, one with a body | GET /1 HTTP/1.1¶Host: a¶¶POST /2 HTTP/1.1¶Host: a¶Content-Length: 2¶¶hiGET /3 HTTP/1.1¶Host: a¶¶ | 200 GET /1 @a, 200 POST /2 @a "hi", 200 GET /3 @a; open
an empty line between them | GET /1 HTTP/1.1¶Host: a¶¶¶GET /2 HTTP/1.1¶Host: a¶¶ | 200 GET /1 @a, 200 GET /2 @a; open
the second is none | GET /1 HTTP/1.1¶Host: a¶¶NOISE¶¶ | 200 GET /1 @a, 400; closed
the second has no host | GET /1 HTTP/1.1¶Host: a¶¶GET /2 HTTP/1.1¶¶ | 200 GET /1 @a, 400; closed
nothing is heard after a mistake | GET /1 HTTP/1.1¶¶GET /2 HTTP/1.1¶Host: a¶¶ | 400; closed
nothing is heard after a mistake of hyper's | GET  /1 HTTP/1.1¶Host: a¶¶GET /2 HTTP/1.1¶Host: a¶¶ | 400; closed
the client ends it | GET / HTTP/1.1¶Host: a¶Connection: close¶¶ | 200 GET / @a; closed
the client ends it among other words | GET / HTTP/1.1¶Host: a¶Connection: x, Close¶¶ | 200 GET / @a; closed
the client ends it in a second line | GET / HTTP/1.1¶Host: a¶Connection: keep-alive¶Connection: close¶¶ | 200 GET / @a; closed
the client ends it in the first line | GET / HTTP/1.1¶Host: a¶Connection: close¶Connection: keep-alive¶¶ | 200 GET / @a; closed
nothing is heard after the last | GET /1 HTTP/1.1¶Host: a¶Connection: close¶¶GET /2 HTTP/1.1¶Host: a¶¶ | 200 GET /1 @a; closed
a close of other words | GET / HTTP/1.1¶Host: a¶Connection: closed¶¶ | 200 GET / @a; open
HEAD has no body | HEAD / HTTP/1.1¶Host: a¶¶ | 200 HEAD / @a; open
HEAD and GET | HEAD / HTTP/1.1¶Host: a¶¶GET /2 HTTP/1.1¶Host: a¶¶ | 200 HEAD / @a, 200 GET /2 @a; open
HEAD may have sent a body | HEAD / HTTP/1.1¶Host: a¶Content-Length: 2¶¶hi | 200 HEAD / @a "hi"; open
go on | POST / HTTP/1.1¶Host: a¶Expect: 100-continue¶Content-Length: 2¶¶hi | 100, 200 POST / @a "hi"; open
go on in capitals | POST / HTTP/1.1¶Host: a¶Expect: 100-CONTINUE¶Content-Length: 2¶¶hi | 100, 200 POST / @a "hi"; open
go on in chunks | POST / HTTP/1.1¶Host: a¶Expect: 100-continue¶Transfer-Encoding: chunked¶¶2¶hi¶0¶¶ | 100, 200 POST / @a "hi"; open
go on without a body | POST / HTTP/1.1¶Host: a¶Expect: 100-continue¶¶ | 200 POST / @a; open
# RFC 9110, 10.1.1 allows 417 to other expectations, and not to mind them.
another expectation | POST / HTTP/1.1¶Host: a¶Expect: a-miracle¶Content-Length: 2¶¶hi | 200 POST / @a "hi"; open
HTTP/1.0 knows no such thing | POST / HTTP/1.0¶Host: a¶Expect: 100-continue¶Content-Length: 2¶¶hi | 200 POST / @a "hi"; closed
an upgrade that nobody makes | GET / HTTP/1.1¶Host: a¶Connection: upgrade¶Upgrade: echo¶¶ | 200 GET / @a; open
HTTP/2 by upgrade is not spoken | GET / HTTP/1.1¶Host: a¶Connection: upgrade, http2-settings¶Upgrade: h2c¶HTTP2-Settings: AAMAAABkAAQAAP__¶¶ | 200 GET / @a; open
"#;
