//! The accounts of an environment: the login user and its group with id 1000, and the user that sshd separates its privileges
//! with. Edited in the files themselves on every image alike: one way that works with and without useradd.

mod entry;
mod hash;
mod lock;
mod tables;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use thiserror::Error;

use crate::files::{self, Staged};
use crate::login_user::{self, ID};
use crate::notice;
use lock::Locks;
use tables::{OfTheSystem, Scan, Table, Texts, Wanted};

const FOLDER: &str = "/etc";
/// The hash of the password that may log in, mounted.
pub const PASSWORD: &str = "/etc/devserver/authorized-keys/password-hash";

/// Why the accounts are not what they should be.
#[derive(Debug, Error)]
pub enum Error {
    /// The login user would be one of the image's own.
    #[error(transparent)]
    OfTheSystem(#[from] OfTheSystem),
    /// A table cannot be read.
    #[error("/etc/{table} cannot be read: {source}")]
    Read {
        table: &'static str,
        source: io::Error,
    },
    /// A table cannot be written.
    #[error(
        "/etc/{table} cannot be written: the file or its file system is read-only. The environment needs the user {user} \
         with uid and gid {ID} there. Make the root file system writable, or use an image (or a mount) whose /etc/{table} \
         has the entry already: {entry}"
    )]
    Write {
        table: &'static str,
        user: String,
        entry: String,
    },
}

/// Makes the accounts, if they are not there yet.
pub fn make() -> Result<(), Error> {
    let (folder, name) = (Path::new(FOLDER), login_user::name());
    let password = hash::read(Path::new(PASSWORD));
    let renamed = make_in(folder, &name, password.as_deref())?;
    if let Some(other) = renamed {
        notice::say(&format!("user {other} (uid {ID}) is now called {name}"));
    }
    Ok(())
}

/// Makes the password what the mounted hash says now. Without one no password is right; nothing else is touched.
pub fn change_password() -> Result<(), Error> {
    let password = hash::read(Path::new(PASSWORD));
    let password = password.as_deref().unwrap_or("*");
    change_password_in(Path::new(FOLDER), &login_user::name(), password)
}

/// Returns the user whose name was changed.
fn make_in(folder: &Path, name: &str, password: Option<&str>) -> Result<Option<String>, Error> {
    for (table, content) in [
        (Table::Passwd, "root:x:0:0:root:/root:/bin/sh\n"),
        (Table::Group, "root:x:0:\n"),
    ] {
        let path = folder.join(table.name());
        if !path.is_file() {
            // Reading it tells what is wrong.
            let _ = files::replace(&path, content.as_bytes(), 0o644);
        }
    }
    let _locks = Locks::take(folder);
    let texts = read_all(folder)?;
    let home = home_of(name);
    let wanted = wanted(name, &home, password);
    let scan = Scan::new(&texts, &wanted)?;
    write_all(folder, name, &changes(&texts, scan.all()))?;
    Ok(scan.renamed_user().map(str::to_owned))
}

fn change_password_in(folder: &Path, name: &str, password: &str) -> Result<(), Error> {
    let _locks = Locks::take(folder);
    let texts = read_all(folder)?;
    let home = home_of(name);
    let wanted = wanted(name, &home, Some(password));
    let passwd = Scan::new(&texts, &wanted)?.passwd();
    write(folder, name, Table::Passwd, &passwd)
}

fn home_of(name: &str) -> String {
    format!("{}/{name}", login_user::HOMES)
}

fn wanted<'a>(name: &'a str, home: &'a str, password: Option<&'a str>) -> Wanted<'a> {
    let is_program = &|path: &str| files::is_program(Path::new(OsStr::from_bytes(&encode(path))));
    Wanted {
        name,
        home,
        password,
        is_program,
    }
}

fn read_all(folder: &Path) -> Result<Texts, Error> {
    let read = |table: Table| {
        let name = table.name();
        let failed = |source| Error::Read {
            table: name,
            source,
        };
        fs::read(folder.join(name)).map(decode).map_err(failed)
    };
    let read_if_there = |table: Table| {
        let is_there = folder.join(table.name()).is_file();
        is_there.then(|| read(table)).transpose()
    };
    Ok(Texts {
        passwd: read(Table::Passwd)?,
        group: read(Table::Group)?,
        shadow: read_if_there(Table::Shadow)?,
        gshadow: read_if_there(Table::Gshadow)?,
    })
}

/// The encoding may be any: each byte is one character, so that what is not ours comes back as it was.
fn decode(bytes: Vec<u8>) -> String {
    bytes.into_iter().map(char::from).collect()
}

fn encode(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(c).unwrap_or(b'?'))
        .collect()
}

/// The tables that change. Passwd is the last: as long as it lacks the user, a start that was cut short begins anew.
fn changes(old: &Texts, new: Texts) -> Vec<(Table, String)> {
    let tables = [
        (Table::Group, Some(&old.group), Some(new.group)),
        (Table::Shadow, old.shadow.as_ref(), new.shadow),
        (Table::Gshadow, old.gshadow.as_ref(), new.gshadow),
        (Table::Passwd, Some(&old.passwd), Some(new.passwd)),
    ];
    let changed = |(table, old, new): (Table, Option<&String>, Option<String>)| {
        let (old, new) = (old?, new?);
        (!files::is_same(old.as_bytes(), new.as_bytes())).then_some((table, new))
    };
    tables.into_iter().filter_map(changed).collect()
}

/// All are made before the first is put in place. What cannot be renamed is a mount of its own, or read-only.
fn write_all(folder: &Path, user: &str, changes: &[(Table, String)]) -> Result<(), Error> {
    let stage = |(table, text): &(Table, String)| {
        Staged::new(&folder.join(table.name()), &encode(text), 0o644)
    };
    let staged: io::Result<Vec<Staged>> = changes.iter().map(stage).collect();
    let put = staged.and_then(|staged| staged.iter().try_for_each(Staged::put));
    if put.is_ok() {
        return Ok(());
    }
    changes
        .iter()
        .try_for_each(|(table, text)| write(folder, user, *table, text))
}

fn write(folder: &Path, user: &str, table: Table, text: &str) -> Result<(), Error> {
    let name = table.name();
    files::replace(&folder.join(name), &encode(text), 0o644).map_err(|_| {
        let is_ours = |line: &&str| line.split(':').next() == Some(user);
        let entry = text.lines().find(is_ours).unwrap_or_default().to_owned();
        let user = user.to_owned();
        Error::Write {
            table: name,
            user,
            entry,
        }
    })
}

#[cfg(test)]
mod tests;
