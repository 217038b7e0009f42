//! What callers and the connection's own thread share: frames to send, calls that wait, who listens to events.
//!
//! Promises: a call's answer goes to that call alone; when the connection ends every waiting call learns why, at once;
//! no more calls are with the daemon than its limit, because at that limit it stops reading and would not even see the
//! answers to its keepalive messages. Does not: touch the stream.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};

use crate::error::CloseReason;
use crate::event::{Event, EventKind};
use crate::frame::{self, Header};
use crate::procedure::Procedure;
use crate::remote_error::RemoteError;

/// Events that wait for a slow listener; the ones after are counted, not kept.
const EVENT_QUEUE: usize = 4096;

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Answer {
    /// With this payload.
    Payload(Vec<u8>),
    /// With an error of the daemon.
    Refused(RemoteError),
    /// With an error that cannot be read.
    Unreadable(crate::xdr::XdrError),
    /// Without an answer.
    Lost(CloseReason),
}

/// Why a call was not sent.
#[derive(Debug)]
pub(crate) enum NotSent {
    /// The connection has ended.
    Closed(CloseReason),
    /// All places were taken for too long.
    NoPlace,
}

enum Waiter {
    Waiting(SyncSender<Answer>),
    /// Its caller went away; the daemon still works on it.
    Abandoned,
}

struct Listener {
    kinds: Vec<EventKind>,
    sender: SyncSender<Event>,
    missed: u64,
}

#[derive(Default)]
struct State {
    outbox: VecDeque<Vec<u8>>,
    calls: BTreeMap<u32, Waiter>,
    listeners: Vec<Listener>,
    last_serial: u32,
    asked_to_close: bool,
    closed: Option<CloseReason>,
}

pub(crate) struct Mailbox {
    state: Mutex<State>,
    place_free: Condvar,
    wake: OwnedFd,
    calls_at_once: usize,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        to.debug_struct("Mailbox")
            .field("calls", &state.calls.len())
            .field("listeners", &state.listeners.len())
            .field("closed", &state.closed)
            .finish_non_exhaustive()
    }
}

