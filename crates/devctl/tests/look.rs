//! The commands that look and reach, as far as no cluster is needed.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod home;

use std::fs;

use home::Home;

#[test]
fn the_help_of_every_command_that_looks_or_reaches_is_known() {
    let home = Home::new();
    for command in [
        "events",
        "logs",
        "why",
        "top",
        "ssh",
        "cp",
        "code",
        "port-forward",
        "doctor",
        "login",
        "version",
        "list",
        "create",
    ] {
        let help = home.stdout(&[command, "--help"]);
        insta::assert_snapshot!(format!("help_{command}"), help);
    }
}

#[test]
fn every_command_has_a_manual_page_and_none_is_of_what_is_hidden() {
    let home = Home::new();
    let folder = home.path("man");
    home.devctl(&["man", folder.to_str().unwrap()])
        .assert()
        .success();
    for command in [
        "",
        "-why",
        "-port-forward",
        "-admin-user-create",
        "-config-ssh-include",
    ] {
        let page = fs::read_to_string(folder.join(format!("devctl{command}.1"))).unwrap();
        assert!(
            page.contains(".SH NAME") && page.contains("devctl"),
            "{page}"
        );
    }
    for hidden in ["ssh-proxy", "credential"] {
        assert!(
            !folder.join(format!("devctl-{hidden}.1")).exists(),
            "{hidden}"
        );
    }
}

#[test]
fn the_version_of_the_program_needs_no_cluster() {
    let home = Home::new();
    let expected = format!("devctl {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(home.stdout(&["version"]), expected);
    assert_eq!(home.stdout(&["version", "--client"]), expected);
    let json: serde_json::Value =
        serde_json::from_str(&home.stdout(&["version", "-o", "json"])).unwrap();
    assert_eq!(json["devctl"], env!("CARGO_PKG_VERSION"));
    home.fails(&["version", "-o", "wide"], 2);
}

#[test]
fn without_a_terminal_the_live_view_names_the_other_way() {
    let text = Home::new().fails(&["top"], 2);
    assert!(text.contains("devctl list --watch"), "{text}");
}

#[test]
fn a_doctor_without_a_kubeconfig_still_looks_at_this_machine() {
    let home = Home::new();
    let output = home
        .devctl(&["doctor"])
        .assert()
        .code(1)
        .get_output()
        .clone();
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "ok    ssh client",
        "warn  ssh key",
        "warn  ssh config",
        "fail  kubeconfig",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains('\x1b'), "{text:?}");
}

#[test]
fn what_is_copied_and_forwarded_is_checked_before_a_cluster_is_asked() {
    let home = Home::new();
    for (args, words) in [
        (&["cp", "a", "b"][..], "no path is in a DevServer"),
        (&["cp", "a:x", "b:y"], "two DevServers"),
        (&["port-forward", "a", "http"], "not a port"),
        (
            &["port-forward", "a", "80", "--address", "everywhere"],
            "address",
        ),
        (&["code", "a/b"], "name"),
        (&["logs", "--previous", "--follow"], "cannot be used"),
    ] {
        let text = home.fails(args, 2);
        assert!(text.contains(words), "{args:?}: {text}");
    }
}
