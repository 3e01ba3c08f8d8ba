//! What logins find: the PATH of login shells, the greeting, the client of docker.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{CONFIG, TOOLS, find_program};
use crate::{files, notice};

const PROFILES: &str = "/etc/profile.d";
const MOTD: &str = "/etc/motd";
const DOCKER: &str = "/opt/devserver-docker/client/docker";
const PROGRAMS: &str = "/usr/local/bin";

/// Makes it all; without it people can log in as well. `path` is the PATH of the image.
pub fn make(path: &str) {
    let profile = Path::new(PROFILES).join("devserver.sh");
    if Path::new(PROFILES).is_dir()
        && let Err(error) = files::replace(&profile, profile_of(path).as_bytes(), 0o644)
    {
        let profile = profile.display();
        notice::say(&format!("warning: {profile} cannot be written: {error}"));
    }
    make_docker_client();
    // sshd prints it at interactive logins only, whatever the shell; never for commands, scp or sftp.
    let motd = Path::new(CONFIG).join("motd");
    if motd.is_file()
        && let Err(error) = files::link(&motd, Path::new(MOTD))
    {
        notice::say(&format!("warning: {MOTD} cannot be written: {error}"));
    }
}

/// Login shells keep what the image's author put into PATH and find the tools, behind everything else.
fn profile_of(path: &str) -> String {
    let separator = if path.is_empty() { "" } else { ":" };
    format!(
        r#"# Made at the start of the environment: the image's own folders first, the tools last.
case :$PATH: in
  *:{TOOLS}/bin:*) ;;
  *) PATH={path}{separator}$PATH:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin:{TOOLS}/bin ;;
esac
export PATH
if [ -t 1 ] && [ -f {CONFIG}/pip-requirements.txt ] && [ -s "$HOME/.local/state/devserver/pip-failed" ]; then
  cat "$HOME/.local/state/devserver/pip-failed"
fi
"#
    )
}

/// Found by commands without a login shell, too. A client that the image has is not hidden.
fn make_docker_client() {
    let (client, programs) = (Path::new(DOCKER), Path::new(PROGRAMS));
    if !files::is_program(client) || find_program("docker").is_some() {
        return;
    }
    let link = programs.join("docker");
    let made = fs::create_dir_all(programs).and_then(|()| symlink(client, &link));
    if let Err(error) = made {
        let link = link.display();
        notice::say(&format!(
            "warning: {link} cannot be made: {error}; the client is {DOCKER}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_of_the_image_come_first_and_the_tools_last() {
        let line = "  *) PATH=/opt/image/bin:$PATH:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin:/opt/devserver/bin ;;";
        assert!(profile_of("/opt/image/bin").lines().any(|l| l == line));
        assert!(profile_of("").contains("*) PATH=$PATH:/usr"));
    }
}
