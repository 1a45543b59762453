//! Loads made up: each is a kind of traffic that breaks some rule.
//!
//! The same name and seed give the same requests on every machine. Services are lognormal with a
//! mean of 100 ms and a coefficient of variation of 2, as of web applications, unless said otherwise.

use std::f64::consts::TAU;

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp, LogNormal, Normal, Pareto};

use super::{Random, Request, Workload};

/// One kind of made-up load: its name, and what it is in one sentence.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// When its rate jumps, in seconds since its beginning, if it does.
    pub jump: Option<f64>,
    make: fn(u64) -> Workload,
}

impl Kind {
    /// Makes the requests.
    #[must_use]
    pub fn make(&self, seed: u64) -> Workload {
        let made = (self.make)(seed);
        Workload::new(self.name, made.requests().to_vec())
    }
}

/// All kinds: seven of theory, and five stand-ins for real traces of the same burstiness.
pub const KINDS: [Kind; 12] = [
    Kind {
        name: "const",
        what: "50 requests a second for an hour",
        jump: None,
        make: |seed| constant(50.0, 3600.0, seed),
    },
    Kind {
        name: "step",
        what: "20 a second, 200 a second for ten minutes, 20 again",
        jump: Some(600.0),
        make: step,
    },
    Kind {
        name: "sine",
        what: "10 to 200 a second and back within ten minutes, for an hour",
        jump: None,
        make: sine,
    },
    Kind {
        name: "flash",
        what: "5 a second, fifty times as many within ten seconds, slowly fewer",
        jump: Some(600.0),
        make: flash,
    },
    Kind {
        name: "heavy",
        what: "50 a second whose services have a heavy tail (Pareto, 1.5)",
        jump: None,
        make: heavy,
    },
    Kind {
        name: "mmpp",
        what: "10 a second, now and then 200 a second for two seconds",
        jump: None,
        make: mmpp,
    },
    Kind {
        name: "sparse",
        what: "ten requests within a second, every two minutes",
        jump: None,
        make: sparse,
    },
    Kind {
        name: "nasa",
        what: "like a web site in 1995 at twenty times its speed",
        jump: None,
        make: nasa,
    },
    Kind {
        name: "worldcup",
        what: "like a sports site on the evening of a match",
        jump: None,
        make: worldcup,
    },
    Kind {
        name: "twitter",
        what: "like a stream of short messages over two hours",
        jump: None,
        make: twitter,
    },
    Kind {
        name: "llm-code",
        what: "like a language model that completes code: bursts, long services",
        jump: None,
        make: llm_code,
    },
    Kind {
        name: "llm-chat",
        what: "like a language model that talks: steady, services of seconds",
        jump: None,
        make: llm_chat,
    },
];

/// Returns the kind of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Makes a load of a constant rate (requests a second) for so many seconds.
#[must_use]
pub fn constant(rate: f64, seconds: f64, seed: u64) -> Workload {
    poisson(seed, seconds, rate, |_| rate, &mut Service::web())
}

/// Makes a load whose rate jumps: for each stretch its seconds and its rate, with services of exactly
/// so many seconds.
#[must_use]
pub fn stretches(stretches: &[(f64, f64)], service: f64, seed: u64) -> Workload {
    let most = stretches.iter().map(|stretch| stretch.1).fold(1e-9, f64::max);
    let whole = stretches.iter().map(|stretch| stretch.0).sum();
    let rate = |at: f64| {
        let mut end = 0.0;
        let covers = |stretch: &&(f64, f64)| {
            end += stretch.0;
            at < end
        };
        stretches.iter().find(covers).map_or(0.0, |stretch| stretch.1)
    };
    poisson(seed, whole, most, rate, &mut |_: &mut Random| service)
}

fn step(seed: u64) -> Workload {
    let rate = |at: f64| if (600.0..1200.0).contains(&at) { 200.0 } else { 20.0 };
    poisson(seed, 1800.0, 200.0, rate, &mut Service::web())
}

