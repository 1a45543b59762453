//! What handlers take of the machine and what it costs to make one, measured for the balance.

use std::time::Duration;

use super::processor_time::ProcessorTime;
use super::{Pool, cgroup, free_memory, memory};
use crate::balance::{Reading, Resources};
use crate::handler::Manner;
use crate::proc::usage;

/// How old a measurement of processor time may be before it is made anew.
const FRESH: Duration = Duration::from_millis(90);
/// How many handlers are asked for their processor time at once, in turn.
const AT_ONCE: usize = 64;
/// How long it takes from one measurement of the machine, and of the memory of a handler in turn, to the
/// next: the kernel walks all pages of a process for it.
const MACHINE: Duration = Duration::from_secs(1);
/// The time in which a processor that handlers of many connections want is averaged.
const WANTED: f64 = 0.5;
/// With how much of a processor a thread of many connections is full: one that is asked for more
/// than all of it cannot show that.
const FULL: f64 = 0.8;
/// The weight of the last birth in the average of the time that a handler takes.
const LAST_BIRTH: f64 = 0.2;

/// Memory that an idle processor costs as much as: the price of machines to rent.
const PER_PROCESSOR: f64 = 4.0 * GIBIBYTE;
const GIBIBYTE: f64 = (1 << 30) as f64;
/// A process costs no less than this: tables and stacks in the kernel, pages it will soon touch.
const LEAST_MEMORY: f64 = (4 << 20) as f64;
/// Making one costs no less than this: the spawner's and the template's part.
const LEAST_WORK: f64 = 0.001;

/// What is known of the costs.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    /// What handlers have used that are gone.
    gone: ProcessorTime,
    /// Whose turn it is to be asked.
    turn: usize,
    measured_at: Option<Duration>,
    /// How many processors handlers of many connections would use, on average lately.
    wanted: f64,
    /// From the order for a handler until it was ready, in seconds; averaged.
    spawn_time: Option<f64>,
    /// Processor seconds that a handler had used when it was ready; averaged.
    spawn_work: Option<f64>,
    machine_at: Option<Duration>,
    /// How many processors we may use: by affinity and by the quota of our control group.
    processors: f64,
    memory_turn: usize,
    /// What the last handlers measured have of memory, in bytes.
    handler_memory: Option<u64>,
    free_memory: Option<u64>,
    memory_pressure: f64,
    memory_stall: f64,
}

impl Meter {
    /// A handler is ready.
    fn note_birth(&mut self, took: Duration, used: Option<ProcessorTime>) {
        let average = |before: Option<f64>, now: f64| {
            Some(before.map_or(now, |before| before + LAST_BIRTH * (now - before)))
        };
        self.spawn_time = average(self.spawn_time, took.as_secs_f64());
        if let Some(used) = used {
            self.spawn_work = average(self.spawn_work, used.used.as_secs_f64());
        }
    }

    /// A handler is gone that had used so much when it was asked last.
    pub(super) fn note_death(&mut self, used: Option<(ProcessorTime, ProcessorTime)>) {
        let used = used.map(|(first, last)| last.since(first));
        self.gone = self.gone.and(used.unwrap_or_default());
    }
}

/// For how long one idle handler could be kept for what it costs to make another, in seconds.
///
/// The work of making one, at the price of a processor, against the memory that it keeps, at the
/// price of memory; between one second and five minutes.
fn spawn_cost(work: Option<f64>, memory: Option<u64>) -> f64 {
    let work = work.unwrap_or(0.0).max(LEAST_WORK);
    let memory = memory.map_or(LEAST_MEMORY, |bytes| bytes as f64).max(LEAST_MEMORY);
    (work * PER_PROCESSOR / memory).clamp(1.0, 300.0)
}

impl Pool {
    /// Measures what is due to be measured.
    pub(super) fn measure_handlers(&mut self, now: Duration) {
        let since = self.meter.measured_at.map_or(FRESH, |at| now.saturating_sub(at));
        if since >= FRESH {
            self.meter.measured_at = Some(now);
            let wanted = self.ask_for_processor_time().as_secs_f64() / since.as_secs_f64();
            let weight = 1.0 - (-since.as_secs_f64() / WANTED).exp();
            self.meter.wanted += weight * (wanted - self.meter.wanted);
        }
        if self.meter.machine_at.is_none_or(|at| now.saturating_sub(at) >= MACHINE) {
            self.meter.machine_at = Some(now);
            self.meter.processors = cgroup::processors();
            self.measure_memory();
        }
    }

    /// Asks handlers in turn, and returns how much more they wanted since they were asked last.
    fn ask_for_processor_time(&mut self) -> Duration {
        let threads = self.pattern.threads_of_a_handler();
        let (all, first) = (self.slots.len(), self.meter.turn);
        let mut more = Duration::ZERO;
        for k in 0..all.min(AT_ONCE) {
            let slot = &mut self.slots[(first + k) % all];
            let times =
                slot.processes().into_iter().filter_map(|it| ProcessorTime::of(it, threads));
            let Some(now) = times.reduce(ProcessorTime::and) else { continue };
            let Some(occupant) = &mut slot.occupant else { continue };
            let (_, last) = occupant.used.get_or_insert((now, now));
            let now = now.or_before(*last);
            more += now.since(*last).wanted();
            *last = now;
        }
        self.meter.turn = if all == 0 { 0 } else { (first + AT_ONCE) % all };
        more
    }

