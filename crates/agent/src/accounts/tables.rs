//! What the account files are to say, made of what they say: text in, text out.
//!
//! A user or group that has our id under another name (ubuntu, node) becomes ours and keeps its supplementary groups.

use thiserror::Error;

use super::entry::{Entry, choose_password, choose_shell, lines, rename_member};
use crate::login_user::{ID, NAME};

/// The id of the user sshd separates its privileges with, or the next below that is free.
const SSHD_ID: u32 = 990;
/// The end of the entry of that user, whose home is the folder that is empty for it.
const SSHD_END: &str = "sshd:/run/devserver/empty:/sbin/nologin\n";

/// An account file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Users.
    Passwd,
    /// Groups.
    Group,
    /// Passwords of users.
    Shadow,
    /// Passwords of groups.
    Gshadow,
}

impl Table {
    /// In the order in which they are locked.
    pub const ALL: [Self; 4] = [Self::Passwd, Self::Group, Self::Shadow, Self::Gshadow];

    /// The name of the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passwd => "passwd",
            Self::Group => "group",
            Self::Shadow => "shadow",
            Self::Gshadow => "gshadow",
        }
    }
}

/// The account files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// Users.
    pub passwd: String,
    /// Groups.
    pub group: String,
    /// Passwords of users, where there are such files.
    pub shadow: Option<String>,
    /// Passwords of groups.
    pub gshadow: Option<String>,
}

/// The account people log in to, as it is wanted.
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its home.
    pub home: &'a str,
    /// What stands in its password field; `None`: what was there, if that is no danger.
    pub password: Option<&'a str>,
    /// Whether the image has a program.
    pub is_program: &'a dyn Fn(&str) -> bool,
}

/// Where the user says what the login user is called, it is not to be one that the image's own programs run as.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "spec.loginUser: {name} (id {id}) belongs to the system in this image; name the user the image was made for \
     (id {ID}), or leave the field out"
)]
pub struct OfTheSystem {
    name: String,
    id: String,
}

/// Who is who, found out before anything is written.
pub struct Scan<'a> {
    wanted: &'a Wanted<'a>,
    texts: &'a Texts,
    /// The entry that ours is made of.
    user: Option<Entry<'a>>,
    /// The user that has our id and gets our name.
    renamed_user: Option<&'a str>,
    /// The group that has our id and gets our name.
    renamed_group: Option<&'a str>,
    members: &'a str,
}

impl<'a> Scan<'a> {
    /// Looks for our user and group, and those in their place.
    pub fn new(texts: &'a Texts, wanted: &'a Wanted<'a>) -> Result<Self, OfTheSystem> {
        let (user, other_user) = find(&texts.passwd, wanted.name)?;
        let (group, other_group) = find(&texts.group, wanted.name)?;
        let name = |entry: Entry<'a>| entry.name;
        Ok(Self {
            wanted,
            texts,
            user: user.or(other_user),
            // With an entry of our own name, the other one stays as it is, behind ours.
            renamed_user: other_user.filter(|_| user.is_none()).map(name),
            renamed_group: other_group.filter(|_| group.is_none()).map(name),
            members: group.or(other_group).map_or("", |entry| entry.rest),
        })
    }

