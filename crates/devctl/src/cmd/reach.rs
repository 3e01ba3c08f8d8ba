//! What every command needs that leaves the work to a stock ssh client.

use std::{os::unix::process::CommandExt as _, process::Command, time::Duration};

use devserver_api::DevServer;

use crate::{
    access::{self, Access},
    args::Global,
    exit::Exit,
    failure::{Failure, Outcome},
    kube::Session,
    progress::{self, Verdict},
    wait,
};

/// Waits until the DevServer can be reached, and writes the ssh files of it.
pub async fn access(global: &Global, name: &str, timeout: Duration) -> Outcome<Access> {
    let (session, server) = server(global, name, timeout).await?;
    access::write(&session.place, &server)
}

/// The DevServer, when it can be reached.
pub async fn server(
    global: &Global,
    name: &str,
    timeout: Duration,
) -> Outcome<(Session, DevServer)> {
    let session = Session::connect(global).await?;
    let server = match session.server(name).await {
        Ok(server) => server,
        Err(failure) => {
            if failure.exit == Exit::NotFound {
                access::remove(&session.place, name)?;
            }
            return Err(failure);
        }
    };
    if progress::verdict(&server) == Verdict::Ready {
        return Ok((session, server));
    }
    let ready = wait::until_started(&session, name, timeout).await?;
    if ready.metadata.uid != server.metadata.uid {
        // Another machine under the same name; the user should know before trusting it.
        return Err(Failure::new(
            Exit::Error,
            format!("DevServer '{name}' was replaced by a new one meanwhile"),
        )
        .remedy("run the command again to reach the new one"));
    }
    Ok((session, ready))
}

/// Becomes the program: signals, job control and the exit code are its own. Comes back only when it cannot.
pub fn become_program(global: &Global, command: &mut Command, remedy: &str) -> Failure {
    global.detail(format_args!("{command:?}"));
    let program = command.get_program().to_string_lossy().into_owned();
    let error = command.exec();
    Failure::io(format!("failed to run {program}"), &error).remedy(remedy)
}
