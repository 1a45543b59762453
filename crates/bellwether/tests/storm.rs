//! Handlers killed at random under load: nothing is lost but what they held.

use std::thread;
use std::time::{Duration, Instant};

use kit::{
    Killer, Launch, LiveSeries, Load, Until, Verdict, ZombieWatch, assert_conserved, eventually,
    example, usage,
};

mod kit;

const LASTING: Duration = Duration::from_secs(30);
const HANDLERS: usize = 8;

#[test]
fn twenty_kills_a_second_cost_only_what_the_killed_held() {
    let launch = Launch::of(example("pool"));
    let record = launch.path("record");
    let word = format!("record={}", record.display());
    let mut run = launch.args(["127.0.0.1:0", "handlers=8", &word]).start();
    run.wait_ready(HANDLERS);
    let descriptors = usage::descriptors(run.pid());
    let address = run.socket_addr();
    let zombies = ZombieWatch::over(run.pid());
    let live = LiveSeries::of(&run);
    let (ledger, kills) = thread::scope(|scope| {
        let client = scope.spawn(move || {
            let until = Until::Time(Instant::now() + LASTING);
            let patience = Duration::from_secs(10);
            Load { address, clients: 6, until, patience, pace: Duration::from_millis(1) }.run()
        });
        let kills = Killer { per_second: 20, lasting: LASTING, seed: 1 }.run(&run);
        (client.join().expect("the load ends"), kills)
    });
    run.wait_ready(HANDLERS);
    assert!(live.longest_below(HANDLERS) < Duration::from_secs(1), "a death is made good in time");
    zombies.assert_none();
    let verdict = Verdict::join(&ledger, &record);
    verdict.assert_only_owned_by(&kills, 1);
    // The promise would be empty if nothing had been killed or answered.
    assert!(kills.len() > 300, "{} kills", kills.len());
    assert!(verdict.answered > 1000, "{} answers", verdict.answered);
    // A control connection may have been open at the first count, or at one of these.
    eventually(kit::PATIENCE, "the spawner to hold no more descriptors than before", || {
        (usage::descriptors(run.pid()) <= descriptors).then_some(())
    });
    let status = run.status();
    assert_conserved(&status);
    assert_eq!(
        kit::control::pool(&status)["totals"]["crashed"].as_u64(),
        u64::try_from(kills.len()).ok()
    );
    run.stop();
}
