//! Check of the gateway: what ssh said when it knocked there the way `devctl ssh` does.

use super::Check;

const NAME: &str = "gateway";
/// Exit status of ssh when ssh itself failed; everything else is the other side's.
const OF_SSH: i32 = 255;

/// Where was knocked, and as whom.
#[derive(Clone, Copy, Debug)]
pub struct Knock<'a> {
    /// DevServer whose status tells of the gateway.
    pub server: &'a str,
    /// Name or address, and port.
    pub place: &'a str,
    /// Name at the gateway.
    pub user: &'a str,
}

/// Exit status and standard error of an ssh that asked for a command; nothing when it did not end in time.
pub fn gateway(knock: Knock<'_>, ended: Option<(Option<i32>, &str)>) -> Check {
    let Knock {
        server,
        place,
        user,
    } = knock;
    let Some((status, said)) = ended else {
        return unreachable(place, "no answer");
    };
    // The gateway has no shell; that it says so is proof that all before it went well.
    if status.is_some_and(|status| status != OF_SSH) {
        return Check::ok(
            NAME,
            format!("{place} has the published host key and lets you in as {user}"),
        );
    }
    if said.contains("Host key verification failed") {
        return Check::fail(
            NAME,
            format!("{place} shows another host key than the platform has published"),
            "do not connect there; ask an administrator whether the Secret devserver-gateway-host-keys was made anew, or whether something else has that address",
        );
    }
    if said.contains("Permission denied") {
        return Check::fail(
            NAME,
            format!("{place} accepts none of your keys for {user}"),
            format!(
                "name the private key once: devctl ssh {server} -i FILE; if that is refused, add its public half to spec.ssh.publicKeys of your DevServer"
            ),
        );
    }
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    let last = last.unwrap_or("ssh said nothing");
    if [
        "Connection closed",
        "Connection reset",
        "kex_exchange_identification",
    ]
    .iter()
    .any(|words| said.contains(words))
    {
        return Check::fail(
            NAME,
            format!("{place} hangs up: {last}"),
            "after many failed logins from your address it does so for up to ten minutes; wait, or take the way through the API server: DEVCTL_SSH_VIA=api",
        );
    }
    unreachable(place, last)
}

fn unreachable(place: &str, why: &str) -> Check {
    Check::fail(
        NAME,
        format!("{place} cannot be reached: {why}"),
        "check VPN and firewall on the way there; until then take the way through the API server: DEVCTL_SSH_VIA=api",
    )
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    #[test]
    fn each_way_to_fail_has_its_own_remedy() {
        let knock = Knock {
            server: "box",
            place: "gw:22",
            user: "alice",
        };
        for (said, found, remedy) in [
            (
                "@@@\r\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\nHost key verification failed.\r\n",
                "another host key",
                "do not connect",
            ),
            (
                "No ED25519 host key is known for devserver-gateway and you have requested strict checking.\r\nHost key verification failed.\r\n",
                "another host key",
                "devserver-gateway-host-keys",
            ),
            (
                "alice@gw: Permission denied (publickey).\r\n",
                "none of your keys for alice",
                "devctl ssh box -i FILE",
            ),
            (
                "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 192.0.2.1 port 22\r\n",
                "hangs up: Connection closed by 192.0.2.1",
                "ten minutes",
            ),
            (
                "ssh: connect to host gw port 22: Connection refused\r\n",
                "cannot be reached: ssh: connect to host gw port 22: Connection refused",
                "DEVCTL_SSH_VIA=api",
            ),
            (
                "ssh: Could not resolve hostname gw: Name or service not known\r\n",
                "cannot be reached",
                "VPN",
            ),
            ("", "ssh said nothing", "VPN"),
        ] {
            let check = gateway(knock, Some((Some(255), said)));
            assert_eq!(check.verdict, Verdict::Fail, "{said}");
            assert!(check.found.contains(found), "{}", check.found);
            let told = check.remedy.unwrap();
            assert!(told.contains(remedy), "{told}");
        }
        assert_eq!(gateway(knock, None).verdict, Verdict::Fail);
        assert_eq!(
            gateway(knock, Some((None, "killed"))).verdict,
            Verdict::Fail
        );
        let well = gateway(
            knock,
            Some((Some(1), "This is a jump host; it has no shell.")),
        );
        assert_eq!(well.verdict, Verdict::Ok);
    }
}
