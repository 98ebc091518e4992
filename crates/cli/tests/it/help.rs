//! `--help` of every command is read here before customers read it.

use crate::support::{run, stdout};

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| line.starts_with("  "));
    let names = listed
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

fn walk(path: &[String], all: &mut Vec<(String, String)>) {
    let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
    args.push("--help");
    let output = run(&args);
    assert!(output.status.success(), "{args:?}");
    let text = stdout(&output);
    for command in commands(&text) {
        walk(&[path, &[command]].concat(), all);
    }
    all.push((path.join(" "), text));
}

fn every_help() -> Vec<(String, String)> {
    let mut all = Vec::new();
    walk(&[], &mut all);
    all.sort();
    all
}

#[test]
fn every_command_has_a_sentence_and_examples() {
    let all = every_help();
    assert!(all.len() > 50, "only {} commands", all.len());
    for (path, text) in &all {
        // A group of one kind inside a group shows its examples with its commands.
        let group = text.contains("\nCommands:\n") && path.contains(' ');
        assert!(group || text.contains("Examples:"), "`tenure {path}` has no examples:\n{text}");
        let sentence = text.lines().next().unwrap_or_default();
        assert!(
            sentence.split_whitespace().count() >= 2,
            "`tenure {path}` says nothing: {sentence}"
        );
    }
}

#[test]
fn help_is_what_was_read() {
    let all = every_help();
    let all: Vec<String> =
        all.iter().map(|(path, text)| format!("$ tenure {path} --help\n{text}")).collect();
    insta::assert_snapshot!(
        "help",
        all.join("\n------------------------------------------------\n")
    );
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        assert!(output.status.success() && stdout(&output).contains("subscription"), "{shell}");
    }
}
