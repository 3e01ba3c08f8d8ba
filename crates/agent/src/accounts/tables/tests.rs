use super::*;

const ROOT: &str = "root:x:0:0:root:/root:/bin/sh\n";

fn texts(passwd: &str, group: &str) -> Texts {
    Texts {
        passwd: format!("{ROOT}{passwd}"),
        group: format!("root:x:0:\n{group}"),
        ..Texts::default()
    }
}

fn wanted<'a>(name: &'a str, home: &'a str, password: Option<&'a str>) -> Wanted<'a> {
    Wanted {
        name,
        home,
        password,
        is_program: &|path| path == "/bin/bash" || path == "/bin/zsh",
    }
}

fn dev() -> Wanted<'static> {
    wanted("dev", "/home/dev", None)
}

fn made(old: &Texts) -> Texts {
    Scan::new(old, &dev()).unwrap().all()
}

/// The lines of a table but root's and sshd's.
fn rest(text: &str) -> Vec<&str> {
    let is_other = |line: &&str| !line.starts_with("root:") && !line.starts_with("sshd:");
    lines(text).filter(is_other).collect()
}

fn line<'a>(text: &'a str, name: &str) -> &'a str {
    let is_it = |line: &&str| line.split(':').next() == Some(name);
    lines(text).find(is_it).unwrap_or_default()
}

#[test]
fn an_image_without_users_gets_ours_and_the_one_of_sshd() {
    let new = made(&texts("", ""));
    let entries = [
        "dev:*:1000:1000::/home/dev:/bin/bash",
        "sshd:x:990:990:sshd:/run/devserver/empty:/sbin/nologin\n",
    ];
    assert_eq!(new.passwd, format!("{ROOT}{}", entries.join("\n")));
    assert_eq!(new.group, "root:x:0:\ndev:x:1000:\nsshd:x:990:\n");
    assert_eq!((new.shadow, new.gshadow), (None, None));
}

#[test]
fn what_is_right_already_stays_as_it_is() {
    let mut old = texts("", "");
    old.shadow = Some("root:*:19000::::::\n".into());
    old.gshadow = Some("root:*::\n".into());
    let new = made(&old);
    assert_eq!(
        new.shadow.as_deref().map(|text| line(text, "dev")),
        Some("dev:*::0:99999:7:::")
    );
    assert_eq!(
        new.gshadow.as_deref().map(|text| line(text, "dev")),
        Some("dev:!::")
    );
    assert_eq!(made(&new), new);
}

#[test]
fn a_user_with_our_id_is_renamed_and_keeps_its_groups() {
    let mut old = texts(
        "ubuntu:x:1000:1000:Ubuntu:/home/ubuntu:/bin/zsh\n",
        "ubuntu:x:1000:\ndocker:x:998:someone,ubuntu,other\nvideo:x:44:ubuntu\n",
    );
    old.shadow = Some("ubuntu:$6$hash:19000:0:99999:7:::\n".into());
    old.gshadow = Some("ubuntu:!::\ndocker:!::someone,ubuntu,other\n".into());
    let wanted = dev();
    let scan = Scan::new(&old, &wanted).unwrap();
    assert_eq!(scan.renamed_user(), Some("ubuntu"));
    let new = scan.all();
    assert_eq!(
        rest(&new.passwd),
        ["dev:x:1000:1000:Ubuntu:/home/dev:/bin/zsh"]
    );
    assert_eq!(
        rest(&new.group),
        [
            "dev:x:1000:",
            "docker:x:998:someone,dev,other",
            "video:x:44:dev"
        ]
    );
    assert_eq!(new.shadow.unwrap(), "dev:$6$hash:19000:0:99999:7:::\n");
    assert_eq!(
        new.gshadow.unwrap(),
        "dev:!::\ndocker:!::someone,dev,other\n"
    );
}

#[test]
fn a_group_with_our_id_is_renamed_and_keeps_its_members() {
    let new = made(&texts("", "staff:x:1000:alice\n"));
    assert_eq!(rest(&new.group), ["dev:x:1000:alice"]);
}

