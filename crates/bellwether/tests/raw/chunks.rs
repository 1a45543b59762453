//! Bodies in chunks (RFC 9112, 7.1).

use crate::conversation::check;

#[test]
fn sizes_extensions_and_ends() {
    check(&[], &table());
}

/// The rows with their heads.
pub(crate) fn table() -> String {
    let head = "POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked¶¶";
    CHUNKS.replace(" | ^", &format!(" | {head}"))
}

/// `^` stands for the head.
const CHUNKS: &str = r#"
one | ^5¶hello¶0¶¶ | 200 POST / @a "hello"; open
none | ^0¶¶ | 200 POST / @a; open
two | ^2¶he¶3¶llo¶0¶¶ | 200 POST / @a "hello"; open
many | ^1¶h¶1¶e¶1¶l¶1¶l¶1¶o¶0¶¶ | 200 POST / @a "hello"; open
a size in small letters | ^a¶0123456789¶0¶¶ | 200 POST / @a "0123456789"; open
a size in capitals | ^A¶0123456789¶0¶¶ | 200 POST / @a "0123456789"; open
zeros before a size | ^00000005¶hello¶0¶¶ | 200 POST / @a "hello"; open
a last chunk of many zeros | ^5¶hello¶0000000000000000000000¶¶ | 200 POST / @a "hello"; open
bytes of all kinds | ^5¶¶\0\n\xff¶0¶¶ | 200 POST / @a "\r\n\x00\n\xff"; open
an extension | ^5;a¶hello¶0¶¶ | 200 POST / @a "hello"; open
an extension with a value | ^5;a=b;c=d¶hello¶0;e¶¶ | 200 POST / @a "hello"; open
an extension in quotes | ^5;a="b;c 0"¶hello¶0¶¶ | 200 POST / @a "hello"; open
an extension of nothing | ^5;¶hello¶0¶¶ | 200 POST / @a "hello"; open
# BWS (RFC 9112, 7.1.1) belongs before a semicolon; before the end of the line it changes nothing.
space behind a size | ^5 ¶hello¶0¶¶ | 200 POST / @a "hello"; open
tab behind a size | ^5\t¶hello¶0¶¶ | 200 POST / @a "hello"; open
space before an extension | ^5 ;a¶hello¶0¶¶ | 200 POST / @a "hello"; open
trailers | ^5¶hello¶0¶T: b¶¶ | 200 POST / @a "hello" t=b; open
trailers are no fields of the head | ^5¶hello¶0¶X: b¶Host: evil¶Content-Length: 9¶¶ | 200 POST / @a "hello" t=; open
a request is behind the last chunk | ^5¶hello¶0¶¶GET /2 HTTP/1.1¶Host: a¶¶ | 200 POST / @a "hello", 200 GET /2 @a; open
a request is behind the trailers | ^0¶T: b¶¶GET /2 HTTP/1.1¶Host: a¶¶ | 200 POST / @a t=b, 200 GET /2 @a; open
space before a size | ^ 5¶hello¶0¶¶ | 400; closed
a plus | ^+5¶hello¶0¶¶ | 400; closed
a minus | ^-5¶hello¶0¶¶ | 400; closed
with 0x | ^0x5¶hello¶0¶¶ | 400; closed
with h | ^5h¶hello¶0¶¶ | 400; closed
with an underscore | ^0_5¶hello¶0¶¶ | 400; closed
no digit | ^g¶hello¶0¶¶ | 400; closed
digits behind a space | ^5 5¶hello¶0¶¶ | 400; closed
no size | ^¶hello¶0¶¶ | 400; closed
no size but an extension | ^;a¶hello¶0¶¶ | 400; closed
a comma | ^5,5¶hello¶0¶¶ | 400; closed
NUL behind a size | ^5\0¶hello¶0¶¶ | 400; closed
a size beyond all numbers | ^10000000000000005¶hello¶0¶¶ | 400; closed
a size that wraps to five | ^100000000000000000000000000000005¶hello¶0¶¶ | 400; closed
LF ends a size | ^5\nhello¶0¶¶ | 400; closed
CR ends a size | ^5\rhello¶0¶¶ | 400; closed
CR CR LF ends a size | ^5\r¶hello¶0¶¶ | 400; closed
LF ends an extension | ^5;a\nhello¶0¶¶ | 400; closed
LF in an extension | ^5;a\n0¶¶GET /2 HTTP/1.1¶¶ | 400; closed
CR in an extension | ^5;a\rb¶hello¶0¶¶ | 400; closed
LF ends a chunk | ^5¶hello\n0¶¶ | 400; closed
CR ends a chunk | ^5¶hello\r0¶¶ | 400; closed
nothing ends a chunk | ^5¶hello0¶¶ | 400; closed
a chunk is longer than it says | ^4¶hello¶0¶¶ | 400; closed
a chunk is shorter than it says | ^6¶hello¶0¶¶ | 400; closed
LF ends the last chunk | ^0\n\n | 400; closed
CR and no LF at the end | ^0¶\rX | 400; closed
a trailer without a colon | ^0¶T¶¶ | 400; closed
a trailer with a space before the colon | ^0¶T : b¶¶ | 400; closed
a folded trailer | ^0¶T: b¶ c¶¶ | 400; closed
NUL in a trailer | ^0¶T: b\0¶¶ | 400; closed
an extension of 17,000 bytes | ^5;{a*17000}¶hello¶0¶¶ | 400; closed
a trailer of 17,000 bytes | ^0¶T: {a*17000}¶¶ | 400; closed
"#;
