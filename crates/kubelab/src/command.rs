//! Other people's programs: run to the end, with an error that shows what they said.

use std::{
    ffi::OsStr,
    process::{Command, Output, Stdio},
};

use crate::error::{Ended, Error};

/// Runs a program and gives its standard output; a failure carries the end of both outputs.
pub fn run(program: impl AsRef<OsStr>, args: &[&str]) -> Result<String, Error> {
    let mut command = Command::new(program);
    command.args(args);
    finish(&mut command)
}

/// Like [`run`], for a command that needs more than arguments.
pub fn finish(command: &mut Command) -> Result<String, Error> {
    let output = command.stdin(Stdio::null()).output();
    judge(command, output)
}

/// Whether the program runs and succeeds; its words do not matter.
pub fn succeeds(program: &str, args: &[&str]) -> bool {
    run(program, args).is_ok()
}

fn judge(command: &Command, output: std::io::Result<Output>) -> Result<String, Error> {
    let failed = |status, output| Error::Command {
        command: line(command),
        status,
        output,
    };
    let output = output.map_err(|error| failed(Ended::NotStarted(error), String::new()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let both = [output.stdout, output.stderr].concat();
    Err(failed(
        Ended::With(output.status),
        tail(&String::from_utf8_lossy(&both), 20),
    ))
}

/// Longer lines say the same thing several times over, each time quoted once more.
const LONGEST_LINE: usize = 400;

/// The last lines of a text, each on a line of its own; empty for an empty text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let last = all.iter().skip(all.len().saturating_sub(lines));
    let short = |line: &&str| line.chars().take(LONGEST_LINE).collect::<String>();
    last.flat_map(|line| ["\n    ".to_owned(), short(line)])
        .collect()
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_failed_program_shows_command_status_and_words() {
        let error = run("sh", &["-c", "echo out; echo why >&2; exit 3"])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`sh -c")
                && error.contains("exit status: 3")
                && error.contains("\n    why"),
            "{error}"
        );
    }

    #[test]
    fn tail_keeps_the_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "\n    b\n    c");
        assert_eq!(tail("", 2), "");
    }
}
