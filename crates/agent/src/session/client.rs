//! Shows a session on the terminal it is run on.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::SIGWINCH;
use signal_hook::iterator::Signals;

use super::VARIABLE;
use super::folder::{self, Folder};
use super::frame::{Frame, MOST, Size};

/// Modes that a program may have left on when its terminal is taken away: back to what a shell expects.
const PLAIN: &[u8] =
    b"\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?25h\x1b[0m\r\n";

/// Attaches to the session, and makes it when it is not there; with the exit status of its program, if it ended.
pub fn run(name: &str, program: &[OsString]) -> Result<u8> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        bail!("a session needs a terminal; with ssh, ask for one: ssh -t");
    }
    if std::env::var(VARIABLE).is_ok_and(|own| own == name) {
        bail!("this is the session {name:?} already");
    }
    let folder = folder::open()?;
    let stream = connect(&folder, name, program)?;
    link_agent(&folder, name);
    let raw = Raw::enter().context("failed to prepare the terminal")?;
    let ended = talk(&stream);
    drop(raw);
    if let Some(status) = ended? {
        return Ok(status);
    }
    io::stdout().write_all(PLAIN)?;
    eprintln!("devserver-agent: detached from session {name:?}");
    Ok(0)
}

/// The keeper of that session; a new one, when there is none.
fn connect(folder: &Folder, name: &str, program: &[OsString]) -> Result<UnixStream> {
    let file = File::create(folder.lock(name)).context("failed to make the lock")?;
    let _lock = Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)
        .context("failed to wait for the lock")?;
    let socket = folder.socket(name);
    if let Ok(stream) = UnixStream::connect(&socket) {
        return Ok(stream);
    }
    start(name, program)?;
    UnixStream::connect(&socket).context("the session ended at once")
}

fn start(name: &str, program: &[OsString]) -> Result<()> {
    let (rows, columns) = size();
    let mut command = Command::new(std::env::current_exe().context("failed to find the agent")?);
    command
        .arg("session-keeper")
        .args([name, &rows.to_string(), &columns.to_string(), "--"]);
    if program.is_empty() {
        let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
        command
            .arg(shell.unwrap_or_else(|| "/bin/sh".into()))
            .arg("-l");
    } else {
        command.args(program);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut keeper = command.spawn().context("failed to start the session")?;
    let mut said = String::new();
    if let Some(out) = keeper.stdout.take() {
        BufReader::new(out).read_line(&mut said)?;
    }
    if said.trim() == "ready" {
        return Ok(());
    }
    let mut why = String::new();
    if let Some(mut err) = keeper.stderr.take() {
        let _ = err.read_to_string(&mut why);
    }
    bail!("the session could not be started: {}", why.trim())
}

/// Programs of the session find the ssh agent of whoever came last.
fn link_agent(folder: &Folder, name: &str) {
    let link = folder.agent(name);
    let Some(socket) = std::env::var_os("SSH_AUTH_SOCK").filter(|s| !s.is_empty()) else {
        return;
    };
    if socket != link.as_os_str() {
        // Without it agent forwarding does not work in the session, and everything else does.
        let _ = fs::remove_file(&link);
        let _ = symlink(socket, &link);
    }
}

/// Passes on both ways; the status of the program when that ended, nothing when the connection did.
fn talk(stream: &UnixStream) -> Result<Option<u8>> {
    let to_keeper = Arc::new(Mutex::new(stream.try_clone()?));
    send(&to_keeper, &Frame::Attach(size()))?;
    let mut resized = Signals::new([SIGWINCH]).context("failed to watch the window")?;
    let window = Arc::clone(&to_keeper);
    thread::spawn(move || {
        for _ in resized.forever() {
            if send(&window, &Frame::Resize(size())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        let mut buffer = vec![0; MOST];
        let mut keyboard = io::stdin().lock();
        while let Ok(count @ 1..) = keyboard.read(&mut buffer) {
            let typed = buffer.get(..count).unwrap_or_default().to_vec();
            if send(&to_keeper, &Frame::Data(typed)).is_err() {
                return;
            }
        }
        // The terminal is gone; so is this client, and not the session.
        if let Ok(stream) = to_keeper.lock() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    });
    let mut from_keeper = stream.try_clone()?;
    let mut screen = io::stdout().lock();
    loop {
        match Frame::read(&mut from_keeper) {
            Ok(Some(Frame::Data(shown))) => {
                screen.write_all(&shown)?;
                screen.flush()?;
            }
            Ok(Some(Frame::Exit(status))) => return Ok(Some(status)),
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return Ok(None),
        }
    }
}

fn send(to: &Mutex<UnixStream>, frame: &Frame) -> io::Result<()> {
    // One frame at a time, whichever thread it comes from.
    frame.write(&mut *to.lock().unwrap_or_else(PoisonError::into_inner))
}

fn size() -> Size {
    tcgetwinsize(io::stdin()).map_or((0, 0), |window| (window.ws_row, window.ws_col))
}

/// The terminal passes every key on while this lives.
struct Raw(Termios);

impl Raw {
    fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The terminal may be gone, and then nobody misses it.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}
