//! `devctl ssh`: writes what the stock client needs and then becomes the stock client.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::Path,
    process::Command,
};

use devserver_api::group;

use super::reach;
use crate::{
    access::{self, Access},
    args::{DEFAULT_NAME, Global, Ssh, check_name},
    exit::Exit,
    failure::{Failure, Outcome},
};

/// Options of ssh that take a value (ssh(1), OpenSSH 10).
const WITH_VALUE: &[u8] = b"BbcDEeFIiJLlmOoPpQRSWw";

/// Connects; comes back only when it cannot.
pub async fn run(global: &Global, args: &Ssh) -> Outcome<Exit> {
    let line = Line::read(args)?;
    let (session, server) = reach::server(global, &line.name, args.timeout).await?;
    let access = access::write_with(&session.place, &server, identity(&line.options))?;
    let mut command = command(&access, &line, args.session.as_deref());
    // Nothing stays in between: signals, job control and the exit code are ssh's own.
    let remedy = "install the OpenSSH client; on Debian: apt install openssh-client";
    Err(reach::become_program(global, &mut command, remedy))
}

/// The key in `-i FILE`: it opens the gateway, too.
fn identity(options: &[OsString]) -> Option<&Path> {
    let mut words = options.iter();
    while let Some(word) = words.next() {
        let Some((letter, is_last)) = valued_option(word) else {
            continue;
        };
        if is_last {
            let value = words.next();
            if letter == b'i' {
                return value.map(Path::new);
            }
        } else if letter == b'i'
            && let Some((_, value)) = word.to_str().and_then(|w| w.split_once('i'))
        {
            return Some(Path::new(value));
        }
    }
    None
}

fn command(access: &Access, line: &Line, session: Option<&str>) -> Command {
    let mut command = Command::new("ssh");
    command.arg("-F").arg(&access.session).args(&line.options);
    if session.is_some() {
        // Behind the user's own -t and -T, which then count: a third -t would undo the second.
        command.arg("-oRequestTTY=yes");
    }
    // `--` ends the options, so that nothing after it can become one.
    command.arg("--").arg(access.target.host());
    match session {
        Some(name) => command.arg(in_session(name, &line.command)),
        None => command.args(&line.command),
    };
    command
}

/// What the login shell is told instead: the agent keeps the terminal. A command is one of a shell, as it is without a
/// session, and counts when the session is new.
fn in_session(name: &str, words: &[OsString]) -> OsString {
    let agent = format!("{}/bin/devserver-agent session {name}", group::TOOLS);
    let mut line = OsString::from(agent);
    if !words.is_empty() {
        line.push(" -- /bin/sh -c ");
        line.push(quoted(&words.join(OsStr::new(" "))));
    }
    line
}

/// One word to every shell.
fn quoted(text: &OsStr) -> OsString {
    let mut word = vec![b'\''];
    for byte in text.as_bytes() {
        match byte {
            b'\'' => word.extend_from_slice(b"'\\''"),
            byte => word.push(*byte),
        }
    }
    word.push(b'\'');
    OsString::from_vec(word)
}

/// What stands after `devctl ssh`, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    name: String,
    options: Vec<OsString>,
    command: Vec<OsString>,
}

impl Line {
    fn read(args: &Ssh) -> Outcome<Self> {
        let mut words = args.rest.as_slice();
        let mut options = take_options(&mut words);
        let name = match (&args.option, words.split_first()) {
            (Some(name), _) => name.as_str(),
            (None, Some((name, rest))) if name != "--" => {
                words = rest;
                name.to_str()
                    .ok_or_else(|| Failure::usage("the name is not text"))?
            }
            (None, _) => DEFAULT_NAME,
        };
        let name = check_name(name)?.to_owned();
        options.extend(take_options(&mut words));
        check_options(&options)?;
        let command = words
            .strip_prefix(&[OsString::from("--")])
            .unwrap_or(words)
            .to_vec();
        Ok(Self {
            name,
            options,
            command,
        })
    }
}

/// Refuses what would not do what was meant.
fn check_options(options: &[OsString]) -> Outcome {
    // ssh has no long options; one that stands here was meant for devctl and would otherwise be lost on ssh.
    if let Some(long) = options
        .iter()
        .find(|o| o.as_encoded_bytes().starts_with(b"--"))
    {
        return Err(
            Failure::usage(format!("ssh has no option {}", long.to_string_lossy()))
                .remedy("options of devctl stand before the name: devctl ssh --timeout 1m NAME"),
        );
    }
    if options
        .iter()
        .any(|o| valued_option(o).is_some_and(|(letter, _)| letter == b'F'))
    {
        return Err(Failure::usage("-F cannot be given to ssh through devctl, which needs it itself")
            .remedy("after `devctl config ssh-include --enable`, use plain ssh with a file that has the same Include line"));
    }
    Ok(())
}

/// Takes the options of ssh from the front, with their values, as ssh's getopt would.
fn take_options(words: &mut &[OsString]) -> Vec<OsString> {
    let mut options = Vec::new();
    while let Some((word, rest)) = words.split_first() {
        if !word.as_encoded_bytes().starts_with(b"-") || word == "--" || word == "-" {
            break;
        }
        options.push(word.clone());
        *words = rest;
        if wants_value(word)
            && let Some((value, rest)) = words.split_first()
        {
            options.push(value.clone());
            *words = rest;
        }
    }
    options
}

