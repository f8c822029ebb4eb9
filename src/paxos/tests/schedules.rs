//! The classic failures of consensus, by hand: each breaks agreement if the rule it is named after is removed.

use std::collections::BTreeSet;

use crate::paxos::tests::cluster::{INSTANCE, Judge, Keeper, node, value};
use crate::paxos::{
    Accepted, Answer, Ballot, Decided, MAX_BACK_OFF, MIN_BACK_OFF, Progress, Promise, Proposer, Refused, Request, Value,
};
use crate::types::{Epoch, NodeId};

/// Three or five keepers, numbered from 1, each of whose syncs is done before its answer.
struct Scene {
    keepers: Vec<Keeper>,
    judge: Judge,
}

impl Scene {
    fn new(keepers: usize) -> Self {
        Scene { keepers: (0..keepers).map(|_| Keeper::new()).collect(), judge: Judge::new(keepers) }
    }

    fn proposer(&mut self, number: usize, own: &str) -> Proposer {
        self.judge.proposed(&value(own));
        Proposer::new(node(number), INSTANCE, (1..=self.keepers.len()).map(node).collect(), value(own))
    }

    /// Delivers `request` to keeper `number` and gives its answer.
    fn ask(&mut self, number: usize, request: &Request) -> Answer {
        let keeper = &mut self.keepers[number - 1];
        let at_once = keeper.receive(request.ballot().proposer, request);
        let answer = at_once.unwrap_or_else(|| keeper.sync().expect("it answers now or then").1);
        self.judge.voted(node(number), request, &answer);
        self.judge.check();
        answer
    }

    /// Delivers `request` to those keepers, and their answers to `proposer`: the last progress that is not to wait.
    fn carry(&mut self, proposer: &mut Proposer, request: &Request, to: &[usize]) -> Progress {
        let mut last = Progress::Wait;
        for &number in to {
            let answer = self.ask(number, request);
            match proposer.receive(node(number), &answer) {
                Progress::Wait => {}
                progress => last = progress,
            }
        }
        if let Progress::Decided { decided, .. } = &last {
            self.judge.told(&decided.value);
            self.judge.check();
        }
        last
    }
}

