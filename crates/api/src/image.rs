//! Image references: what a container runtime will accept (distribution/reference grammar, without its rarities).

/// Why a text is not an image reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not an image reference; write something like ubuntu:22.04 or registry.example.com/team/image:tag"
)]
pub struct ImageError;

/// Checks an image reference: `[host[:port]/]path[:tag][@sha256:digest]`.
pub fn check(text: &str) -> Result<(), ImageError> {
    if text.is_empty() || text.len() > 512 {
        return Err(ImageError);
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    if let Some(digest) = digest {
        let hex = digest.strip_prefix("sha256:").ok_or(ImageError)?;
        if hex.len() != 64
            || !hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            return Err(ImageError);
        }
    }
    // A colon after the last slash begins the tag; one before it belongs to the host's port.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(ImageError);
    }
    let mut parts = name.split('/').peekable();
    let first = parts.peek().copied().unwrap_or_default();
    let has_host =
        name.contains('/') && (first.contains('.') || first.contains(':') || first == "localhost");
    if has_host {
        let host = parts.next().unwrap_or_default();
        if !is_host(host) {
            return Err(ImageError);
        }
    }
    if parts.all(is_component) {
        Ok(())
    } else {
        Err(ImageError)
    }
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    name.split('.').all(label) && port.parse::<u16>().is_ok()
}

fn is_component(component: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edges = component.bytes().next().is_some_and(alphanumeric)
        && component.bytes().last().is_some_and(alphanumeric);
    edges
        && !component.contains("..")
        && component
            .bytes()
            .all(|b| alphanumeric(b) || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_references_are_accepted() {
        let digest = format!("ubuntu@sha256:{}", "a".repeat(64));
        for text in [
            "ubuntu",
            "ubuntu:22.04",
            "docker.io/library/ubuntu:22.04",
            "registry.example.com:5000/team/image_x:v1.2-rc",
            "localhost/x",
            digest.as_str(),
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_no_runtime_could_pull_is_refused() {
        for text in [
            "",
            "Ubuntu",
            "ubuntu:",
            "ubuntu:a b",
            "../x",
            "library/../x",
            "-x",
            "x//y",
            "x@sha256:00",
            "http://x/y",
            "x:tag:tag",
            "évil/x",
            "x\n",
            "allowed.io@evil",
        ] {
            assert_eq!(check(text), Err(ImageError), "{text:?}");
        }
    }
}
