use super::*;

fn parse_line(line: &str) -> Result<Command, Error> {
    parse(line.split_whitespace().map(OsString::from))
}

#[test]
fn init_keeps_the_programs_own_options() {
    let parsed = parse_line("init -- /bin/sh -c --").unwrap();
    let arguments = vec!["-c".into(), "--".into()];
    assert_eq!(
        parsed,
        Command::Init {
            program: "/bin/sh".into(),
            arguments
        }
    );
}

#[test]
fn init_without_separator_or_program_is_refused() {
    for line in ["init", "init --", "init /bin/sh", "init /bin/sh -c"] {
        assert_eq!(parse_line(line), Err(Error::Arguments("init")), "{line}");
    }
    let error = Error::Arguments("as-login-user");
    assert_eq!(parse_line("as-login-user id"), Err(error));
}

#[test]
fn every_other_command_takes_exactly_its_words() {
    assert_eq!(parse_line("version"), Ok(Command::Version));
    assert_eq!(
        parse_line("copy / /target"),
        Ok(Command::Copy {
            from: "/".into(),
            to: "/target".into()
        })
    );
    assert_eq!(
        parse_line("authorized-keys dev"),
        Ok(Command::AuthorizedKeys {
            user: "dev".into(),
            login: None
        })
    );
    assert_eq!(
        parse_line("authorized-keys dev coder"),
        Ok(Command::AuthorizedKeys {
            user: "dev".into(),
            login: Some("coder".into())
        })
    );
    assert_eq!(parse_line("copy /"), Err(Error::Arguments("copy")));
    assert_eq!(
        parse_line("authorized-keys a b c"),
        Err(Error::Arguments("authorized-keys"))
    );
}

#[test]
fn a_log_is_taken_before_the_separator_only() {
    let log = |line| match parse_line(line) {
        Ok(Command::AsLoginUser { log, arguments, .. }) => (log, arguments.len()),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        log("as-login-user --log a/b -- id"),
        (Some("a/b".into()), 0)
    );
    assert_eq!(log("as-login-user -- id --log x"), (None, 2));
    assert_eq!(parse_line("pause"), Ok(Command::Pause));
    assert!(parse_line("pause now").is_err());
}

#[test]
fn a_session_has_a_name_that_is_one_and_maybe_a_program() {
    let session = |name: &str, program: &[&str]| {
        Ok(Command::Session {
            name: name.to_owned(),
            program: program.iter().map(OsString::from).collect(),
        })
    };
    assert_eq!(parse_line("session build"), session("build", &[]));
    assert_eq!(
        parse_line("session build -- make -j2"),
        session("build", &["make", "-j2"])
    );
    for line in [
        "session",
        "session ../x",
        "session a b",
        "session a --",
        "session -- a",
    ] {
        assert_eq!(parse_line(line), Err(Error::Arguments("session")), "{line}");
    }
    assert!(parse_line("session-keeper a 24 x -- sh").is_err());
}

#[test]
fn unknown_and_missing_commands_are_told_apart() {
    assert_eq!(parse_line(""), Err(Error::Missing));
    assert_eq!(parse_line("serve"), Err(Error::Unknown("serve".into())));
}

#[test]
fn a_lease_has_a_time_or_a_program_or_both() {
    let hold = |seconds, program: &[&str]| {
        let program = program.iter().map(OsString::from).collect();
        Ok(Command::Hold { seconds, program })
    };
    assert_eq!(parse_line("hold 4h"), hold(4 * 3600, &[]));
    assert_eq!(parse_line("hold 1h30m"), hold(5400, &[]));
    assert_eq!(
        parse_line("hold --for 6h -- make train"),
        hold(6 * 3600, &["make", "train"])
    );
    assert_eq!(
        parse_line("hold -- make --for"),
        hold(UNTIL_ITS_END, &["make", "--for"])
    );
    for line in [
        "hold",
        "hold --",
        "hold 4",
        "hold 0s",
        "hold 4h 5h",
        "hold make",
        "hold --for -- make",
        "hold --for 1h",
        "hold -1h",
        "hold 1m1h",
        "hold 99999h",
        "hold 4h -- make",
    ] {
        assert_eq!(parse_line(line), Err(Error::Arguments("hold")), "{line}");
    }
}

#[test]
fn inside_an_environment_devctl_has_the_commands_that_are_for_people() {
    let devctl = |line: &str| {
        let words = line.split_whitespace().map(OsString::from);
        parse_as(OsStr::new("/opt/devserver/bin/devctl"), words)
    };
    assert!(devctl("hold 4h").is_ok() && devctl("sessions").is_ok());
    for line in ["list", "init -- sh", "collect"] {
        assert!(matches!(devctl(line), Err(Error::Outside(_))), "{line}");
    }
    let other = parse_as(OsStr::new("devserver-agent"), [OsString::from("pause")]);
    assert_eq!(other, Ok(Command::Pause));
}

#[test]
fn the_preparation_knows_the_path_of_the_image_or_is_one_part_of_it() {
    let prepare = |path: &str| Ok(Command::Prepare(Part::All { path: path.into() }));
    assert_eq!(parse_line("prepare"), prepare(""));
    assert_eq!(parse_line("prepare --path /a:/b"), prepare("/a:/b"));
    let empty = ["prepare", "--path", ""].map(OsString::from);
    assert_eq!(parse(empty), prepare(""));
    assert_eq!(
        parse_line("prepare password"),
        Ok(Command::Prepare(Part::Password))
    );
    assert_eq!(parse_line("prepare home"), Ok(Command::Prepare(Part::Home)));
    for line in ["prepare --path", "prepare accounts", "prepare home now"] {
        assert_eq!(parse_line(line), Err(Error::Arguments("prepare")), "{line}");
    }
}
