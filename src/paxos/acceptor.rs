//! A keeper's part: what it promised and accepted in one instance.
//!
//! Invariant: `accepted` is never of a higher ballot than `promised`.
//! Invariant: a ballot is promised at most once. That a repeated `Prepare` is refused costs a round after a lost promise,
//! and is why a proposer needs no durable memory of the ballots it has used.
//! *Breaks otherwise:* p prepares (1, p) at a and b, sends accept(v) and restarts before it arrives; it prepares (1, p)
//! again, hears of nothing accepted, gets w accepted by a and b; then the first accept(v) arrives at both.

use crate::paxos::{Accept, Accepted, Answer, Ballot, Prepare, Promise, Refused, Request, Value};
use crate::types::Epoch;

/// An acceptor of one instance: durable state as a plain value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptor {
    pub(super) instance: Epoch,
    pub(super) promised: Option<Ballot>,
    pub(super) accepted: Option<(Ballot, Value)>,
}

/// What follows from a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Nothing changes: the answer may leave at once.
    Answer(Answer),
    /// The answer may leave only after `acceptor`, which replaces the one that was asked, is fsynced.
    Sync {
        /// The next state.
        acceptor: Acceptor,
        /// What may be said once it is durable.
        answer: Answer,
    },
    /// The request is of another instance. For an earlier one the answer is [`crate::paxos::Decided`]; for a later one this
    /// node has to learn first what was decided before it.
    OtherInstance,
}

impl Acceptor {
    /// The acceptor of an instance that it has heard nothing of.
    #[must_use]
    pub fn new(instance: Epoch) -> Self {
        Acceptor { instance, promised: None, accepted: None }
    }

    /// The epoch to be decided.
    #[must_use]
    pub fn instance(&self) -> Epoch {
        self.instance
    }

    /// What follows from `request`. Requests are judged one after the other: the next one by the state that the last one
    /// made, once that is durable.
    pub fn receive(&self, request: &Request) -> Verdict {
        if request.instance() != self.instance {
            return Verdict::OtherInstance;
        }
        match request {
            Request::Prepare(prepare) => self.prepare(prepare),
            Request::Accept(accept) => self.accept(accept),
        }
    }

    fn prepare(&self, prepare: &Prepare) -> Verdict {
        let ballot = prepare.ballot;
        match self.promised {
            Some(promised) if promised >= ballot => self.refuse(ballot, promised),
            _ => {
                let answer = Promise { instance: self.instance, ballot, accepted: self.accepted.clone() };
                let acceptor = Acceptor { promised: Some(ballot), ..self.clone() };
                Verdict::Sync { acceptor, answer: Answer::Promise(answer) }
            }
        }
    }

    fn accept(&self, accept: &Accept) -> Verdict {
        let ballot = accept.ballot;
        if let Some(promised) = self.promised.filter(|&promised| promised > ballot) {
            return self.refuse(ballot, promised);
        }
        let answer = Answer::Accepted(Accepted { instance: self.instance, ballot });
        match &self.accepted {
            Some((before, value)) if *before == ballot && *value == accept.value => Verdict::Answer(answer),
            // No honest proposer has two values for a ballot; whoever does gets no second vote.
            Some((before, _)) if *before == ballot => self.refuse(ballot, ballot),
            _ => {
                let accepted = Some((ballot, accept.value.clone()));
                let acceptor = Acceptor { instance: self.instance, promised: Some(ballot), accepted };
                Verdict::Sync { acceptor, answer }
            }
        }
    }

    fn refuse(&self, ballot: Ballot, promised: Ballot) -> Verdict {
        Verdict::Answer(Answer::Refused(Refused { instance: self.instance, ballot, promised }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Acceptor, Verdict};
    use crate::paxos::{Accept, Answer, Ballot, Prepare, Request, Value};
    use crate::types::{Epoch, NodeId};

    /// `p12` is a prepare of round 1 by proposer 2, `a12x` an accept of value x.
    fn request(text: &str) -> Request {
        let digits = text.as_bytes();
        let ballot = Ballot { round: u64::from(digits[1] - b'0'), proposer: NodeId([digits[2] - b'0'; 20]) };
        match digits[0] {
            b'p' => Request::Prepare(Prepare { instance: Epoch(4), ballot }),
            _ => Request::Accept(Accept { instance: Epoch(4), ballot, value: Value::new(&digits[3..]).unwrap() }),
        }
    }

    /// What an acceptor answers to a script, a `*` where it has to sync before.
    fn check(script: &str, wanted: &str) {
        let mut acceptor = Acceptor::new(Epoch(4));
        let mut words = Vec::new();
        for word in script.split(' ') {
            let (answer, mark) = match acceptor.receive(&request(word)) {
                Verdict::Sync { acceptor: next, answer } => {
                    acceptor = next;
                    (answer, "*")
                }
                Verdict::Answer(answer) => (answer, ""),
                Verdict::OtherInstance => panic!("the same instance"),
            };
            let bytes = |value: &Value| String::from_utf8(value.bytes().to_vec()).unwrap();
            let text = match answer {
                Answer::Promise(promise) => {
                    let of = |(ballot, value): (Ballot, Value)| format!(":{}{}", ballot.round, bytes(&value));
                    format!("promise{}", promise.accepted.map(of).unwrap_or_default())
                }
                Answer::Accepted(_) => "accepted".to_owned(),
                Answer::Refused(refused) => format!("refused{}", refused.promised.round),
                Answer::Decided(_) => panic!("an acceptor does not know"),
            };
            words.push(text + mark);
        }
        assert_eq!(words.join(" "), wanted, "{script}");
    }

    #[test]
    fn lower_ballots_are_refused_and_what_was_accepted_is_told() {
        check("p12 p11 p13 p21", "promise* refused1 promise* promise*");
        check("p12 a12x p21 a12x a21x", "promise* accepted* promise:1x* refused2 accepted*");
        check("a12x p11 p22", "accepted* refused1 promise:1x*");
        check("p31 a12x a31y a42z p51", "promise* refused3 accepted* accepted* promise:4z*");
    }

    #[test]
    fn a_repeated_prepare_is_refused_and_a_repeated_accept_needs_no_sync() {
        check("p12 p12", "promise* refused1");
        check("p12 a12x a12x p12", "promise* accepted* accepted refused1");
    }

    #[test]
    fn a_ballot_has_one_value() {
        check("a12x a12y p21", "accepted* refused1 promise:1x*");
    }

    #[test]
    fn another_instance_is_not_judged() {
        assert_eq!(Acceptor::new(Epoch(3)).receive(&request("p11")), Verdict::OtherInstance);
        assert_eq!(Acceptor::new(Epoch(5)).receive(&request("a11x")), Verdict::OtherInstance);
    }
}
