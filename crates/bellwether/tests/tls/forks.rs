//! What processes that were forked from one another must not have in common.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;

use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};

use crate::client::Trust;
use crate::kit::{Launch, PATIENCE, Pid, Run, example};
use crate::stage::{certify_by, pem, start};

const SHOP: (&str, &[&str]) = ("shop", &["shop.example"]);

/// The random bytes of a server's hello (RFC 8446, 4.1.3): record 5, handshake 4, version 2 before.
fn random(run: &Run, trust: &Trust) -> [u8; 32] {
    let mut stream = TcpStream::connect(run.socket_addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut hello = Vec::new();
    trust.session("shop.example").write_tls(&mut hello).unwrap();
    stream.write_all(&hello).unwrap();
    let mut answer = [0; 43];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!((answer[0], answer[5]), (22, 2), "a hello of a server");
    answer[11..].try_into().unwrap()
}

#[test]
fn no_two_handlers_roll_the_same_dice() {
    let mut run = start(&[SHOP], &["handlers=4", "notification=turn"]);
    let trust = Trust::of([pem(&run, "shop")]);
    let randoms: BTreeSet<_> = (0..40).map(|_| random(&run, &trust)).collect();
    assert_eq!(randoms.len(), 40);
    assert!(run.stop().success());
}

/// Whether these bytes are anywhere in the memory of a process that it may write.
fn is_in_memory(pid: Pid, wanted: &[u8]) -> bool {
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    maps.lines().filter(|line| line.contains(" rw")).any(|line| {
        let (begin, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [begin, end] = [begin, end].map(|it| u64::from_str_radix(it, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - begin).unwrap()];
        memory.read_exact_at(&mut bytes, begin).is_ok()
            && bytes.windows(wanted.len()).any(|window| window == wanted)
    })
}

/// The number that is secret in a key of the curve P-256 (RFC 5915): from the 36th byte on.
fn number(key: &KeyPair) -> Vec<u8> {
    key.serialized_der()[36..68].to_vec()
}

#[test]
fn the_spawner_keeps_no_key_and_nobody_a_text_of_it() {
    let mut launch = Launch::of(example("web")).args(["127.0.0.1:0", "handlers=1"]);
    let curve = KeyPair::generate().unwrap();
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    for (key, file) in [(&curve, "curve"), (&rsa, "rsa")] {
        certify_by(key, &launch.path(""), file, SHOP.1);
        launch = launch.arg(format!("tls={file}.pem,{file}.key"));
    }
    let mut run = launch.start();
    run.wait_ready(1);
    let (spawner, handler) = (run.pid(), run.handler_pids()[0]);
    let text = curve.serialize_pem() + &rsa.serialize_pem();
    let lines = text.lines().filter(|line| !line.contains("-----")).map(str::as_bytes);
    let parts = [number(&curve), rsa.serialized_der()[600..640].to_vec()];
    for part in lines.chain(parts.iter().map(Vec::as_slice)).filter(|part| part.len() >= 32) {
        assert!(!is_in_memory(spawner, part), "the spawner has {part:?}");
        assert!(!is_in_memory(handler, part), "a handler has {part:?}");
    }
    // As it is calculated with: the least significant byte first.
    let in_use: Vec<_> = number(&curve).into_iter().rev().collect();
    assert!(is_in_memory(handler, &in_use) && !is_in_memory(spawner, &in_use));
    assert!(run.stop().success());
}
