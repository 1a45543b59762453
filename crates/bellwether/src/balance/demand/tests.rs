use proptest::prelude::*;

use super::super::Resources;
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const TENTH: Duration = Duration::from_millis(100);

fn reading(now: Duration, busy: f64, depth: u32) -> Reading {
    Reading { now, busy, depth, ..Reading::default() }
}

/// The three kinds of handlers that rules are compared with.
fn spawn_times() -> [(Duration, Duration); 3] {
    [(SECOND / 200, SECOND), (TENTH, 10 * SECOND), (2 * SECOND, 60 * SECOND)]
}

#[test]
fn what_waits_where_nobody_is_alive_gets_a_handler_at_once() {
    for (spawn_time, spawn_cost) in spawn_times() {
        let waits = Reading { spawn_time, spawn_cost, ..reading(SECOND, 0.0, 1) };
        assert!(Demand::new(Slo::default()).decide(&waits).target >= 1);
    }
}

#[test]
fn nothing_to_do_for_the_hold_is_no_handler() {
    for (spawn_time, spawn_cost) in spawn_times() {
        let mut rule = Demand::new(Slo::default());
        let at = |now, busy| Reading { spawn_time, spawn_cost, ..reading(now, busy, 0) };
        let mut decision = rule.decide(&at(SECOND, 1.0));
        assert_eq!(decision.target, 1);
        let mut asked = 0;
        while let Some(again) = decision.again {
            decision = rule.decide(&at(again, 0.0));
            asked += 1;
            assert!(asked < 100, "{decision:?}");
        }
        assert_eq!(decision.target, 0);
    }
}

#[test]
fn at_the_fewest_handlers_allowed_nothing_is_pending() {
    let mut rule = Demand::new(Slo::default());
    rule.decide(&Reading { min: 2, ..reading(SECOND, 1.0, 0) });
    let idle = Reading { min: 2, handlers: 2, ..reading(SECOND * 2, 0.0, 0) };
    assert_eq!(rule.decide(&idle).again, None);
}

#[test]
fn threads_share_handlers() {
    let mut rule = Demand::new(Slo::default());
    let busy = Reading { threads: 4, handlers: 2, ..reading(SECOND, 8.0, 1) };
    assert_eq!(rule.decide(&busy).target, 3);
}

#[test]
fn it_says_why() {
    let mut rule = Demand::new(Slo::default());
    let why = rule.decide(&reading(SECOND, 3.0, 0)).why;
    assert_eq!(why, "demand: 3.0 busy + 0 waiting");
    let why = rule.decide(&reading(SECOND + SECOND / 2, 1.0, 0)).why;
    assert_eq!(why, "demand: 1.0 busy + 0 waiting; held for 1.0 s more");
}

#[test]
fn it_says_what_the_reserve_is_for() {
    let mut rule = Demand::new(Slo::default());
    let mut why = String::new();
    for tick in 1..100 {
        let busy = Reading { handlers: 20, ..reading(TENTH * tick, 5.0, 0) };
        let (accepted, late) = (u64::from(tick) * 5, u64::from(tick));
        why = rule.decide(&Reading { accepted, late, spawn_time: 2 * SECOND, ..busy }).why;
    }
    assert!(
        why.contains("5.0 busy") && why.ends_with(" spare for the 2.0 s a handler takes"),
        "{why}"
    );
}

#[test]
fn a_burst_in_the_buffer_is_answered_at_once_and_whole() {
    let mut rule = Demand::new(Slo::default());
    rule.decide(&Reading { handlers: 5, ..reading(SECOND, 5.0, 0) });
    let burst = Reading { handlers: 5, ..reading(SECOND + TENTH, 5.0, 20) };
    assert!(rule.decide(&burst).target >= 25);
}

#[test]
fn lateness_shows_even_where_nobody_reports_it() {
    let price = |late: bool| {
        let mut rule = Demand::new(Slo::default());
        for tick in 1..100 {
            let depth = if late { 10 } else { 0 };
            let busy = Reading { handlers: 5, ..reading(TENTH * tick, 5.0, depth) };
            // 5 a tick are taken: 10 of those who wait do so for 200 ms.
            rule.decide(&Reading { accepted: u64::from(tick) * 5, ..busy });
        }
        rule.price.get()
    };
    assert!(price(true) > 10.0 * price(false), "{} {}", price(true), price(false));
}