    fn measure_memory(&mut self) {
        self.meter.free_memory = free_memory::free();
        let pressure = memory::pressures().unwrap_or_default();
        (self.meter.memory_pressure, self.meter.memory_stall) = pressure;
        let serving: Vec<_> = self.slots.iter().filter(|slot| slot.pid().is_some()).collect();
        let Some(turn) = self.meter.memory_turn.checked_rem(serving.len()) else { return };
        self.meter.memory_turn = turn + 1;
        let each = serving[turn].processes().into_iter().filter_map(usage::pss);
        if let Some(now) = each.reduce(u64::saturating_add) {
            // The fattest of the last ones counts, and is forgotten by and by.
            let before = self.meter.handler_memory.unwrap_or(0);
            self.meter.handler_memory = Some(now.max(before - before / 16));
        }
    }

    /// Notes what it took to make a handler that is ready.
    pub(super) fn note_birth(&mut self, index: usize) {
        let threads = self.pattern.threads_of_a_handler();
        let slot = &self.slots[index];
        let Some(occupant) = slot.occupant.as_ref().filter(|_| self.is_elastic()) else { return };
        let template = self.templates.iter().find(|it| it.generation == slot.generation);
        // Loading the application is not part of making a handler.
        let Some(loaded_at) = template.and_then(|it| it.loaded_at) else { return };
        let Some(ready_at) = occupant.ready_at else { return };
        let used = slot.pid().and_then(|pid| ProcessorTime::of(pid, threads));
        let since = occupant.asked_at.max(loaded_at);
        self.meter.note_birth(ready_at.saturating_sub(since), used);
    }

    /// Adds what was measured to a reading.
    pub(super) fn with_measures(&self, reading: Reading) -> Reading {
        let meter = &self.meter;
        let living = self.slots.iter().filter_map(|slot| slot.occupant.as_ref()?.used);
        let living = living.map(|(first, last)| last.since(first));
        let used = living.fold(meter.gone, ProcessorTime::and);
        let seconds = |value: f64| Duration::try_from_secs_f64(value).unwrap_or_default();
        let resources = Resources {
            processors: meter.processors,
            processor_time: used.used,
            run_delay: used.delayed,
            handler_memory: meter.handler_memory,
            free_memory: meter.free_memory,
            memory_pressure: meter.memory_pressure,
            memory_stall: meter.memory_stall,
        };
        let (busy, depth, workers) = match self.pattern.manner {
            Manner::Serial => (reading.busy, reading.depth, 1),
            // As many threads as could hold what waits; it is not one a connection.
            Manner::Concurrent { room, workers, .. } => {
                let room = u32::try_from(room).unwrap_or(u32::MAX).max(1);
                // Who is full of connections that want no processor needs another beside it, too.
                let full = reading.busy * workers as f64;
                ((meter.wanted / FULL).max(full), reading.depth.div_ceil(room), workers)
            }
        };
        // While nobody takes what has waited for long, those who say that they wait are frozen.
        let frozen = if self.stands { self.free() * workers } else { 0 };
        let busy = busy + frozen as f64;
        Reading {
            busy,
            depth,
            threads: reading.threads * workers,
            spawn_time: meter.spawn_time.map_or(reading.spawn_time, seconds),
            spawn_cost: seconds(spawn_cost(meter.spawn_work, meter.handler_memory)),
            resources,
            ..reading
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dear_start_is_worth_a_long_wait_and_much_memory_a_short_one() {
        const MEBIBYTE: u64 = 1 << 20;
        let check = |work, memory: Option<u64>, expected: f64| {
            let cost = spawn_cost(work, memory.map(|size| size * MEBIBYTE));
            assert!((cost - expected).abs() < 0.01, "{cost}");
        };
        check(None, None, 1.024);
        check(Some(0.0001), Some(0), 1.024);
        check(Some(0.3), Some(30), 40.96);
        check(Some(2.0), Some(200), 40.96);
        check(Some(60.0), Some(64), 300.0);
        check(Some(0.001), Some(4096), 1.0);
    }

    #[test]
    fn the_first_birth_counts_in_full_and_the_next_ones_a_fifth() {
        let mut meter = Meter::default();
        let used = ProcessorTime { used: Duration::from_millis(10), delayed: Duration::ZERO };
        meter.note_birth(Duration::from_millis(100), Some(used));
        assert_eq!((meter.spawn_time, meter.spawn_work), (Some(0.1), Some(0.01)));
        meter.note_birth(Duration::from_millis(200), None);
        assert!((meter.spawn_time.unwrap() - 0.12).abs() < 1e-9);
        assert_eq!(meter.spawn_work, Some(0.01));
    }
}
