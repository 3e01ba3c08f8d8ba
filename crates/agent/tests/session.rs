//! Named terminals with real ones: they outlive their clients, and whoever comes back finds them as they were.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::OpenptFlags;
use rustix::termios::{Winsize, tcsetwinsize};

const AGENT: &str = env!("CARGO_BIN_EXE_devserver-agent");
const DEADLINE: Duration = Duration::from_secs(20);

/// A terminal with a client of a session on it.
struct Terminal {
    keys: Option<File>,
    shown: Arc<Mutex<String>>,
    client: Child,
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

fn agent(folder: &Path) -> Command {
    let mut command = Command::new(AGENT);
    command
        .env("DEVSERVER_SESSIONS", folder)
        .env("PS1", "$ ")
        .env("ENV", "");
    command
}

impl Terminal {
    fn open(folder: &Path, rows: u16, arguments: &[&str]) -> Self {
        let keys =
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
                .unwrap();
        rustix::pty::grantpt(&keys).unwrap();
        rustix::pty::unlockpt(&keys).unwrap();
        tcsetwinsize(&keys, size(rows, 80)).unwrap();
        let path = rustix::pty::ptsname(&keys, Vec::new()).unwrap();
        let peer = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path.to_str().unwrap())
            .unwrap();
        // As a login does: the terminal is the client's own, so its end and its size reach it.
        let mut command = agent(folder);
        command
            .args(["session-program", "--", AGENT, "session"])
            .args(arguments);
        command
            .stdin(Stdio::from(peer.try_clone().unwrap()))
            .stdout(Stdio::from(peer.try_clone().unwrap()))
            .stderr(Stdio::from(peer));
        let client = command.spawn().unwrap();
        drop(command);
        let keys = File::from(keys);
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut screen, seen) = (keys.try_clone().unwrap(), Arc::clone(&shown));
        // It ends by itself when the client has gone.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                let text = String::from_utf8_lossy(buffer.get(..count).unwrap()).into_owned();
                seen.lock().unwrap().push_str(&text);
            }
        });
        Self {
            keys: Some(keys),
            shown,
            client,
        }
    }

    fn types(&self, text: &str) {
        self.keys
            .as_ref()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn shows(&self, text: &str) {
        eventually(&format!("{text:?} is shown"), || {
            let shown = self.shown.lock().unwrap();
            if shown.contains(text) {
                Ok(())
            } else {
                Err(format!("{shown:?}"))
            }
        });
    }

    fn status(&mut self) -> Option<i32> {
        eventually("the client ends", || {
            self.client
                .try_wait()
                .unwrap()
                .ok_or_else(|| "it runs".to_owned())
        })
        .code()
    }

    /// The laptop is closed: the terminal is gone without a word.
    fn hang_up(mut self) {
        self.keys = None;
        rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.client),
            rustix::process::Signal::HUP,
        )
        .unwrap();
        self.status();
    }
}

fn eventually<T>(what: &str, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match probe() {
            Ok(found) => return found,
            Err(seen) => assert!(
                Instant::now() < deadline,
                "not within {DEADLINE:?}: {what}; {seen}"
            ),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn sessions(folder: &Path) -> String {
    let output = agent(folder).arg("sessions").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    folder
}

#[test]
fn a_session_survives_its_client_and_is_found_as_it_was_left() {
    let folder = folder();
    let first = Terminal::open(folder.path(), 24, &["build", "--", "/bin/sh"]);
    first.shows("$ ");
    first.types("x=kept; echo mark-$((40+2))\r");
    first.shows("mark-42");
    first.hang_up();
    assert!(sessions(folder.path()).starts_with("build\t0 clients\t80x24\t"));
    let mut second = Terminal::open(folder.path(), 24, &["build"]);
    second.shows("mark-42");
    second.types("echo \"is-$x\"\r");
    second.shows("is-kept");
    second.types("exit 7\r");
    assert_eq!(second.status(), Some(7), "the status of the program");
    assert_eq!(sessions(folder.path()), "");
}

#[test]
fn all_clients_see_the_same_and_the_window_is_that_of_the_last() {
    let folder = folder();
    let mut first = Terminal::open(folder.path(), 24, &["pair", "--", "/bin/sh"]);
    first.shows("$ ");
    let mut second = Terminal::open(folder.path(), 30, &["pair"]);
    second.shows("$ ");
    second.types("stty size; echo said-$((1+1))\r");
    for terminal in [&first, &second] {
        terminal.shows("30 80");
        terminal.shows("said-2");
    }
    assert!(sessions(folder.path()).starts_with("pair\t2 clients\t80x30\t"));
    tcsetwinsize(first.keys.as_ref().unwrap(), size(40, 100)).unwrap();
    eventually("the window follows", || {
        let told = sessions(folder.path());
        if told.contains("100x40") {
            Ok(())
        } else {
            Err(told)
        }
    });
    first.types("stty size; exit\r");
    second.shows("40 100");
    assert_eq!((first.status(), second.status()), (Some(0), Some(0)));
}

#[test]
fn the_agent_of_whoever_came_last_is_the_sessions() {
    let folder = folder();
    let mut terminal = Terminal::open(folder.path(), 24, &["keys", "--", "/bin/sh"]);
    terminal.shows("$ ");
    terminal.types("echo \"sock=$SSH_AUTH_SOCK name=$DEVSERVER_SESSION\"\r");
    terminal.shows(&format!(
        "sock={}",
        folder.path().join("keys.agent").display()
    ));
    terminal.shows("name=keys");
    terminal.types("exit\r");
    terminal.status();
}

#[test]
fn what_cannot_be_is_told_and_leaves_nothing_behind() {
    let folder = folder();
    let output = agent(folder.path())
        .args(["session", "a"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("ssh -t"),
        "{output:?}"
    );
    // A program that cannot be run ends its session at once.
    let mut terminal = Terminal::open(folder.path(), 24, &["none", "--", "/no/such/program"]);
    assert_eq!(terminal.status(), Some(1));
    assert_eq!(sessions(folder.path()), "");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = agent(folder.path()).arg("sessions").output().unwrap();
    assert!(!output.status.success(), "others may enter the folder");
}
