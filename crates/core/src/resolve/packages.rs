//! Packages to install at start: each text must be one requirement and nothing else.

use devserver_api::DevServerSpec;

use crate::Invalid;

/// Longest requirement.
const MAX_LENGTH: usize = 200;
/// Longest first, because `=` ends none of them and `=` alone is none.
const COMPARISONS: [&str; 8] = ["===", "==", "!=", "<=", ">=", "~=", "<", ">"];

pub(super) fn pip(spec: &DevServerSpec) -> Result<Vec<String>, Invalid> {
    let texts = spec.packages.iter().flat_map(|packages| &packages.pip);
    let mut checked: Vec<String> = Vec::new();
    for (index, text) in texts.enumerate() {
        if !is_requirement(text) {
            let text = text.chars().take(MAX_LENGTH).collect();
            return Err(Invalid::Package { index, text });
        }
        if !checked.contains(text) {
            checked.push(text.clone());
        }
    }
    Ok(checked)
}

/// A name, extras and versions of PEP 508, written without spaces. What else PEP 508 has, addresses and markers, is left
/// out: pip would fetch the one from anywhere, and the other needs quotes.
fn is_requirement(text: &str) -> bool {
    let is_versions = |text: &str| text.is_empty() || text.split(',').all(is_version);
    let end = text
        .find(|c: char| !is_name_character(c))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if text.len() > MAX_LENGTH || !is_name(name) {
        return false;
    }
    match rest.strip_prefix('[') {
        None => is_versions(rest),
        Some(rest) => rest
            .split_once(']')
            .is_some_and(|(extras, rest)| extras.split(',').all(is_name) && is_versions(rest)),
    }
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

fn is_name(text: &str) -> bool {
    let ends_well = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.chars().all(is_name_character)
        && ends_well(text.chars().next())
        && ends_well(text.chars().next_back())
}

fn is_version(text: &str) -> bool {
    let version = COMPARISONS.iter().find_map(|c| text.strip_prefix(c));
    version.is_some_and(|version| {
        let is_known =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '*' | '+' | '!' | '_' | '-');
        !version.is_empty() && version.chars().all(is_known)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_of_every_shape_are_taken() {
        for text in [
            "numpy",
            "pandas==2.2.3",
            "httpx[http2]>=0.27",
            "a[b,c-d]!=1.*,<2",
            "ruamel.yaml~=0.18",
            "torch===2.5.1+cu121",
            "x>1!2.0rc1",
            "A_b-C.d",
        ] {
            assert!(is_requirement(text), "{text}");
        }
    }

    #[test]
    fn d3_options_addresses_paths_and_shell_text_are_no_packages() {
        for text in [
            "",
            "-r/etc/passwd",
            "--index-url=http://evil",
            "-e.",
            "numpy --index-url=x",
            "numpy ",
            "numpy\n--pre",
            "numpy\tscipy",
            "http://evil/x.whl",
            "x@http://evil/x.whl",
            "git+https://evil/x",
            "./x",
            "../x",
            "/x",
            "x/y",
            "x\\y",
            "numpy;id",
            "numpy;python_version<'3'",
            "$(id)",
            "`id`",
            "x|y",
            "x&y",
            "x'y",
            "x\"y",
            "x==",
            "x=1",
            "x==1,",
            "x==1;id",
            "x==$(id)",
            "x[",
            "x[]",
            "x[a",
            "x[a]]",
            "x[-a]",
            "x-",
            ".x",
            "x==1 2",
            "numpy\u{200b}",
            "nümpy",
            "x==1\u{0}",
            "#x",
        ] {
            assert!(!is_requirement(text), "{text:?}");
        }
        assert!(!is_requirement(&"x".repeat(MAX_LENGTH + 1)));
    }
}
