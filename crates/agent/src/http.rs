//! Just enough HTTP for a probe: one request line, one answer, connection closed. Visitors come
//! from the pod network, so each has little time and few are served at once.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use devserver_activity::NOTICE_HEADER;

use crate::activity::{Answer, Latest};
use crate::health::Health;

const MOST_VISITORS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(2);
const LONGEST_REQUEST: usize = 4096;

/// Serves `GET /healthz`, and `GET /activity` to the operator, from a thread of its own until the process ends.
pub fn serve(port: u16, health: Arc<Health>, latest: Arc<Latest>) -> io::Result<()> {
    // An IPv6 socket takes IPv4 visitors as well; a kernel without IPv6 refuses it.
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
        .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))?;
    thread::Builder::new()
        .name("health".into())
        .spawn(move || accept(&listener, &health, &latest))?;
    Ok(())
}

fn accept(listener: &TcpListener, health: &Arc<Health>, latest: &Arc<Latest>) {
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
        let (health, latest) = (Arc::clone(health), Arc::clone(latest));
        let guard = Visitor(Arc::clone(&visitors));
        let _ = thread::Builder::new().name("probe".into()).spawn(move || {
            let _guard = guard;
            let _ = answer(stream, &health, &latest);
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

fn answer(mut stream: TcpStream, health: &Health, latest: &Latest) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = read_head(&mut stream)?;
    let asks = |token: Option<&str>| latest.answer(token, header(&request, NOTICE_HEADER));
    let (status, body) = respond(&request, || health.check_patiently(), asks);
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

fn respond(
    request: &[u8],
    check: impl FnOnce() -> Result<(), String>,
    activity: impl FnOnce(Option<&str>) -> Answer,
) -> (&'static str, String) {
    let mut words = request.split(|&byte| byte == b' ');
    match (words.next(), words.next()) {
        (Some(b"GET" | b"HEAD"), Some(b"/healthz")) => match check() {
            Ok(()) => ("200 OK", "ok".into()),
            Err(reason) => ("503 Service Unavailable", reason),
        },
        (Some(b"GET"), Some(b"/activity")) => match activity(token(request)) {
            Answer::Report(report) => ("200 OK", report),
            Answer::NotYet => ("503 Service Unavailable", "no report was made yet".into()),
            Answer::Denied => ("403 Forbidden", "for the operator only".into()),
            Answer::Nowhere => not_found(),
        },
        (Some(b"GET" | b"HEAD"), Some(_)) => not_found(),
        _ => ("405 Method Not Allowed", "only GET is understood".into()),
    }
}

fn not_found() -> (&'static str, String) {
    ("404 Not Found", "only /healthz is here".into())
}

/// The word after `Authorization: Bearer`.
fn token(request: &[u8]) -> Option<&str> {
    header(request, "authorization")?.strip_prefix("Bearer ")
}

/// What the first header of that name holds.
fn header<'a>(request: &'a [u8], wanted: &str) -> Option<&'a str> {
    let text = str::from_utf8(request).ok()?;
    text.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(request: &str, outcome: Result<(), String>) -> (&'static str, String) {
        respond(request.as_bytes(), || outcome, |_| Answer::Nowhere)
    }

    #[test]
    fn d12_the_report_is_asked_for_with_a_token_in_the_head() {
        let ask = |request: &str| {
            let known = |token: Option<&str>| match token {
                Some("right") => Answer::Report("{}".into()),
                _ => Answer::Denied,
            };
            respond(request.as_bytes(), || Ok(()), known).0
        };
        let with = |header: &str| {
            ask(&format!(
                "GET /activity HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n"
            ))
        };
        assert_eq!(with("authorization: Bearer right"), "200 OK");
        for wrong in [
            "",
            "Authorization: right",
            "Authorization: Bearer wrong",
            "X: Bearer right",
        ] {
            assert_eq!(with(wrong), "403 Forbidden", "{wrong}");
        }
        assert_eq!(
            ask("GET /activity?Authorization:Bearer HTTP/1.1\r\n\r\n"),
            "404 Not Found"
        );
        assert_eq!(
            ask("POST /activity HTTP/1.1\r\n\r\n"),
            "405 Method Not Allowed"
        );
        assert_eq!(
            status("GET /activity HTTP/1.1\r\n\r\n", Ok(())).0,
            "404 Not Found"
        );
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
