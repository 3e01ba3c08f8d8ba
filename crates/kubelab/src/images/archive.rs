//! Writes a root filesystem and an image configuration as a docker-archive, which every runtime can import.
//!
//! The format is a tar with the configuration, a manifest and the layer. The tar headers are written here by hand:
//! they are a page of code, and the layer of hundreds of megabytes is copied through once while it is hashed.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::hex::hex;

const BLOCK: usize = 512;

/// Writes the archive; gives the image's id (`sha256:…`).
pub fn write(out: &mut File, layer: &Path, config: &Value, reference: &str) -> io::Result<String> {
    let mut source = File::open(layer)?;
    let size = source.metadata()?.len();
    // Its digest names the layer and is known only after it has been copied: its header is written last.
    let header_at = out.stream_position()?;
    out.write_all(&[0; BLOCK])?;
    let digest = copy(&mut source, out)?;
    pad(out, size)?;
    let after = out.stream_position()?;
    out.seek(SeekFrom::Start(header_at))?;
    let layer_name = format!("{}.tar", digest.get(..64).unwrap_or(&digest));
    out.write_all(&header(&layer_name, size))?;
    out.seek(SeekFrom::Start(after))?;

    let image = image(config, &digest).to_string();
    let id = hex(&Sha256::digest(&image));
    let config_name = format!("{id}.json");
    let manifest =
        json!([{"Config": config_name, "RepoTags": [reference], "Layers": [layer_name]}])
            .to_string();
    for (name, text) in [(config_name.as_str(), image), ("manifest.json", manifest)] {
        let length = text.len() as u64;
        out.write_all(&header(name, length))?;
        out.write_all(text.as_bytes())?;
        pad(out, length)?;
    }
    out.write_all(&[0; 2 * BLOCK])?;
    Ok(format!("sha256:{id}"))
}

/// The image's own description: what `image.json` says, and the digest of the uncompressed layer.
fn image(config: &Value, digest: &str) -> Value {
    // Either the whole document or only the part that says what to run.
    let inner = config.get("config").unwrap_or(config);
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "architecture": architecture,
        "os": "linux",
        "config": inner,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        "history": [{"created_by": "images/build.sh"}],
    })
}

fn copy(source: &mut File, out: &mut File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = source.read(&mut buffer)?;
        let Some(chunk) = buffer.get(..count).filter(|chunk| !chunk.is_empty()) else {
            return Ok(hex(&hash.finalize()));
        };
        hash.update(chunk);
        out.write_all(chunk)?;
    }
}

fn pad(out: &mut File, size: u64) -> io::Result<()> {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    if over > 0 {
        out.write_all(&vec![0; BLOCK - over])?;
    }
    Ok(())
}

/// A header of the old common tar format (ustar).
fn header(name: &str, size: u64) -> Vec<u8> {
    let mut block = Vec::with_capacity(BLOCK);
    let mut field = |text: &str, width: usize| {
        let start = block.len();
        block.extend(text.bytes().take(width));
        block.resize(start + width, 0);
    };
    field(name, 100);
    field("0000644", 8);
    field("0000000", 8);
    field("0000000", 8);
    // Eleven octal digits end at 8 GiB, and no layer is nearly that large.
    field(&format!("{size:011o}"), 12);
    field("00000000000", 12);
    // The checksum counts itself as blanks.
    field("        ", 8);
    field("0", 1);
    field("", 100);
    field("ustar", 6);
    field("00", 2);
    field("root", 32);
    field("root", 32);
    field("", BLOCK - 329);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    let checksum = format!("{sum:06o}\0 ");
    block.splice(148..156, checksum.bytes());
    block
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn tar_reads_the_archive_and_names_match_contents() {
        let dir = tempfile::tempdir().unwrap();
        let (layer, out) = (dir.path().join("rootfs.tar"), dir.path().join("out.tar"));
        std::fs::write(&layer, vec![7_u8; 1500]).unwrap();
        let config = json!({"Cmd": ["/pause"], "Env": ["A=b"]});
        let id = write(
            &mut File::create(&out).unwrap(),
            &layer,
            &config,
            "docker.io/devserver/x:lab",
        )
        .unwrap();

        let unpack = Command::new("tar")
            .arg("-xf")
            .arg(&out)
            .arg("-C")
            .arg(dir.path())
            .status()
            .unwrap();
        assert!(unpack.success());
        let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        let manifest: Value = serde_json::from_slice(&read("manifest.json")).unwrap();
        assert_eq!(manifest[0]["RepoTags"][0], "docker.io/devserver/x:lab");
        let config_name = manifest[0]["Config"].as_str().unwrap();
        assert_eq!(
            format!("sha256:{}", hex(&Sha256::digest(read(config_name)))),
            id
        );
        let layer_name = manifest[0]["Layers"][0].as_str().unwrap();
        assert_eq!(read(layer_name), vec![7_u8; 1500]);
        let image: Value = serde_json::from_slice(&read(config_name)).unwrap();
        assert_eq!(image["config"]["Cmd"][0], "/pause");
        assert_eq!(
            image["rootfs"]["diff_ids"][0],
            format!("sha256:{}", layer_name.trim_end_matches(".tar"))
        );
    }
}
