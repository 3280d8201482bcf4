//! The gate as an I/O stream between the socket and hyper, with the timers that belong to the connection: head, idle, stalled write.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::chunk::Chunks;
use super::head::Head;
use super::{Framing, Reason, Refused};
use crate::server::Config;

/// What the gate and the service of one connection tell each other. Both run in the connection's task.
#[derive(Debug, Default)]
pub(in crate::server) struct Exchange {
    /// Answers that are over, whether sent or dropped.
    finished: AtomicU64,
    /// Requests that the service has taken.
    started: AtomicU64,
    /// The current request's body has not arrived in full.
    unread: AtomicBool,
    /// The handler has dropped the current request's body.
    body_dropped: AtomicBool,
    /// The connection closes after the answer that comes next.
    is_leaving: AtomicBool,
}

impl Exchange {
    pub(in crate::server) fn start(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
        self.body_dropped.store(false, Ordering::Relaxed);
    }

    pub(in crate::server) fn drop_body(&self) {
        self.body_dropped.store(true, Ordering::Relaxed);
    }

    pub(in crate::server) fn finish(&self) {
        self.finished.fetch_add(1, Ordering::Release);
    }

    /// Notes that the connection is to close.
    pub(in crate::server) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    /// Returns whether the connection closes after the current answer, so that its head should say so.
    pub(in crate::server) fn is_last(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed) || self.is_abandoned()
    }

    /// Returns whether a request is running.
    pub(in crate::server) fn is_busy(&self) -> bool {
        self.started.load(Ordering::Relaxed) != self.finished.load(Ordering::Acquire)
    }

    /// Returns how many requests the service has taken.
    pub(in crate::server) fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// Returns whether bytes of the current request's body are still to come and nobody will read them.
    pub(in crate::server) fn is_abandoned(&self) -> bool {
        self.unread.load(Ordering::Relaxed) && self.body_dropped.load(Ordering::Relaxed)
    }
}

/// Where the reading side is.
#[derive(Debug)]
enum Place {
    Head(Head),
    Length(u64),
    Chunked(Chunks),
    /// HTTP/2: nothing is judged here.
    Opaque,
}

