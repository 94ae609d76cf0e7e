//! Callers put to another place of their queue from outside.
use super::core::Core;
use super::order::{CallerId, Event};
use std::cmp::Reverse;
use std::time::Instant;

impl Core {
    /// Puts a caller who waits to another place among those who do, from 1; one beyond the end is the last. It gets the priority of whom it goes
    /// ahead of, or of the last. Returns whether it waits.
    pub fn move_to(&mut self, now: Instant, caller: CallerId, position: usize) -> bool {
        let Some(own) = self.callers.get(&caller) else {
            return false;
        };
        let (queue, call) = (own.queue.clone(), own.call.clone());
        let mut line: Vec<(Reverse<i32>, u64, CallerId)> = self
            .waiting_in(&queue)
            .map(|(id, waiter)| (Reverse(waiter.priority), waiter.order, id))
            .collect();
        line.sort_unstable();
        let mut orders: Vec<u64> = line.iter().map(|(_, order, _)| *order).collect();
        orders.sort_unstable();
        let Some(from) = line.iter().position(|(.., id)| *id == caller) else {
            return false;
        };
        let (own, order, _) = line.remove(from);
        let at = position.saturating_sub(1).min(line.len());
        let priority = line.get(at).or(line.last()).map_or(own, |next| next.0);
        line.insert(at, (priority, order, caller));
        for ((Reverse(priority), _, id), order) in line.into_iter().zip(orders) {
            if let Some(waiter) = self.callers.get_mut(&id) {
                (waiter.priority, waiter.order) = (priority, order);
            }
        }
        self.tell(Event::Moved {
            queue,
            call,
            position: at + 1,
        });
        self.settle(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Office;
    use crate::config::Strategy;

    #[test]
    fn a_caller_goes_where_it_is_put_and_the_others_keep_their_order() {
        let mut office = Office::of(Strategy::RingAll, &[], |_| {});
        for (call, priority) in [("a", 5), ("b", 5), ("c", 0), ("d", 0)] {
            office.try_join(call, priority).unwrap();
        }
        let line = |office: &Office| -> String {
            let callers = office.core.list_callers(office.now, "q").unwrap();
            callers.iter().map(|caller| caller.call.as_str()).collect()
        };
        assert_eq!(line(&office), "abcd");
        for (call, position, after) in [
            ("d", 1, "dabc"),
            ("a", 9, "dbca"),
            ("c", 2, "dcba"),
            ("c", 0, "cdba"),
            ("c", 1, "cdba"),
        ] {
            let callers = office.core.list_callers(office.now, "q").unwrap();
            let found = callers.iter().find(|caller| caller.call == call).unwrap();
            assert!(office.core.move_to(office.now, found.id, position));
            assert_eq!(line(&office), after, "{call} to {position}");
        }
        // Who comes later comes last.
        office.try_join("e", 0).unwrap();
        assert_eq!(line(&office), "cdbae");
        let gone = office.join("f");
        assert!(office.core.remove(office.now, gone));
        assert!(!office.core.move_to(office.now, gone, 1));
    }
}