/// A reading that nothing honest needs to have made.
fn anything() -> impl Strategy<Value = Reading> {
    let number = prop_oneof![
        8 => 0.0..50.0,
        1 => any::<f64>(),
        1 => Just(f64::NAN),
    ];
    let count = || prop_oneof![8 => 0_u64..10_000, 1 => any::<u64>()];
    let small = || prop_oneof![8 => 0_usize..100, 1 => any::<usize>()];
    let time =
        || prop_oneof![8 => 0_u64..20_000, 1 => any::<u64>()].prop_map(Duration::from_millis);
    let occasion = prop_oneof![
        Just(Occasion::Tick),
        Just(Occasion::Doorbell),
        Just(Occasion::Ready),
        Just(Occasion::Ended),
    ];
    let depth = prop_oneof![8 => 0_u32..20, 1 => any::<u32>()];
    let handlers = (small(), small(), small(), small(), small());
    ((time(), time(), time()), occasion, handlers, (number, depth), (count(), count())).prop_map(
        |((now, spawn_time, spawn_cost), occasion, handlers, (busy, depth), (accepted, late))| {
            let (handlers, starting, threads, min, max) = handlers;
            let resources = Resources::default();
            Reading {
                now,
                occasion,
                handlers,
                // Their sum is what the server can count.
                starting: starting.min(usize::MAX - handlers),
                threads,
                busy,
                depth,
                accepted,
                late,
                min,
                max,
                spawn_time,
                spawn_cost,
                resources,
            }
        },
    )
}

proptest! {
    // 2000 histories of 50 readings: 100,000 adversarial readings.
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_reading_makes_it_panic_or_want_the_absurd(
        readings in prop::collection::vec(anything(), 50),
    ) {
        let mut rule = Demand::new(Slo::default());
        for reading in readings {
            let decision = rule.decide(&reading);
            // A number once wanted may be held as the largest of its rung.
            prop_assert!(decision.target <= 1_000_000, "{decision:?}");
            prop_assert!(reading.depth == 0 || decision.target > 0, "{decision:?}");
            prop_assert!(decision.again.is_none_or(|again| again >= reading.now), "{decision:?}");
            prop_assert!(decision.why.len() < 200, "{}", decision.why);
        }
    }

    #[test]
    fn without_a_queue_it_does_not_matter_how_many_handlers_there_are(
        busy in prop::collection::vec(0_u8..20, 50), kind in 0_usize..3,
    ) {
        // Who does not see himself in what he measures cannot swing.
        let (spawn_time, spawn_cost) = spawn_times()[kind];
        let targets = |handlers| {
            let mut rule = Demand::new(Slo::default());
            let decide = |(tick, busy): (usize, &u8)| {
                let (now, accepted) = (TENTH * u32::try_from(tick).unwrap(), tick as u64 * 7);
                let reading = reading(now, f64::from(*busy), 0);
                rule.decide(&Reading { handlers, accepted, spawn_time, spawn_cost, ..reading }).target
            };
            busy.iter().enumerate().map(decide).collect::<Vec<_>>()
        };
        prop_assert_eq!(targets(20), targets(200));
    }

    #[test]
    fn what_is_held_was_wanted_and_what_is_wanted_is_there(
        steps in prop::collection::vec((0.0..5.0, 0_usize..300), 100),
        late in 0.0..30.0,
    ) {
        let (mut hold, stakes) = (Hold::default(), Stakes { spawn: 10.0, late });
        let (mut now, mut past) = (0.0, Vec::new());
        for (passed, wanted) in steps {
            now += passed;
            past.push((now, wanted));
            let kept = hold.push(now, wanted, stakes);
            // Nothing longer ago than the longest hold counts, nor anything that was not wanted.
            let recent = past.iter().filter(|(at, _)| now - at <= 10.0 * 64.0);
            prop_assert!(kept >= wanted);
            prop_assert!(recent.clone().any(|(_, wanted)| *wanted == kept), "{kept}");
            // No number is given up so soon that wanting it again would make a spawn of each want.
            let least = recent.filter(|(at, _)| now - at < 10.0 / 16.0).map(|(_, wanted)| *wanted);
            prop_assert!(kept >= least.max().unwrap_or(0));
        }
    }
}
