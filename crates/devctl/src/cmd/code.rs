//! `devctl code`: VS Code of this machine, working in a DevServer by plain ssh.

use std::{fmt::Write as _, process::Command};

use devserver_api::names;

use super::reach;
use crate::{
    args::{Code, DEFAULT_NAME, Global, check_name},
    exit::Exit,
    failure::{Failure, Outcome},
    files, include, output,
};

/// Opens it; comes back only when it cannot.
pub async fn run(global: &Global, args: &Code) -> Outcome<Exit> {
    let name = check_name(args.name.as_deref().unwrap_or(DEFAULT_NAME))?;
    let path = checked(args.path.as_deref())?;
    // The editor asks plain ssh, which knows the host by the Include line and by nothing else.
    included(name)?;
    let access = reach::access(global, name, args.timeout).await?;
    let host = access.target.host();
    let folder = folder(path, &names::login_home(&access.login_user));
    if args.print {
        output::say(&address(&host, &folder))?;
        return Ok(Exit::Ok);
    }
    let mut command = Command::new("code");
    command
        .arg("--remote")
        .arg(format!("ssh-remote+{host}"))
        .arg(&folder);
    let remedy = "install VS Code with the extension Remote - SSH, and its command `code` (in VS Code: \"Shell Command: Install 'code' command in PATH\"); or open the address that `devctl code --print` prints";
    Err(reach::become_program(global, &mut command, remedy))
}

fn included(name: &str) -> Outcome {
    let line = include::line(&files::ssh_dir()?)?;
    if include::is_enabled(&files::user_ssh_dir()?.join("config"), &line)? {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Error,
        format!("VS Code cannot find DevServer '{name}'"),
    )
    .because("~/.ssh/config does not include the files of devctl")
    .remedy("allow it once: devctl config ssh-include --enable"))
}

/// It becomes part of a command line and of an address.
fn checked(path: Option<&str>) -> Outcome<&str> {
    let path = path.unwrap_or_default();
    if path.chars().any(char::is_control) {
        return Err(Failure::usage("the path holds a control character"));
    }
    Ok(path)
}

/// The folder as a path from the root.
fn folder(path: &str, home: &str) -> String {
    match path.strip_prefix("~/").unwrap_or(path) {
        "" | "~" => home.to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path => format!("{home}/{path}"),
    }
}

/// What a browser or a desktop opens.
fn address(host: &str, folder: &str) -> String {
    let mut address = format!("vscode://vscode-remote/ssh-remote+{host}");
    for byte in folder.bytes() {
        // RFC 3986, section 3.3: what may stand in a path as it is.
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            address.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_below_the_home_unless_it_begins_at_the_root() {
        for (path, expected) in [
            (None, "/home/dev"),
            (Some("~"), "/home/dev"),
            (Some("~/src"), "/home/dev/src"),
            (Some("src"), "/home/dev/src"),
            (Some("/srv"), "/srv"),
            (Some("--install-extension"), "/home/dev/--install-extension"),
        ] {
            assert_eq!(folder(checked(path).unwrap(), "/home/dev"), expected);
        }
        assert_eq!(folder("src", "/home/coder"), "/home/coder/src");
        assert_eq!(checked(Some("a\nb")).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn the_address_holds_any_path() {
        assert_eq!(
            address("a.default.devserver", "/home/dev/größe 1?#"),
            "vscode://vscode-remote/ssh-remote+a.default.devserver/home/dev/gr%C3%B6%C3%9Fe%201%3F%23"
        );
    }
}
