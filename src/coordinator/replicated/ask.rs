//! The first round: what a majority has seen, what members hold together.
//!
//! The decisions are those of the cores in [`crate::quorum`]; here their wishes become messages, and answers of this node
//! itself are given without one.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::causality::{Context, Record, RecordView, Time};
use crate::coordinator::cluster::{Cluster, ClusterStats};
use crate::coordinator::member::Warm;
use crate::coordinator::replicated::flight::{Arrived, Errand, Flight};
use crate::coordinator::replicated::{Epochs, Segment};
use crate::coordinator::{Batch, Coordinator};
use crate::peer::Terms;
use crate::quorum::{
    self, Contexts, Digest, Form, LiveDot, QueryAction, QueryQuorum, ReadAction, ReadQuorum, Reading, Requirement,
};
use crate::replica::{Failure, Origin, Replica, Taken, put_record};
use crate::types::{Database, Epoch, NodeNumber};
use crate::wire::{self, Answer, ReadAnswer, Wants, WriteAnswer, WriteItem};

/// How far past its usual time a member counts as slow: the resolution of timers.
const PAST: Duration = Duration::from_millis(1);

/// What is asked about one cell.
pub(super) struct Ask {
    database: Database,
    key: Vec<u8>,
    order: Vec<NodeNumber>,
    core: Core,
    /// Once a query has been answered.
    contexts: Option<Contexts>,
    /// The greatest clock among the answers, once a read is decided.
    judged_at: Time,
    end: Option<Result<(), Failure>>,
    /// Whether the record here has to hold what was read before the operation is carried out.
    merges: bool,
}

enum Core {
    Query(Box<QueryQuorum>),
    Read(Box<ReadQuorum>),
    /// A query that is decided.
    Decided,
}

