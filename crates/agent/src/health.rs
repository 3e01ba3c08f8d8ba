//! Whether somebody could log in now, and if not, why. Asked by the kubelet every few seconds, so
//! it must not leave a line in sshd's log each time: sshd is spoken to until it has answered once,
//! afterwards the kernel's own tables are enough.

use std::fs;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::procfs::is_listening;

/// The port of the health endpoint, unless another is set.
pub const PORT: u16 = 9022;
/// How long sshd may take to say hello.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long an answer waits for sshd to start.
const WAIT_FOR_START: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// What is expected has not been seen yet.
    Starting,
    /// It has been seen once.
    Serving,
    /// The container is being stopped.
    Stopping,
    /// The main process has ended with this status.
    Ended(u8),
}

/// The state of the environment, shared by the first process and the health endpoint.
#[derive(Debug)]
pub struct Health {
    /// Port of sshd. `None`: the environment is ready when its preparation ended in `pause`.
    ssh_port: Option<u16>,
    /// Process id of the main process, 0 before it was started.
    main: AtomicI32,
    state: Mutex<State>,
}

impl Health {
    /// An environment that is still starting.
    pub fn new(ssh_port: Option<u16>) -> Self {
        Self {
            ssh_port,
            main: AtomicI32::new(0),
            state: Mutex::new(State::Starting),
        }
    }

    /// The main process was started.
    pub fn main_process_started(&self, pid: i32) {
        self.main.store(pid, Ordering::SeqCst);
    }

    /// Whether the container is being stopped or has nothing left to do.
    pub fn is_ending(&self) -> bool {
        matches!(*self.lock(), State::Stopping | State::Ended(_))
    }

    /// The main process ended; nothing brings the server back but a restart of the container.
    pub fn main_process_ended(&self, status: u8) {
        *self.lock() = State::Ended(status);
    }

    /// The container is being stopped; no new login should be sent here.
    pub fn stopping(&self) {
        let mut state = self.lock();
        if !matches!(*state, State::Ended(_)) {
            *state = State::Stopping;
        }
    }

    /// `Ok` when somebody could log in now, else the reason in words.
    pub fn check(&self) -> Result<(), String> {
        let state = *self.lock();
        match state {
            State::Ended(status) => Err(format!("the main process ended with status {status}")),
            State::Stopping => Err("the environment is being stopped".into()),
            State::Serving => match self.ssh_port {
                Some(port) => check_listening(port),
                None => self.check_paused(),
            },
            State::Starting => {
                match self.ssh_port {
                    Some(port) => check_listening(port).and_then(|()| check_banner(port))?,
                    None => self.check_paused()?,
                }
                let mut state = self.lock();
                // A shutdown that began meanwhile must not be undone.
                if *state == State::Starting {
                    *state = State::Serving;
                }
                Ok(())
            }
        }
    }

    /// Like `check`, but while sshd starts the answer waits for it: the kubelet learns at once that it
    /// is there, instead of a whole probe period later. Shorter than the probe's own timeout.
    pub fn check_patiently(&self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let result = self.check();
            let is_starting = *self.lock() == State::Starting;
            if result.is_ok() || !is_starting || begun.elapsed() > WAIT_FOR_START {
                return result;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn check_paused(&self) -> Result<(), String> {
        let path = format!("/proc/{}/cmdline", self.main.load(Ordering::SeqCst));
        if fs::read(path).is_ok_and(|line| is_pause(&line)) {
            return Ok(());
        }
        Err("the environment is still being prepared".into())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a command line, as `/proc` has it, is that of `devserver-agent pause`.
fn is_pause(line: &[u8]) -> bool {
    let mut words = line.split(|&byte| byte == 0);
    let program = words.next().unwrap_or_default();
    program.ends_with(b"/devserver-agent") && words.next() == Some(b"pause".as_slice())
}

fn check_listening(port: u16) -> Result<(), String> {
    let is_in = |path| fs::read_to_string(path).is_ok_and(|table| is_listening(&table, port));
    if is_in("/proc/net/tcp") || is_in("/proc/net/tcp6") {
        return Ok(());
    }
    Err(format!(
        "nothing listens on port {port}: sshd has not started"
    ))
}

fn check_banner(port: u16) -> Result<(), String> {
    let said = read_banner(port)
        .map_err(|error| format!("sshd does not answer on port {port}: {error}"))?;
    if &said == b"SSH-" {
        return Ok(());
    }
    Err(format!("what listens on port {port} is not an SSH server"))
}

fn read_banner(port: u16) -> io::Result<[u8; 4]> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut start = [0; 4];
    stream.read_exact(&mut start)?;
    Ok(start)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    /// A server that greets every visitor with `greeting`; returns its port.
    fn greeter(greeting: &'static [u8]) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = stream.unwrap().write_all(greeting);
            }
        });
        port
    }

    #[test]
    fn ssh_greeting_makes_it_healthy() {
        let health = Health::new(Some(greeter(b"SSH-2.0-OpenSSH_10.0\r\n")));
        assert_eq!(health.check(), Ok(()));
        assert_eq!(*health.lock(), State::Serving);
    }

    #[test]
    fn other_server_on_the_port_is_named() {
        let reason = Health::new(Some(greeter(b"HTTP/1.1 400 Bad Request\r\n")))
            .check()
            .unwrap_err();
        assert!(reason.contains("not an SSH server"), "{reason}");
    }

    #[test]
    fn silent_server_is_not_healthy() {
        let reason = Health::new(Some(greeter(b""))).check().unwrap_err();
        assert!(reason.contains("does not answer"), "{reason}");
    }

    #[test]
    fn without_sshd_only_a_paused_main_process_is_healthy() {
        assert!(is_pause(b"/opt/devserver/bin/devserver-agent\0pause\0"));
        for other in [
            b"/bin/sh\0/opt/devserver/startup.sh\0".as_slice(),
            b"/opt/devserver/bin/devserver-agent\0init\0",
            b"devserver-agent pause\0",
            b"",
        ] {
            assert!(!is_pause(other));
        }
        assert!(Health::new(None).check().unwrap_err().contains("prepared"));
    }

    #[test]
    fn stopping_and_ended_servers_say_so_for_ever() {
        let health = Health::new(Some(greeter(b"SSH-2.0-x\r\n")));
        health.check().unwrap();
        health.stopping();
        assert!(health.check().unwrap_err().contains("being stopped"));
        health.main_process_ended(78);
        health.stopping();
        assert!(health.check().unwrap_err().contains("status 78"));
    }
}
