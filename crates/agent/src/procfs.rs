//! Reads the `/proc` formats the agent needs; what to do with the facts is decided elsewhere.

use std::fs;
use std::path::Path;

/// What stands in the `stat` of every process below `proc`. One may end between the listing and the reading.
pub fn stats(proc: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(proc).into_iter().flatten();
    let processes = entries.filter_map(Result::ok).filter(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|n| n.parse::<u32>().is_ok())
    });
    processes
        .filter_map(|entry| fs::read(entry.path().join("stat")).ok())
        .map(|stat| String::from_utf8_lossy(&stat).into_owned())
}

/// What `/proc/<pid>/stat` says about a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Process id.
    pub pid: i32,
    /// The program's short name, as the process likes to call itself.
    pub name: String,
    /// State letter; `Z` is a zombie.
    pub state: char,
    /// Parent's process id; 0 for one that entered the container from outside.
    pub parent: i32,
    /// Whether it has a controlling terminal.
    pub has_terminal: bool,
}

/// Parses a line of `/proc/<pid>/stat`. The name may hold spaces and brackets, so the fields after
/// it are counted from the last closing bracket.
pub fn parse_stat(line: &str) -> Option<Stat> {
    let (pid, rest) = line.split_once(" (")?;
    let (name, fields) = rest.rsplit_once(") ")?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let terminal: i32 = fields.nth(2)?.parse().ok()?;
    Some(Stat {
        pid: pid.parse().ok()?,
        name: name.to_owned(),
        state,
        parent,
        has_terminal: terminal != 0,
    })
}

/// Whether a table in the format of `/proc/net/tcp` or `/proc/net/tcp6` has a socket that listens
/// on `port`.
pub fn is_listening(table: &str, port: u16) -> bool {
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1).and_then(|address| address.rsplit(':').next());
        let state = fields.nth(1);
        let local = local.and_then(|hex| u16::from_str_radix(hex, 16).ok());
        local == Some(port) && state == Some("0A")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_of_an_ordinary_shell_is_read() {
        let line = "42 (bash) S 41 42 42 34816 42 4194304 1 0 0 0 0 0 0 0 20 0 1 0 100 1 1";
        let expected = Stat {
            pid: 42,
            name: "bash".into(),
            state: 'S',
            parent: 41,
            has_terminal: true,
        };
        assert_eq!(parse_stat(line), Some(expected));
    }

    #[test]
    fn name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = parse_stat("7 (a) S 1 (b) Z 1 7 7 0 -1 4194304").unwrap();
        assert_eq!(
            (stat.name.as_str(), stat.state, stat.parent),
            ("a) S 1 (b", 'Z', 1)
        );
        assert!(!stat.has_terminal);
    }

    #[test]
    fn cut_off_lines_are_refused() {
        for line in [
            "",
            "7",
            "7 (a",
            "7 (a) S",
            "7 (a) S 1 7 7",
            "x (a) S 1 7 7 0",
        ] {
            assert_eq!(parse_stat(line), None, "{line}");
        }
    }

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   1: 0100007F:1F90 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0
   2: 0100007F:0050 00000000:0000 06 00000000:00000000 00:00000000 00000000     0";

    #[test]
    fn listening_port_is_found_and_connected_ones_are_not() {
        assert!(is_listening(TABLE, 22));
        assert!(!is_listening(TABLE, 8080));
        assert!(!is_listening(TABLE, 80));
        assert!(!is_listening("", 22));
    }

    #[test]
    fn listening_port_is_found_in_the_ipv6_table() {
        let table = "  sl  local_address  remote_address st
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0";
        assert!(is_listening(table, 22));
        assert!(!is_listening(table, 23));
    }
}
