//! Writes a plan to a connection, and notices when the client leaves.

use std::io::{self, Write as _};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;

use super::http;
use super::plan::{How, Piece, Plan};
use super::record::{Ending, Exchange};
use super::wire::Wire;

/// A client may send so much ahead of an answer before the mock stops reading.
const AHEAD: usize = 1 << 20;

/// What the connection does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The next request may come.
    Continue,
    /// The connection ends here.
    Close,
}

/// One connection while an answer is written.
pub(super) struct Delivery<'a, W> {
    pub(super) stream: &'a mut W,
    /// What the client sent ahead.
    pub(super) input: &'a mut BytesMut,
    pub(super) exchange: &'a mut Exchange,
}

/// Why writing ended early.
enum Early {
    Gone,
    Broken,
}

impl From<io::Error> for Early {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl<W: Wire> Delivery<'_, W> {
    /// Writes the plan and notes how it ended.
    pub(super) async fn run(mut self, plan: &Plan) -> Next {
        let end = self.write(plan).await;
        self.exchange.ending = match end {
            Ok(()) => Ending::Completed,
            Err(Early::Gone) => Ending::ClientClosed,
            Err(Early::Broken) => Ending::Broken,
        };
        match end {
            Ok(()) if !plan.close => Next::Continue,
            Ok(()) | Err(Early::Gone | Early::Broken) => Next::Close,
        }
    }

    async fn write(&mut self, plan: &Plan) -> Result<(), Early> {
        self.pause(plan.delay).await?;
        if let Some(broken) = plan.breaks.filter(|broken| broken.at.is_none()) {
            return Err(self.break_off(broken.how).await);
        }
        let limit = plan.breaks.and_then(|broken| broken.at);
        let mut pending = plan.head.clone();
        for piece in &plan.pieces {
            if limit.is_some_and(|limit| self.exchange.sent >= limit) {
                break;
            }
            if !piece.pause.is_zero() {
                self.flush(&mut pending).await?;
                self.pause(piece.pause).await?;
            }
            self.piece(plan, piece, &mut pending).await?;
            self.exchange.contents += u64::from(piece.is_content);
        }
        self.flush(&mut pending).await?;
        if let Some(broken) = plan.breaks.filter(|broken| broken.at.is_some_and(|at| self.exchange.sent >= at)) {
            return Err(self.break_off(broken.how).await);
        }
        if plan.is_chunked {
            self.stream.write_all(b"0\r\n\r\n").await?;
        }
        Ok(())
    }

    /// Writes a piece up to the place where the answer breaks off.
    async fn piece(&mut self, plan: &Plan, piece: &Piece, pending: &mut Vec<u8>) -> Result<(), Early> {
        let room = plan.breaks.and_then(|broken| broken.at).map_or(u64::MAX, |limit| limit - self.exchange.sent.min(limit));
        let length = piece.bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let bytes = piece.bytes.get(..length).unwrap_or_default();
        for segment in bytes.chunks(plan.segment.unwrap_or(usize::MAX)) {
            if plan.is_chunked {
                write!(pending, "{:x}\r\n", segment.len())?;
                pending.extend_from_slice(segment);
                pending.extend_from_slice(b"\r\n");
            } else {
                pending.extend_from_slice(segment);
            }
            self.flush(pending).await?;
            self.exchange.sent += segment.len() as u64;
            self.pause(plan.drip).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, pending: &mut Vec<u8>) -> io::Result<()> {
        if !pending.is_empty() {
            self.stream.write_all(pending).await?;
            pending.clear();
        }
        Ok(())
    }

    async fn break_off(&mut self, how: How) -> Early {
        match how {
            // The connection ends with the task: FIN, or RST where the linger time is zero.
            How::Cut => Early::Broken,
            How::Reset => {
                self.stream.reset_at_end();
                Early::Broken
            }
            How::Stall => {
                self.until_gone().await;
                Early::Gone
            }
        }
    }

    /// Waits, unless the client leaves.
    async fn pause(&mut self, time: Duration) -> Result<(), Early> {
        if time.is_zero() {
            return Ok(());
        }
        match tokio::time::timeout(time, self.until_gone()).await {
            Ok(()) => Err(Early::Gone),
            Err(_) => Ok(()),
        }
    }

    async fn until_gone(&mut self) {
        while self.input.len() < AHEAD {
            if http::fill(self.stream, self.input).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}
