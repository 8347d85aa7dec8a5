//! Timed exchanges (ADR 13): frames on a connection, read and written whole, and the side of whoever is measured, a node or
//! another landmark.
//!
//! Must hold: a frame's length is judged before room is made for it (L4), and whoever waits for a frame waits so long and
//! no longer (L3).

mod answering;
pub mod exchange;
pub mod limit;

use crate::conn::Conn;
use crate::deadline::{Deadline, DeadlinePassed, within};
use sekisho_evidence::location::wire::{FRAME_HEADER, Frame, FrameError};
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Why there is no frame.
#[derive(Debug, thiserror::Error)]
pub enum RangingError {
    /// The connection ended or was cut.
    #[error("the connection ended")]
    Io(#[from] io::Error),
    /// What came is none.
    #[error("no frame of an exchange")]
    Frame(#[from] FrameError),
    /// It did not come in time.
    #[error("the other end was too slow")]
    Slow(#[from] DeadlinePassed),
}

/// The next frame.
///
/// # Errors
/// [`RangingError`].
pub async fn read(conn: &mut Conn, deadline: Deadline) -> Result<Frame, RangingError> {
    within(deadline, async {
        let mut header = [0; FRAME_HEADER];
        conn.read_exact(&mut header).await?;
        let mut body = vec![0; Frame::length(header)?];
        conn.read_exact(&mut body).await?;
        Ok(Frame::parse(&body)?)
    })
    .await?
}

/// Writes a frame.
///
/// # Errors
/// [`RangingError`].
pub async fn write(conn: &mut Conn, frame: &Frame, deadline: Deadline) -> Result<(), RangingError> {
    let bytes = frame.bytes()?;
    within(deadline, async {
        conn.write_all(&bytes).await?;
        Ok(conn.flush().await?)
    })
    .await?
}
