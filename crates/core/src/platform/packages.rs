//! Where packages come from.

use super::{Platform, PlatformError};

/// The address becomes a line of pip's configuration: nothing in it may end the line.
pub(super) fn check(platform: &Platform) -> Result<(), PlatformError> {
    let Some(url) = &platform.pip_index_url else {
        return Ok(());
    };
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    if is_web && url.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    Err(PlatformError::Value {
        field: "pipIndexUrl",
        why: "must be a web address without spaces, such as https://pip.example.com/simple"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d3_an_index_that_would_add_a_line_is_refused() {
        let with = |url: &str| {
            check(&Platform {
                pip_index_url: Some(url.to_owned()),
                ..Platform::default()
            })
        };
        assert!(with("https://pip.example.com/simple").is_ok());
        for bad in [
            "",
            "file:///etc",
            "https://x\ntrusted-host = evil",
            "https://x y",
            "ftp://x",
        ] {
            assert!(with(bad).is_err(), "{bad:?}");
        }
    }
}