/// One timer, allocated when it is first needed. Moving the deadline back costs nothing: the timer fires early and is set again.
#[derive(Debug, Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    fn has_passed(&mut self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        loop {
            if sleep.deadline() > deadline {
                sleep.as_mut().reset(deadline);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return false;
            }
            if sleep.deadline() >= deadline {
                return true;
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

/// A socket whose requests are judged.
#[derive(Debug)]
pub(in crate::server) struct Gate<T> {
    io: T,
    config: Arc<Config>,
    exchange: Arc<Exchange>,
    place: Place,
    /// Bytes read and not handed on yet; `held[given..passed]` was judged and may be.
    held: Vec<u8>,
    given: usize,
    passed: usize,
    /// Of a head that is not complete, the bytes judged so far.
    seen: usize,
    /// Requests handed to hyper.
    delivered: u64,
    /// The last request's answer is not over, or not flushed.
    busy: bool,
    refusal: Option<Reason>,
    /// The refusal fell on a head: nobody else answers it.
    refused_head: bool,
    waiting: Option<(Reason, Instant)>,
    read_alarm: Alarm,
    stalled: Option<Instant>,
    write_alarm: Alarm,
}

impl<T> Gate<T> {
    /// Puts a gate before `io`, from which `first` was read already. The first head must be complete at `deadline`.
    pub(in crate::server) fn new(io: T, first: Vec<u8>, deadline: Instant, config: Arc<Config>, exchange: Arc<Exchange>) -> Self {
        Self {
            io,
            config,
            exchange,
            place: Place::Head(Head::default()),
            held: first,
            given: 0,
            passed: 0,
            seen: 0,
            delivered: 0,
            busy: false,
            refusal: None,
            refused_head: false,
            waiting: Some((Reason::HeadTimeout, deadline)),
            read_alarm: Alarm::default(),
            stalled: None,
            write_alarm: Alarm::default(),
        }
    }

    /// Only watches the writes: for HTTP/2.
    pub(in crate::server) fn opaque(io: T, first: Vec<u8>, config: Arc<Config>, exchange: Arc<Exchange>) -> Self {
        let passed = first.len();
        Self { place: Place::Opaque, passed, ..Self::new(io, first, Instant::now(), config, exchange) }
    }

    /// Returns the socket.
    pub(in crate::server) fn into_inner(self) -> T {
        self.io
    }

    /// Returns why the connection was refused.
    pub(in crate::server) fn refusal(&self) -> Option<Reason> {
        self.refusal
    }

    /// Returns whether the refused request still needs an answer.
    pub(in crate::server) fn needs_answer(&self) -> bool {
        self.refused_head
    }

    /// Returns whether the client may still be sending, so that closing at once could destroy the answer on its way.
    pub(in crate::server) fn is_mid_message(&self) -> bool {
        self.refused_head || matches!(self.place, Place::Length(_) | Place::Chunked(_))
    }

    fn refuse(&mut self, reason: Reason) -> io::Error {
        self.refusal.get_or_insert(reason);
        io::Error::new(io::ErrorKind::InvalidData, Refused(reason))
    }

    /// Judges the next bytes; returns how many may be handed on now. Bytes after that belong to the next message, or to a head that is
    /// not complete.
    fn judge(&mut self, bytes: &[u8]) -> Result<usize, Reason> {
        let mut head_length = 0;
        if let Place::Head(head) = &mut self.place {
            let Some((length, framing)) = head.feed(bytes, &self.config)? else {
                return Ok(0);
            };
            head_length = length;
            self.delivered += 1;
            self.busy = true;
            self.waiting = None;
            self.place = match framing {
                Framing::None => Place::Head(Head::default()),
                Framing::Length(length) => Place::Length(length),
                Framing::Chunked => Place::Chunked(Chunks::default()),
            };
        }
        let body = bytes.get(head_length..).unwrap_or_default();
        let (taken, is_over) = match &mut self.place {
            Place::Head(_) => (0, true),
            Place::Opaque => (body.len(), false),
            Place::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(body.len());
                *left -= taken as u64;
                (taken, *left == 0)
            }
            Place::Chunked(chunks) => chunks.advance(body)?,
        };
        if is_over {
            self.place = Place::Head(Head::default());
        }
        self.exchange.unread.store(!is_over, Ordering::Relaxed);
        Ok(head_length + taken)
    }

    fn judge_or_refuse(&mut self, bytes: &[u8], at_head: bool) -> io::Result<usize> {
        self.judge(bytes).map_err(|reason| {
            self.refused_head = at_head;
            self.refuse(reason)
        })
    }

    /// Hands on what was judged and is held.
    fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let Some(ready) = self.held.get(self.given..self.passed).filter(|ready| !ready.is_empty()) else {
            return false;
        };
        let taken = ready.len().min(buffer.remaining());
        buffer.put_slice(ready.get(..taken).unwrap_or_default());
        self.given += taken;
        if self.given == self.held.len() {
            // An idle connection holds no buffer.
            self.held = Vec::new();
            (self.given, self.passed, self.seen) = (0, 0, 0);
        } else if self.given == self.passed {
            self.held.drain(..self.given);
            (self.given, self.passed, self.seen) = (0, 0, 0);
        }
        true
    }

    fn judge_held(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        let passed = self.judge_or_refuse(&held, true)?;
        self.seen = held.len();
        (self.held, self.passed) = (held, passed);
        Ok(())
    }

    /// Arms the timer of the head that is awaited; returns why to give up once it has passed.
    fn wait_for_head(&mut self, cx: &mut Context<'_>) -> Option<Reason> {
        let (reason, patience) = match (self.held.is_empty(), self.delivered) {
            (true, 0) => (Reason::Silent, self.config.head_timeout),
            (true, _) => (Reason::Idle, self.config.keep_alive_idle),
            (false, _) => (Reason::HeadTimeout, self.config.head_timeout),
        };
        let deadline = match self.waiting {
            Some((kind, deadline)) if kind == reason => deadline,
            _ => Instant::now() + patience,
        };
        self.waiting = Some((reason, deadline));
        if !self.read_alarm.has_passed(cx, deadline) {
            return None;
        }
        self.refused_head = !reason.is_quiet();
        Some(reason)
    }
}

