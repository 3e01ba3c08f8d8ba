//! Just enough HTTP for a probe: one request line, one answer, connection closed. Visitors come
//! from the pod network, so each has little time and few are served at once.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::health::Health;

const MOST_VISITORS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(2);
const LONGEST_REQUEST: usize = 4096;

/// Serves `GET /healthz` from a thread of its own until the process ends.
pub fn serve(port: u16, health: Arc<Health>) -> io::Result<()> {
    // An IPv6 socket takes IPv4 visitors as well; a kernel without IPv6 refuses it.
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
        .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))?;
    thread::Builder::new()
        .name("health".into())
        .spawn(move || accept(&listener, &health))?;
    Ok(())
}

fn accept(listener: &TcpListener, health: &Arc<Health>) {
    let visitors = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Out of file descriptors, most likely: a pause instead of a busy loop.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        if visitors.fetch_add(1, Ordering::SeqCst) >= MOST_VISITORS {
            visitors.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let (health, guard) = (Arc::clone(health), Visitor(Arc::clone(&visitors)));
        let _ = thread::Builder::new().name("probe".into()).spawn(move || {
            let _guard = guard;
            let _ = answer(stream, &health);
        });
    }
}

/// Counts one visitor less when dropped, also when the thread could not be started.
struct Visitor(Arc<AtomicUsize>);

impl Drop for Visitor {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn answer(mut stream: TcpStream, health: &Health) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = read_head(&mut stream)?;
    let (status, body) = respond(&request, || health.check_patiently());
    let length = body.len() + 1;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}\n"
    )
}

/// Reads up to the empty line. The whole head is taken, because closing a socket with unread bytes
/// resets the connection and the visitor would lose the answer.
fn read_head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let (mut head, mut buffer) = (Vec::new(), [0; 512]);
    while head.len() < LONGEST_REQUEST && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        head.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
    Ok(head)
}

fn respond(request: &[u8], check: impl FnOnce() -> Result<(), String>) -> (&'static str, String) {
    let mut words = request.split(|&byte| byte == b' ');
    match (words.next(), words.next()) {
        (Some(b"GET" | b"HEAD"), Some(b"/healthz")) => match check() {
            Ok(()) => ("200 OK", "ok".into()),
            Err(reason) => ("503 Service Unavailable", reason),
        },
        (Some(b"GET" | b"HEAD"), Some(_)) => ("404 Not Found", "only /healthz is here".into()),
        _ => ("405 Method Not Allowed", "only GET is understood".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(request: &str, outcome: Result<(), String>) -> (&'static str, String) {
        respond(request.as_bytes(), || outcome)
    }

    #[test]
    fn healthy_server_answers_200() {
        assert_eq!(status("GET /healthz HTTP/1.1\r\n\r\n", Ok(())).0, "200 OK");
    }

    #[test]
    fn unhealthy_server_answers_503_with_the_reason() {
        let (status, body) = status("GET /healthz HTTP/1.1\r\n\r\n", Err("because".into()));
        assert_eq!(
            (status, body.as_str()),
            ("503 Service Unavailable", "because")
        );
    }

    #[test]
    fn other_paths_methods_and_rubbish_are_refused() {
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n", Ok(())).0, "404 Not Found");
        assert_eq!(
            status("POST /healthz HTTP/1.1\r\n\r\n", Ok(())).0,
            "405 Method Not Allowed"
        );
        assert_eq!(
            status("SSH-2.0-client\r\n", Ok(())).0,
            "405 Method Not Allowed"
        );
        assert_eq!(status("", Ok(())).0, "405 Method Not Allowed");
    }
}
