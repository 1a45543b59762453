//! Asynchronous handlers behind a gate.

use crate::entries::{finish, total};
use crate::kit::{Launch, example};
use crate::pool::Held;
use crate::{assert_shed, end_of_overload, overload};

#[test]
fn the_late_are_closed_before_the_handler_sees_them() {
    let words = ["127.0.0.1:0", "1", "handlers=1", "shed=on"];
    let run = Launch::of(example("gate")).args(words).start();
    run.wait_ready(1);
    let address = run.socket_addr();
    let held = Held::open(address);
    let mut late: Vec<_> = (0..3).map(|_| Held::ask(address)).collect();
    overload(&run);
    held.release();
    assert!(late.iter_mut().all(|it| it.rest().is_empty()));
    end_of_overload(&run, 3);
    Held::open(address).release();
    assert_shed(&run, 3);
    assert_eq!(total(&run, "requests"), 2, "what is sent away is no request");
    finish(run);
}
