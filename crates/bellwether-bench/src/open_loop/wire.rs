//! How a request is put, and what an answer says.
//!
//! The same words over every wire: a query with the number of the request and the work in µs, and
//! a body with the number, the µs of service, and from ours the ms of waiting.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::fastcgi;
use crate::arrivals::Work;

/// A server to ask.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddrV4,
    pub(crate) wire: Wire,
}

#[derive(Clone, Debug)]
pub(crate) enum Wire {
    Http,
    /// With the path of the script that does the work.
    FastCgi(String),
    /// Of HTTP/1.1, with an answer that is always this.
    Page(&'static str),
}

/// What an answer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) number: Option<u64>,
    /// How long the handler worked, by its own clock.
    pub(crate) served: Option<Duration>,
    /// How long the connection waited in the buffer, by the kernel.
    pub(crate) waited: Option<Duration>,
    pub(crate) refused: bool,
}

impl Target {
    pub(crate) fn request(&self, number: u64, work: Work) -> Vec<u8> {
        let (cpu, sleep) = (work.cpu.as_micros(), work.sleep.as_micros());
        let query = format!("number={number}&cpu_us={cpu}&sleep_us={sleep}");
        match &self.wire {
            Wire::Http => format!("GET /?{query} HTTP/1.0\r\nHost: localhost\r\n\r\n").into(),
            Wire::FastCgi(script) => fastcgi::request(script, &query),
            Wire::Page(_) => {
                b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into()
            }
        }
    }

    /// What the answer to request `number` says.
    pub(crate) fn told(&self, number: u64, answer: &[u8]) -> Told {
        match &self.wire {
            Wire::Http => parse_answer(answer),
            Wire::FastCgi(_) => {
                fastcgi::output(answer).map_or_else(Told::default, |output| parse_answer(&output))
            }
            Wire::Page(page) => parse_page(number, page, answer),
        }
    }

    /// Asks once and waits: whether the server serves at all.
    pub(crate) fn ask(&self, patience: Duration) -> Result<Told> {
        let mut connection = TcpStream::connect(self.address)?;
        connection.set_read_timeout(Some(patience))?;
        connection.write_all(&self.request(0, Work::default()))?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer)?;
        let told = self.told(0, &answer);
        told.number.with_context(|| format!("odd answer: {}", String::from_utf8_lossy(&answer)))?;
        Ok(told)
    }
}

/// What a request to our server asks for, and its number.
pub(crate) fn parse_request(request: &[u8]) -> Option<(u64, Work)> {
    let text = std::str::from_utf8(request).ok()?;
    let query = text.strip_prefix("GET /?")?.split(' ').next()?;
    let value = |name: &str| pair(query.split('&'), name);
    let work = Work {
        cpu: Duration::from_micros(value("cpu_us")?),
        sleep: Duration::from_micros(value("sleep_us")?),
    };
    Some((value("number")?, work))
}

/// Our server's answer.
pub(crate) fn reply(number: u64, served: Duration, waited: Option<Duration>) -> String {
    let waited = waited.map_or_else(String::new, |wait| format!(" waited_ms={}", wait.as_millis()));
    let served = served.as_micros();
    format!(
        "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nnumber={number} served_us={served}{waited}\n"
    )
}

fn parse_answer(answer: &[u8]) -> Told {
    let text = String::from_utf8_lossy(answer);
    let status = text.split(' ').nth(1);
    let refused = text.starts_with("HTTP/1.") && status == Some("503");
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let value = |name| pair(body.split_whitespace(), name);
    Told {
        number: value("number"),
        served: value("served_us").map(Duration::from_micros),
        waited: value("waited_ms").map(Duration::from_millis),
        refused,
    }
}

/// A page cannot say whom it is for, but whether it came whole.
fn parse_page(number: u64, page: &str, answer: &[u8]) -> Told {
    let is_right = answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(page.as_bytes());
    let served = is_right.then_some(Duration::ZERO);
    Told { number: is_right.then_some(number), served, ..parse_answer(answer) }
}

/// The number behind `name=`.
fn pair<'a>(mut pairs: impl Iterator<Item = &'a str>, name: &str) -> Option<u64> {
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_server_reads_what_the_generator_asks() {
        let target = Target { address: "127.0.0.1:1".parse().unwrap(), wire: Wire::Http };
        let work = Work { cpu: Duration::from_millis(10), sleep: Duration::from_micros(7) };
        assert_eq!(parse_request(&target.request(5, work)), Some((5, work)));
        for rubbish in ["", "GET / HTTP/1.0", "GET /?number=1&cpu_us=x&sleep_us=1 HTTP/1.0"] {
            assert_eq!(parse_request(rubbish.as_bytes()), None, "{rubbish}");
        }
    }

    #[test]
    fn the_generator_reads_what_our_server_answers() {
        let ms = Duration::from_millis;
        let check = |waited| {
            let told = parse_answer(reply(9, ms(3), waited).as_bytes());
            let expected = Told { number: Some(9), served: Some(ms(3)), waited, refused: false };
            assert_eq!(told, expected);
        };
        check(Some(ms(4)));
        check(None);
        assert!(parse_answer(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").refused);
        assert_eq!(parse_answer(b"HTTP/1.1 200 OK\r\n\r\nhello"), Told::default());
    }

    #[test]
    fn a_page_is_right_when_it_is_whole() {
        let page = |answer: &[u8]| parse_page(7, "hello", answer);
        assert_eq!(page(b"HTTP/1.1 200 OK\r\n\r\nhello").number, Some(7));
        assert_eq!(page(b"HTTP/1.1 200 OK\r\n\r\nhell").number, None);
        assert!(page(b"HTTP/1.1 503 Service Unavailable\r\n\r\nhello").refused);
    }
}
