//! A session between two ssh connections: what the client says goes on to the environment, what that says comes back.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client, server};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    command::Terminal,
    inbox::{Event, Inbox, Size, Start},
    relay::{Carried, End},
};

/// How long the last words of one side are carried on when the other is gone.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Status of a session that could not begin.
const NOT_BEGUN: u32 = 255;

/// What the environment was asked and has not answered; it answers in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Terminal,
    Start,
}

#[derive(Default)]
struct Questions(Mutex<VecDeque<Asked>>);

impl Questions {
    fn ask(&self, asked: Asked) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back(asked);
    }

    fn answered(&self) -> Option<Asked> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.pop_front()
    }
}

/// Carries a session until one side has ended it or is gone.
pub async fn carry(
    inbox: &mut Inbox,
    machine: Channel<client::Msg>,
    channel: &ChannelWriteHalf<server::Msg>,
    terminal: &Terminal,
    gone: &CancellationToken,
) -> Carried {
    let started = Instant::now();
    let (counted_up, counted_down) = (AtomicU64::new(0), AtomicU64::new(0));
    let (from, to) = machine.split();
    let questions = Questions::default();
    let closed = inbox.closed.clone();
    let end = {
        let up = up(inbox, &to, &questions, &counted_up);
        let down = down(from, channel, terminal, &questions, &counted_down);
        tokio::pin!(up, down);
        tokio::select! {
            () = gone.cancelled() => End::Gone,
            end = &mut down => end,
            end = &mut up => {
                if end == End::Broken {
                    // The environment takes nothing any more, but what it said before is still worth having.
                    timeout(LAST_WORDS, &mut down).await.unwrap_or(End::Broken)
                } else {
                    end
                }
            }
            () = hung_up(&closed) => End::Client,
        }
    };
    // Fails only when the environment is gone; else what runs there is told that its user is.
    let _ = to.close().await;
    Carried {
        up: counted_up.load(Relaxed),
        down: counted_down.load(Relaxed),
        end,
        lasted: started.elapsed(),
    }
}

/// What came before a client closed its channel has a moment to be carried on.
async fn hung_up(closed: &CancellationToken) {
    closed.cancelled().await;
    tokio::time::sleep(LAST_WORDS).await;
}

/// Ends when the client has closed the channel and all it said before is carried on.
async fn up(
    inbox: &mut Inbox,
    to: &ChannelWriteHalf<client::Msg>,
    questions: &Questions,
    counted: &AtomicU64,
) -> End {
    while let Some(taken) = inbox.take().await {
        let done = match taken.event {
            Event::Pty(term, Size(columns, rows, width, height), modes) => {
                questions.ask(Asked::Terminal);
                to.request_pty(true, &term, columns, rows, width, height, &modes)
                    .await
            }
            Event::Env(name, value) => to.set_env(false, name, value).await,
            Event::Start(start) => {
                questions.ask(Asked::Start);
                match start {
                    Start::Shell => to.request_shell(true).await,
                    Start::Exec(command) => to.exec(true, command).await,
                    Start::Subsystem(name) => to.request_subsystem(true, name).await,
                }
            }
            Event::Resize(Size(columns, rows, width, height)) => {
                to.window_change(columns, rows, width, height).await
            }
            Event::Signal(signal) => to.signal(signal).await,
            Event::Data(data) => {
                let count = data.len() as u64;
                let sent = to.data_bytes(data).await;
                counted.fetch_add(count, Relaxed);
                sent
            }
            Event::Eof => to.eof().await,
        };
        drop(taken.weight);
        if done.is_err() {
            return End::Broken;
        }
    }
    End::Client
}

/// Ends when the environment has ended the session.
async fn down(
    mut from: ChannelReadHalf,
    to: &ChannelWriteHalf<server::Msg>,
    terminal: &Terminal,
    questions: &Questions,
    counted: &AtomicU64,
) -> End {
    while let Some(message) = from.wait().await {
        let done = match message {
            ChannelMsg::Data { data } => {
                counted.fetch_add(data.len() as u64, Relaxed);
                to.data_bytes(data).await.is_ok()
            }
            ChannelMsg::ExtendedData { data, ext } => {
                counted.fetch_add(data.len() as u64, Relaxed);
                to.extended_data_bytes(ext, data).await.is_ok()
            }
            ChannelMsg::Eof => to.eof().await.is_ok(),
            ChannelMsg::ExitStatus { exit_status } => terminal.exited(exit_status).await,
            ChannelMsg::ExitSignal {
                signal_name,
                core_dumped,
                error_message,
                lang_tag,
            } => {
                let told = terminal.killed(signal_name, core_dumped, error_message, lang_tag);
                told.await
            }
            ChannelMsg::Success => {
                questions.answered();
                true
            }
            ChannelMsg::Failure => match questions.answered() {
                Some(Asked::Terminal) => {
                    terminal.say("the environment gives no terminal").await;
                    true
                }
                Some(Asked::Start) => {
                    let refused = "the environment does not start what was asked for";
                    terminal.say(refused).await;
                    terminal.end(NOT_BEGUN).await;
                    return End::Pod;
                }
                None => true,
            },
            ChannelMsg::Close => return End::Pod,
            _ => true,
        };
        if !done {
            return End::Gone;
        }
    }
    End::Broken
}