#[track_caller]
fn sent(progress: Progress) -> Request {
    match progress {
        Progress::Send(request) => request,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn decided(progress: &Progress) -> (&Value, bool) {
    match progress {
        Progress::Decided { decided, is_own } => (&decided.value, *is_own),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_undisturbed_proposer_needs_two_round_trips() {
    for keepers in [1, 3, 5, 7] {
        let mut scene = Scene::new(keepers);
        let mut p = scene.proposer(1, "v");
        let majority: Vec<usize> = (1..=keepers / 2 + 1).collect();
        let prepare = p.start();
        let accept = sent(scene.carry(&mut p, &prepare, &majority));
        let progress = scene.carry(&mut p, &accept, &majority);
        assert_eq!(decided(&progress), (&value("v"), true));
    }
}

#[test]
fn a_promise_outlives_a_crash() {
    let mut scene = Scene::new(3);
    let (mut p, mut q) = (scene.proposer(1, "v"), scene.proposer(2, "w"));
    let prepare = p.start();
    let late = sent(scene.carry(&mut p, &prepare, &[1, 2]));
    let prepare = q.start();
    let accept = sent(scene.carry(&mut q, &prepare, &[2, 3]));
    scene.keepers[1].crash();
    assert_eq!(scene.carry(&mut p, &late, &[1, 2]), Progress::Wait);
    let progress = scene.carry(&mut q, &accept, &[2, 3]);
    assert_eq!(decided(&progress), (&value("w"), true));
}

#[test]
fn nothing_is_said_before_it_is_synced() {
    let mut scene = Scene::new(3);
    let mut p = scene.proposer(1, "v");
    let prepare = p.start();
    let keeper = &mut scene.keepers[0];
    assert_eq!(keeper.receive(node(1), &prepare), None);
    keeper.crash();
    assert_eq!(keeper.sync(), None);
    assert_eq!(keeper.receive(node(1), &prepare), None, "it had not promised, so it promises now");
    let accept = {
        let _ = keeper.sync();
        sent(scene.carry(&mut p, &prepare, &[2, 3]))
    };
    assert_eq!(scene.keepers[0].receive(node(1), &accept), None);
}

#[test]
fn the_value_of_the_highest_ballot_is_adopted() {
    let mut scene = Scene::new(5);
    let (mut p, mut q) = (scene.proposer(1, "v"), scene.proposer(2, "w"));
    // v is accepted by keeper 4 alone in round 1; w is chosen above it.
    let prepare = p.start();
    let low = sent(scene.carry(&mut p, &prepare, &[3, 4, 5]));
    assert_eq!(scene.carry(&mut p, &low, &[4]), Progress::Wait);
    let prepare = q.start();
    let accept = sent(scene.carry(&mut q, &prepare, &[1, 2, 3]));
    let progress = scene.carry(&mut q, &accept, &[1, 2, 3]);
    assert_eq!(decided(&progress), (&value("w"), true));
    // Whatever the order of the promises, only w may be proposed again.
    for order in [[4, 1, 5], [1, 4, 5], [5, 4, 1], [4, 5, 1]] {
        let mut r = scene.proposer(3, "x");
        let mut refused = r.start();
        for round in 1.. {
            match scene.carry(&mut r, &refused, &order) {
                Progress::Send(Request::Accept(accept)) => {
                    assert_eq!(accept.value, value("w"), "{order:?}");
                    break;
                }
                _ if round < 9 => refused = r.start(),
                stuck => panic!("{stuck:?}"),
            }
        }
    }
    let mut r = scene.proposer(3, "x");
    let progress = run(&mut scene, &mut r, &[4, 1, 5]);
    assert_eq!(decided(&progress), (&value("w"), false));
}

/// Attempts until a decision, with the keepers `to` only.
fn run(scene: &mut Scene, proposer: &mut Proposer, to: &[usize]) -> Progress {
    for _ in 0..9 {
        let prepare = proposer.start();
        if let Progress::Send(accept) = scene.carry(proposer, &prepare, to) {
            return scene.carry(proposer, &accept, to);
        }
    }
    panic!("no decision in nine attempts");
}

#[test]
fn doubled_answers_make_no_majority() {
    let mut scene = Scene::new(3);
    let mut p = scene.proposer(1, "v");
    let prepare = p.start();
    let promise = scene.ask(1, &prepare);
    assert_eq!(p.receive(node(1), &promise), Progress::Wait);
    assert_eq!(p.receive(node(1), &promise), Progress::Wait, "the same promise twice");
    assert_eq!(p.receive(node(9), &promise), Progress::Wait, "the promise of a node that is no keeper");
    let second = scene.ask(2, &prepare);
    let accept = sent(p.receive(node(2), &second));
    let accepted = scene.ask(1, &accept);
    assert_eq!(p.receive(node(1), &accepted), Progress::Wait);
    assert_eq!(p.receive(node(1), &accepted), Progress::Wait, "the same vote twice");
    assert_eq!(p.receive(node(9), &accepted), Progress::Wait, "the vote of a node that is no keeper");
    assert_eq!(p.receive(node(3), &promise), Progress::Wait, "a late promise is no vote");
    let accepted = scene.ask(3, &accept);
    assert_eq!(decided(&p.receive(node(3), &accepted)), (&value("v"), true));
    assert_eq!(p.receive(node(2), &accepted), Progress::Wait, "told once");
}

#[test]
fn a_proposer_that_comes_back_cannot_use_a_ballot_again() {
    let mut scene = Scene::new(3);
    let mut p = scene.proposer(1, "v");
    let prepare = p.start();
    let late = sent(scene.carry(&mut p, &prepare, &[1, 2]));
    let mut p = scene.proposer(1, "w");
    let again = p.start();
    assert_eq!(prepare, again, "it has forgotten that it used the ballot");
    assert_eq!(scene.carry(&mut p, &again, &[1, 2, 3]), Progress::Wait);
    let prepare = p.start();
    let accept = sent(scene.carry(&mut p, &prepare, &[1, 2]));
    let progress = scene.carry(&mut p, &accept, &[1, 2]);
    assert_eq!(decided(&progress), (&value("w"), true));
    for number in 1..=3 {
        scene.ask(number, &late);
    }
}

#[test]
fn votes_of_an_earlier_attempt_count_no_more() {
    let mut scene = Scene::new(3);
    let mut p = scene.proposer(1, "v");
    let prepare = p.start();
    let early = sent(scene.carry(&mut p, &prepare, &[1, 2]));
    let vote = scene.ask(1, &early);
    let prepare = p.start();
    assert_eq!(p.receive(node(1), &vote), Progress::Wait);
    let accept = sent(scene.carry(&mut p, &prepare, &[2, 3]));
    assert_eq!(p.receive(node(1), &vote), Progress::Wait);
    assert_eq!(scene.carry(&mut p, &accept, &[2]), Progress::Wait, "one vote of the second attempt, one of the first");
}

#[test]
fn refusals_of_a_majority_end_an_attempt_and_the_next_one_is_higher() {
    let mut scene = Scene::new(5);
    let (mut p, mut q) = (scene.proposer(1, "v"), scene.proposer(2, "w"));
    let _ = (q.start(), q.start());
    let high = q.start();
    for number in 1..=3 {
        scene.ask(number, &high);
    }
    let prepare = p.start();
    let refusal = scene.ask(1, &prepare);
    assert_eq!(p.receive(node(1), &refusal), Progress::Wait);
    assert_eq!(p.receive(node(1), &refusal), Progress::Wait, "one keeper refuses once");
    assert_eq!(scene.carry(&mut p, &prepare, &[4, 5, 2]), Progress::Wait, "two may refuse");
    assert_eq!(scene.carry(&mut p, &prepare, &[3]), Progress::Retry);
    assert_eq!(p.start().ballot(), Ballot { round: high.ballot().round + 1, proposer: node(1) });
}

#[test]
fn a_refusal_of_the_doubled_request_ends_nothing() {
    let mut scene = Scene::new(3);
    let mut p = scene.proposer(1, "v");
    let prepare = p.start();
    scene.ask(1, &prepare);
    scene.ask(2, &prepare);
    assert_eq!(scene.carry(&mut p, &prepare, &[1, 2]), Progress::Wait, "both promised before");
    let promise = scene.ask(3, &prepare);
    assert_eq!(p.receive(node(3), &promise), Progress::Wait, "the attempt goes on, with one promise that arrived");
}

#[test]
fn what_was_decided_is_taken_from_anybody_who_knows() {
    let mut scene = Scene::new(3);
    scene.keepers[0].learn(&value("w"));
    let mut p = scene.proposer(1, "v");
    let prepare = p.start();
    let answer = scene.ask(1, &prepare);
    assert_eq!(decided(&p.receive(node(1), &answer)), (&value("w"), false));

    let told = |instance, text| Answer::Decided(Decided { instance: Epoch(instance), value: value(text) });
    let mut p = scene.proposer(1, "v");
    let _ = p.start();
    assert_eq!(p.receive(node(9), &told(1, "old")), Progress::Wait);
    let overtaken = Progress::Overtaken(Decided { instance: Epoch(7), value: value("new") });
    assert_eq!(p.receive(node(9), &told(7, "new")), overtaken);
    assert_eq!(p.receive(node(9), &told(7, "new")), Progress::Wait);
}

#[test]
fn answers_of_another_instance_or_ballot_are_ignored() {
    let keepers: BTreeSet<NodeId> = (1..=3).map(node).collect();
    let mut p = Proposer::new(node(1), INSTANCE, keepers, value("v"));
    let ballot = p.start().ballot();
    let high = Ballot { round: 90, ..ballot };
    for number in 1..=3 {
        for (instance, ballot) in [(Epoch(3), ballot), (INSTANCE, high), (INSTANCE, Ballot { round: 0, ..ballot })] {
            for answer in [
                Answer::Promise(Promise { instance, ballot, accepted: None }),
                Answer::Accepted(Accepted { instance, ballot }),
                Answer::Refused(Refused { instance, ballot, promised: Ballot { round: 99, ..ballot } }),
            ] {
                assert_eq!(p.receive(node(number), &answer), Progress::Wait);
            }
        }
    }
    assert_eq!(p.start().ballot().round, 2);
}

#[test]
fn back_off_grows_and_has_a_limit() {
    let mut p = Proposer::new(node(1), INSTANCE, BTreeSet::from([node(1)]), value("v"));
    let _ = p.start();
    assert!(p.back_off(0).is_zero());
    assert_eq!(p.back_off(1 << 63), MIN_BACK_OFF / 2);
    let _ = p.start();
    assert_eq!(p.back_off(1 << 63), MIN_BACK_OFF);
    for _ in 0..100 {
        let _ = p.start();
        assert!(p.back_off(u64::MAX) < MAX_BACK_OFF);
    }
    assert_eq!(p.back_off(1 << 63), MAX_BACK_OFF / 2);
}
