//! One line of an account file, and the rules for its fields.

/// The first fields of a line and what follows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Of the user or group.
    pub name: &'a str,
    /// The second field of every table.
    pub password: &'a str,
    /// The id in passwd and group, something else in the shadow files.
    pub third: &'a str,
    /// Everything behind that.
    pub rest: &'a str,
}

impl<'a> Entry<'a> {
    /// `None` for a line that is no entry: a comment, an empty one.
    pub fn read(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(4, ':');
        Some(Self {
            name: fields.next()?,
            password: fields.next()?,
            third: fields.next()?,
            rest: fields.next()?,
        })
    }

    /// Real name and shell of an entry in passwd, whose rest begins with the group.
    pub fn gecos_and_shell(&self) -> (&'a str, &'a str) {
        let Some((_group, rest)) = self.rest.split_once(':') else {
            return ("", "");
        };
        let gecos = rest.split(':').next().unwrap_or_default();
        let shell = rest.rsplit_once(':').map_or("", |(_, shell)| shell);
        (gecos, shell)
    }
}

/// The lines of a table, without the empty ones at its end.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text.trim_end_matches('\n');
    text.split('\n').filter(move |_| !text.is_empty())
}

/// sshd without PAM refuses an account whose password field starts with "!" as locked, and an empty one would let su in
/// without a password. "*" means: no password is right, and the account is not locked.
pub fn choose_password<'a>(old: &'a str, default: &'a str) -> &'a str {
    match old {
        "" | "x" => default,
        locked if locked.starts_with('!') => default,
        _ => old,
    }
}

/// Keeps a shell the image's author chose, unless it lets nobody in or there is a better one.
pub fn choose_shell<'a>(old: &'a str, is_program: &dyn Fn(&str) -> bool) -> &'a str {
    let last = old.rsplit_once('/').map_or("", |(_, last)| last);
    let is_poor = matches!(old, "" | "/bin/sh" | "/usr/bin/sh");
    if !is_poor && !matches!(last, "nologin" | "false") && is_program(old) {
        return old;
    }
    [
        "/bin/bash",
        "/usr/bin/bash",
        "/usr/local/bin/bash",
        "/bin/sh",
        "/usr/bin/sh",
    ]
    .into_iter()
    .find(|shell| is_program(shell))
    .unwrap_or("/bin/sh")
}

/// The line with `old` called `new` in its last field, the list of members. A line without fields stays as it is.
pub fn rename_member(line: &str, old: &str, new: &str) -> String {
    let Some((head, list)) = line.rsplit_once(':') else {
        return line.to_owned();
    };
    if list.split(',').any(|member| member == new) {
        return line.to_owned();
    }
    let renamed = |member| if member == old { new } else { member };
    let members: Vec<&str> = list.split(',').map(renamed).collect();
    format!("{head}:{}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_too_few_fields_is_no_entry() {
        for line in ["", "# a comment: with: colons", "last:x:500"] {
            assert_eq!(Entry::read(line), None, "{line:?}");
        }
        let entry = Entry::read("docker:x:998:someone,other").unwrap();
        assert_eq!((entry.third, entry.rest), ("998", "someone,other"));
    }

    #[test]
    fn real_name_and_shell_are_found_behind_the_group() {
        let of = |line| Entry::read(line).unwrap().gecos_and_shell();
        assert_eq!(of("a:x:1:1:Al:/home/a:/bin/zsh"), ("Al", "/bin/zsh"));
        assert_eq!(of("a:x:1:1"), ("", ""));
    }

    #[test]
    fn a_table_without_a_newline_at_its_end_has_all_its_lines() {
        assert_eq!(lines("a\n\nb").count(), 3);
        assert_eq!(lines("a\nb\n\n").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(lines("").count(), 0);
    }

    #[test]
    fn a_locked_or_empty_password_becomes_one_that_is_never_right() {
        for old in ["", "!", "!!", "!$6$a$b", "x"] {
            assert_eq!(choose_password(old, "*"), "*", "{old:?}");
        }
        for old in ["*", "$6$a$b"] {
            assert_eq!(choose_password(old, "x"), old);
        }
    }

    #[test]
    fn a_chosen_shell_is_kept_when_it_is_there_and_lets_people_in() {
        let choose = |old| choose_shell(old, &|shell| shell != "/opt/gone");
        assert_eq!(choose("/bin/zsh"), "/bin/zsh");
        for old in [
            "",
            "/bin/sh",
            "/usr/sbin/nologin",
            "/bin/false",
            "/opt/gone",
        ] {
            assert_eq!(choose(old), "/bin/bash", "{old:?}");
        }
        assert_eq!(choose_shell("/bin/zsh", &|_| false), "/bin/sh");
        assert_eq!(
            choose_shell("", &|shell| shell == "/usr/bin/sh"),
            "/usr/bin/sh"
        );
    }

    #[test]
    fn a_member_is_renamed_once_and_where_it_stands() {
        let rename = |line| rename_member(line, "ubuntu", "dev");
        assert_eq!(rename("d:x:9:a,ubuntu,b"), "d:x:9:a,dev,b");
        assert_eq!(rename("d:x:9:ubuntu"), "d:x:9:dev");
        for line in [
            "d:x:9:",
            "d:x:9:ubuntu2",
            "d:x:9:dev,ubuntu",
            "# ubuntu",
            "",
        ] {
            assert_eq!(rename(line), line, "{line:?}");
        }
    }
}