fn sine(seed: u64) -> Workload {
    let rate = |at: f64| 105.0 + 95.0 * (TAU * at / 600.0).sin();
    poisson(seed, 3600.0, 200.0, rate, &mut Service::web())
}

fn flash(seed: u64) -> Workload {
    let rate = |at: f64| match at - 600.0 {
        before if before < 0.0 => 5.0,
        rising if rising < 10.0 => 5.0 + 24.5 * rising,
        after => 5.0 + 245.0 * (-(after - 10.0) / 120.0).exp(),
    };
    poisson(seed, 1800.0, 250.0, rate, &mut Service::web())
}

fn heavy(seed: u64) -> Workload {
    // A mean of 0.1 s: scale * shape / (shape - 1).
    let mut service = Service(Pareto::new(0.1 / 3.0, 1.5).ok());
    poisson(seed, 3600.0, 50.0, |_| 50.0, &mut service)
}

fn mmpp(seed: u64) -> Workload {
    bursts(seed, 3600.0, Phases { calm: (10.0, 20.0), burst: (200.0, 2.0) }, &mut Service::web())
}

fn sparse(seed: u64) -> Workload {
    let (mut random, mut service) = (Random::seed_from_u64(seed), Service::web());
    let (mut requests, mut at) = (Vec::new(), 0.0);
    while at < 7200.0 {
        at += exponential(&mut random, 120.0);
        for _ in 0..10 {
            at += exponential(&mut random, 0.1);
            requests.push(Request { at, service: service.draw(&mut random) });
        }
    }
    Workload::new("sparse", requests)
}

/// Visitors who ask for a page and what belongs to it, over a day's curve with a slow noise.
fn nasa(seed: u64) -> Workload {
    let mut random = Random::seed_from_u64(seed ^ 0x6e61_7361);
    let mut noise = Noise::new(0.995, 0.35);
    let rates = (0..4320).map(|second| {
        let hour = f64::from(second) / 180.0;
        let day = 1.0 + 0.75 * (TAU * (hour - 15.0) / 24.0).cos();
        24.0 * day * noise.next(&mut random)
    });
    let rates: Vec<f64> = rates.collect();
    overdispersed(seed, &rates, 1.6, &mut Service::web())
}

/// Hours of calm, a rise towards a match and its end, and a quick fall.
fn worldcup(seed: u64) -> Workload {
    let mut random = Random::seed_from_u64(seed ^ 0x7763_3938);
    let mut noise = Noise::new(0.98, 0.06);
    let hump = |minute: f64, at: f64, width: f64| (-((minute - at) / width).powi(2)).exp();
    let rates: Vec<f64> = (0..25_200)
        .map(|second| {
            let minute = f64::from(second) / 60.0;
            let rise = 85.0 * hump(minute, 275.0, 70.0) + 75.0 * hump(minute, 335.0, 22.0);
            (17.0 + rise) * noise.next(&mut random)
        })
        .collect();
    overdispersed(seed, &rates, 1.2, &mut Service::web())
}

/// A slow curve, a noise that remembers, and seconds of which one is busier than the next.
fn twitter(seed: u64) -> Workload {
    let mut random = Random::seed_from_u64(seed ^ 0x7477_6974);
    let mut noise = Noise::new(0.97, 0.12);
    let rates: Vec<f64> = (0..7200)
        .map(|second| {
            let curve = 1.0 + 0.35 * (TAU * f64::from(second) / 21_600.0).sin();
            60.0 * curve * noise.next(&mut random)
        })
        .collect();
    overdispersed(seed, &rates, 2.0, &mut Service::web())
}

fn llm_code(seed: u64) -> Workload {
    let mut service =
        Tokens { context: spread(2050.0, 0.95), answer: spread(28.0, 1.6), most: 800.0 };
    bursts(seed, 3500.0, Phases { calm: (0.4, 25.0), burst: (12.0, 5.0) }, &mut service)
}

