//! Waits for a DevServer and shows each step with its time. Watches, never polls.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use devserver_api::{DevServer, names::ServerName};
use devserver_core::status;
use futures::{Stream, StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};

use crate::{
    escape,
    exit::Exit,
    failure::{Failure, Outcome},
    kube::Session,
    output,
    progress::{self, Step, Verdict},
};

/// Waits until the DevServer can be used. Ends early when it never will be.
pub async fn until_ready(session: &Session, name: &str, timeout: Duration) -> Outcome<DevServer> {
    until(session, name, timeout, Goal::Ready).await
}

/// Waits until a client can be started: it runs, or all that takes long is over and sshd will be there before the client asks.
pub async fn until_started(session: &Session, name: &str, timeout: Duration) -> Outcome<DevServer> {
    until(session, name, timeout, Goal::Started).await
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Ready,
    Started,
}

async fn until(session: &Session, name: &str, timeout: Duration, goal: Goal) -> Outcome<DevServer> {
    let mut display = Display::new();
    let deadline = tokio::time::Instant::now() + timeout;
    let mut servers = watcher::watch_object(session.servers(), name)
        .default_backoff()
        .boxed();
    let mut pods = pods(session, name).boxed();
    let mut pulls = match goal {
        Goal::Ready => stream::empty().boxed(),
        Goal::Started => pulls(session, name).boxed(),
    };
    let (mut server, mut pod): (Option<DevServer>, Option<Pod>) = (None, None);
    let mut pulled = None;
    loop {
        // Before these there is nothing to see, and who makes the pod has the API server to itself.
        let is_accepted = server
            .as_ref()
            .is_some_and(|s| progress::reached(s, None).is_some());
        let is_scheduled = pod.as_ref().and_then(status::node).is_some();
        tokio::select! {
            seen = servers.next() => match seen {
                Some(Ok(Some(seen))) => server = Some(seen),
                Some(Ok(None)) => return Err(session.not_found(name)),
                Some(Err(error)) => refused(name, &error)?,
                None => return Err(Failure::new(Exit::Error, format!("the watch on DevServer '{name}' ended"))),
            },
            Some(seen) = pods.next(), if is_accepted => pod = seen,
            Some(seen) = pulls.next(), if is_scheduled => pulled = Some(seen),
            () = tokio::time::sleep_until(deadline) => return Err(display.timed_out(name, timeout)),
        }
        let Some(server) = &server else { continue };
        display.show(server, pod.as_ref());
        match progress::verdict(server) {
            Verdict::Ready => {
                display.finish();
                return Ok(server.clone());
            }
            Verdict::Hopeless(reason, message) => {
                display.finish();
                return Err(hopeless(name, &reason, &message));
            }
            Verdict::Pending(_)
                if goal == Goal::Started
                    && progress::may_connect(server, pod.as_ref(), pulled.as_deref()) =>
            {
                display.finish();
                return Ok(server.clone());
            }
            Verdict::Pending(_) => {}
        }
    }
}

/// Waits until the DevServer and its pod are gone; a pod that may not be read is taken as gone.
pub async fn until_gone(session: &Session, server: &DevServer, timeout: Duration) -> Outcome {
    let name = server.name_any();
    let gone = async {
        let mut servers = watcher::watch_object(session.servers(), &name)
            .default_backoff()
            .boxed();
        while let Some(seen) = servers.next().await {
            match seen {
                Ok(Some(other)) if other.uid() == server.uid() => {}
                Ok(_) => break,
                Err(error) => refused(&name, &error)?,
            }
        }
        let mut pods = pods(session, &name).boxed();
        while let Some(Some(pod)) = pods.next().await {
            if !progress::is_of(&pod, server) {
                break;
            }
        }
        Ok(())
    };
    tokio::time::timeout(timeout, gone)
        .await
        .unwrap_or_else(|_| {
            Err(Failure::new(
                Exit::TimedOut,
                format!(
                    "DevServer '{name}' is not gone after {} s",
                    timeout.as_secs()
                ),
            )
            .remedy(format!(
                "it goes on being deleted; see `kubectl get pods -l devserver.io/name={name}`"
            )))
        })
}

/// The pod as it changes; ends at once when the user may not read pods, which costs steps of the display and nothing else.
fn pods(session: &Session, name: &str) -> impl Stream<Item = Option<Pod>> + use<> {
    let Ok(name) = ServerName::parse(name) else {
        return stream::empty().left_stream();
    };
    watcher::watch_object(session.pods(), &name.pod())
        .default_backoff()
        .take_while(|seen| std::future::ready(!seen.as_ref().is_err_and(is_refusal)))
        .filter_map(|seen| std::future::ready(seen.ok()))
        .right_stream()
}

