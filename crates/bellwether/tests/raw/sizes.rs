//! How much may be sent, to the byte, and what is said to more (RFC 9110, 15.5).

use crate::conversation::{Client, check, mirror};

const WORDS: [&str; 3] = ["target-bytes=100", "head-bytes=1024", "body-bytes=10"];

#[test]
fn room_to_the_byte() {
    check(&WORDS, SIZES);
}

const SIZES: &str = r#"
a target that just fits | GET /{a*99} HTTP/1.1¶Host: a¶¶ | 200 GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa @a; open
a target too long | GET /{a*100} HTTP/1.1¶Host: a¶¶ | 414; closed
a query too long | GET /?{a*99} HTTP/1.1¶Host: a¶¶ | 414; closed
a target of 10,000 bytes | GET /{a*9999} HTTP/1.1¶Host: a¶¶ | 414; closed
a target of 100,000 bytes | GET /{a*100000} HTTP/1.1¶Host: a¶¶ | 431; closed
a head that just fits | GET / HTTP/1.1¶Host: a¶Y: {b*1009}¶¶ | 200 GET / @a; open
a head too long | GET / HTTP/1.1¶Host: a¶Y: {b*1010}¶¶ | 431; closed
a head too long by a name | GET / HTTP/1.1¶Host: a¶{Y*1010}: b¶¶ | 431; closed
a head of 60,000 bytes | GET / HTTP/1.1¶Host: a¶X: {b*60000}¶¶ | 431; closed
a head without an end | GET / HTTP/1.1¶Host: a¶X: {b*200000} | 431; closed
a first line without an end | {G*70000} | 431; closed
a version without an end | GET / HTTP/1.1{1*70000} | 400; closed
101 fields | GET / HTTP/1.1¶Host: a¶{A:¶*100}¶ | 431; closed
a body that just fits | POST / HTTP/1.1¶Host: a¶Content-Length: 10¶¶0123456789 | 200 POST / @a "0123456789"; open
a body too long by its word | POST / HTTP/1.1¶Host: a¶Content-Length: 11¶¶01234567890 | 413; closed
a body too long that has not come | POST / HTTP/1.1¶Host: a¶Content-Length: 11¶¶ | 413; closed
a body in chunks that just fits | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked¶¶5¶01234¶5¶56789¶0¶¶ | 200 POST / @a "0123456789"; open
a body in chunks too long | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked¶¶5¶01234¶6¶567890¶0¶¶ | 413; closed
a chunk too long | POST / HTTP/1.1¶Host: a¶Transfer-Encoding: chunked¶¶ff¶{x*255}¶0¶¶ | 413; closed
a body too long of somebody who asked before | POST / HTTP/1.1¶Host: a¶Expect: 100-continue¶Content-Length: 11¶¶ | 413; closed
the request after one that is too long is not heard | POST / HTTP/1.1¶Host: a¶Content-Length: 35¶¶GET /2 HTTP/1.1¶Host: evil¶¶ | 413; closed
"#;

#[test]
fn who_sends_too_much_is_told_how_much_would_fit() {
    let mut run = mirror(&WORDS);
    let check = |request: String, words: &str| {
        let mut client = Client::connect(run.socket_addr());
        client.send(request.as_bytes(), usize::MAX);
        let answer = client.words();
        let fine = answer.contains(words) && answer.contains("\r\nconnection: close\r\n");
        assert!(fine, "{words}: {answer}");
    };
    let long = "a".repeat(2000);
    check(format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), "may have 100 bytes\n");
    check(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), "may have 1024 bytes\n");
    let upload = "x".repeat(8 << 20);
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", upload.len());
    check(head + &upload, "the body may have 10 bytes\n");
    let chunk = format!("{:x}\r\n{upload}\r\n0\r\n\r\n", upload.len());
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(head.to_owned() + &chunk, "the body may have 10 bytes\n");
    assert!(run.stop().success());
}