fn llm_chat(seed: u64) -> Workload {
    let mut service =
        Tokens { context: spread(1150.0, 0.95), answer: spread(210.0, 0.8), most: 1500.0 };
    let rate = |at: f64| 5.5 + 1.5 * (TAU * at / 3500.0).sin();
    poisson(seed, 3500.0, 7.0, rate, &mut service)
}

/// How long a request is served.
trait Draw {
    fn draw(&mut self, random: &mut Random) -> f64;
}

impl<F: FnMut(&mut Random) -> f64> Draw for F {
    fn draw(&mut self, random: &mut Random) -> f64 {
        self(random)
    }
}

/// A distribution; one whose parameters are impossible draws zeros.
struct Service<D>(Option<D>);

impl Service<LogNormal<f64>> {
    const fn of(distribution: Option<LogNormal<f64>>) -> Self {
        Self(distribution)
    }

    fn web() -> Self {
        Self::of(spread(0.1, 2.0))
    }
}

impl<D: Distribution<f64>> Draw for Service<D> {
    fn draw(&mut self, random: &mut Random) -> f64 {
        self.0.as_ref().map_or(0.0, |distribution| distribution.sample(random))
    }
}

/// The service of a language model: for what it reads and what it writes.
struct Tokens {
    context: Option<LogNormal<f64>>,
    answer: Option<LogNormal<f64>>,
    /// The most that is written.
    most: f64,
}

impl Draw for Tokens {
    fn draw(&mut self, random: &mut Random) -> f64 {
        let mut of = |tokens: &Option<LogNormal<f64>>| tokens.map_or(0.0, |it| it.sample(random));
        let (context, answer) = (of(&self.context).min(8000.0), of(&self.answer).min(self.most));
        service_of_tokens(context, answer)
    }
}

/// Returns the seconds that a language model takes for so many tokens read and written.
///
/// The figures of the study of the Azure traces that the project's gates follow.
#[must_use]
pub fn service_of_tokens(context: f64, answer: f64) -> f64 {
    0.05 + 0.0001 * context + 0.02 * answer
}

/// A lognormal distribution by its mean and coefficient of variation.
fn spread(mean: f64, cv: f64) -> Option<LogNormal<f64>> {
    LogNormal::from_mean_cv(mean, cv).ok()
}

fn exponential(random: &mut Random, mean: f64) -> f64 {
    Exp::new(1.0 / mean).map_or(mean, |distribution| distribution.sample(random))
}

/// A factor around 1 that changes slowly: the exponential of a process that remembers.
struct Noise {
    memory: f64,
    spread: f64,
    state: f64,
}

impl Noise {
    const fn new(memory: f64, spread: f64) -> Self {
        Self { memory, spread, state: 0.0 }
    }

    fn next(&mut self, random: &mut Random) -> f64 {
        let fresh = (1.0 - self.memory * self.memory).sqrt() * self.spread;
        let shock = Normal::new(0.0, fresh).map_or(0.0, |normal| normal.sample(random));
        self.state = self.memory * self.state + shock;
        self.state.exp()
    }
}

/// A Poisson process whose rate changes, by thinning one of the highest rate.
fn poisson(
    seed: u64,
    seconds: f64,
    highest: f64,
    rate: impl Fn(f64) -> f64,
    service: &mut impl Draw,
) -> Workload {
    let mut random = Random::seed_from_u64(seed);
    let (mut requests, mut at) = (Vec::new(), 0.0);
    loop {
        at += exponential(&mut random, 1.0 / highest);
        if at > seconds {
            return Workload::new("poisson", requests);
        }
        if random.random::<f64>() * highest < rate(at) {
            requests.push(Request { at, service: service.draw(&mut random) });
        }
    }
}

/// Of both phases the rate and the mean length.
struct Phases {
    calm: (f64, f64),
    burst: (f64, f64),
}

