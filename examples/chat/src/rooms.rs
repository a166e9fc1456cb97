//! Who is in which room, and which messages were sent recently: the data of the server in handler mode.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::SystemTime;

/// The maximum number of names in a list of people. A room can have more people.
const NAMED: usize = 100;
/// The number of messages to remember, so that each is published only once.
const REMEMBERED: usize = 10_000;

/// Connections by user and group. One user may have several.
pub(crate) struct Rooms {
    groups: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    version: u64,
    said: HashSet<String>,
    ages: VecDeque<String>,
}

/// The people of a room at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct People {
    /// Grows with each change, also over a restart of the server: later lists have greater ones.
    pub(crate) version: u64,
    /// In order; the first of them in a large room.
    pub(crate) users: Vec<String>,
    /// How many there are.
    pub(crate) count: usize,
}

impl Rooms {
    pub(crate) fn new(now: SystemTime) -> Self {
        Self {
            groups: BTreeMap::new(),
            version: unix_millis(now),
            said: HashSet::new(),
            ages: VecDeque::new(),
        }
    }

    /// A connection is in the room; its people.
    pub(crate) fn joined(&mut self, group: &str, user: &str, connection: &str) -> People {
        let users = self.groups.entry(group.to_owned()).or_default();
        let connections = users.entry(user.to_owned()).or_default();
        connections.insert(connection.to_owned());
        self.people(group)
    }

    /// A connection is out of the room; its people.
    pub(crate) fn left(&mut self, group: &str, user: &str, connection: &str) -> People {
        if let Some(users) = self.groups.get_mut(group) {
            if let Some(connections) = users.get_mut(user) {
                connections.remove(connection);
                if connections.is_empty() {
                    users.remove(user);
                }
            }
            if users.is_empty() {
                self.groups.remove(group);
            }
        }
        self.people(group)
    }

    /// Whether this message of the user is new; it is not the next time.
    pub(crate) fn is_first(&mut self, user: &str, message: &str) -> bool {
        let key = format!("{user}\n{message}");
        if !self.said.insert(key.clone()) {
            return false;
        }
        self.ages.push_back(key);
        if self.ages.len() > REMEMBERED
            && let Some(oldest) = self.ages.pop_front()
        {
            self.said.remove(&oldest);
        }
        true
    }

    /// The message was not published: the next try is a first one.
    pub(crate) fn forget(&mut self, user: &str, message: &str) {
        let key = format!("{user}\n{message}");
        self.said.remove(&key);
        self.ages.retain(|known| *known != key);
    }

    fn people(&mut self, group: &str) -> People {
        self.version += 1;
        let users = self.groups.get(group);
        let names = users.into_iter().flat_map(BTreeMap::keys);
        People {
            version: self.version,
            users: names.take(NAMED).cloned().collect(),
            count: users.map_or(0, BTreeMap::len),
        }
    }
}

pub(crate) fn unix_millis(now: SystemTime) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms() -> Rooms {
        Rooms::new(SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn a_user_is_there_as_long_as_one_connection_is() {
        let mut rooms = rooms();
        assert_eq!(rooms.joined("a", "Ana", "1").users, ["Ana"]);
        assert_eq!(rooms.joined("a", "Ben", "2").users, ["Ana", "Ben"]);
        assert_eq!(rooms.joined("b", "Eve", "3").users, ["Eve"]);
        assert_eq!(rooms.joined("a", "Ana", "4").count, 2);
        assert_eq!(rooms.left("a", "Ana", "1").users, ["Ana", "Ben"]);
        assert_eq!(rooms.left("a", "Ana", "4").users, ["Ben"]);
        assert_eq!(rooms.left("a", "Ana", "4").users, ["Ben"], "told twice");
        let last = rooms.left("a", "Ben", "2");
        assert_eq!((last.version, last.count), (8, 0));
        assert_eq!(rooms.groups.len(), 1, "empty rooms are forgotten");
    }

    #[test]
    fn a_large_room_tells_some_names_and_the_number() {
        let mut rooms = rooms();
        for n in 0..NAMED {
            rooms.joined("a", &format!("user {n:03}"), "c");
        }
        let people = rooms.joined("a", "user 999", "c");
        assert_eq!((people.users.len(), people.count), (NAMED, NAMED + 1));
        assert_eq!(people.users[0], "user 000");
    }

    #[test]
    fn a_message_is_first_once_until_it_is_forgotten() {
        let mut rooms = rooms();
        assert!(rooms.is_first("Ana", "1"));
        assert!(!rooms.is_first("Ana", "1"));
        assert!(rooms.is_first("Ben", "1"));
        rooms.forget("Ana", "1");
        assert!(rooms.is_first("Ana", "1"));
        for n in 0..REMEMBERED {
            rooms.is_first("Eve", &n.to_string());
        }
        assert!(rooms.is_first("Ana", "1"), "the oldest made room");
        assert_eq!(
            (rooms.said.len(), rooms.ages.len()),
            (REMEMBERED, REMEMBERED)
        );
    }
}