impl Mailbox {
    pub(crate) fn new(calls_at_once: usize) -> std::io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            state: Mutex::default(),
            place_free: Condvar::new(),
            wake: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            calls_at_once: calls_at_once.max(1),
        }))
    }

    /// Sends a call when there is a place for it.
    pub(crate) fn begin(
        self: &Arc<Self>,
        procedure: Procedure,
        payload: &[u8],
        deadline: Option<Instant>,
    ) -> Result<Ticket, NotSent> {
        let mut state = self.state();
        loop {
            if let Some(reason) = &state.closed {
                return Err(NotSent::Closed(reason.clone()));
            }
            if state.asked_to_close {
                return Err(NotSent::Closed(CloseReason::Asked));
            }
            if state.calls.len() < self.calls_at_once {
                break;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(NotSent::NoPlace);
            }
            // An end of the connection wakes as well.
            let left = left.unwrap_or(Duration::from_secs(3600));
            let woken = self.place_free.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let serial = loop {
            state.last_serial = state.last_serial.wrapping_add(1);
            // 0 is for events.
            if state.last_serial != 0 && !state.calls.contains_key(&state.last_serial) {
                break state.last_serial;
            }
        };
        let (sender, answer) = mpsc::sync_channel(1);
        // The encoder bounded the payload to far less than a frame holds.
        let Ok(bytes) = frame::encode(&Header::call(procedure.number, serial), payload) else {
            let detail = format!("{} is larger than a frame", procedure.name);
            return Err(NotSent::Closed(CloseReason::Protocol { detail }));
        };
        state.calls.insert(serial, Waiter::Waiting(sender));
        state.outbox.push_back(bytes);
        drop(state);
        self.wake();
        Ok(Ticket { mailbox: Arc::clone(self), serial, answer })
    }

    /// Adds a listener.
    pub(crate) fn listen(&self, kinds: &[EventKind]) -> Result<Receiver<Event>, CloseReason> {
        let mut state = self.state();
        if let Some(reason) = &state.closed {
            return Err(reason.clone());
        }
        let (sender, receiver) = mpsc::sync_channel(EVENT_QUEUE);
        state.listeners.push(Listener { kinds: kinds.to_vec(), sender, missed: 0 });
        Ok(receiver)
    }

    /// Asks the thread to end the connection.
    pub(crate) fn close(&self) {
        self.state().asked_to_close = true;
        self.place_free.notify_all();
        self.wake();
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.state().closed.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // A full counter wakes as well.
        rustix::io::write(&self.wake, &1_u64.to_ne_bytes()).ok();
    }

    // What the thread does.

    /// What to poll for new frames.
    pub(crate) fn wake_descriptor(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Takes the frames to send; the second value says that the connection should end.
    pub(crate) fn take(&self) -> (VecDeque<Vec<u8>>, bool) {
        rustix::io::read(&self.wake, &mut [0; 8]).ok();
        let mut state = self.state();
        (std::mem::take(&mut state.outbox), state.asked_to_close)
    }

    /// Hands an answer to its call. False if there is no such call.
    pub(crate) fn answer(&self, serial: u32, answer: Answer) -> bool {
        let waiter = self.state().calls.remove(&serial);
        self.place_free.notify_one();
        match waiter {
            Some(Waiter::Waiting(sender)) => {
                // There is room for the only answer; a caller that went away does not matter.
                sender.try_send(answer).ok();
                true
            }
            Some(Waiter::Abandoned) => true,
            None => false,
        }
    }

    /// Hands an event to those who listen.
    pub(crate) fn tell(&self, kind: EventKind, event: &Event) {
        let mut state = self.state();
        state.listeners.retain_mut(|listener| {
            if !listener.kinds.contains(&kind) {
                return true;
            }
            if listener.missed > 0 {
                match listener.sender.try_send(Event::Missed(listener.missed)) {
                    Ok(()) => listener.missed = 0,
                    Err(TrySendError::Full(_)) => {
                        listener.missed += 1;
                        return true;
                    }
                    Err(TrySendError::Disconnected(_)) => return false,
                }
            }
            match listener.sender.try_send(event.clone()) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    listener.missed += 1;
                    true
                }
                Err(TrySendError::Disconnected(_)) => false,
            }
        });
    }

    /// The connection has ended.
    pub(crate) fn end(&self, reason: &CloseReason) {
        let mut state = self.state();
        state.closed = Some(reason.clone());
        state.outbox.clear();
        let calls = std::mem::take(&mut state.calls);
        let listeners = std::mem::take(&mut state.listeners);
        drop(state);
        self.place_free.notify_all();
        for waiter in calls.into_values() {
            if let Waiter::Waiting(sender) = waiter {
                sender.try_send(Answer::Lost(reason.clone())).ok();
            }
        }
        for listener in listeners {
            // Where the queue is full, its end tells the same.
            listener.sender.try_send(Event::Closed(reason.clone())).ok();
        }
    }
}

/// A call that is with the daemon.
#[derive(Debug)]
pub(crate) struct Ticket {
    mailbox: Arc<Mailbox>,
    serial: u32,
    answer: Receiver<Answer>,
}

impl Ticket {
    /// The answer, if it comes in time.
    pub(crate) fn wait(&self, patience: Option<Duration>) -> Option<Answer> {
        match patience {
            Some(patience) => match self.answer.recv_timeout(patience) {
                Ok(answer) => Some(answer),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(self.gone()),
            },
            None => Some(self.answer.recv().unwrap_or_else(|_| self.gone())),
        }
    }

    /// The answer was taken before, or the thread is gone.
    fn gone(&self) -> Answer {
        Answer::Lost(self.mailbox.closed().unwrap_or(CloseReason::Asked))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // The daemon works on it until it answers, so it keeps its place.
        if let Some(waiter) = self.mailbox.state().calls.get_mut(&self.serial) {
            *waiter = Waiter::Abandoned;
        }
    }
}
