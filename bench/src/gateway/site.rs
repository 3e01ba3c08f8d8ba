//! The place where it is measured: a network namespace that is the environment's pod, sshd in it, a jump host, and the
//! folder of a user with keys and a configuration.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

const NAMESPACE: &str = "devserver-bench";
const LINK: &str = "devserver-bench";
const HOST: &str = "10.246.17.1/29";
/// Address of the environment with sshd.
pub const POD: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 246, 17, 2));
/// Address of the environment that says nothing.
pub const QUIET_POD: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 246, 17, 3));
/// Who logs in at the environment.
pub const USER: &str = "dev";

/// The place; removed when dropped.
pub struct Site {
    folder: TempDir,
    sshd: PathBuf,
}

impl Site {
    /// Makes the namespace, keys, and what sshd needs.
    pub async fn new(sshd: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("devserver-bench-")
            .tempdir()?;
        // sshd reads the keys of a user as that user.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let site = Self {
            folder,
            sshd: sshd.to_owned(),
        };
        // Left by one that was killed.
        let _ = run("ip", &["netns", "delete", NAMESPACE]).await;
        let _ = run("ip", &["link", "delete", LINK]).await;
        for line in [
            format!("ip netns add {NAMESPACE}"),
            format!("ip link add {LINK} type veth peer name eth0 netns {NAMESPACE}"),
            format!("ip address add {HOST} dev {LINK}"),
            format!("ip link set {LINK} up"),
            format!("ip -n {NAMESPACE} address add {POD}/29 dev eth0"),
            format!("ip -n {NAMESPACE} address add {QUIET_POD}/29 dev eth0"),
            format!("ip -n {NAMESPACE} link set eth0 up"),
        ] {
            let mut words = line.split(' ');
            let program = words.next().unwrap_or_default();
            run(program, &words.collect::<Vec<_>>()).await?;
        }
        fs::create_dir(site.path("host-keys"))?;
        for key in ["id", "target", "jump", "host-keys/gateway"] {
            let path = site.path(key).display().to_string();
            run(
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &path],
            )
            .await?;
        }
        // The machine's accounts are not touched: sshd sees these only.
        let accounts = format!(
            "root:x:0:0:root:/:/bin/sh\nsshd:*:998:998::/run/sshd:/usr/sbin/nologin\n{USER}:*:1000:1000::/:/bin/sh\n"
        );
        fs::write(site.path("passwd"), accounts)?;
        fs::copy(site.path("id.pub"), site.path("authorized_keys"))?;
        Ok(site)
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A public key of the folder, `<type> <base64>`.
    pub fn public_key(&self, name: &str) -> Result<String> {
        let text = fs::read_to_string(self.path(&format!("{name}.pub")))?;
        Ok(text.trim().to_owned())
    }

    /// The environment's sshd, in the namespace.
    pub async fn target(&self, port: u16) -> Result<Server> {
        self.serve("target", SocketAddr::new(POD, port), true).await
    }

    /// The jump host, where the gateway is, too.
    pub async fn jump(&self) -> Result<Server> {
        self.serve("jump", free_port()?, false).await
    }

    /// A process in the namespace that takes connections and says nothing.
    pub async fn quiet(&self, port: u16) -> Result<Server> {
        let address = SocketAddr::new(QUIET_POD, port);
        let own = std::env::current_exe()?;
        let mut command = entered();
        command
            .arg(own)
            .args(["quiet-server", &address.to_string()]);
        Server::start(command, address).await
    }

    async fn serve(&self, name: &str, address: SocketAddr, in_namespace: bool) -> Result<Server> {
        let folder = self.folder.path().display();
        let config = format!(
            "ListenAddress {address}\nHostKey {folder}/{name}\nAuthorizedKeysFile {folder}/authorized_keys\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\n\
             PermitUserRC no\nPrintMotd no\nPrintLastLog no\nMaxStartups 10000\nLoginGraceTime 300\nLogLevel ERROR\n"
        );
        let path = self.path(&format!("{name}.conf"));
        fs::write(&path, config)?;
        // exec throughout: the process that is measured is sshd itself.
        let script = "mount --bind \"$1\" /etc/passwd && mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec \"$2\" -D -e -f \"$3\"";
        let mut command = if in_namespace {
            let mut entered = entered();
            entered.arg("unshare");
            entered
        } else {
            Command::new("unshare")
        };
        command
            .args(["--mount", "sh", "-ec", script, "sh"])
            .arg(self.path("passwd"))
            .arg(&self.sshd)
            .arg(path)
            .stderr(fs::File::create(self.path(&format!("{name}.log")))?);
        Server::start(command, address)
            .await
            .with_context(|| format!("failed to start sshd as {name}"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let deleted = std::process::Command::new("ip")
            .args(["netns", "delete", NAMESPACE])
            .status();
        if !deleted.is_ok_and(|status| status.success()) {
            eprintln!("failed to delete the network namespace {NAMESPACE}");
        }
    }
}

/// A process that serves; ended when dropped.
pub struct Server {
    child: Child,
    /// Where.
    pub address: SocketAddr,
}

impl Server {
    /// Starts it and waits until it takes connections.
    pub async fn start(mut command: Command, address: SocketAddr) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("failed to start a process")?;
        let mut server = Self { child, address };
        let limit = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("it ended with {status}");
            }
            if Instant::now() > limit {
                bail!("nothing listens on {address} after 30 s");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(server)
    }

    /// Its process.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("it has ended")
    }
}

/// An address that nobody has.
pub fn free_port() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn entered() -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{NAMESPACE}"));
    command
}

async fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("failed to run {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {} failed: {said}", arguments.join(" "));
    }
    Ok(())
}
