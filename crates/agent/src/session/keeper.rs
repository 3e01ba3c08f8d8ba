//! Keeps a program and its terminal while nobody looks.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::frame::{Frame, MOST, Size};
use super::screen::Screen;
use super::{VARIABLE, folder};

/// How long the program may wait for a client that does not read, before the client is let go.
const STALLED: Duration = Duration::from_secs(5);
/// How long what the program printed last may take to be read after its end.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// Most clients at a time.
const CLIENTS: usize = 16;

/// What all threads share.
struct Session {
    /// The pty, from the side of the terminal.
    terminal: File,
    state: Mutex<State>,
    program: String,
    started: Instant,
    /// Told when a client has come.
    came: SyncSender<()>,
}

struct State {
    screen: Screen,
    clients: HashMap<u64, UnixStream>,
    next: u64,
}

/// Starts the program and serves its clients until it ends.
///
/// Says `ready` on standard output when clients may come.
pub fn run(name: &str, size: Size, program: &OsString, arguments: &[OsString]) -> Result<()> {
    // Nothing of the connection that started it may reach it.
    nix::unistd::setsid().context("failed to begin a session")?;
    let folder = folder::open()?;
    let socket = folder.socket(name);
    // Whoever starts a keeper holds the lock and has found nobody here.
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).context("failed to listen")?;
    let (terminal, peer) = pty(size).context("failed to open a terminal")?;
    let mut command = Command::new(std::env::current_exe().context("failed to find the agent")?);
    command
        .arg("session-program")
        .arg("--")
        .arg(program)
        .args(arguments);
    command
        .env(VARIABLE, name)
        .env("SSH_AUTH_SOCK", folder.agent(name));
    for stale in ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"] {
        command.env_remove(stale);
    }
    let (came, first) = sync_channel(1);
    let session = Arc::new(Session {
        terminal,
        state: Mutex::new(State {
            screen: Screen::new(size),
            clients: HashMap::new(),
            next: 0,
        }),
        program: program.to_string_lossy().into_owned(),
        started: Instant::now(),
        came,
    });
    let shown = {
        let session = Arc::clone(&session);
        thread::spawn(move || session.show())
    };
    {
        let session = Arc::clone(&session);
        thread::spawn(move || session.serve(&listener));
    }
    println!("ready");
    // Of a program that ends at once somebody wants to know how; without anybody it starts all the same.
    let _ = first.recv_timeout(STALLED);
    let child = start(&mut command, peer).context("failed to start the program")?;
    let status = wait(child);
    // What is still on its way; a program that it left behind may hold the terminal for ever.
    let end = Instant::now() + LAST_WORDS;
    while !shown.is_finished() && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    let _ = fs::remove_file(&socket);
    let _ = fs::remove_file(folder.agent(name));
    for client in session.lock().clients.values_mut() {
        let _ = Frame::Exit(status).write(client);
    }
    Ok(())
}

fn pty((rows, columns): Size) -> Result<(File, OwnedFd)> {
    let terminal =
        rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    rustix::pty::grantpt(&terminal)?;
    rustix::pty::unlockpt(&terminal)?;
    let path = rustix::pty::ptsname(&terminal, Vec::new())?;
    let mut options = fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        nix::fcntl::OFlag::O_NOCTTY.bits(),
    );
    let peer = options.read(true).write(true).open(path.to_str()?)?;
    rustix::termios::tcsetwinsize(&terminal, winsize((rows, columns)))?;
    Ok((terminal.into(), peer.into()))
}

fn winsize((ws_row, ws_col): Size) -> Winsize {
    Winsize {
        ws_row,
        ws_col,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

fn start(command: &mut Command, peer: OwnedFd) -> io::Result<Child> {
    command
        .stdin(Stdio::from(peer.try_clone()?))
        .stdout(Stdio::from(peer.try_clone()?))
        .stderr(Stdio::from(peer));
    let child = command.spawn();
    // The command would hold the program's side of the terminal open, and the end would never be seen.
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    child
}

fn wait(mut child: Child) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let Ok(status) = child.wait() else { return 1 };
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

impl Session {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what the program prints, until nothing has its side of the terminal open any more.
    fn show(&self) {
        let mut terminal = &self.terminal;
        let mut buffer = vec![0; MOST];
        loop {
            match terminal.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    let mut state = self.lock();
                    state.screen.take(bytes);
                    let frame = Frame::Data(bytes.to_vec());
                    // One that does not read holds the program up for a moment, and is then let go: it can come back.
                    state
                        .clients
                        .retain(|_, client| frame.write(client).is_ok());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // EIO: the last one has closed it.
                Err(_) => return,
            }
        }
    }

    fn serve(self: &Arc<Self>, listener: &UnixListener) {
        for client in listener.incoming() {
            let Ok(client) = client else {
                thread::sleep(LAST_WORDS);
                continue;
            };
            let session = Arc::clone(self);
            thread::spawn(move || {
                // One that hangs up or says nonsense is gone; that is all there is to it.
                let _ = session.client(client);
            });
        }
    }

    fn client(&self, mut client: UnixStream) -> io::Result<()> {
        client.set_write_timeout(Some(STALLED))?;
        let size = match Frame::read(&mut client)? {
            Some(Frame::Attach(size)) => size,
            Some(Frame::Ask) => {
                return Frame::Told(self.description().into_bytes()).write(&mut client);
            }
            _ => return Ok(()),
        };
        let Some(number) = self.attach(&client, size)? else {
            return Ok(());
        };
        let read = self.take(&mut client);
        self.lock().clients.remove(&number);
        read
    }

    /// From now on the client gets what all get; first what is there already, with nothing in between.
    fn attach(&self, client: &UnixStream, size: Size) -> io::Result<Option<u64>> {
        let mut stream = client.try_clone()?;
        let mut state = self.lock();
        if state.clients.len() >= CLIENTS {
            return Ok(None);
        }
        self.resize(&mut state, size);
        let restored = state.screen.restored();
        for part in restored.chunks(MOST) {
            Frame::Data(part.to_vec()).write(&mut stream)?;
        }
        let number = state.next;
        state.next += 1;
        state.clients.insert(number, stream);
        // Only the first is waited for.
        let _ = self.came.try_send(());
        Ok(Some(number))
    }

    /// Does what a client asks for until it hangs up.
    fn take(&self, client: &mut UnixStream) -> io::Result<()> {
        let mut terminal = &self.terminal;
        while let Some(frame) = Frame::read(client)? {
            match frame {
                Frame::Data(typed) => terminal.write_all(&typed)?,
                Frame::Resize(size) => self.resize(&mut self.lock(), size),
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// The window is that of whoever came or changed it last.
    fn resize(&self, state: &mut State, size: Size) {
        if size.0 > 0 && size.1 > 0 {
            state.screen.resize(size);
            let _ = rustix::termios::tcsetwinsize(&self.terminal, winsize(size));
        }
    }

    fn description(&self) -> String {
        let state = self.lock();
        let (rows, columns) = state.screen.size();
        let program: String = self.program.chars().filter(|c| !c.is_control()).collect();
        let clients = state.clients.len();
        let plural = if clients == 1 { "" } else { "s" };
        let minutes = self.started.elapsed().as_secs() / 60;
        format!("{clients} client{plural}\t{columns}x{rows}\t{minutes} min\t{program}")
    }
}
