use std::process::Command;

use super::*;

fn target() -> Target {
    Target::new(
        "lab",
        "default",
        "my-dev-server",
        "3f2a91c0-1b2c-4d5e-8f90-0123456789ab",
    )
    .unwrap()
}

fn entry<'a>(target: &'a Target, known_hosts: &'a Path) -> Entry<'a> {
    Entry {
        target,
        login_user: "dev",
        devctl: "/usr/local/bin/devctl",
        kubeconfig: Some("/home/u/.kube/config"),
        is_default_namespace: true,
        identity: None,
        known_hosts,
        jump: None,
    }
}

/// What the stock client makes of it.
fn parsed(config: &str, host: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.config");
    std::fs::write(&file, config).unwrap();
    let out = Command::new("ssh")
        .arg("-G")
        .arg("-F")
        .arg(&file)
        .arg("--")
        .arg(host)
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn value(parsed: &[String], key: &str) -> String {
    let prefix = format!("{key} ");
    parsed
        .iter()
        .find_map(|l| l.strip_prefix(&prefix))
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn the_file_reads_like_this() {
    let target = target();
    let text = entry(
        &target,
        Path::new("/home/u/.config/devctl/ssh/x.known_hosts"),
    )
    .render()
    .unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn the_stock_client_understands_the_file() {
    let target = target();
    let text = entry(&target, Path::new("/home/u/a b/x.known_hosts"))
        .render()
        .unwrap();
    for host in [
        "my-dev-server.default.devserver",
        "my-dev-server.default.lab.devserver",
        "devserver-my-dev-server",
    ] {
        let parsed = parsed(&text, host);
        assert_eq!(value(&parsed, "user"), "dev");
        assert_eq!(value(&parsed, "stricthostkeychecking"), "true");
        assert_eq!(
            value(&parsed, "hostkeyalias"),
            "devserver-3f2a91c0-1b2c-4d5e-8f90-0123456789ab"
        );
        assert_eq!(
            value(&parsed, "userknownhostsfile"),
            "/home/u/a b/x.known_hosts"
        );
        assert_eq!(value(&parsed, "forwardagent"), "no");
        assert_eq!(
            value(&parsed, "proxycommand"),
            "/usr/local/bin/devctl ssh-proxy --kubeconfig /home/u/.kube/config --context=lab --namespace default \
             --uid 3f2a91c0-1b2c-4d5e-8f90-0123456789ab -- my-dev-server"
        );
    }
    assert_eq!(
        value(&parsed(&text, "github.com"), "proxycommand"),
        "",
        "other hosts are not touched"
    );
}

#[test]
fn a_namespace_that_is_not_the_default_has_no_short_name() {
    let target = target();
    let mut entry = entry(&target, Path::new("/k"));
    entry.is_default_namespace = false;
    assert!(!entry.render().unwrap().contains("devserver-my-dev-server"));
}

#[test]
fn d10_hostile_names_are_refused() {
    let uid = "3f2a91c0";
    for name in [
        "a\nProxyCommand id",
        "-oProxyCommand=id",
        "../../.ssh/x",
        "a b",
        "*",
        "!a",
        "",
        "a\0",
        "a\"b",
        "a%h",
        "A",
    ] {
        assert!(
            Target::new("lab", "default", name, uid).is_err(),
            "{name:?}"
        );
    }
    for namespace in ["", "a.b", "-x", "../x", "a\n", "a b", "*"] {
        assert!(
            Target::new("lab", namespace, "a", uid).is_err(),
            "{namespace:?}"
        );
    }
    for uid in ["", "a b", "a\nHost *", "*", "-x", "../x"] {
        assert!(Target::new("lab", "default", "a", uid).is_err(), "{uid:?}");
    }
}

#[test]
fn d10_hostile_contexts_stay_one_word() {
    for context in [
        "arn:aws:eks:eu-west-1:1:cluster/x",
        "a b",
        "$(touch /tmp/owned)",
        "`id`; id | id & id > x",
        "it's",
        "\"quoted\"",
        "100%h %p %%",
        "--kubeconfig",
        "../../.ssh/x",
        "a\\b",
        "größe",
        "# x",
        "*",
    ] {
        let target = Target::new(context, "default", "a", "3f2a91c0").unwrap();
        assert!(
            !target.stem().contains(['/', ' ', '\n']),
            "{}",
            target.stem()
        );
        assert!(!target.stem().starts_with('.'));
        let text = entry(&target, Path::new("/k")).render().unwrap();
        assert!(
            text.lines()
                .all(|l| l.starts_with(['#', ' ']) || l.starts_with("Host "))
        );
        let parsed = parsed(&text, &target.host());
        assert_eq!(value(&parsed, "hostkeyalias"), "devserver-3f2a91c0");
        // What ssh would run, with its own `%%` undone, seen by a shell that prints its words.
        let command = value(&parsed, "proxycommand").replace("%%", "%");
        let out = Command::new("/bin/sh")
            .arg("-c")
            .arg(format!("printf '%s\\n' {command}"))
            .output()
            .unwrap();
        let words = String::from_utf8(out.stdout).unwrap();
        assert_eq!(
            words.lines().nth(4),
            Some(format!("--context={context}").as_str()),
            "{command}"
        );
        assert_eq!(words.lines().count(), 11, "{words}");
    }
}

#[test]
fn what_cannot_be_quoted_is_refused() {
    let target = Target::new("a\nHost *", "default", "a", "3f2a91c0").unwrap();
    assert!(entry(&target, Path::new("/k")).render().is_err());
    let good = self::target();
    assert!(entry(&good, Path::new("/home/${USER}/k")).render().is_err());
    assert!(entry(&good, Path::new("relative")).render().is_err());
    assert!(session_file(Path::new("/home/[u]/x.config")).is_err());
}

#[test]
fn two_contexts_never_share_a_file() {
    let of = |context| Target::new(context, "default", "a", "1").unwrap().stem();
    assert_ne!(of("a/b"), of("a_b"));
    assert_ne!(of("a b"), of("a/b"));
}

#[test]
fn a_session_sees_our_block_first_and_the_rest_after() {
    let dir = tempfile::tempdir().unwrap();
    let target = target();
    let config = dir.path().join("x.config");
    std::fs::write(&config, entry(&target, Path::new("/k")).render().unwrap()).unwrap();
    let parsed = parsed(&session_file(&config).unwrap(), &target.host());
    assert_eq!(value(&parsed, "user"), "dev");
    assert_eq!(value(&parsed, "userknownhostsfile"), "/k");
}

#[test]
fn with_a_gateway_the_way_leads_through_it_and_both_are_known_by_their_keys() {
    let (target, known) = (target(), Path::new("/home/u/devctl/x.known_hosts"));
    let mut entry = entry(&target, known);
    entry.identity = Some(Path::new("/home/u/.ssh/work"));
    entry.jump = Some(Jump {
        user: "alice@example.com",
        host: "ssh.dev.example.com",
        port: 2222,
        config: Path::new("/home/u/my devctl/x.config"),
    });
    let text = entry.render().unwrap();
    let server = parsed(&text, "my-dev-server.default.devserver");
    let gateway = "gateway.my-dev-server.default.3f2a91c0-1b2c.devserver";
    assert_eq!(
        value(&server, "proxycommand"),
        format!("ssh -F '/home/u/my devctl/x.config' -W my-dev-server.default:22 -- {gateway}")
    );
    let gateway = parsed(&text, gateway);
    for (key, expected) in [
        ("hostname", "ssh.dev.example.com"),
        ("user", "alice@example.com"),
        ("port", "2222"),
        ("hostkeyalias", "devserver-gateway"),
        ("stricthostkeychecking", "true"),
        ("userknownhostsfile", "/home/u/devctl/x.known_hosts"),
        ("identityfile", "/home/u/.ssh/work"),
        ("proxycommand", ""),
    ] {
        assert_eq!(value(&gateway, key), expected, "{key}");
    }
}

#[test]
fn d10_what_a_status_says_of_a_gateway_cannot_become_a_command() {
    let (target, known) = (target(), Path::new("/k"));
    let jump = |user: &'static str, host: &'static str| {
        let mut entry = entry(&target, known);
        let config = Path::new("/c");
        entry.jump = Some(Jump {
            user,
            host,
            port: 22,
            config,
        });
        entry.render()
    };
    assert!(jump("alice", "10.0.0.1").is_ok());
    for host in [
        "",
        "-oProxyCommand=id",
        "a b",
        "a\nProxyCommand id",
        "%h",
        "$(id)",
        "a;id",
    ] {
        assert!(jump("alice", host).is_err(), "{host:?}");
    }
    for user in ["", "-l", "a b", "a\nProxyCommand id", "%r", "a;id", "`id`"] {
        assert!(jump(user, "gw").is_err(), "{user:?}");
    }
}

#[test]
fn the_login_user_is_the_one_the_status_tells_and_never_an_option_of_ssh() {
    let (target, known_hosts) = (target(), Path::new("/k"));
    let mut entry = entry(&target, known_hosts);
    entry.login_user = "coder";
    let parsed = parsed(&entry.render().unwrap(), &target.host());
    assert_eq!(value(&parsed, "user"), "coder");
    for user in ["", "-oProxyCommand=x", "a b", "a\nProxyCommand x"] {
        entry.login_user = user;
        assert!(entry.render().is_err(), "{user:?}");
    }
}