/// What was learned.
pub(super) enum Asked<'a> {
    /// Nothing was asked.
    Nothing,
    /// What a majority has seen.
    Contexts(&'a Contexts),
    /// What the members hold together, and when its expiry is judged.
    Record(&'a Record, Time),
}

/// What a core wants next.
enum Wish {
    Ask(Vec<quorum::Ask>),
    WriteBack(Vec<NodeNumber>),
    Done(Vec<NodeNumber>),
    Written,
    Wait,
    GiveUp,
    Refuse(Failure),
}

/// What this node itself holds of a cell.
struct Own {
    reading: Reading,
}

impl Ask {
    pub(super) fn query(
        (database, key): (Database, &[u8]),
        requirement: Requirement,
        epoch: Epoch,
        order: Vec<NodeNumber>,
    ) -> Self {
        Ask::new((database, key), order, Core::Query(Box::new(QueryQuorum::new(requirement, epoch))))
    }

    pub(super) fn read(
        (database, key): (Database, &[u8]),
        requirement: Requirement,
        epoch: Epoch,
        order: Vec<NodeNumber>,
    ) -> Self {
        let core = Core::Read(Box::new(ReadQuorum::new(requirement, epoch, &order)));
        Ask::new((database, key), order, core)
    }

    /// A read whose result this node's record has to hold before it goes on.
    pub(super) fn merge(
        (database, key): (Database, &[u8]),
        requirement: Requirement,
        epoch: Epoch,
        order: Vec<NodeNumber>,
    ) -> Self {
        Ask { merges: true, ..Ask::read((database, key), requirement, epoch, order) }
    }

    fn new((database, key): (Database, &[u8]), order: Vec<NodeNumber>, core: Core) -> Self {
        let key = key.to_vec();
        Ask { database, key, order, core, contexts: None, judged_at: Time::ZERO, end: None, merges: false }
    }

    /// What was learned.
    pub(super) fn asked(&self) -> Result<Asked<'_>, Failure> {
        match (&self.end, &self.core, &self.contexts) {
            (Some(Err(failure)), ..) => Err(failure.clone()),
            (_, Core::Read(read), _) => match read.merged() {
                Some(record) => Ok(Asked::Record(record, self.judged_at)),
                None => Ok(Asked::Nothing),
            },
            (.., Some(contexts)) => Ok(Asked::Contexts(contexts)),
            _ => Ok(Asked::Nothing),
        }
    }

    fn begin(&mut self) -> Wish {
        match &mut self.core {
            Core::Query(query) => asks(query.ask(&self.order)),
            Core::Read(read) => Wish::of_read(read.begin()),
            Core::Decided => Wish::Wait,
        }
    }

    /// What to ask for in the form that a core wants.
    fn wants(&self, form: Form) -> Wants {
        match (&self.core, form) {
            (Core::Query(_) | Core::Decided, _) => Wants::Digest,
            (Core::Read(_), Form::Record) => Wants::Record,
            (Core::Read(_), Form::Digest) => Wants::Digest,
        }
    }

    fn failed(&mut self, node: NodeNumber) -> Wish {
        match &mut self.core {
            Core::Query(query) => match query.failed(node) {
                QueryAction::Wait => asks(query.ask(&self.order)),
                action => Wish::of_query(action),
            },
            Core::Read(read) => Wish::of_read(read.failed(node)),
            Core::Decided => Wish::Wait,
        }
    }

    fn holds(&mut self, node: NodeNumber, epoch: Epoch, reading: Reading) -> Wish {
        match &mut self.core {
            Core::Query(query) => {
                let digest = Digest::of(&reading.record.view(), reading.floor, reading.hlc);
                Wish::of_query(query.answered(node, epoch, &digest))
            }
            Core::Read(read) => Wish::of_read(read.record(node, epoch, reading)),
            Core::Decided => Wish::Wait,
        }
    }

    fn tells(&mut self, node: NodeNumber, epoch: Epoch, digest: Digest) -> Wish {
        match &mut self.core {
            Core::Query(query) => Wish::of_query(query.answered(node, epoch, &digest)),
            Core::Read(read) => Wish::of_read(read.digest(node, epoch, digest)),
            Core::Decided => Wish::Wait,
        }
    }

    fn stored(&mut self, node: NodeNumber, epoch: Epoch) -> Wish {
        match &mut self.core {
            Core::Read(read) => Wish::of_read(read.stored(node, epoch)),
            Core::Query(_) | Core::Decided => Wish::Wait,
        }
    }

    fn hedge(&mut self) -> Option<quorum::Ask> {
        match &mut self.core {
            Core::Read(read) => read.hedge(),
            Core::Query(_) | Core::Decided => None,
        }
    }

    fn timeout(&self, waited_ms: u64, names: &dyn quorum::Names) -> Failure {
        let timeout = match &self.core {
            Core::Query(query) => query.timeout(waited_ms),
            Core::Read(read) => read.timeout(waited_ms),
            Core::Decided => return Failure::TimedOut("the time was over".into()),
        };
        Failure::TimedOut(timeout.told(names).into())
    }

    fn end(&mut self, result: Result<(), Failure>) {
        self.end.get_or_insert(result);
    }
}

impl Wish {
    fn of_query(action: QueryAction) -> Wish {
        match action {
            QueryAction::Wait => Wish::Wait,
            QueryAction::Write => Wish::Written,
            QueryAction::GiveUp => Wish::GiveUp,
            QueryAction::Refuse(error) => Wish::Refuse(Failure::Record(error.into())),
        }
    }

    fn of_read(action: ReadAction) -> Wish {
        match action {
            ReadAction::Wait => Wish::Wait,
            ReadAction::Ask(asks) => Wish::Ask(asks),
            ReadAction::WriteBack(nodes) => Wish::WriteBack(nodes),
            ReadAction::Done(nodes) => Wish::Done(nodes),
            ReadAction::GiveUp => Wish::GiveUp,
            ReadAction::Refuse(error) => Wish::Refuse(Failure::from(error)),
        }
    }
}

fn asks(nodes: Vec<NodeNumber>) -> Wish {
    Wish::Ask(nodes.into_iter().map(|node| quorum::Ask { node, form: Form::Digest }).collect())
}

