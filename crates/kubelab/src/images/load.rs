//! Loads images into the node's runtime.

use std::{path::Path, time::Instant};

use super::{Archive, reference};
use crate::{command::run, error::Error, progress::Progress};

/// Imports what the runtime does not have yet.
pub fn load(
    ctr: &Path,
    socket: &Path,
    archives: &[Archive],
    progress: &Progress,
) -> Result<(), Error> {
    if archives.is_empty() {
        return Ok(());
    }
    let socket = socket.to_string_lossy();
    let call = |args: &[&str]| {
        run(
            ctr,
            &[&["--address", &socket, "--namespace", "k8s.io"], args].concat(),
        )
    };
    let there = call(&["images", "list"])?;
    for archive in archives {
        let (name, label) = (
            reference(&archive.name),
            format!("devserver.io/image-id={}", archive.id),
        );
        if has(&there, &name, &label) {
            continue;
        }
        progress.doing(format!("loading image {}", archive.name));
        let started = Instant::now();
        let path = archive.path.to_string_lossy();
        // Everything lives in memory: the layer as it was packed is of no use once it is unpacked.
        call(&[
            "images",
            "import",
            "--local",
            "--discard-unpacked-layers",
            "--label",
            &label,
            &path,
        ])?;
        progress.done(format!(
            "image {} loaded in {:.1} s",
            archive.name,
            started.elapsed().as_secs_f64()
        ));
    }
    Ok(())
}

/// Whether the runtime's list has this image with this label, which holds the id it was imported with.
fn has(list: &str, name: &str, label: &str) -> bool {
    list.lines()
        .any(|line| line.split_whitespace().next() == Some(name) && line.contains(label))
}