/// Whether the value of this word of options stands in the next word: `-tL` wants one, `-L8080:a:80` and `-t` do not.
fn wants_value(word: &OsStr) -> bool {
    valued_option(word).is_some_and(|(_, is_last)| is_last)
}

/// The first letter of the word that takes a value, and whether the word ends there.
fn valued_option(word: &OsStr) -> Option<(u8, bool)> {
    let letters = word.as_encoded_bytes().strip_prefix(b"-")?;
    let (at, letter) = letters
        .iter()
        .enumerate()
        .find(|(_, l)| WITH_VALUE.contains(l))?;
    Some((*letter, at + 1 == letters.len()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command as Sub};

    fn read(words: &str) -> Outcome<Line> {
        let cli = Cli::try_parse_from(
            ["devctl", "ssh"]
                .into_iter()
                .chain(words.split_whitespace()),
        )
        .unwrap();
        let Sub::Ssh(args) = cli.command else {
            unreachable!()
        };
        Line::read(&args)
    }

    fn line(words: &str) -> (String, Vec<String>, Vec<String>) {
        let line = read(words).unwrap();
        let text = |v: Vec<OsString>| v.into_iter().map(|o| o.into_string().unwrap()).collect();
        (line.name, text(line.options), text(line.command))
    }

    fn expected(
        name: &str,
        options: &[&str],
        command: &[&str],
    ) -> (String, Vec<String>, Vec<String>) {
        let text = |v: &[&str]| v.iter().map(|s| (*s).to_owned()).collect();
        (name.to_owned(), text(options), text(command))
    }

    #[test]
    fn name_options_and_command_are_told_apart() {
        for (words, result) in [
            ("", expected("dev", &[], &[])),
            ("a", expected("a", &[], &[])),
            ("a true", expected("a", &[], &["true"])),
            ("a -- ls -la", expected("a", &[], &["ls", "-la"])),
            (
                "a -A -L 8080:localhost:80 -- make",
                expected("a", &["-A", "-L", "8080:localhost:80"], &["make"]),
            ),
            (
                "a -tt htop -d 5",
                expected("a", &["-tt"], &["htop", "-d", "5"]),
            ),
            ("a -NL8080:x:80", expected("a", &["-NL8080:x:80"], &[])),
            ("-A a -v true", expected("a", &["-A", "-v"], &["true"])),
            ("--name b -- true", expected("b", &[], &["true"])),
            ("a sh -c -- x", expected("a", &[], &["sh", "-c", "--", "x"])),
        ] {
            assert_eq!(line(words), result, "{words}");
        }
    }

    #[test]
    fn the_key_that_was_named_is_found() {
        let found = |words: &[&str]| {
            let options: Vec<OsString> = words.iter().map(OsString::from).collect();
            identity(&options).map(Path::to_owned)
        };
        let key = Some(Path::new("/k").to_owned());
        assert_eq!(found(&["-A", "-i", "/k"]), key);
        assert_eq!(found(&["-i/k"]), key);
        assert_eq!(found(&["-vi", "/k"]), key);
        assert_eq!(found(&["-l", "-i", "-p", "22"]), None);
    }

    #[test]
    fn our_own_options_stand_before_the_name() {
        let cli = Cli::try_parse_from(["devctl", "ssh", "--namespace", "team", "a", "-n", "true"])
            .unwrap();
        assert_eq!(cli.global.namespace.as_deref(), Some("team"));
        assert_eq!(
            line("--namespace team a -n true"),
            expected("a", &["-n"], &["true"])
        );
    }

    #[test]
    fn a_session_is_asked_of_the_agent_and_its_command_stays_one() {
        let told = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            in_session("work", &words).into_string().unwrap()
        };
        let agent = "/opt/devserver/bin/devserver-agent session work";
        assert_eq!(told(&[]), agent);
        assert_eq!(
            told(&["make", "&&", "echo", "it's"]),
            format!("{agent} -- /bin/sh -c 'make && echo it'\\''s'")
        );
    }

    #[test]
    fn the_name_of_a_session_is_one_word_of_harmless_characters() {
        let read = |name: &str| {
            Cli::try_parse_from(["devctl", "ssh", &format!("--session={name}"), "a"]).is_ok()
        };
        for name in ["work", "a.b_c-1", &"a".repeat(48)] {
            assert!(read(name), "{name}");
        }
        for name in [
            "",
            "a b",
            "a;id",
            "$(id)",
            "../x",
            "-t",
            ".a",
            "a\n",
            "ä",
            &"a".repeat(49),
        ] {
            assert!(!read(name), "{name:?}");
        }
    }

    #[test]
    fn another_configuration_file_is_refused() {
        assert_eq!(read("a -F /tmp/x").unwrap_err().exit, Exit::Usage);
        assert_eq!(read("a -F/tmp/x").unwrap_err().exit, Exit::Usage);
        assert_eq!(read("a -vF /tmp/x").unwrap_err().exit, Exit::Usage);
        assert_eq!(read("a -lF").unwrap().options, ["-lF"], "a user named F");
    }

    #[test]
    fn an_option_of_devctl_after_the_name_is_not_lost() {
        assert_eq!(read("a --timeout 1s").unwrap_err().exit, Exit::Usage);
        assert_eq!(
            line("a -- x --timeout 1s"),
            expected("a", &[], &["x", "--timeout", "1s"])
        );
    }
}
