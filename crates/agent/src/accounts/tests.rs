use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

fn image(passwd: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("passwd"), passwd).unwrap();
    fs::write(folder.path().join("group"), "root:x:0:\n").unwrap();
    folder
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_tables_are_written_with_their_modes_and_nothing_is_left_over() {
    let folder = image(b"root:x:0:0:root:/root:/bin/sh\n");
    let shadow = folder.path().join("shadow");
    fs::write(&shadow, "root:*:19000::::::\n").unwrap();
    fs::set_permissions(&shadow, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(make_in(folder.path(), "dev", None).unwrap(), None);
    assert_eq!(names(&folder), ["group", "passwd", "shadow"]);
    let mode = fs::metadata(&shadow).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(fs::read_to_string(&shadow).unwrap().contains("\ndev:*:"));
}

#[test]
fn bytes_that_are_no_text_come_back_as_they_were() {
    let odd = b"odd:x:7:7:J\xf6rg \xc3\xa4:/:/bin/sh\n";
    let folder = image(odd);
    make_in(folder.path(), "dev", None).unwrap();
    let passwd = fs::read(folder.path().join("passwd")).unwrap();
    assert!(passwd.starts_with(odd));
}

#[test]
fn an_image_without_tables_gets_them_with_root() {
    let folder = tempfile::tempdir().unwrap();
    make_in(folder.path(), "dev", None).unwrap();
    let passwd = fs::read_to_string(folder.path().join("passwd")).unwrap();
    assert!(passwd.starts_with("root:x:0:0:"), "{passwd}");
    assert_eq!(names(&folder), ["group", "passwd"]);
}

#[test]
fn a_password_comes_and_goes() {
    let folder = image(b"dev:x:1000:1000::/home/dev:/bin/sh\n");
    let passwd = || fs::read_to_string(folder.path().join("passwd")).unwrap();
    change_password_in(folder.path(), "dev", "$6$a$b").unwrap();
    assert!(passwd().starts_with("dev:$6$a$b:1000:"));
    change_password_in(folder.path(), "dev", "*").unwrap();
    assert!(passwd().starts_with("dev:*:1000:"));
    assert_eq!(names(&folder), ["group", "passwd"]);
}

#[test]
fn the_error_says_which_entry_would_do() {
    let text = "root:x:0:0::/:/bin/sh\ndev:*:1000:1000::/home/dev:/bin/sh\n";
    let error = write(Path::new("/nonexistent"), "dev", Table::Passwd, text).unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with("/etc/passwd cannot be written"), "{said}");
    assert!(said.ends_with("already: dev:*:1000:1000::/home/dev:/bin/sh"));
}
