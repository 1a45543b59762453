//! Names and values of fields (RFC 9112, 5 and RFC 9110, 5).

use crate::conversation::check;

#[test]
fn names_and_values() {
    check(&[], FIELDS);
}

pub(crate) const FIELDS: &str = r"
a field | GET / HTTP/1.1¶Host: a¶X: b¶¶ | 200 GET / @a x=b; open
names know no capitals | GET / HTTP/1.1¶hOsT: a¶x: b¶¶ | 200 GET / @a x=b; open
no space is needed | GET / HTTP/1.1¶Host:a¶X:b¶¶ | 200 GET / @a x=b; open
space around a value does not count | GET / HTTP/1.1¶Host: \t a\t ¶X:   b  ¶¶ | 200 GET / @a x=b; open
space within a value counts | GET / HTTP/1.1¶Host: a¶X: b \t c¶¶ | 200 GET / @a x=b \t c; open
an empty value | GET / HTTP/1.1¶Host: a¶X:¶¶ | 200 GET / @a x=; open
a value of spaces | GET / HTTP/1.1¶Host: a¶X:   ¶¶ | 200 GET / @a x=; open
twice the same name | GET / HTTP/1.1¶Host: a¶X: b¶X: c¶¶ | 200 GET / @a x=b+c; open
a colon in a value | GET / HTTP/1.1¶Host: a¶X: b: c:¶¶ | 200 GET / @a x=b: c:; open
# obs-text (RFC 9110, 5.5): the service gets the bytes as they are.
other bytes in a value | GET / HTTP/1.1¶Host: a¶X: \xe9\xff¶¶ | 200 GET / @a x=\xe9\xff; open
all that a name may have | GET / HTTP/1.1¶Host: a¶!#$%&'*+-.^_`~9z: b¶¶ | 200 GET / @a; open
space before the colon | GET / HTTP/1.1¶Host : a¶¶ | 400; closed
tab before the colon | GET / HTTP/1.1¶Host\t: a¶¶ | 400; closed
space in a name | GET / HTTP/1.1¶Host: a¶X Y: b¶¶ | 400; closed
space before the first name | GET / HTTP/1.1¶ Host: a¶¶ | 400; closed
tab before the first name | GET / HTTP/1.1¶\tHost: a¶¶ | 400; closed
a value folded into two lines | GET / HTTP/1.1¶Host: a¶X: b¶ c¶¶ | 400; closed
a value folded with a tab | GET / HTTP/1.1¶Host: a¶X: b¶\tc¶¶ | 400; closed
a value that begins in the next line | GET / HTTP/1.1¶Host: a¶X:¶ b¶¶ | 400; closed
a folded host | GET / HTTP/1.1¶Host:¶ a¶¶ | 400; closed
a line of spaces | GET / HTTP/1.1¶Host: a¶  ¶¶ | 400; closed
no colon | GET / HTTP/1.1¶Host: a¶X¶¶ | 400; closed
no name | GET / HTTP/1.1¶Host: a¶: b¶¶ | 400; closed
a name in brackets | GET / HTTP/1.1¶Host: a¶(X): b¶¶ | 400; closed
a name in quotes | GET / HTTP/1.1¶Host: a¶'X\x22: b¶¶ | 400; closed
a slash in a name | GET / HTTP/1.1¶Host: a¶X/Y: b¶¶ | 400; closed
other bytes in a name | GET / HTTP/1.1¶Host: a¶X\xe9: b¶¶ | 400; closed
NUL in a name | GET / HTTP/1.1¶Host: a¶X\0: b¶¶ | 400; closed
NUL in a value | GET / HTTP/1.1¶Host: a¶X: b\0c¶¶ | 400; closed
NUL first in a value | GET / HTTP/1.1¶Host: a¶X:\0¶¶ | 400; closed
DEL in a value | GET / HTTP/1.1¶Host: a¶X: b\x7fc¶¶ | 400; closed
vertical tab in a value | GET / HTTP/1.1¶Host: a¶X: b\x0bc¶¶ | 400; closed
vertical tab before a value | GET / HTTP/1.1¶Host: a¶X:\x0bb¶¶ | 400; closed
form feed before a name | GET / HTTP/1.1¶Host: a¶\x0cX: b¶¶ | 400; closed
escape in a value | GET / HTTP/1.1¶Host: a¶X: \x1b[2J¶¶ | 400; closed
CR in a value | GET / HTTP/1.1¶Host: a¶X: b\rc¶¶ | 400; closed
CR at the end of a value | GET / HTTP/1.1¶Host: a¶X: b\r¶¶ | 400; closed
LF in a value ends it | GET / HTTP/1.1¶Host: a¶X: b\nc¶¶ | 400; closed
the line before is no field | GET / HTTP/1.1¶GET / HTTP/1.1¶Host: a¶¶ | 400; closed
a NEL is a byte like others | GET / HTTP/1.1¶Host: a¶X: b\xc2\x85c¶¶ | 200 GET / @a x=b\xc2\x85c; open
a hundred fields | GET / HTTP/1.1¶Host: a¶{A: 1¶*99}¶ | 200 GET / @a; open
";