/// The UIDs of pods of that name whose image has been pulled. The kubelet says so in an event, some 0.2 s before the status of the
/// pod shows it; who may not read events is not told, which costs that time and nothing else.
fn pulls(session: &Session, name: &str) -> impl Stream<Item = String> + use<> {
    let Ok(name) = ServerName::parse(name) else {
        return stream::empty().left_stream();
    };
    let selector = format!("involvedObject.name={},reason=Pulled", name.pod());
    watcher(
        session.events(),
        watcher::Config::default().fields(&selector),
    )
    .default_backoff()
    .applied_objects()
    .take_while(|seen| std::future::ready(!seen.as_ref().is_err_and(is_refusal)))
    .filter_map(|seen| std::future::ready(seen.ok().as_ref().and_then(progress::pulled)))
    .right_stream()
}

fn api_error(error: &watcher::Error) -> Option<&kube::Error> {
    match error {
        watcher::Error::InitialListFailed(e)
        | watcher::Error::WatchStartFailed(e)
        | watcher::Error::WatchFailed(e) => Some(e),
        _ => None,
    }
}

fn is_refusal(error: &watcher::Error) -> bool {
    matches!(api_error(error), Some(kube::Error::Api(status)) if matches!(status.code, 401 | 403 | 404))
        || matches!(error, watcher::Error::WatchError(status) if matches!(status.code, 401 | 403 | 404))
}

/// Ends the wait when the answer will not change; any other trouble is retried by the watch until the deadline.
fn refused(name: &str, error: &watcher::Error) -> Outcome {
    match api_error(error) {
        Some(source) if is_refusal(error) => Err(Failure::kube(
            format!("failed to watch DevServer '{name}'"),
            source,
        )),
        _ => Ok(()),
    }
}

fn hopeless(name: &str, reason: &str, message: &str) -> Failure {
    let remedy = match reason {
        progress::SUSPENDED => format!("start it with `devctl resume {name}`"),
        progress::TERMINATING => {
            format!("when it is gone, create it anew with `devctl create {name}`")
        }
        _ => format!(
            "see `devctl describe {name}`; correct the spec, or remove it with `devctl delete {name}`"
        ),
    };
    Failure::new(
        Exit::Failed,
        format!("DevServer '{name}' cannot become ready ({reason})"),
    )
    .because(message)
    .remedy(remedy)
}

/// Steps on standard error: a spinner on a terminal, plain lines elsewhere.
struct Display {
    begin: Instant,
    shown: Option<Step>,
    detail: Option<String>,
    bar: Option<ProgressBar>,
}

impl Display {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar.set_message(Step::Accepted.awaited());
            bar
        });
        Self {
            begin: Instant::now(),
            shown: None,
            detail: None,
            bar,
        }
    }

    fn show(&mut self, server: &DevServer, pod: Option<&Pod>) {
        let reached = progress::reached(server, pod);
        for step in Step::ALL
            .into_iter()
            .filter(|s| Some(*s) <= reached && Some(*s) > self.shown)
        {
            let place = pod
                .and_then(status::node)
                .filter(|_| step == Step::Scheduled)
                .map(|n| format!(" on {n}"))
                .unwrap_or_default();
            self.line(&format!(
                "{:>6.1}s  {}{place}",
                self.begin.elapsed().as_secs_f64(),
                step.done()
            ));
        }
        self.shown = self.shown.max(reached);
        let awaited = Step::ALL
            .into_iter()
            .find(|s| Some(*s) > self.shown)
            .map_or("", Step::awaited);
        let said = pod
            .filter(|p| progress::is_of(p, server))
            .and_then(progress::waiting_reason)
            .or_else(|| server.status.as_ref().and_then(|s| s.message.clone()));
        self.detail(awaited, said);
    }

    fn detail(&mut self, awaited: &str, said: Option<String>) {
        let text = match &said {
            Some(said) => format!("{awaited}: {}", escape::line(said)),
            None => awaited.to_owned(),
        };
        match &self.bar {
            Some(bar) => bar.set_message(text),
            // In a log a line is worth its place only when it is new.
            None if said.is_some() && said != self.detail && self.shown < Some(Step::Ready) => {
                output::note(&format!(
                    "{:>6.1}s  {text}",
                    self.begin.elapsed().as_secs_f64()
                ));
            }
            None => {}
        }
        self.detail = said;
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(escape::line(text)),
            None => output::note(text),
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn timed_out(&self, name: &str, timeout: Duration) -> Failure {
        self.finish();
        let step = Step::ALL
            .into_iter()
            .find(|s| Some(*s) > self.shown)
            .map_or("done", Step::awaited);
        let why = match &self.detail {
            Some(said) => format!("still {step}: {said}"),
            None => format!("still {step}"),
        };
        Failure::new(
            Exit::TimedOut,
            format!(
                "DevServer '{name}' is not ready after {} s",
                timeout.as_secs()
            ),
        )
        .because(why)
        .remedy(format!(
            "it goes on starting; see `devctl describe {name}`, or wait longer with --timeout"
        ))
    }
}