    /// The user that is called like ours from now on.
    pub fn renamed_user(&self) -> Option<&'a str> {
        self.renamed_user
    }

    /// The table of users with ours as wanted, and nothing else changed.
    pub fn passwd(&self) -> String {
        self.print(Table::Passwd, &self.texts.passwd, &self.user_entry())
    }

    /// All tables with our user, our group and sshd's.
    pub fn all(&self) -> Texts {
        let name = self.wanted.name;
        let group = self.rename(&format!("{name}:x:{ID}:{}", self.members));
        let mut passwd = self.passwd();
        let mut group = self.print(Table::Group, &self.texts.group, &group);
        self.add_sshd(&mut passwd, &mut group);
        let shadow = |text| self.print(Table::Shadow, text, &format!("{name}:*::0:99999:7:::"));
        let gshadow = |text| self.print(Table::Gshadow, text, &format!("{name}:!::"));
        Texts {
            passwd,
            group,
            shadow: self.texts.shadow.as_deref().map(shadow),
            gshadow: self.texts.gshadow.as_deref().map(gshadow),
        }
    }

    fn user_entry(&self) -> String {
        let (old, (gecos, shell)) = self.user.map_or(("", ("", "")), |entry| {
            (entry.password, entry.gecos_and_shell())
        });
        let default = if self.texts.shadow.is_some() {
            "x"
        } else {
            "*"
        };
        let password = choose_password(old, default);
        let password = self.wanted.password.unwrap_or(password);
        let shell = choose_shell(shell, self.wanted.is_program);
        let (name, home) = (self.wanted.name, self.wanted.home);
        format!("{name}:{password}:{ID}:{ID}:{gecos}:{home}:{shell}")
    }

    /// The table with our entry in place of ours or of the renamed one, and before any other entry with our id: the first one
    /// with an id gives the id its name.
    fn print(&self, table: Table, text: &str, new: &str) -> String {
        let (has_ids, renamed) = match table {
            Table::Passwd => (true, self.renamed_user),
            Table::Group => (true, self.renamed_group),
            Table::Shadow => (false, self.renamed_user),
            Table::Gshadow => (false, self.renamed_group),
        };
        let (mut printed, mut is_there) = (String::new(), false);
        let mut print = |line: &str| {
            printed.push_str(line);
            printed.push('\n');
        };
        for line in lines(text) {
            let entry = Entry::read(line);
            let is_ours = |e: &Entry| e.name == self.wanted.name || Some(e.name) == renamed;
            if let Some(entry) = entry.filter(is_ours) {
                if !is_there {
                    print(&self.existing(table, &entry, new));
                }
                is_there = true;
                continue;
            }
            if has_ids && !is_there && entry.is_some_and(|entry| has_our_id(&entry)) {
                print(new);
                is_there = true;
            }
            match table {
                Table::Group | Table::Gshadow => print(&self.rename(line)),
                Table::Passwd | Table::Shadow => print(line),
            }
        }
        if !is_there {
            print(new);
        }
        printed
    }

    /// In the shadow files most of an existing entry stays as it is.
    fn existing(&self, table: Table, entry: &Entry, new: &str) -> String {
        let Entry {
            password,
            third,
            rest,
            ..
        } = entry;
        let name = self.wanted.name;
        match table {
            Table::Shadow => {
                let password = choose_password(password, "*");
                format!("{name}:{password}:{third}:{rest}")
            }
            Table::Gshadow => self.rename(&format!("{name}:{password}:{third}:{rest}")),
            Table::Passwd | Table::Group => new.to_owned(),
        }
    }

    /// A line of groups, with the renamed user as it is called now.
    fn rename(&self, line: &str) -> String {
        match self.renamed_user {
            Some(old) => rename_member(line, old, self.wanted.name),
            None => line.to_owned(),
        }
    }

    fn add_sshd(&self, passwd: &mut String, group: &mut String) {
        let entries = |text| lines(text).filter_map(Entry::read);
        let (users, groups) = (&self.texts.passwd, &self.texts.group);
        if entries(users).any(|entry| entry.name == "sshd") {
            return;
        }
        let is_free = |id: &String| {
            let mut all = entries(users).chain(entries(groups));
            all.all(|entry| entry.third != id)
        };
        let mut ids = (1..=SSHD_ID).rev().map(|id| id.to_string());
        let id = ids.find(is_free).unwrap_or_default();
        let group_id = match entries(groups).find(|entry| entry.name == "sshd") {
            Some(entry) => entry.third,
            None => &id,
        };
        // A group of before has an id that is not free.
        if group_id == id {
            group.extend(["sshd:x:", &id, ":\n"]);
        }
        passwd.extend(["sshd:x:", &id, ":", group_id, ":", SSHD_END]);
    }
}

fn has_our_id(entry: &Entry) -> bool {
    entry.third.parse() == Ok(ID)
}

/// The entry with our name, and the first with our id under another one.
fn find<'a>(
    text: &'a str,
    name: &str,
) -> Result<(Option<Entry<'a>>, Option<Entry<'a>>), OfTheSystem> {
    let (mut ours, mut other) = (None, None);
    for entry in lines(text).filter_map(Entry::read) {
        if entry.name == name {
            let is_low = entry.third.parse::<i64>().is_ok_and(|id| id < ID.into());
            if name != NAME && is_low {
                let (name, id) = (name.to_owned(), entry.third.to_owned());
                return Err(OfTheSystem { name, id });
            }
            ours = ours.or(Some(entry));
        } else if has_our_id(&entry) && !entry.name.is_empty() {
            other = other.or(Some(entry));
        }
    }
    Ok((ours, other))
}

#[cfg(test)]
mod tests;
