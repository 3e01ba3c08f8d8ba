//! Large files through the gateway, there and back.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    time::Instant,
};

use anyhow::ensure;

use crate::visitor::Visitor;

/// Writes bytes that nothing can shorten and no two places of which are alike (splitmix64).
fn write_noise(path: &Path, mebibytes: u64) -> anyhow::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for n in 0..mebibytes << 17 {
        let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        file.write_all(&(z ^ (z >> 31)).to_le_bytes())?;
    }
    Ok(file.flush()?)
}

/// Never two copies on this machine at once: the disk is that of the node, too.
async fn copies_intact(stem: &str, mebibytes: u64) -> anyhow::Result<()> {
    let visitor = Visitor::new(stem).await?;
    let user = &visitor.user;
    let path = user.file("large");
    let local = path.display().to_string();
    write_noise(&path, mebibytes)?;
    let sum = |text: String| text.split(' ').next().unwrap_or_default().to_owned();
    let expected = sum(user.run("sha256sum", [&local])?);
    for (from, to, name) in [
        (local.as_str(), "box:/var/tmp/large", "up"),
        ("box:/var/tmp/large", local.as_str(), "down"),
    ] {
        let begun = Instant::now();
        user.run("scp", ["-q", "-F", &visitor.config, from, to])?;
        println!("{mebibytes} MiB {name}: {:?}", begun.elapsed());
        let arrived = if name == "up" {
            std::fs::remove_file(&path)?;
            sum(visitor.says(&["box", "sha256sum /var/tmp/large"])?)
        } else {
            ensure!(path.metadata()?.len() == mebibytes << 20);
            sum(user.run("sha256sum", [&local])?)
        };
        ensure!(arrived == expected, "changed on the way {name}");
    }
    visitor.user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_256_mebibytes_copies_intact_both_ways() -> anyhow::Result<()> {
    copies_intact("large", 256).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "nightly: minutes, and 4 GiB of disk"]
async fn a_file_of_2_gibibytes_copies_intact_both_ways() -> anyhow::Result<()> {
    copies_intact("huge", 2048).await
}