#[test]
fn a_user_of_our_name_moves_to_our_id_and_home() {
    let mut old = texts("dev:x:1005:1005::/srv/dev:/bin/sh\n", "dev:x:1005:\n");
    old.shadow = Some("dev:!!:19000::::::\n".into());
    let new = made(&old);
    assert_eq!(rest(&new.passwd), ["dev:x:1000:1000::/home/dev:/bin/bash"]);
    assert_eq!(rest(&new.group), ["dev:x:1000:"]);
    assert_eq!(new.shadow.unwrap(), "dev:*:19000::::::\n");
}

#[test]
fn beside_another_owner_of_the_id_ours_comes_first() {
    let new = made(&texts(
        "node:x:1000:1000::/home/node:/bin/sh\ndev:x:1005:1005::/home/dev:/bin/sh\n",
        "node:x:1000:\ndev:x:1005:bob\n",
    ));
    let node = "node:x:1000:1000::/home/node:/bin/sh";
    assert_eq!(
        rest(&new.passwd),
        ["dev:*:1000:1000::/home/dev:/bin/bash", node]
    );
    assert_eq!(rest(&new.group), ["dev:x:1000:bob", "node:x:1000:"]);
}

#[test]
fn comments_nis_and_unfinished_lines_survive() {
    let new = made(&texts(
        "# a comment: with: colons\n+::::::\nubuntu:x:1000:1000::/:/bin/sh\n",
        "# ubuntu\n\nlast:x:500:",
    ));
    let passwd = ["# a comment: with: colons", "+::::::"];
    assert_eq!(rest(&new.passwd)[..2], passwd);
    assert_eq!(
        rest(&new.group),
        ["# ubuntu", "", "last:x:500:", "dev:x:1000:"]
    );
}

#[test]
fn sshd_gets_the_highest_id_that_is_free_for_user_and_group() {
    let new = made(&texts("a:x:990:1::/:/bin/sh\n", "b:x:989:\n"));
    assert_eq!(line(&new.group, "sshd"), "sshd:x:988:");
    assert!(line(&new.passwd, "sshd").starts_with("sshd:x:988:988:"));
    let new = made(&texts("", "sshd:x:74:\n"));
    assert_eq!(new.group.matches("sshd:").count(), 1);
    assert!(line(&new.passwd, "sshd").starts_with("sshd:x:990:74:"));
    let old = texts("sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n", "");
    assert_eq!(made(&old).passwd.matches("sshd:x").count(), 1);
    assert_eq!(line(&made(&old).group, "sshd"), "");
}

#[test]
fn a_hash_stands_in_passwd_and_changes_nothing_else() {
    let hash = "$6$salt$sum";
    let old = made(&texts("alice:x:1001:1001::/home/alice:/bin/sh\n", ""));
    let wanted = wanted("dev", "/home/dev", Some(hash));
    let passwd = Scan::new(&old, &wanted).unwrap().passwd();
    assert_eq!(
        passwd,
        old.passwd.replace("dev:*:", &format!("dev:{hash}:"))
    );
}

#[test]
fn an_open_account_is_closed_for_passwords() {
    let new = made(&texts("dev::1000:1000::/home/dev:/bin/bash\n", ""));
    assert_eq!(rest(&new.passwd), ["dev:*:1000:1000::/home/dev:/bin/bash"]);
}

#[test]
fn a_user_of_the_system_is_never_the_login_user() {
    let old = texts(
        "coder:x:1000:1000:Coder:/home/coder:/bin/bash\nd:x:1:1::/:/bin/sh\n",
        "e:x:5:\n",
    );
    for (name, id) in [("root", "0"), ("d", "1"), ("e", "5")] {
        let wanted = wanted(name, "/home/x", None);
        let error = Scan::new(&old, &wanted).err().unwrap();
        assert_eq!((error.name.as_str(), error.id.as_str()), (name, id));
    }
    let wanted = wanted("coder", "/home/coder", None);
    let new = Scan::new(&old, &wanted).unwrap().all();
    assert_eq!(
        line(&new.passwd, "coder"),
        "coder:*:1000:1000:Coder:/home/coder:/bin/bash"
    );
    assert_eq!(line(&new.group, "coder"), "coder:x:1000:");
}