/// A Poisson process with two rates, between which it changes by chance.
fn bursts(seed: u64, seconds: f64, phases: Phases, service: &mut impl Draw) -> Workload {
    let mut random = Random::seed_from_u64(seed);
    let (mut requests, mut start, mut is_burst) = (Vec::new(), 0.0, false);
    while start < seconds {
        let (rate, length) = if is_burst { phases.burst } else { phases.calm };
        let end = start + exponential(&mut random, length);
        let mut at = start + exponential(&mut random, 1.0 / rate);
        while at < end {
            requests.push(Request { at, service: service.draw(&mut random) });
            at += exponential(&mut random, 1.0 / rate);
        }
        (start, is_burst) = (end, !is_burst);
    }
    Workload::new("bursts", requests)
}

/// Requests by a rate for each second, in small groups: the variance of a second's count is that
/// many times its mean.
fn overdispersed(seed: u64, rates: &[f64], dispersion: f64, service: &mut impl Draw) -> Workload {
    let mut random = Random::seed_from_u64(seed);
    let mut requests = Vec::new();
    // Groups of a geometric size with this mean have a variance of 2 size - 1 times the mean.
    let size = f64::midpoint(dispersion, 1.0);
    for (second, rate) in rates.iter().enumerate() {
        let mut at = exponential(&mut random, size / rate.max(1e-9));
        while at < 1.0 {
            loop {
                let at = second as f64 + at + 0.05 * random.random::<f64>();
                requests.push(Request { at, service: service.draw(&mut random) });
                if random.random::<f64>() < 1.0 / size {
                    break;
                }
            }
            at += exponential(&mut random, size / rate.max(1e-9));
        }
    }
    Workload::new("counts", requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_seed_are_always_the_same_requests() {
        for kind in &KINDS {
            let one = kind.make(7);
            assert_eq!(one, named(kind.name).unwrap().make(7), "{}", kind.name);
            assert_ne!(one.requests(), kind.make(8).requests(), "{}", kind.name);
            assert_eq!(one.name(), kind.name);
        }
        assert!(named("unheard-of").is_none());
    }

    #[test]
    fn loads_have_the_rates_that_they_say() {
        let check = |name: &str, rate: f64, load: (f64, f64)| {
            let made = named(name).unwrap().make(1);
            let found = made.requests().len() as f64 / made.duration();
            assert!((found / rate - 1.0).abs() < 0.15, "{name}: {found:.1} a second");
            let offered = made.offered_load();
            assert!((load.0..load.1).contains(&offered), "{name}: {offered:.1} Erlang");
        };
        check("const", 50.0, (4.5, 5.5));
        check("step", 80.0, (7.0, 9.0));
        check("sine", 105.0, (9.0, 12.0));
        check("heavy", 50.0, (2.5, 8.0));
        check("mmpp", 27.0, (2.0, 3.5));
        check("twitter", 70.0, (5.0, 9.0));
        check("llm-chat", 5.5, (15.0, 35.0));
    }

    #[test]
    fn stretches_have_their_own_rates() {
        let made = stretches(&[(10.0, 20.0), (10.0, 200.0)], 0.1, 1);
        let late = made.requests().iter().filter(|request| request.at >= 10.0).count();
        let early = made.requests().len() - late;
        assert!((150..250).contains(&early) && (1800..2200).contains(&late), "{early} {late}");
        assert!(made.requests().iter().all(|request| request.service == 0.1));
    }

    #[test]
    fn bursts_are_burstier_than_chance() {
        let dispersion = |workload: &Workload| {
            // Between 0 and the length of the workload.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let mut counts = vec![0.0; workload.duration() as usize + 1];
            for request in workload.requests() {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let second = request.at as usize;
                counts[second] += 1.0;
            }
            let mean = counts.iter().sum::<f64>() / counts.len() as f64;
            let squares = counts.iter().map(|count: &f64| (count - mean).powi(2));
            squares.sum::<f64>() / counts.len() as f64 / mean
        };
        assert!((0.9..1.1).contains(&dispersion(&constant(50.0, 3600.0, 1))));
        assert!(dispersion(&named("mmpp").unwrap().make(1)) > 20.0);
        assert!(dispersion(&named("nasa").unwrap().make(1)) > 3.0);
    }
}
