//! The program as a user runs it, where no cluster is needed.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

mod home;

use home::Home;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R me@laptop";

const SERVER: &str = "
apiVersion: devserver.io/v1
kind: DevServer
metadata:
  name: my-dev-server
spec:
  owner: user@example.com
  flavor: cpu-small
  image: ubuntu:22.04
  ssh:
    publicKey: KEY
  lifecycle:
    timeToLive: 8h
";

const FLAVOR: &str = "
apiVersion: devserver.io/v1
kind: DevServerFlavor
metadata:
  name: cpu-small
spec:
  resources:
    requests: {cpu: 500m, memory: 1Gi}
    limits: {cpu: '2', memory: 4Gi}
";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn help_names_every_command_and_every_exit_code() {
    let help = Home::new().stdout(&["--help"]);
    for word in [
        "create",
        "list",
        "describe",
        "events",
        "logs",
        "why",
        "top",
        "cp",
        "code",
        "port-forward",
        "doctor",
        "version",
        "delete",
        "ssh",
        "suspend",
        "resume",
        "extend",
        "hold",
        "restart",
        "trash",
        "undelete",
        "flavors",
        "render",
        "config",
        "completion",
        "Exit codes:",
        "255",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
    assert!(!help.contains("ssh-proxy"), "it is for ssh, not for people");
    assert!(!help.contains('\x1b'), "no colors when not on a terminal");
}

#[test]
fn wrong_usage_ends_with_2() {
    let home = Home::new();
    home.fails(&["create", "--no-such-option"], 2);
    home.write(".ssh/id_ed25519.pub", KEY);
    let text = home.fails(&["create", "a", "--name", "b", "--dry-run=client"], 2);
    assert!(text.contains("two names"), "{text}");
    for (option, value) in [
        ("--ttl", "1d"),
        ("--image", "Ubuntu"),
        ("--home-size", "0"),
        ("--flavor", "a b"),
        ("--kube-role", "ClusterRole/view"),
        ("--login-user", "root"),
        ("--team", "a b"),
        ("--project", "-"),
        ("--collaborator", "bob="),
        ("--collaborator", "b b"),
        ("--port", "3000"),
        ("--port", "Web=3000"),
        ("--port", "web=0"),
        ("--port", "web=22"),
        ("--port", "web=70000"),
        ("--port", "web=3000:Everybody"),
    ] {
        let text = home.fails(&["create", option, value, "--dry-run=client"], 2);
        assert!(text.contains(option), "{text}");
    }
    let text = home.fails(&["create", "--docker=much", "--dry-run=client"], 2);
    assert!(text.contains("--docker 'much'"), "{text}");
    home.fails(&["create", "-a-", "--dry-run=client"], 2);
}

#[test]
fn without_a_kubeconfig_the_error_says_what_to_do() {
    let text = Home::new().fails(&["list"], 1);
    assert!(
        text.contains("no kubeconfig found") && text.contains("KUBECONFIG"),
        "{text}"
    );
}

#[test]
fn an_unknown_context_lists_the_known_ones() {
    let home = Home::new();
    home.write(
        ".kube/config",
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n",
    );
    let text = home.fails(&["list", "--context", "b"], 3);
    assert!(text.contains("known contexts: a"), "{text}");
}

#[test]
fn create_takes_the_first_usual_key_and_asks_no_cluster_in_a_client_dry_run() {
    let home = Home::new();
    home.write(".ssh/id_ed25519.pub", KEY);
    let text = home.stdout(&[
        "create",
        "--owner",
        "user@example.com",
        "--ttl",
        "8h",
        "--dry-run=client",
        "-n",
        "team",
        "-o",
        "json",
    ]);
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();
    insta::assert_json_snapshot!(object);
}

#[test]
fn create_asks_for_editor_docker_rights_and_people_only_when_told_to() {
    let home = Home::new();
    home.write(".ssh/id_ed25519.pub", KEY);
    let theirs = home.write("carol.pub", &KEY.replace("me@laptop", "carol"));
    let carol = format!("carol@example.com={}", theirs.display());
    let spec = |args: &[&str]| {
        let mut all = vec!["create", "--dry-run=client", "-o", "json"];
        all.extend(args);
        let object: serde_json::Value = serde_json::from_str(&home.stdout(&all)).unwrap();
        object["spec"].clone()
    };
    // No value follows, so that the name is not taken for a size.
    insta::assert_json_snapshot!(spec(&[
        "--editor",
        "--docker",
        "box",
        "--kube-role",
        "view",
        "--login-user",
        "coder",
        "--team",
        "genomics",
        "--project",
        "assembly-2",
        "--collaborator",
        "bob",
        "--collaborator",
        &carol,
        "--collaborator",
        "bob",
        "--port",
        "web=3000",
        "--port",
        "docs=4000:Authenticated",
    ]));
    assert_eq!(
        spec(&["--docker=50Gi"])["docker"],
        serde_json::json!({"enabled": true, "storageSize": "50Gi"})
    );
    let plain = spec(&[]);
    for field in [
        "editor",
        "docker",
        "kubeAccess",
        "loginUser",
        "team",
        "project",
        "collaborators",
        "ports",
    ] {
        assert!(plain.get(field).is_none(), "{field}: {plain}");
    }
}

