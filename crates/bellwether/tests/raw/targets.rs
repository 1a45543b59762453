//! What a request is about, and for whom (RFC 9112, 3.2 and RFC 9110, 7).

use crate::conversation::check;

#[test]
fn forms_of_a_target() {
    check(&[], TARGETS);
}

#[test]
fn one_host() {
    check(&[], HOSTS);
}

pub(crate) const TARGETS: &str = r#"
a path as it is | GET /a/../b//c/./d HTTP/1.1¶Host: a¶¶ | 200 GET /a/../b//c/./d @a; open
two slashes are no host | GET //evil/x HTTP/1.1¶Host: a¶¶ | 200 GET //evil/x @a; open
percent signs are left alone | GET /%2e%2e/%2f%00%zz HTTP/1.1¶Host: a¶¶ | 200 GET /%2e%2e/%2f%00%zz @a; open
what belongs escaped | GET /a\x22b{c}d^ HTTP/1.1¶Host: a¶¶ | 200 GET /a"b{c}d^ @a; open
a query alone is no path | GET ?a HTTP/1.1¶Host: a¶¶ | 400; closed
# A fragment is the client's own; hyper leaves it out.
a fragment | GET /a#b HTTP/1.1¶Host: a¶¶ | 200 GET /a @a; open
a whole URI | GET http://b/x HTTP/1.1¶Host: a¶¶ | 200 GET http://b/x @a; open
a whole URI without a path | GET http://b HTTP/1.1¶Host: a¶¶ | 200 GET http://b/ @a; open
a whole URI with a port | GET http://b:81/x?y HTTP/1.1¶Host: a¶¶ | 200 GET http://b:81/x?y @a; open
a whole URI needs a host field, too | GET http://b/x HTTP/1.1¶¶ | 400; closed
a whole URI without a host | GET http:///x HTTP/1.1¶Host: a¶¶ | 400; closed
another scheme | GET ftp://b/x HTTP/1.1¶Host: a¶¶ | 200 GET ftp://b/x @a; open
a relative path | GET a/b HTTP/1.1¶Host: a¶¶ | 400; closed
a word | GET a HTTP/1.1¶Host: a¶¶ | 400; closed
a host and a port | GET a:80 HTTP/1.1¶Host: a¶¶ | 400; closed
a star is for OPTIONS | OPTIONS * HTTP/1.1¶Host: a¶¶ | 200 OPTIONS * @a; open
a star for others | GET * HTTP/1.1¶Host: a¶¶ | 400; closed
two stars | OPTIONS ** HTTP/1.1¶Host: a¶¶ | 400; closed
OPTIONS of a path | OPTIONS /a HTTP/1.1¶Host: a¶¶ | 200 OPTIONS /a @a; open
# The service could speak something else from there on; as it does not, that is the end.
CONNECT | CONNECT b:443 HTTP/1.1¶Host: b:443¶¶ | 200 CONNECT b:443 @b:443; closed
CONNECT of a path | CONNECT /a HTTP/1.1¶Host: a¶¶ | 400; closed
CONNECT of a star | CONNECT * HTTP/1.1¶Host: a¶¶ | 400; closed
TRACE is up to the service | TRACE /a HTTP/1.1¶Host: a¶¶ | 200 TRACE /a @a; open
NUL in a path | GET /\0 HTTP/1.1¶Host: a¶¶ | 400; closed
DEL in a path | GET /\x7f HTTP/1.1¶Host: a¶¶ | 400; closed
a tab in a path | GET /a\tb HTTP/1.1¶Host: a¶¶ | 400; closed
bytes that are no UTF-8 | GET /\xff HTTP/1.1¶Host: a¶¶ | 400; closed
"#;

pub(crate) const HOSTS: &str = r"
none | GET / HTTP/1.1¶¶ | 400; closed
none in HTTP/1.0 | GET / HTTP/1.0¶¶ | 200 GET / @; closed
two | GET / HTTP/1.1¶Host: a¶Host: b¶¶ | 400; closed
twice the same | GET / HTTP/1.1¶Host: a¶Host: a¶¶ | 400; closed
two in HTTP/1.0 | GET / HTTP/1.0¶Host: a¶Host: b¶¶ | 400; closed
an empty one | GET / HTTP/1.1¶Host:¶¶ | 200 GET / @; open
with a port | GET / HTTP/1.1¶Host: a:81¶¶ | 200 GET / @a:81; open
IPv4 | GET / HTTP/1.1¶Host: 127.0.0.1¶¶ | 200 GET / @127.0.0.1; open
IPv6 | GET / HTTP/1.1¶Host: [::1]:81¶¶ | 200 GET / @[::1]:81; open
with a user | GET / HTTP/1.1¶Host: me@a¶¶ | 400; closed
with a path | GET / HTTP/1.1¶Host: a/b¶¶ | 400; closed
with a scheme | GET / HTTP/1.1¶Host: http://a¶¶ | 400; closed
with a space | GET / HTTP/1.1¶Host: a b¶¶ | 400; closed
a list | GET / HTTP/1.1¶Host: a, b¶¶ | 400; closed
with other bytes | GET / HTTP/1.1¶Host: \xe9¶¶ | 400; closed
with half a bracket | GET / HTTP/1.1¶Host: [::1¶¶ | 400; closed
in the wrong field | GET / HTTP/1.1¶X-Host: a¶¶ | 400; closed
";
