//! An environment as direct mode meets it: an ssh server that lets in who has a certificate of the gateway for it, and runs
//! what it is told to, here.

use std::{
    collections::HashMap,
    os::unix::process::ExitStatusExt,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::SystemTime,
};

use devserver_gateway::{fingerprint::Fingerprint, stream::Cuttable};
use russh::{
    Channel, ChannelId, ChannelWriteHalf, Pty, Sig,
    keys::{Certificate, HashAlg, PublicKey},
    server::{self, Auth, ChannelOpenHandle, Handle, Msg, Session},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{ChildStdin, Command},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

use crate::rig::{Rig, new_key, pod_address};

/// What an environment was asked for.
#[derive(Default)]
pub struct Seen {
    /// Attempts to log in.
    pub logins: AtomicUsize,
    /// Terminals, sizes, signals and subsystems, in order.
    pub asked: Mutex<Vec<String>>,
    /// The one user that may log in.
    pub user: Mutex<String>,
}

/// Makes the box of somebody such an environment; it trusts that authority, and its DevServer tells its host key.
pub async fn settle(rig: &Rig, owner: &str, authority: &PublicKey) -> Arc<Seen> {
    let (host_key, seen) = (new_key(), Arc::new(Seen::default()));
    "dev".clone_into(&mut seen.user.lock().unwrap());
    let told = Fingerprint::of(host_key.public_key().key_data());
    rig.change(owner, |server, _| {
        server.host_keys = [told].into();
    });
    let config = Arc::new(server::Config {
        keys: vec![(*host_key).clone()],
        auth_rejection_time: std::time::Duration::from_millis(10),
        ..server::Config::default()
    });
    let (authority, uid) = (authority.clone(), format!("uid-{owner}"));
    let shared = Arc::clone(&seen);
    let down = rig.streets.down.clone();
    let serve = move |socket| {
        let socket = Cuttable::new(socket, &[], down.clone());
        let machine = Machine {
            authority: authority.clone(),
            uid: uid.clone(),
            seen: Arc::clone(&shared),
            sessions: HashMap::new(),
        };
        let config = Arc::clone(&config);
        async move {
            if let Ok(session) = server::run_stream(config, socket, machine).await {
                let _ = session.await;
            }
        }
    };
    rig.streets.serve(pod_address(owner), serve).await;
    seen
}

struct Machine {
    authority: PublicKey,
    uid: String,
    seen: Arc<Seen>,
    sessions: HashMap<ChannelId, Place>,
}

/// A session: where it answers, its variables, its standard input.
struct Place {
    to: Option<ChannelWriteHalf<Msg>>,
    variables: Vec<(String, String)>,
    input: UnboundedSender<Vec<u8>>,
    waiting: Option<UnboundedReceiver<Vec<u8>>>,
}

impl Machine {
    fn saw(&self, what: String) {
        self.seen.asked.lock().unwrap().push(what);
    }

    /// As `sshd(8)` judges a certificate by the line that the operator writes.
    fn is_good(&self, user: &str, certificate: &Certificate) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap().as_secs();
        let trusted = self.authority.fingerprint(HashAlg::Sha256);
        let from = certificate.critical_options().get("source-address");
        user == *self.seen.user.lock().unwrap()
            && certificate.validate_at(now, [&trusted]).is_ok()
            && certificate.valid_principals() == [format!("devserver-{}", self.uid)]
            && from.is_some_and(|from| from == "127.0.0.1")
    }
}

impl server::Handler for Machine {
    type Error = russh::Error;

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Self::Error> {
        self.seen.logins.fetch_add(1, Relaxed);
        Ok(if self.is_good(user, certificate) {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        #[allow(
            clippy::disallowed_methods,
            reason = "what a test sends is bounded, and its connection must not be held up"
        )]
        let (input, waiting) = unbounded_channel();
        let place = Place {
            variables: Vec::new(),
            input,
            waiting: Some(waiting),
            to: Some(channel.split().1),
        };
        if let Some(to) = &place.to {
            self.sessions.insert(to.id(), place);
        }
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let place = self.sessions.get_mut(&channel).unwrap();
        place.variables.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let modes = modes.len();
        self.saw(format!("terminal {term} {columns}x{rows} {modes}"));
        session.channel_success(channel)
    }

    async fn window_change_request(
        &mut self,
        _: ChannelId,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.saw(format!("size {columns}x{rows}"));
        Ok(())
    }

    async fn signal(
        &mut self,
        _: ChannelId,
        signal: Sig,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.saw(format!("signal {signal:?}"));
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.saw(format!("subsystem {name}"));
        match name {
            "echo" => self.exec_request(channel, b"cat", session).await,
            _ => session.channel_failure(channel),
        }
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.exec_request(channel, b"cat", session).await
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let place = self.sessions.get_mut(&channel).unwrap();
        let (to, waiting) = (place.to.take().unwrap(), place.waiting.take().unwrap());
        let mut child = Command::new("sh");
        child
            .arg("-c")
            .arg(String::from_utf8_lossy(command).as_ref())
            .envs(place.variables.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let child = child.spawn().unwrap();
        session.channel_success(channel)?;
        tokio::spawn(run(child, to, session.handle(), waiting));
        Ok(())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let _ = self.sessions[&channel].input.send(data.to_vec());
        Ok(())
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let _ = self.sessions[&channel].input.send(Vec::new());
        Ok(())
    }
}

/// Runs to the end, with everything that belongs to it.
async fn run(
    mut child: tokio::process::Child,
    to: ChannelWriteHalf<Msg>,
    handle: Handle,
    input: UnboundedReceiver<Vec<u8>>,
) {
    tokio::spawn(feed(child.stdin.take().unwrap(), input));
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    tokio::join!(copy(out, &to, None), copy(err, &to, Some(1)));
    let status = child.wait().await.unwrap();
    match (status.code(), status.signal()) {
        (Some(code), _) => {
            let code = u32::try_from(code).unwrap();
            let _ = handle.exit_status_request(to.id(), code).await;
        }
        (None, signal) => {
            assert_eq!(signal, Some(15));
            let (words, language) = ("ended".to_owned(), "en".to_owned());
            let told = handle.exit_signal_request(to.id(), Sig::TERM, false, words, language);
            let _ = told.await;
        }
    }
    let _ = to.eof().await;
    let _ = to.close().await;
}

async fn feed(mut stdin: ChildStdin, mut input: UnboundedReceiver<Vec<u8>>) {
    while let Some(bytes) = input.recv().await.filter(|bytes| !bytes.is_empty()) {
        if stdin.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, to: &ChannelWriteHalf<Msg>, stream: Option<u32>) {
    let mut buffer = vec![0; 32 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = buffer[..count].to_vec();
        let sent = match stream {
            None => to.data_bytes(bytes).await,
            Some(stream) => to.extended_data_bytes(stream, bytes).await,
        };
        if sent.is_err() {
            return;
        }
    }
}
