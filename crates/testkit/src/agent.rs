//! Stands in for the agent of an environment where there is no node: answers at an address of its own what the test says was
//! seen. It asks for no token; that the real one does is tested with the real one.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::Operator;

/// Port of the agent's endpoint.
const PORT: u16 = 9022;
/// Addresses that are tried before it is given up.
const ATTEMPTS: usize = 32;

struct State {
    /// Seconds its clock is ahead, as the test moves the time.
    ahead: i64,
    begun: Timestamp,
    typed: Timestamp,
    holds: Value,
    /// What it has seen besides, as parts of its report.
    seen: Value,
    is_silent: bool,
    /// What people were to be told, each time that it was something else.
    notices: Vec<Option<String>>,
}

/// A running stand-in; ends when dropped.
pub struct Agent {
    address: Ipv4Addr,
    state: Arc<Mutex<State>>,
    asked: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Agent {
    /// At an address of this machine that nobody else has; somebody has just typed.
    pub async fn start() -> anyhow::Result<Self> {
        let (listener, address) = listen().await?;
        let now = Timestamp::now();
        let state = Arc::new(Mutex::new(State {
            ahead: 0,
            begun: now.checked_sub(SignedDuration::from_hours(1000))?,
            typed: now,
            holds: json!([]),
            seen: json!({}),
            is_silent: false,
            notices: Vec::new(),
        }));
        let asked = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(serve(listener, state.clone(), asked.clone()));
        Ok(Self {
            address,
            state,
            asked,
            task,
        })
    }

    /// Where it is: the address of its pod.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// How often it was asked.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// What people were to be told with each question, each time that it was something else; `None`: nothing.
    pub fn notices(&self) -> Vec<Option<String>> {
        self.lock().notices.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
    }

    /// Its clock is so many seconds ahead.
    pub fn set_clock(&self, ahead: i64) {
        self.change(|state| state.ahead = ahead);
    }

    /// So much later it is for the operator, the API server and the agent. While their clocks differ nobody is asked: two
    /// that are hours apart mean something else.
    pub fn pass(&self, operator: &Operator, ahead: i64) -> anyhow::Result<()> {
        self.set_silent(true);
        operator.set_time(ahead)?;
        self.set_clock(ahead);
        self.set_silent(false);
        Ok(())
    }

    /// Somebody types now.
    pub fn type_now(&self) {
        self.change(|state| state.typed = state.now());
    }

    /// Somebody holds the environment for so many seconds; zero: nobody does.
    pub fn held_for(&self, seconds: i64) {
        self.change(|state| {
            let now = state.now();
            let until = now.checked_add(SignedDuration::from_secs(seconds));
            state.holds = if seconds == 0 {
                json!([])
            } else {
                json!([{"by": "ada", "what": "make train", "since": now, "until": until.unwrap_or(now)}])
            };
        });
    }

    /// What it says besides, such as `{"home": {"total": 100, "used": 90}}`.
    pub fn sees(&self, seen: Value) {
        self.change(|state| state.seen = seen);
    }

    /// Whether it says nothing at all.
    pub fn set_silent(&self, is_silent: bool) {
        self.change(|state| state.is_silent = is_silent);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(SignedDuration::from_secs(self.ahead))
            .unwrap_or(now)
    }

    fn report(&self) -> String {
        let now = self.now();
        let mut report = json!({
            "at": now, "sampledAt": now, "startedAt": self.begun, "typed": {"last": self.typed}, "holds": self.holds,
        });
        if let (Some(all), Some(seen)) = (report.as_object_mut(), self.seen.as_object()) {
            all.extend(seen.clone());
        }
        report.to_string()
    }
}

async fn listen() -> anyhow::Result<(TcpListener, Ipv4Addr)> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let mut bytes = crate::sample::word(3).into_bytes().into_iter();
        let mut next = || bytes.next().unwrap_or(1);
        let address = Ipv4Addr::new(127, next(), next(), next());
        match TcpListener::bind((address, PORT)).await {
            Ok(listener) => return Ok((listener, address)),
            Err(why) => last = Some(why),
        }
    }
    Err(last.context("no attempt")?).context("failed to listen as an agent")
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>, asked: Arc<AtomicU64>) {
    while let Ok((socket, _)) = listener.accept().await {
        asked.fetch_add(1, Ordering::SeqCst);
        let state = state.clone();
        tokio::spawn(async move { drop(answer(socket, &state).await) });
    }
}

async fn answer(mut socket: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if socket.read(&mut byte).await? == 0 {
            return Ok(());
        }
        request.extend_from_slice(&byte);
    }
    let report = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let notice = notice(&request);
        if state.notices.last() != Some(&notice) {
            state.notices.push(notice);
        }
        (!state.is_silent).then(|| state.report())
    };
    let Some(body) = report else {
        return Ok(());
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(body.as_bytes()).await
}

/// The header that says what people are to be told.
fn notice(request: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(request);
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("devserver-notice");
        is_it.then(|| value.trim().to_owned())
    })
}