/// The round under way.
struct Round<'a, 'b> {
    coordinator: &'a Coordinator,
    cluster: &'a Cluster,
    names: &'a dyn quorum::Names,
    asks: &'b mut [Ask],
    batch: &'b mut Batch,
    own: Vec<Option<Own>>,
    /// Messages to be sent, by member; records are kept by their ask.
    due: BTreeMap<NodeNumber, Vec<Due>>,
    terms: Terms,
    epochs: Epochs,
}

/// An errand to be made.
enum Due {
    Read(usize, Wants),
    WriteBack(usize),
}

impl Coordinator {
    /// Asks what the segment has to know.
    pub(super) async fn ask_all(&self, segment: &mut Segment<'_>, batch: &mut Batch) -> Epochs {
        if segment.asks.is_empty() {
            return Epochs::Agree;
        }
        let (cluster, terms) = (segment.cluster, segment.terms);
        let own = segment.asks.iter().map(|_| None).collect();
        let (asks, names) = (&mut segment.asks[..], &segment.view.seating as &dyn quorum::Names);
        let epochs = Epochs::Agree;
        let mut round =
            Round { coordinator: self, cluster, names, asks, batch, own, due: BTreeMap::new(), terms, epochs };
        for job in 0..round.asks.len() {
            let wish = round.asks[job].begin();
            round.fulfil(job, wish).await;
        }
        round.run().await;
        let failed = round.asks.iter().any(|ask| matches!(ask.end, Some(Err(_))));
        if failed { round.epochs } else { Epochs::Agree }
    }
}

impl Round<'_, '_> {
    async fn run(&mut self) {
        let mut flight = Flight::new(self.cluster, self.terms);
        loop {
            self.send(&mut flight);
            if self.asks.iter().all(|ask| ask.end.is_some()) {
                // What is on its way without anybody waiting needs no answer.
                return;
            }
            let until = self.next_look(&flight);
            match flight.arrive(until).await {
                Some(arrived) => self.receive(arrived).await,
                None if Instant::now() >= self.terms.deadline || flight.sent().is_empty() => return self.time_out(),
                None => self.hedge(&flight),
            }
        }
    }

    /// When a request has been under way for so long that another member may be asked too.
    fn next_look(&self, flight: &Flight<'_>) -> Instant {
        let usual = |node| self.cluster.members().usual_time(node).unwrap_or(self.cluster.options().timeout / 4);
        let now = Instant::now();
        let looks = flight.sent().iter().map(|sent| sent.asked + usual(sent.node) + PAST).filter(|look| *look > now);
        looks.min().map_or(self.terms.deadline, |look| look.min(self.terms.deadline))
    }

    fn hedge(&mut self, flight: &Flight<'_>) {
        for sent in flight.sent() {
            for job in &sent.jobs {
                let ask = &mut self.asks[*job];
                if ask.end.is_none()
                    && self.cluster.may_hedge(sent.node, sent.asked)
                    && let Some(more) = ask.hedge()
                {
                    let wants = ask.wants(more.form);
                    self.due.entry(more.node).or_default().push(Due::Read(*job, wants));
                }
            }
        }
    }

    /// Does what a core wants; what has to be sent is only noted.
    async fn fulfil(&mut self, job: usize, first: Wish) {
        let mut wishes = vec![first];
        while let Some(wish) = wishes.pop() {
            match wish {
                Wish::Wait => {}
                Wish::Written => {
                    let core = std::mem::replace(&mut self.asks[job].core, Core::Decided);
                    if let Core::Query(query) = core {
                        self.asks[job].contexts = Some(query.contexts());
                    }
                    self.asks[job].end(Ok(()));
                }
                Wish::Ask(asks) => {
                    for quorum::Ask { node, form } in asks {
                        if node == self.cluster.me() {
                            wishes.push(self.answer_here(job).await);
                        } else {
                            let wants = self.asks[job].wants(form);
                            self.due.entry(node).or_default().push(Due::Read(job, wants));
                        }
                    }
                }
                Wish::WriteBack(nodes) => {
                    for node in nodes {
                        wishes.push(self.write_back(job, node).await);
                    }
                }
                Wish::Done(nodes) => self.finish(job, nodes).await,
                Wish::GiveUp => {
                    let waited = self.terms.now.elapsed().as_millis() as u64;
                    let failure = self.asks[job].timeout(waited, self.names);
                    self.give_up(job, failure);
                }
                Wish::Refuse(failure) => self.asks[job].end(Err(failure)),
            }
        }
    }

