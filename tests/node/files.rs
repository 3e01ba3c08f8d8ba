//! Files come and go by every stock client, whole.

use crate::machine::User;

/// A user with a running machine and a file to carry.
struct Carrier {
    user: User,
    config: String,
    host: String,
    local: String,
    bytes: Vec<u8>,
}

impl Carrier {
    async fn new() -> anyhow::Result<Self> {
        let user = User::new("files").await?;
        user.create("box", &[])?;
        let (config, host) = user.ssh_config("box")?;
        let local = user.file("local");
        // No two parts alike, so that a lost or doubled block is seen.
        let bytes: Vec<u8> = (0..5_000_000_u32)
            .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
            .collect();
        std::fs::write(&local, &bytes)?;
        let config = config.display().to_string();
        Ok(Self {
            user,
            config,
            host,
            local: local.display().to_string(),
            bytes,
        })
    }

    fn back(&self, name: &str) -> String {
        self.user.file(name).display().to_string()
    }

    fn came_back_whole(&self, name: &str) -> anyhow::Result<()> {
        anyhow::ensure!(
            std::fs::read(self.back(name))? == self.bytes,
            "{name} changed the file"
        );
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sftp_scp_and_rsync_carry_files_both_ways() -> anyhow::Result<()> {
    let it = Carrier::new().await?;
    let (user, config, host, local) = (&it.user, &it.config, &it.host, &it.local);
    let key = user.key();

    user.run(
        "scp",
        ["-F", config, "-i", &key, local, &format!("{host}:by-scp")],
    )?;
    user.run(
        "scp",
        [
            "-F",
            config,
            "-i",
            &key,
            &format!("{host}:by-scp"),
            &it.back("scp"),
        ],
    )?;
    it.came_back_whole("scp")?;

    let batch = user.file("batch");
    std::fs::write(
        &batch,
        format!("put {local} by-sftp\nget by-sftp {}\n", it.back("sftp")),
    )?;
    user.run(
        "sftp",
        [
            "-F",
            config,
            "-i",
            &key,
            "-b",
            &batch.display().to_string(),
            host,
        ],
    )?;
    it.came_back_whole("sftp")?;

    let shell = format!("ssh -F {config} -i {key}");
    user.run("rsync", ["-e", &shell, local, &format!("{host}:by-rsync")])?;
    user.run(
        "rsync",
        ["-e", &shell, &format!("{host}:by-rsync"), &it.back("rsync")],
    )?;
    it.came_back_whole("rsync")?;

    assert_eq!(
        user.says("box", "stat -c %U by-scp by-sftp by-rsync | sort -u")?,
        "dev"
    );
    it.user.leave().await;
    Ok(())
}
