//! `devctl cp`: writes what the stock client needs and then becomes the stock `scp`.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    process::Command,
};

use super::reach;
use crate::{
    access::Access,
    args::{Cp, Global, check_name},
    exit::Exit,
    failure::{Failure, Outcome},
};

/// Copies; comes back only when it cannot.
pub async fn run(global: &Global, args: &Cp) -> Outcome<Exit> {
    let plan = Plan::read(&args.paths)?;
    let access = reach::access(global, &plan.name, args.timeout).await?;
    let mut command = command(&access, args, &plan);
    let remedy = "install the OpenSSH client; on Debian: apt install openssh-client";
    Err(reach::become_program(global, &mut command, remedy))
}

fn command(access: &Access, args: &Cp, plan: &Plan) -> Command {
    let mut command = Command::new("scp");
    command.arg("-F").arg(&access.session);
    for (is_given, option) in [
        (args.recursive, "-r"),
        (args.preserve, "-p"),
        (args.quiet, "-q"),
    ] {
        if is_given {
            command.arg(option);
        }
    }
    // `--` ends the options, so that no path can become one.
    command.arg("--").args(plan.words(&access.target.host()));
    command
}

/// A path of this machine, or one of the DevServer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Here(OsString),
    There(OsString),
}

/// What is copied where.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    name: String,
    places: Vec<Place>,
}

impl Plan {
    fn read(paths: &[OsString]) -> Outcome<Self> {
        let mut names = Vec::new();
        let mut places = Vec::new();
        for path in paths {
            match remote(path) {
                Some((name, path)) => {
                    let name = name
                        .to_str()
                        .ok_or_else(|| Failure::usage("the name is not text"))?;
                    names.push(check_name(name)?.to_owned());
                    places.push(Place::There(path));
                }
                None => places.push(Place::Here(path.clone())),
            }
        }
        names.dedup();
        let is_there = |place: &Place| matches!(place, Place::There(_));
        let one_side = match places.split_last() {
            Some((Place::There(_), sources)) => !sources.iter().any(is_there),
            Some((Place::Here(_), sources)) => sources.iter().all(is_there),
            None => false,
        };
        let example =
            "such as `devctl cp notes.txt my-dev-server:` or `devctl cp my-dev-server:notes.txt .`";
        match names.as_slice() {
            [name] if one_side => Ok(Self {
                name: name.clone(),
                places,
            }),
            [] => Err(Failure::usage("no path is in a DevServer")
                .remedy(format!("write NAME:PATH, {example}"))),
            [_] => Err(Failure::usage(
                "both sides are in the DevServer, or the sources are on both sides",
            )
            .remedy(format!(
                "sources on one side and the target on the other, {example}"
            ))),
            _ => Err(Failure::usage("two DevServers are named")
                .remedy(format!("copy by way of this machine, {example}"))),
        }
    }

    /// The words for scp.
    fn words(&self, host: &str) -> Vec<OsString> {
        let word = |place: &Place| match place {
            Place::Here(path) => path.clone(),
            Place::There(path) => {
                let mut word = OsString::from(format!("{host}:"));
                word.push(path);
                word
            }
        };
        self.places.iter().map(word).collect()
    }
}

/// Name and path, by the rule of scp: a ':' before any '/' makes it one of another machine.
fn remote(path: &OsStr) -> Option<(OsString, OsString)> {
    let bytes = path.as_bytes();
    let at = bytes.iter().position(|b| matches!(b, b':' | b'/'))?;
    let (name, rest) = bytes.split_at_checked(at)?;
    let path = rest.strip_prefix(b":")?;
    let owned = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    Some((owned(name), owned(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Outcome<Plan> {
        let paths: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
        Plan::read(&paths)
    }

    #[test]
    fn either_side_may_be_the_dev_server() {
        for (words, expected) in [
            ("x a:", vec!["x", "h:"]),
            ("x y a:dir/z", vec!["x", "y", "h:dir/z"]),
            ("a:/etc/hosts .", vec!["h:/etc/hosts", "."]),
            ("a:x a:y dir", vec!["h:x", "h:y", "dir"]),
            ("./odd:name a:", vec!["./odd:name", "h:"]),
            ("-r a:", vec!["-r", "h:"]),
        ] {
            let plan = read(words).unwrap();
            assert_eq!(
                (plan.name.as_str(), plan.words("h")),
                ("a", expected.into_iter().map(OsString::from).collect()),
                "{words}"
            );
        }
    }

    #[test]
    fn what_scp_would_do_differently_than_meant_is_refused() {
        for words in [
            "x y",
            "a:x a:y",
            "a:x y a:z",
            "a:x b:",
            "a:x b:y .",
            "-oProxyCommand=x:y .",
            "A_b:x .",
            ":x .",
        ] {
            assert_eq!(read(words).unwrap_err().exit, Exit::Usage, "{words}");
        }
    }
}