#[test]
fn create_without_any_key_says_how_to_make_one() {
    let text = Home::new().fails(&["create", "--dry-run=client"], 3);
    assert!(text.contains("ssh-keygen"), "{text}");
}

#[test]
fn a_private_key_is_refused_and_not_shown() {
    let home = Home::new();
    let file = home.write(
        "k",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n",
    );
    let text = home.fails(
        &[
            "create",
            "--dry-run=client",
            "--ssh-public-key-file",
            file.to_str().unwrap(),
        ],
        2,
    );
    assert!(
        text.contains("PRIVATE") && !text.contains("c2VjcmV0"),
        "{text}"
    );
}

#[test]
fn render_prints_the_objects_in_the_order_they_are_applied() {
    let home = Home::new();
    let server = home.write("server.yaml", &SERVER.replace("KEY", KEY));
    let both = home.write(
        "both.yaml",
        &format!("{FLAVOR}---{}", SERVER.replace("KEY", KEY)),
    );
    let flavor = home.write("flavor.yaml", FLAVOR);
    let (server, both, flavor) = (
        server.to_str().unwrap(),
        both.to_str().unwrap(),
        flavor.to_str().unwrap(),
    );
    let names = home.stdout(&[
        "render",
        "-f",
        server,
        "--flavor-file",
        flavor,
        "-o",
        "name",
    ]);
    assert_eq!(names, home.stdout(&["render", "-f", both, "-o", "name"]));
    let (needed, rest) = names.split_once("statefulset/my-dev-server\n").unwrap();
    assert!(needed.contains("networkpolicy"), "{names}");
    assert!(rest.contains("service/my-dev-server-headless"), "{names}");
    let yaml = home.stdout(&["render", "-f", both]);
    assert_eq!(
        yaml.lines().filter(|l| *l == "---").count(),
        names.lines().count()
    );
    let list: serde_json::Value =
        serde_json::from_str(&home.stdout(&["render", "-f", both, "-o", "json"])).unwrap();
    assert_eq!(
        list["items"].as_array().unwrap().len(),
        names.lines().count()
    );
}

#[test]
fn render_says_which_field_is_wrong() {
    let home = Home::new();
    let server = home.write("server.yaml", &SERVER.replace("KEY", KEY));
    let text = home.fails(&["render", "-f", server.to_str().unwrap()], 5);
    assert!(
        text.contains("spec.flavor") && text.contains("cpu-small"),
        "{text}"
    );
    let other = home.write("pod.yaml", "apiVersion: v1\nkind: Pod\n");
    home.fails(&["render", "-f", other.to_str().unwrap()], 5);
    let broken = home.write("broken.yaml", "a: [");
    home.fails(&["render", "-f", broken.to_str().unwrap()], 5);
    home.fails(&["render", "-f", "/no/such/file"], 1);
}

#[test]
fn the_include_line_is_put_in_once_and_taken_out_again() {
    let home = Home::new();
    let config = home.path(".ssh/config");
    let line = format!(
        "Include \"{}/.config/devctl/ssh/*.config\"\n",
        home.0.path().display()
    );
    assert_eq!(home.stdout(&["config", "ssh-include"]), line);
    assert!(!config.exists(), "printing writes nothing");
    home.stdout(&["config", "ssh-include", "--enable"]);
    home.stdout(&["config", "ssh-include", "enable"]);
    assert_eq!(fs::read_to_string(&config).unwrap(), line);
    assert_eq!(mode(&config), 0o600);
    assert_eq!(mode(&home.path(".config/devctl/ssh")), 0o700);
    home.stdout(&["config", "ssh-include", "--disable"]);
    assert_eq!(fs::read_to_string(&config).unwrap(), "");
}

#[test]
fn the_rest_of_the_users_ssh_configuration_stays_as_it_is() {
    let home = Home::new();
    let mine = "# mine\nHost x\n  User y\n\n";
    let config = home.write(".ssh/config", mine);
    home.stdout(&["config", "ssh-include", "--enable"]);
    assert!(fs::read_to_string(&config).unwrap().ends_with(mine));
    home.stdout(&["config", "ssh-include", "disable"]);
    assert_eq!(fs::read_to_string(&config).unwrap(), mine);
}

#[test]
fn another_folder_can_be_chosen_unless_ssh_could_not_include_it() {
    let home = Home::new();
    let mut command = home.devctl(&["config", "ssh-include", "--print"]);
    let output = command
        .env("DEVCTL_CONFIG_DIR", "/a b")
        .assert()
        .success()
        .get_output()
        .clone();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "Include \"/a b/ssh/*.config\"\n"
    );
    home.devctl(&["config", "ssh-include"])
        .env("DEVCTL_CONFIG_DIR", "/a[b]\n")
        .assert()
        .code(1);
}

#[test]
fn completion_scripts_and_their_answers_need_no_cluster() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            home.stdout(&["completion", shell])
                .contains("DEVCTL_COMPLETE"),
            "{shell}"
        );
    }
    let mut command = home.devctl(&["--", "devctl", "de"]);
    command
        .env("DEVCTL_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "1")
        .env("_CLAP_IFS", "\n");
    let output = command.assert().success().get_output().clone();
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(
        words.contains("describe") && words.contains("delete"),
        "{words}"
    );
}

#[test]
fn the_version_is_printed() {
    assert!(Home::new().stdout(&["version"]).starts_with("devctl "));
}