impl<T: AsyncRead + Unpin> Gate<T> {
    /// Reads into `buffer` without handing on; returns how many bytes came.
    fn read_more(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        Poll::Ready(Ok(buffer.filled().len() - before))
    }

    /// The next request has begun while an answer is running: keeps it back, and still sees the end of the connection.
    fn hold(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        if self.held.len() >= self.config.max_header_bytes {
            // Woken by the flush of the answer.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let came = ready!(self.read_more(cx, buffer))?;
        self.held.extend_from_slice(buffer.filled().get(before..).unwrap_or_default());
        buffer.set_filled(before);
        Poll::Ready(Ok(came == 0))
    }

    /// Reads a head; true at the end of the connection or once bytes were handed on.
    fn read_head(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buffer.filled().len();
        let Poll::Ready(came) = self.read_more(cx, buffer) else {
            return match self.wait_for_head(cx) {
                Some(reason) => Poll::Ready(Err(self.refuse(reason))),
                None => Poll::Pending,
            };
        };
        if came? == 0 {
            return Poll::Ready(Ok(true));
        }
        if !self.held.is_empty() {
            self.held.extend_from_slice(buffer.filled().get(before..).unwrap_or_default());
            buffer.set_filled(before);
            self.judge_held()?;
            return Poll::Ready(Ok(false));
        }
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        let judged = self.judge_or_refuse(fresh, true);
        let passed = *judged.as_ref().unwrap_or(&0);
        self.held.extend_from_slice(fresh.get(passed..).unwrap_or_default());
        self.seen = if passed == 0 { self.held.len() } else { 0 };
        buffer.set_filled(before + passed);
        Poll::Ready(judged.map(|passed| passed > 0))
    }

    fn read_body(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.read_more(cx, buffer))?;
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        if fresh.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let judged = self.judge_or_refuse(fresh, false);
        let passed = *judged.as_ref().unwrap_or(&0);
        self.held.extend_from_slice(fresh.get(passed..).unwrap_or_default());
        buffer.set_filled(before + passed);
        Poll::Ready(judged.map(|_| ()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Gate<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if let Some(reason) = this.refusal {
                return Poll::Ready(Err(this.refuse(reason)));
            }
            if this.give(buffer) {
                return Poll::Ready(Ok(()));
            }
            let is_done = match &this.place {
                Place::Opaque => return Pin::new(&mut this.io).poll_read(cx, buffer),
                Place::Length(_) | Place::Chunked(_) => return this.read_body(cx, buffer),
                Place::Head(_) if this.busy => ready!(this.hold(cx, buffer))?,
                Place::Head(_) if this.held.len() > this.seen => {
                    this.judge_held()?;
                    false
                }
                Place::Head(_) => ready!(this.read_head(cx, buffer))?,
            };
            if is_done {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> Gate<T> {
    /// Lets a result through, and turns a wait that is too long into an error.
    fn watch<R>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let patience: Duration = self.config.write_stall_timeout;
        let deadline = *self.stalled.get_or_insert_with(|| Instant::now() + patience);
        if self.write_alarm.has_passed(cx, deadline) {
            self.refusal.get_or_insert(Reason::WriteStall);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, Refused(Reason::WriteStall))));
        }
        Poll::Pending
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gate<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.watch(cx, result)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write_vectored(cx, slices);
        this.watch(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_flush(cx);
        ready!(this.watch(cx, result))?;
        // hyper flushes after the last byte of an answer: only now may the next request pass.
        if this.busy && this.delivered == this.exchange.finished.load(Ordering::Acquire) {
            this.busy = false;
            // hyper believes that the socket has nothing to read, and does not ask again by itself.
            if this.held.is_empty() {
                let _ = this.wait_for_head(cx);
            } else {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.refused_head {
            // The refusal is still to be written.
            return Poll::Ready(Ok(()));
        }
        let result = Pin::new(&mut this.io).poll_shutdown(cx);
        this.watch(cx, result)
    }
}
