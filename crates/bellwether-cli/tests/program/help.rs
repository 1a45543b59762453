//! What the program says about itself.

use std::process::{Command, Output};

use crate::stage::PROGRAM;

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

#[test]
fn help_and_version_are_not_errors() {
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["--version"],
        &["help"],
        &["serve", "--help"],
        &["dev", "--help"],
        &["status", "-h"],
        &["start", "--help"],
        &["check", "-h"],
        &["generate", "--help"],
        &["generate", "systemd", "--help"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn every_help_shows_examples_and_the_exit_statuses() {
    let commands = ["serve", "dev", "start", "check", "generate", "status"];
    let helps = commands.map(|command| vec![command, "--help"]);
    for arguments in helps.iter().chain([&vec!["--help"]]) {
        let text = String::from_utf8(run(arguments).stdout).unwrap();
        for words in ["Examples:", "Exit status:", "  64 ", "  66 ", "  69 ", "  70 ", "  78 "] {
            assert!(text.contains(words), "no {words:?} in {arguments:?}:\n{text}");
        }
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "more than 80 columns: {line}");
        }
    }
}

#[test]
fn what_a_running_server_can_be_told_has_its_own_statuses() {
    for verb in ["scale", "reload", "upgrade", "drain", "stop", "events", "why"] {
        let output = run(&[verb, "--help"]);
        assert!(output.status.success() && output.stderr.is_empty(), "{verb}");
        let text = String::from_utf8(output.stdout).unwrap();
        for words in ["Examples:", "  69 ", "  70 ", "  75 ", "  77 ", "--json", "--name"] {
            assert!(text.contains(words), "no {words:?} in {verb}:\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let may_cut = ["drain", "stop"].contains(&verb);
        assert_eq!(text.contains("\n  3   done, but connections were cut\n"), may_cut, "{text}");
    }
}

#[test]
fn a_change_tells_what_it_reads_and_what_stays() {
    for (command, words) in [
        ("reload", &["configuration file anew", "name cannot change", "until `scale auto`"][..]),
        ("upgrade", &["configuration file anew"]),
        ("drain", &["does not come back", "only with a restart"]),
        ("serve", &["still being sent counts"]),
        ("dev", &["answered by the new code", "what .gitignore leaves out"]),
    ] {
        let text = String::from_utf8(run(&[command, "--help"]).stdout).unwrap();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.iter().all(|it| text.contains(it)), "{words:?} are not in:\n{text}");
    }
}

#[test]
fn nothing_to_do_is_a_wrong_command_line() {
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Usage:"));
}

#[test]
fn run_shows_and_takes_only_what_has_an_effect_on_programs() {
    let help = |verb: &str| String::from_utf8(run(&[verb, "--help"]).stdout).unwrap();
    for (option, value) in [
        ("--threads", "2"),
        ("--connections", "2"),
        ("--label-requests", "on"),
        ("--soft-deadline", "1s"),
        ("--hard-deadline", "1s"),
        ("--max-requests", "5"),
        ("--shed", "on"),
    ] {
        assert!(help("serve").contains(option) && !help("run").contains(option), "{option}");
        let output = run(&["run", option, value, "--", "sleep", "9"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{said}");
        let key = option.trim_start_matches('-');
        assert!(said.contains(&format!("{key}: it has no effect on a program; ")), "{said}");
    }
    assert!(help("run").contains("--pass port: all, some:K"));
}

#[test]
fn an_option_that_run_does_not_have_is_not_taken_for_the_program() {
    let output = run(&["run", "--usr", "nobody", "--", "sleep", "9"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("`--usr`") && said.contains("behind `--`"), "{said}");
}
