//! A queue with one reader that may wait. Who writes decides how much it may hold.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use crate::sync::Mutex;

/// What a queue may keep allocated for while it is empty, in items.
const SPARE_ITEMS: usize = 256;

#[derive(Debug)]
pub(crate) struct Queue<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    items: Items<T>,
    reader: Option<Waker>,
}

/// What waits in a queue: items that must arrive, and items of which the oldest may be dropped, in one order.
#[derive(Debug)]
pub(crate) struct Items<T> {
    kept: VecDeque<Item<T>>,
    droppable: VecDeque<Item<T>>,
    /// The place of the next item in the order of all.
    next: u64,
    bytes: usize,
    kept_bytes: usize,
    /// How many were dropped since somebody asked.
    dropped: u64,
    is_closed: bool,
}

#[derive(Debug)]
struct Item<T> {
    place: u64,
    bytes: usize,
    value: T,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            items: Items {
                kept: VecDeque::new(),
                droppable: VecDeque::new(),
                next: 0,
                bytes: 0,
                kept_bytes: 0,
                dropped: 0,
                is_closed: false,
            },
            reader: None,
        }))
    }

    /// Changes what waits, under one lock, and wakes the reader.
    pub(crate) fn write<R>(&self, change: impl FnOnce(&mut Items<T>) -> R) -> R {
        let mut state = self.0.lock();
        let result = change(&mut state.items);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        result
    }

    /// Looks at what waits.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Items<T>) -> R) -> R {
        look(&self.0.lock().items)
    }

    /// Takes something. When there is nothing to take, the reader waits for more, or the queue is over.
    pub(crate) fn read<R>(
        &self,
        cx: &Context<'_>,
        take: impl FnOnce(&mut Items<T>) -> Option<R>,
    ) -> Poll<Option<R>> {
        let mut state = self.0.lock();
        match take(&mut state.items) {
            Some(taken) => Poll::Ready(Some(taken)),
            None if state.items.is_closed => Poll::Ready(None),
            None => {
                state.items.shrink();
                match &mut state.reader {
                    Some(reader) => reader.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }
}

impl<T> Items<T> {
    /// Appends an item that must arrive.
    pub(crate) fn push(&mut self, value: T, bytes: usize) {
        let item = self.place(value, bytes);
        self.kept_bytes += bytes;
        self.kept.push_back(item);
    }

    /// Appends an item that may be dropped while it waits.
    pub(crate) fn push_droppable(&mut self, value: T, bytes: usize) {
        let item = self.place(value, bytes);
        self.droppable.push_back(item);
    }

    #[inline]
    fn place(&mut self, value: T, bytes: usize) -> Item<T> {
        let place = self.next;
        self.next += 1;
        self.bytes += bytes;
        Item {
            place,
            bytes,
            value,
        }
    }

    /// The next item.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let first = |items: &VecDeque<Item<T>>| items.front().map_or(u64::MAX, |item| item.place);
        let taken = if first(&self.kept) < first(&self.droppable) {
            self.pop_kept()
        } else {
            self.pop_droppable()
        };
        taken.map(|item| item.value)
    }

    /// Counts so many bytes as waiting, although what they belong to was taken.
    pub(crate) const fn hold(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Counts them no more.
    pub(crate) const fn release(&mut self, bytes: usize) {
        self.bytes -= bytes;
    }

    /// Drops the oldest item that may be dropped; whether there was one.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let dropped = self.pop_droppable().is_some();
        self.dropped += u64::from(dropped);
        dropped
    }

    /// Drops the oldest of those that should arrive; whether there was one.
    pub(crate) fn drop_oldest_kept(&mut self) -> bool {
        let dropped = self.pop_kept().is_some();
        self.dropped += u64::from(dropped);
        dropped
    }

    #[inline]
    fn pop_kept(&mut self) -> Option<Item<T>> {
        let item = self.kept.pop_front()?;
        shrink(&mut self.kept);
        self.bytes -= item.bytes;
        self.kept_bytes -= item.bytes;
        Some(item)
    }

    #[inline]
    fn pop_droppable(&mut self) -> Option<Item<T>> {
        let item = self.droppable.pop_front()?;
        shrink(&mut self.droppable);
        self.bytes -= item.bytes;
        Some(item)
    }

    /// How many items were dropped since the last call.
    pub(crate) const fn take_dropped(&mut self) -> u64 {
        std::mem::replace(&mut self.dropped, 0)
    }

    /// What waits, in bytes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many items that should arrive wait, and their bytes.
    pub(crate) fn kept(&self) -> (usize, usize) {
        (self.kept.len(), self.kept_bytes)
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        self.kept.len() + self.droppable.len()
    }

    /// Holds no memory for more than what waits.
    fn shrink(&mut self) {
        self.kept.shrink_to_fit();
        self.droppable.shrink_to_fit();
    }

    /// Nothing more comes; what waits can still be taken.
    pub(crate) const fn close(&mut self) {
        self.is_closed = true;
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.is_closed
    }
}

/// What a burst needed is not kept for ever.
fn shrink<T>(items: &mut VecDeque<T>) {
    if items.is_empty() && items.capacity() > SPARE_ITEMS {
        items.shrink_to(SPARE_ITEMS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_both_kinds_keep_their_order_and_the_oldest_goes_first() {
        loom::model(|| {
            let queue = Queue::new();
            queue.write(|items| {
                items.push_droppable('a', 1);
                items.push('b', 2);
                items.push_droppable('c', 4);
                items.push_droppable('d', 8);
                items.push('e', 16);
                assert!(items.drop_oldest());
                assert_eq!(items.bytes(), 30);
                items.close();
            });
            let cx = Context::from_waker(Waker::noop());
            for expected in ['b', 'c', 'd', 'e'] {
                let taken = queue.read(&cx, Items::pop);
                assert!(matches!(taken, Poll::Ready(Some(value)) if value == expected));
            }
            assert!(matches!(queue.read(&cx, Items::pop), Poll::Ready(None)));
            assert_eq!(queue.look(Items::bytes), 0);
            queue.write(|items| {
                assert!(!items.drop_oldest());
                assert_eq!((items.take_dropped(), items.take_dropped()), (1, 0));
            });
        });
    }
}
