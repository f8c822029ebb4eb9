//! Requests that wait for their answers: a slab, whose indexes are half of the requests' numbers.
//!
//! Invariant: a number is never given twice while its slot can be asked for: its upper half counts the slot's uses.

use std::task::Waker;

use tokio::time::Instant;

use crate::peer::CallError;
use crate::wire::{Frame, Kind};

/// What is known of a request under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// What was asked.
    pub(super) kind: Kind,
    /// Where its frame begins in the stream of its connection.
    pub(super) position: u64,
    /// When it was asked.
    pub(super) asked: Instant,
    /// When the asker gives up.
    pub(super) deadline: Instant,
}

enum Use {
    Free { next: Option<u32> },
    Waiting { waiting: Waiting, waker: Option<Waker> },
    Done { result: Result<Frame, CallError> },
}

struct Slot {
    uses: u32,
    now: Use,
}

/// All slots of one peer.
#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: Option<u32>,
    taken: usize,
    waiting: usize,
}

impl Slots {
    /// Slots in use: requests under way, and answers that nobody has taken yet.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Requests under way.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Begins a request; answers its number.
    pub(super) fn begin(&mut self, waiting: Waiting) -> u64 {
        let now = Use::Waiting { waiting, waker: None };
        self.taken += 1;
        self.waiting += 1;
        let index = match self.free {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                let Use::Free { next } = slot.now else { unreachable!("what is listed as free is free") };
                self.free = next;
                slot.uses = slot.uses.wrapping_add(1);
                slot.now = now;
                index
            }
            None => {
                self.slots.push(Slot { uses: 0, now });
                (self.slots.len() - 1) as u32
            }
        };
        number(self.slots[index as usize].uses, index)
    }

    /// The answer to `request` if it has come; else `waker` will be called.
    ///
    /// # Panics
    /// If the result of `request` was taken before.
    pub(super) fn poll(&mut self, request: u64, waker: &Waker) -> Option<Result<Frame, CallError>> {
        let slot = self.find(request).expect("a request's result is taken once");
        match &mut slot.now {
            Use::Waiting { waker: known, .. } => {
                match known {
                    Some(known) => known.clone_from(waker),
                    None => *known = Some(waker.clone()),
                }
                return None;
            }
            Use::Done { .. } => {}
            Use::Free { .. } => unreachable!("a free slot is not found"),
        }
        match self.release(request) {
            Some(Use::Done { result }) => Some(result),
            _ => None,
        }
    }

    /// Forgets a request; its answer will be nobody's.
    pub(super) fn abandon(&mut self, request: u64) {
        if let Some(Use::Waiting { .. }) = self.release(request) {
            self.waiting -= 1;
        }
    }

    /// What is known of `request` if it is under way.
    pub(super) fn waiting_for(&self, request: u64) -> Option<Waiting> {
        let slot = self.slots.get(request as u32 as usize).filter(|slot| slot.uses == (request >> 32) as u32)?;
        if let Use::Waiting { waiting, .. } = &slot.now { Some(*waiting) } else { None }
    }

    /// Ends `request` if it is under way; answers who is to be woken.
    pub(super) fn end(&mut self, request: u64, result: Result<Frame, CallError>) -> Option<Waker> {
        let slot = self.find(request)?;
        let Use::Waiting { waker, .. } = &mut slot.now else { return None };
        let waker = waker.take();
        slot.now = Use::Done { result };
        self.waiting -= 1;
        waker
    }

    /// Ends every request under way for which `why` has a reason; answers who is to be woken, and how many were ended.
    pub(super) fn end_all(&mut self, mut why: impl FnMut(&Waiting) -> Option<CallError>) -> (Vec<Waker>, u64) {
        let (mut wakers, mut count) = (Vec::new(), 0);
        for slot in &mut self.slots {
            let Use::Waiting { waiting, waker } = &mut slot.now else { continue };
            let Some(error) = why(waiting) else { continue };
            wakers.extend(waker.take());
            slot.now = Use::Done { result: Err(error) };
            self.waiting -= 1;
            count += 1;
        }
        (wakers, count)
    }

    /// The earliest deadline of a request under way.
    pub(super) fn earliest(&self) -> Option<Instant> {
        let deadlines = self.slots.iter().filter_map(|slot| match &slot.now {
            Use::Waiting { waiting, .. } => Some(waiting.deadline),
            _ => None,
        });
        deadlines.min()
    }

    fn find(&mut self, request: u64) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(request as u32 as usize)?;
        (slot.uses == (request >> 32) as u32 && !matches!(slot.now, Use::Free { .. })).then_some(slot)
    }

    /// Frees the slot of `request`; answers what it was used for.
    fn release(&mut self, request: u64) -> Option<Use> {
        let next = self.free;
        let slot = self.find(request)?;
        let used = std::mem::replace(&mut slot.now, Use::Free { next });
        self.free = Some(request as u32);
        self.taken -= 1;
        Some(used)
    }
}

fn number(uses: u32, index: u32) -> u64 {
    (u64::from(uses) << 32) | u64::from(index)
}

#[cfg(test)]
mod tests {
    use super::{Slots, Waiting};
    use crate::peer::CallError;
    use crate::wire::Kind;
    use std::task::Waker;
    use std::time::Duration;
    use tokio::time::Instant;

    fn waiting(position: u64) -> Waiting {
        let asked = Instant::now();
        Waiting { kind: Kind::Ping, position, asked, deadline: asked + Duration::from_secs(position) }
    }

    #[test]
    fn a_late_answer_is_not_given_to_the_next_use_of_a_slot() {
        let mut slots = Slots::default();
        let first = slots.begin(waiting(1));
        slots.abandon(first);
        let second = slots.begin(waiting(2));
        assert_eq!((first as u32, second as u32), (0, 0), "the same slot");
        assert!(slots.end(first, Err(CallError::TimedOut)).is_none() && slots.waiting_for(first).is_none());
        assert!(slots.poll(second, Waker::noop()).is_none(), "the second still waits");
        assert!(slots.end(second, Err(CallError::Overloaded)).is_some(), "its waker is known");
        assert_eq!(slots.poll(second, Waker::noop()), Some(Err(CallError::Overloaded)));
        assert_eq!((slots.taken(), slots.waiting()), (0, 0));
        slots.abandon(second);
        assert_eq!(slots.taken(), 0, "abandoning what is gone changes nothing");
    }

    #[test]
    fn slots_are_used_again_and_counted() {
        let mut slots = Slots::default();
        let requests: Vec<u64> = (0..4).map(|position| slots.begin(waiting(position))).collect();
        assert_eq!((slots.taken(), slots.waiting()), (4, 4));
        let (wakers, count) = slots.end_all(|waiting| (waiting.position < 2).then_some(CallError::TimedOut));
        assert_eq!((wakers.len(), count, slots.taken(), slots.waiting()), (0, 2, 4, 2));
        assert_eq!(slots.earliest(), slots.waiting_for(requests[2]).map(|waiting| waiting.deadline));
        requests.iter().for_each(|request| slots.abandon(*request));
        assert_eq!((slots.taken(), slots.waiting(), slots.earliest()), (0, 0, None));
        (0..4).for_each(|position| assert!((slots.begin(waiting(position)) as u32) < 4));
    }
}