    /// A read is decided; members that lack what it found are sent it, this node at once.
    async fn finish(&mut self, job: usize, lacking: Vec<NodeNumber>) {
        for node in lacking {
            self.write_back(job, node).await;
        }
        let own = self.coordinator.replica.reading();
        let ask = &mut self.asks[job];
        if let Core::Read(read) = &ask.core {
            ask.judged_at = read.judged_at(own);
        }
        // A member that does not hold it itself would compute from something else.
        let merged = if ask.merges { self.take_here(job).await } else { Ok(()) };
        self.asks[job].end(merged);
    }

    /// What this node answers to its own question.
    async fn answer_here(&mut self, job: usize) -> Wish {
        let ask = &self.asks[job];
        let replica = &self.coordinator.replica;
        let cell = Replica::cell(ask.database, &ask.key);
        let arc = replica.arc_of(&ask.key);
        let mut bytes = Vec::new();
        let mut warm = Warm::new(self.coordinator);
        let shown = warm.show(&cell, &mut |record| put_record(record, &mut bytes)).await;
        let record = shown.and_then(|position| {
            self.batch.note_shown(position);
            decode(bytes)
        });
        match record {
            Ok(record) => {
                let reading = Reading { record, floor: replica.floor(arc), hlc: replica.reading() };
                self.own[job] = Some(Own { reading: reading.clone() });
                self.asks[job].holds(self.cluster.me(), self.terms.epoch, reading)
            }
            Err(failure) => Wish::Refuse(failure),
        }
    }

    /// Sends what was read to a member that lacks it.
    async fn write_back(&mut self, job: usize, node: NodeNumber) -> Wish {
        ClusterStats::add(&self.cluster.stats().write_backs, 1);
        if node != self.cluster.me() {
            self.due.entry(node).or_default().push(Due::WriteBack(job));
            return Wish::Wait;
        }
        let epoch = self.terms.epoch;
        match self.take_here(job).await {
            Ok(()) => self.asks[job].stored(node, epoch),
            Err(_) => self.asks[job].failed(node),
        }
    }

    /// Makes this node's record hold what was read.
    async fn take_here(&mut self, job: usize) -> Result<(), Failure> {
        let ask = &self.asks[job];
        let Core::Read(read) = &ask.core else { return Ok(()) };
        let Some(merged) = read.merged() else { return Ok(()) };
        if self.own[job].as_ref().is_some_and(|own| own.reading.record == *merged) {
            return Ok(());
        }
        let cell = Replica::cell(ask.database, &ask.key);
        let origin =
            Origin { fence: self.coordinator.replica.fence(self.coordinator.replica.arc_of(&ask.key)), latest: None };
        let mut warm = Warm::new(self.coordinator);
        match warm.take(&cell, &merged.view(), origin).await? {
            Taken::Stored(position) => {
                self.batch.note_shown(position);
                Ok(())
            }
            _ => Err(Failure::Unavailable("this replica has purged what the others still hold".into())),
        }
    }

    fn send(&mut self, flight: &mut Flight<'_>) {
        let due = std::mem::take(&mut self.due);
        let mut errands: BTreeMap<NodeNumber, Vec<Errand<'_>>> = BTreeMap::new();
        for (node, list) in &due {
            let made = list.iter().filter_map(|due| self.errand(due));
            errands.entry(*node).or_default().extend(made);
        }
        flight.send(errands);
    }

