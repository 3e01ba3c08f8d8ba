//! Whether somebody could log in now, and if not, why. Asked by the kubelet every few seconds, so
//! it must not leave a line in sshd's log each time: sshd is spoken to until it has answered once,
//! afterwards the kernel's own tables are enough.

use std::fs;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::procfs::is_listening;

/// The port of the health endpoint.
pub const PORT: u16 = 9022;
/// How long sshd may take to say hello.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long an answer waits for sshd to start.
const WAIT_FOR_START: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// sshd has not answered yet.
    Starting,
    /// sshd has answered once.
    Serving,
    /// The container is being stopped.
    Stopping,
    /// The main process has ended with this status.
    Ended(u8),
}

/// The state of the SSH server, shared by the first process and the health endpoint.
#[derive(Debug)]
pub struct Health {
    ssh_port: u16,
    state: Mutex<State>,
}

impl Health {
    /// A server that is still starting.
    pub fn new(ssh_port: u16) -> Self {
        Self {
            ssh_port,
            state: Mutex::new(State::Starting),
        }
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
            State::Serving => self.check_listening(),
            State::Starting => {
                self.check_listening()?;
                self.check_banner()?;
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

    fn check_listening(&self) -> Result<(), String> {
        let is_in = |path| fs::read_to_string(path).is_ok_and(|t| is_listening(&t, self.ssh_port));
        if is_in("/proc/net/tcp") || is_in("/proc/net/tcp6") {
            return Ok(());
        }
        Err(format!(
            "nothing listens on port {}: sshd has not started",
            self.ssh_port
        ))
    }

    fn check_banner(&self) -> Result<(), String> {
        let said = read_banner(self.ssh_port)
            .map_err(|error| format!("sshd does not answer on port {}: {error}", self.ssh_port))?;
        if &said == b"SSH-" {
            return Ok(());
        }
        Err(format!(
            "what listens on port {} is not an SSH server",
            self.ssh_port
        ))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        let health = Health::new(greeter(b"SSH-2.0-OpenSSH_10.0\r\n"));
        assert_eq!(health.check(), Ok(()));
        assert_eq!(*health.lock(), State::Serving);
    }

    #[test]
    fn other_server_on_the_port_is_named() {
        let reason = Health::new(greeter(b"HTTP/1.1 400 Bad Request\r\n"))
            .check()
            .unwrap_err();
        assert!(reason.contains("not an SSH server"), "{reason}");
    }

    #[test]
    fn silent_server_is_not_healthy() {
        let reason = Health::new(greeter(b"")).check().unwrap_err();
        assert!(reason.contains("does not answer"), "{reason}");
    }

    #[test]
    fn stopping_and_ended_servers_say_so_for_ever() {
        let health = Health::new(greeter(b"SSH-2.0-x\r\n"));
        health.check().unwrap();
        health.stopping();
        assert!(health.check().unwrap_err().contains("being stopped"));
        health.main_process_ended(78);
        health.stopping();
        assert!(health.check().unwrap_err().contains("status 78"));
    }
}
