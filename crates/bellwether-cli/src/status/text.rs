//! A server's answer as people read it.

use std::fmt;

use bellwether::status::{PoolStatus, Status};

use super::pool;
use crate::words::{age, clean, counted};

/// A report as people read it, within 80 columns but for what is said in words.
///
/// A server of one pool is shown as one thing; where there are several, each has its block.
pub(super) struct Text<'a>(pub(super) &'a Status);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.pools.as_slice() {
            [only] => self.one(f, only),
            several => self.several(f, several),
        }
    }
}

impl Text<'_> {
    fn one(&self, f: &mut fmt::Formatter<'_>, pool: &PoolStatus) -> fmt::Result {
        self.head(f, &format!(", generation {}", pool.generation))?;
        if pool.state != self.0.state {
            writeln!(f, "pool        {}", pool.state)?;
        }
        pool::block(f, pool)
    }

    fn several(&self, f: &mut fmt::Formatter<'_>, pools: &[PoolStatus]) -> fmt::Result {
        self.head(f, "")?;
        pools.iter().try_for_each(|pool| {
            let PoolStatus { name, state, generation, .. } = pool;
            writeln!(f, "\npool        {name}, {state}, generation {generation}")?;
            pool::block(f, pool)
        })
    }

    fn head(&self, f: &mut fmt::Formatter<'_>, generation: &str) -> fmt::Result {
        let Status { name, version, pid, state, uptime_s, change, upgrades, lost_lines, .. } =
            self.0;
        let age = age(*uptime_s);
        writeln!(f, "server      {name}, bellwether {version}")?;
        writeln!(f, "state       {state} for {age}, pid {pid}{generation}")?;
        if let Some(change) = change {
            writeln!(f, "change      {}", clean(change))?;
        }
        if *upgrades > 0 {
            writeln!(f, "upgraded    {} since the start", counted(*upgrades, "time"))?;
        }
        if *lost_lines > 0 {
            writeln!(f, "log         {} lost", counted(*lost_lines, "line"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bellwether::status::{AddressStatus, HandlerStatus, Totals};
    use serde_json::{Value, json, to_value};

    use super::*;

    /// A default with this in place of all its numbers, and these words.
    fn large(default: serde_json::Result<Value>, number: u64, words: Value) -> Value {
        let Ok(Value::Object(mut map)) = default else { panic!("{default:?}") };
        for value in map.values_mut().filter(|it| it.is_number() || it.is_null()) {
            *value = number.into();
        }
        let Value::Object(words) = words else { panic!("{words}") };
        map.extend(words);
        Value::Object(map)
    }

    /// A pool full of large numbers, made as it arrives: from JSON.
    fn pool(name: &str) -> Value {
        let handler = |generation: u64| {
            let words = json!({"slot": 4095, "pid": 4_194_304, "generation": generation,
                "age_s": 8e7, "state": "starting", "corrupt": true});
            large(to_value(HandlerStatus::default()), 9_876_543, words)
        };
        let address = json!({"address": "x".repeat(100)});
        let words = json!({"name": name, "state": "announcing", "notification": "some:65535",
            "why": "fixed", "limited_by": "memory pressure", "serves": null,
            "addresses": [large(to_value(AddressStatus::default()), u32::MAX.into(), address)],
            "handlers": [handler(9999), handler(9998)],
            "totals": large(to_value(Totals::default()), 9_876_543, json!({}))});
        large(to_value(PoolStatus::default()), 4096, words)
    }

    fn status(state: &str, pools: &[Value]) -> Status {
        let words = json!({"name": "n".repeat(48), "state": state, "pools": pools, "change": null});
        serde_json::from_value(large(to_value(Status::default()), 4_194_304, words)).unwrap()
    }

    #[track_caller]
    fn check(status: &Status, wanted: &[&str], unwanted: &[&str]) -> String {
        let text = Text(status).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(wanted.iter().all(|it| text.contains(it)), "{text}");
        assert!(unwanted.iter().all(|it| !text.contains(it)), "{text}");
        text
    }

    #[test]
    fn the_largest_numbers_fit_into_80_columns() {
        let all = status("announcing", &[pool("p")]);
        let wanted = [
            "slot 4095: its telemetry contradicts itself",
            "generations 9998 (1 handler), 9999 (1 handler)",
            "announcing for 48d13h",
            "pid 4194304, generation 4096\nupgraded    4194304 times since the start\nlog         4194304 lines",
        ];
        check(&all, &wanted, &["pool  ", "change  "]);
    }

    #[test]
    fn of_programs_only_what_can_be_seen_is_shown() {
        let mut programs = pool("p");
        programs["serves"] = "concurrent".into();
        programs["handlers"][0]["processes"] = json!(vec![4_194_304; 100]);
        let all = status("serving", &[programs]);
        let wanted = [" 4194304 4194304 …\n", "each\n", "connections 9876543 open\n"];
        check(&all, &wanted, &["WAKES", "requests ", "waits "]);
    }

    #[test]
    fn a_pool_that_differs_from_its_server_says_so() {
        let all = status("serving", &[pool("p")]);
        check(&all, &["serving for", "\npool        announcing\n"], &[]);
    }

    #[test]
    fn every_pool_has_its_block() {
        let all = status("serving", &[pool("web"), pool(&"m".repeat(36))]);
        let text = check(&all, &["pid 4194304\n", "\n\npool        web, announcing, gen"], &[]);
        assert_eq!(text.matches("\nADDRESS").count(), 2, "{text}");
        assert_eq!(text.matches("\nbecause").count(), 2, "{text}");
    }

    #[test]
    fn a_change_is_shown_while_it_goes_on() {
        let mut all = status("serving", &[pool("p")]);
        (all.upgrades, all.lost_lines) = (0, 0);
        all.change = Some("reload: 1 of 4 handlers of generation 2 \u{7}".into());
        check(
            &all,
            &["change      reload: 1 of 4 handlers of generation 2 ?\n"],
            &["upgraded", "log  "],
        );
    }
}
