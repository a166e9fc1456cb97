//! A map for keys that are handed out in order.

use std::collections::VecDeque;

/// Removed entries that may stay among the others, besides as many as there are others.
const SPARE: usize = 32;

/// An ordered map whose new keys are larger than all before, such as numbers that count upwards. Entries that are removed
/// about in the order in which they came cost far less than in a tree: inserting and removing take constant time on average,
/// and finding a key is a search in a few neighbouring places, for the oldest one not even that.
#[derive(Debug)]
pub(super) struct GrowingMap<K, V> {
    /// In the order of keys. The first and the last place hold a value.
    places: VecDeque<(K, Option<V>)>,
    /// The places that hold a value.
    len: usize,
}

impl<K: Copy + Ord, V> GrowingMap<K, V> {
    /// Whether no entry has this key or a larger one.
    pub(super) fn can_grow_by(&self, key: &K) -> bool {
        self.places.back().is_none_or(|(last, _)| last < key)
    }

    /// Adds an entry. No entry has this key or a larger one.
    pub(super) fn insert(&mut self, key: K, value: V) {
        debug_assert!(self.can_grow_by(&key), "keys only grow");
        self.places.push_back((key, Some(value)));
        self.len += 1;
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let place = self.place(key)?;
        self.places[place].1.as_ref()
    }

    /// The value of a key, to be changed.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.place(key)?;
        self.places[place].1.as_mut()
    }

    /// Removes an entry and returns its value.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.place(key)?;
        let value = self.places[place].1.take()?;
        self.len -= 1;
        while self
            .places
            .front()
            .is_some_and(|(_, value)| value.is_none())
        {
            self.places.pop_front();
        }
        while self.places.back().is_some_and(|(_, value)| value.is_none()) {
            self.places.pop_back();
        }
        if self.places.len() > 2 * self.len + SPARE {
            self.places.retain(|(_, value)| value.is_some());
        }
        Some(value)
    }

    /// The entry with the smallest key.
    pub(super) fn first(&self) -> Option<(K, &V)> {
        let (key, value) = self.places.front()?;
        Some((*key, value.as_ref()?))
    }

    /// All entries in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        let places = self.places.iter();
        places.filter_map(|(key, value)| Some((*key, value.as_ref()?)))
    }

    /// All entries in the order of their keys, their values to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut V)> {
        let places = self.places.iter_mut();
        places.filter_map(|(key, value)| Some((*key, value.as_mut()?)))
    }

    /// Returns memory that the entries do not need, unless that is little.
    pub(super) fn shrink(&mut self) {
        let len = self.places.len();
        if len == 0 || self.places.capacity() > 4 * len + SPARE {
            self.places.shrink_to_fit();
        }
    }

    fn place(&self, key: &K) -> Option<usize> {
        match self.places.front() {
            Some((first, _)) if first == key => Some(0),
            _ => self.places.binary_search_by_key(key, |(key, _)| *key).ok(),
        }
    }
}

impl<K, V> Default for GrowingMap<K, V> {
    fn default() -> Self {
        Self {
            places: VecDeque::new(),
            len: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It differs from a tree in nothing but its costs.
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((any::<bool>(), 0..200_u64, 1..4_u64), 0..300)) {
            let (mut map, mut tree) = (GrowingMap::default(), BTreeMap::new());
            let mut last = 0;
            for (adds, key, step) in steps {
                if adds {
                    last += step;
                    map.insert(last, key);
                    tree.insert(last, key);
                } else {
                    prop_assert_eq!(map.get(&key), tree.get(&key));
                    prop_assert_eq!(map.remove(&key), tree.remove(&key));
                }
                prop_assert_eq!(map.len, tree.len());
                prop_assert_eq!(map.first(), tree.iter().next().map(|(key, value)| (*key, value)));
            }
            prop_assert!(map.iter().eq(tree.iter().map(|(key, value)| (*key, value))));
            prop_assert!(map.iter_mut().eq(tree.iter_mut().map(|(key, value)| (*key, value))));
        }
    }

    #[test]
    fn one_that_stays_keeps_no_memory_for_those_that_went() {
        let mut map = GrowingMap::default();
        map.insert(0, ());
        for key in 1..100_000 {
            map.insert(key, ());
            if key > 1 {
                map.remove(&(key - 1));
            }
        }
        assert_eq!(map.len, 2);
        assert!(map.places.len() <= 2 * 2 + SPARE);
        assert!(map.places.capacity() < 1_000);
    }
}
