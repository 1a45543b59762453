//! The welcome page, and every way to reach it.

use serde_json::Value;

use crate::clients::{curl, raw, url};
use crate::kit::{Launch, Run, control};
use crate::stage::{PROGRAM, serve, serving, text};

/// Checks that the answer comes from a handler that the spawner knows.
#[track_caller]
fn assert_handler(run: &Run, answer: &Value) {
    let pid = answer["pid"].as_i64().unwrap();
    let known = control::listed(&run.status());
    assert!(known.iter().any(|it| i64::from(*it) == pid), "{pid} is none of {known:?}");
}

#[test]
fn curl_gets_plain_words_about_who_answered() {
    let mut run = serve(&["--name", "shop"]);
    let Some(reply) = curl(&[&url(&run, "/")]) else { return };
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    for words in
        ["One bell, many handlers, one winner.", "slot ", "process ", "generation 1", "shop"]
    {
        assert!(reply.text().contains(words), "no {words:?} in {}", reply.text());
    }
    assert!(!reply.text().contains('@'), "a fact is missing: {}", reply.text());
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_browser_gets_a_page_that_needs_nothing_from_elsewhere() {
    let mut run = serve(&["--notification", "turn"]);
    let reply = raw(&run, "GET /", "Accept: text/html,*/*;q=0.8\r\n");
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(reply.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let page = reply.text();
    let links = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!links.contains("http://") && !links.contains("https://"), "an outside link");
    for words in
        ["<html lang=\"en\">", "prefers-color-scheme: dark", "width=device-width", ">turn<"]
    {
        assert!(page.contains(words), "no {words:?}");
    }
    let placeholders = ["@slot@", "@pid@", "@name@", "@crew@", "@mode@", "@meaning@", "@version@"];
    assert!(placeholders.iter().all(|it| !page.contains(it)), "a fact is missing");
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn whoami_names_the_handler_and_makes_each_question_a_race() {
    let mut run = serve(&[]);
    let reply = raw(&run, "GET /whoami", "");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let answer: Value = serde_json::from_str(reply.text()).unwrap();
    assert_eq!((&answer["generation"], &answer["thread"]), (&1.into(), &0.into()));
    assert_handler(&run, &answer);
    // A client that would keep the connection is told not to.
    if let Some(reply) = curl(&[&url(&run, "/whoami")]) {
        assert_eq!(reply.header("connection"), Some("close"));
    }
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn in_turn_every_handler_answers() {
    let mut run = serve(&["--notification", "turn"]);
    let slot = || {
        let answer: Value = serde_json::from_str(raw(&run, "GET /whoami", "").text()).unwrap();
        answer["slot"].as_u64().unwrap()
    };
    let won: std::collections::BTreeSet<u64> = (0..8).map(|_| slot()).collect();
    assert_eq!(won.len(), 2, "{won:?}");
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn every_thread_answers_for_itself() {
    let mut run = serve(&["--threads", "2", "--notification", "turn"]);
    let seat = || {
        let answer: Value = serde_json::from_str(raw(&run, "GET /whoami", "").text()).unwrap();
        assert_handler(&run, &answer);
        (answer["slot"].as_u64().unwrap(), answer["thread"].as_u64().unwrap())
    };
    let won: std::collections::BTreeSet<_> = (0..16).map(|_| seat()).collect();
    assert_eq!(won.len(), 4, "{won:?}");
    assert!(run.stderr().contains("2 processes x 2 threads"), "{}", run.stderr());
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn what_is_not_there_and_what_is_not_allowed_is_said() {
    let mut run = serve(&[]);
    assert_eq!(raw(&run, "GET /nothing", "").status, 404);
    let refused = raw(&run, "DELETE /", "");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    let head = raw(&run, "HEAD /", "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn http_2_is_spoken_with_prior_knowledge() {
    let mut run = serve(&[]);
    let Some(reply) =
        curl(&["--http2-prior-knowledge", "-w", "%{http_version}", &url(&run, "/whoami")])
    else {
        return;
    };
    assert_eq!(reply.status, 200);
    assert!(reply.text().ends_with('2'), "not HTTP/2: {reply:?}");
    assert_eq!(reply.header("connection"), None);
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_unix_socket_is_an_address_like_any_other() {
    let launch = serving();
    let socket = launch.path("web.sock");
    let mut run = launch.args(["--listen", &format!("unix:{}?mode=600", text(&socket))]).start();
    run.wait_ready(2);
    assert!(run.stderr().contains(text(&socket)), "{}", run.stderr());
    if let Some(reply) = curl(&["--unix-socket", text(&socket), "http://localhost/"]) {
        assert_eq!(reply.status, 200);
    }
    assert_eq!(run.stop().code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn the_banner_says_where_and_how() {
    let mut run = serve(&["--name", "shop", "--notification", "some:3"]);
    let banner = run.stderr();
    let place = url(&run, "/");
    let limit = run.pool()["addresses"][0]["limit"].to_string();
    for words in
        [&place, &format!("buffer of {limit}"), "2 processes x 1 thread", "some:3: ", "at most 3"]
    {
        assert!(banner.contains(words), "no {words:?} in:\n{banner}");
    }
    for words in ["bellwether status --name shop", "Ctrl-C"] {
        assert!(banner.contains(words), "no {words:?} in:\n{banner}");
    }
    assert!(banner.lines().all(|line| line.chars().count() <= 80), "{banner}");
    assert_eq!(run.stop().code(), Some(0));
}

#[test]
fn a_buffer_that_the_kernel_clips_is_warned_about_with_both_numbers() {
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let most: u32 = most.trim().parse().unwrap();
    let Some(more) = most.checked_mul(2) else { return };
    let address = format!("127.0.0.1:0?backlog={more}");
    let mut run =
        Launch::of(PROGRAM).args(["serve", "--handlers", "1", "--listen", &address]).start();
    run.wait_ready(1);
    let log = run.stderr();
    let warning = log.lines().find(|line| line.contains("WARN")).unwrap_or_else(|| panic!("{log}"));
    for words in
        [format!("{more} was asked for"), format!("grants {most}"), format!("somaxconn={more}")]
    {
        assert!(warning.contains(&words), "no {words:?} in {warning}");
    }
    assert_eq!(run.stop().code(), Some(0));
}
