//! Large files through the gateway, there and back.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    time::Instant,
};

use anyhow::ensure;
use devserver_api::DevServerFlavor;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{machine::User, visitor::Visitor};

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
async fn copies_intact(visitor: Visitor, mebibytes: u64) -> anyhow::Result<()> {
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
    copies_intact(Visitor::new("large").await?, 256).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "nightly: minutes, and 4 GiB of disk"]
async fn a_file_of_2_gibibytes_copies_intact_both_ways() -> anyhow::Result<()> {
    let user = User::new("huge").await?;
    // Version 1 of control groups slows nobody who writes faster than the disk: what waits to be written is the machine's memory.
    let flavor = json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": "node-large-files"},
        "spec": {"resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "2560Mi"}}},
    });
    let flavors: Api<DevServerFlavor> = Api::all(user.client.clone());
    let params = PatchParams::apply("tests").force();
    flavors
        .patch("node-large-files", &params, &Patch::Apply(flavor))
        .await?;
    user.create_of("node-large-files", "box", &["--expose", "ClusterIP"])?;
    copies_intact(Visitor::of(user).await?, 2048).await
}
