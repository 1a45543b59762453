//! An axum service: what its handlers are told, and what bounds them.

use crate::kit::assert_conserved;
use crate::stage::{ask, rest, start};

#[test]
fn a_handler_function_is_told_by_extractors_what_is_known_of_its_request() {
    let mut run = start("axum");
    let stream = ask(run.socket_addr(), "/");
    let us = stream.local_addr().unwrap();
    let answer = rest(stream);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(&format!("\r\n\r\nhello {us} from slot ")), "{answer}");
    let text = answer.split_once("you waited ").unwrap().1;
    let [waited, left] = text.split_once(" ms, and ").map(<[&str; 2]>::from).unwrap();
    assert!(waited.parse::<u64>().is_ok(), "{answer}");
    let left: f64 = left.strip_suffix(" s are left\n").unwrap().parse().unwrap();
    assert!(left > 0.0 && left <= 10.0, "{answer}");
    assert!(run.stop().success());
}

#[test]
fn a_layer_of_a_route_may_allow_less_than_the_deadline() {
    let mut run = start("axum");
    let answer = rest(ask(run.socket_addr(), "/stuck"));
    assert!(answer.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"), "{answer}");
    assert!(rest(ask(run.socket_addr(), "/nowhere")).starts_with("HTTP/1.1 404 "));
    assert_conserved(&run.status());
    assert!(run.stop().success());
}