    fn errand(&self, due: &Due) -> Option<Errand<'_>> {
        match *due {
            Due::Read(job, wants) => {
                let ask = &self.asks[job];
                Some(Errand::Read { job, wants, database: ask.database, key: &ask.key })
            }
            Due::WriteBack(job) => {
                let ask = &self.asks[job];
                let Core::Read(read) = &ask.core else { return None };
                let replica = &self.coordinator.replica;
                let item = WriteItem {
                    origin: wire::Origin::WriteBack,
                    database: ask.database,
                    fence: replica.fence(replica.arc_of(&ask.key)),
                    key: &ask.key,
                    record: read.merged()?.as_bytes(),
                };
                Some(Errand::Write { job, item })
            }
        }
    }

    async fn receive(&mut self, arrived: Arrived) {
        let Arrived { node, jobs, frame } = arrived;
        let answer = frame.as_ref().and_then(|frame| {
            self.coordinator.replica.observe(frame.header.time, self.cluster.options().max_skew);
            Answer::decode(frame).ok().map(|answer| (frame.header, answer))
        });
        match answer {
            Some((header, Answer::Read(items))) if items.len() == jobs.len() && header.epoch == self.terms.epoch => {
                for (job, item) in jobs.into_iter().zip(items) {
                    let wish = self.read_answer(job, node, (header.time, item));
                    self.fulfil(job, wish).await;
                }
            }
            Some((header, Answer::Write(items))) if items.len() == jobs.len() && header.epoch == self.terms.epoch => {
                for (job, item) in jobs.into_iter().zip(items) {
                    let wish = match item {
                        WriteAnswer::Merged => self.asks[job].stored(node, header.epoch),
                        WriteAnswer::Ignored | WriteAnswer::Refused(_) => self.asks[job].failed(node),
                    };
                    self.fulfil(job, wish).await;
                }
            }
            other => {
                if let Some((header, answer)) = other
                    && header.epoch != self.terms.epoch
                {
                    self.epochs = Epochs::Differ;
                    self.cluster.members().meets_topology(node, help(&answer));
                }
                for job in jobs {
                    let wish = self.asks[job].failed(node);
                    self.fulfil(job, wish).await;
                }
            }
        }
    }

    fn read_answer(&mut self, job: usize, node: NodeNumber, (hlc, answer): (Time, ReadAnswer<'_>)) -> Wish {
        let (ask, epoch) = (&mut self.asks[job], self.terms.epoch);
        let reading = match answer {
            ReadAnswer::Digest(digest) => match digest_of(&digest, hlc) {
                Some(digest) => return ask.tells(node, epoch, digest),
                None => return ask.failed(node),
            },
            ReadAnswer::Nothing => decode(Vec::new()).map(|record| (record, Time::ZERO)),
            ReadAnswer::Record { floor, record, .. } => decode(record.to_vec()).map(|record| (record, floor)),
            ReadAnswer::Refused(_) => return ask.failed(node),
        };
        match reading {
            Ok((record, floor)) => ask.holds(node, epoch, Reading { record, floor, hlc }),
            Err(_) => ask.failed(node),
        }
    }

    fn time_out(&mut self) {
        let waited = self.terms.now.elapsed().as_millis() as u64;
        for job in 0..self.asks.len() {
            if self.asks[job].end.is_none() {
                let failure = self.asks[job].timeout(waited, self.names);
                self.give_up(job, failure);
            }
        }
    }

    fn give_up(&mut self, job: usize, failure: Failure) {
        ClusterStats::add(&self.cluster.stats().timeouts, 1);
        self.asks[job].end(Err(failure));
    }
}

/// The newer topology that came with a refusal.
pub(super) fn help<'a>(answer: &Answer<'a>) -> &'a [u8] {
    match answer {
        Answer::Refused(refused) => refused.help,
        _ => &[],
    }
}

/// A record of bytes from this node or another; none at all is the record of what was never written.
fn decode(bytes: Vec<u8>) -> Result<Record, Failure> {
    if bytes.is_empty() {
        let mut empty = Vec::new();
        put_record(&RecordView::default(), &mut empty);
        return decode(empty);
    }
    Record::decode(bytes).map_err(|error| Failure::Storage(format!("a record cannot be read: {error}").into()))
}

fn digest_of(digest: &wire::Digest<'_>, hlc: Time) -> Option<Digest> {
    let context = Context::join_of(digest.entries(), std::iter::empty()).ok()?;
    let live = digest.versions().into_iter().flatten();
    let live = live.map(|version| LiveDot { dot: version.dot, expiry: version.expiry }).collect();
    Some(Digest { live, context, floor: digest.floor(), hlc })
}
