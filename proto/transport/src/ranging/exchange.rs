//! One exchange, as its subject.
//!
//! Must hold: nothing is signed but a transcript of an exchange that was had here, of this host, this start of its program
//! and a landmark as the table has it (`sekisho_evidence::location::subject`); nonces are answered on a thread that does
//! nothing else, because whatever the executor adds to a delay makes the host seem farther away; every exchange ends (L3).

use super::answering::Answering;
use super::limit::{DRAWN_WITHIN, EXCHANGE_WITHIN, FRAME_WITHIN, READY_WITHIN};
use super::{RangingError, read, write};
use crate::address::Address;
use crate::conn::Conn;
use crate::datagram::Datagrams;
use crate::deadline::{Deadline, DeadlinePassed, within};
use crate::dial::{DialError, Dialer};
use crate::identity::PeerClass;
use crate::listen::Protocol;
use crate::verify::Expect;
use sekisho_evidence::canonical::CanonicalError;
use sekisho_evidence::grant::Instance;
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::location::exchange::{EXPORTER_LABEL, RangingKey, exporter_context};
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_evidence::location::subject::Due;
use sekisho_evidence::location::transcript::{
    Expected, FixId, SignedTranscript, Subject, Transcript, TranscriptError,
};
use sekisho_evidence::location::wire::{Frame, Hello, Ready, Refusal};
use sekisho_types::id::{ClusterId, Digest};
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Clock;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

/// Addresses of landmarks for datagrams that count in place of the registered ones: forwarders stand there.
pub type Via = BTreeMap<LandmarkId, Address>;

/// Reads it as settings have it: `operator/name` and `host:port`.
///
/// # Errors
/// What cannot be read, and why.
pub fn read_via(texts: &BTreeMap<String, String>) -> Result<Via, String> {
    fn read<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
        text.parse().map_err(|error| format!("{text}: {error}"))
    }
    texts.iter().map(|(landmark, address)| Ok((read(landmark)?, read(address)?))).collect()
}

/// A landmark and where it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandmarkAt {
    /// As it stands in the table.
    pub landmark: Landmark,
    /// For the connection.
    pub address: Address,
    /// For datagrams; without it the port that the landmark tells, where it was dialled.
    pub datagrams: Option<Address>,
}

/// Who is measured, and what it has for it.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name.
    pub subject: Subject,
    /// SHA-256 of the SPKI of its certificate.
    pub subject_key: Digest,
    /// This start of the program.
    pub instance: Instance,
    /// What it signs transcripts with: a node's receipt key, or a landmark's own.
    pub receipt_key: SigningKey,
    /// Dials with its certificate.
    pub dialer: Dialer,
    /// The wall clock, to compare with the landmark's.
    pub clock: Arc<dyn Clock>,
    /// Where something forwards.
    pub via: Via,
}

/// Why there is no transcript.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The landmark is not reached, or who is there is neither a landmark nor a member of its operator.
    #[error("the landmark is not reached")]
    Dial(#[from] DialError),
    /// It broke off.
    #[error("the exchange broke off")]
    Frame(#[from] RangingError),
    /// It said no.
    #[error("the landmark refused")]
    Refused(#[source] Refusal),
    /// It said what does not come here.
    #[error("the landmark said something else")]
    OutOfTurn,
    /// Nonces could not be answered.
    #[error("nonces cannot be answered")]
    Datagrams(#[from] io::Error),
    /// What it drew up is not what was had, and was not signed; or its own signature is wrong.
    #[error("the landmark's transcript is wrong")]
    Transcript(#[from] TranscriptError),
    /// Never for our types.
    #[error("not encodable")]
    Form(#[from] CanonicalError),
    /// It took too long.
    #[error("the exchange took too long")]
    Slow(#[from] DeadlinePassed),
}

impl ExchangeError {
    /// One word, for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Dial(_) => "unreachable",
            Self::Frame(_) | Self::OutOfTurn => "broken-off",
            Self::Refused(refusal) => refusal.label(),
            Self::Datagrams(_) | Self::Form(_) => "failed",
            Self::Transcript(_) => "wrong",
            Self::Slow(_) => "slow",
        }
    }
}

/// For which fix of which federation.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'o> {
    /// Federation.
    pub cluster: &'o ClusterId,
    /// Its present life.
    pub incarnation: Incarnation,
    /// The fix.
    pub fix: FixId,
}

impl Host {
    /// Has this host measured by a landmark.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub async fn exchange(
        &self,
        occasion: Occasion<'_>,
        at: &LandmarkAt,
    ) -> Result<SignedTranscript, ExchangeError> {
        within(Deadline::after(EXCHANGE_WITHIN), self.whole(occasion, at)).await?
    }

    async fn whole(
        &self,
        occasion: Occasion<'_>,
        at: &LandmarkAt,
    ) -> Result<SignedTranscript, ExchangeError> {
        // Who has the landmark's key shows by its signature; before that, that it is its operator.
        let operator = BTreeSet::from([at.landmark.id.operator.clone()]);
        let expect = Expect::LandmarkOf(operator);
        let mut conn = self.dialer.connect_for(Protocol::Ranging, &at.address, &expect).await?;
        let hello = Frame::Hello(Hello {
            landmark: at.landmark.id.clone(),
            fix: occasion.fix,
            subject: self.subject.clone(),
            subject_key: self.subject_key,
            instance: self.instance,
        });
        write(&mut conn, &hello, Deadline::after(FRAME_WITHIN)).await?;
        let frame = read(&mut conn, Deadline::after(READY_WITHIN)).await?;
        let Frame::Ready(ready) = &frame else { return Err(no(&frame)) };
        let key = key_of(&conn, occasion, at)?;
        let socket = self.socket(&conn, at, ready).await?;
        let answering = Answering::begin(socket, ready.cookie, key);
        let drawn = read(&mut conn, Deadline::after(DRAWN_WITHIN)).await;
        let answers = answering.end().await?;
        let drawn = drawn?;
        let Frame::Drawn(transcript) = &drawn else { return Err(no(&drawn)) };
        let due = Due {
            cluster: occasion.cluster,
            incarnation: occasion.incarnation,
            landmark: &at.landmark,
            subject: &self.subject,
            subject_key: &self.subject_key,
            instance: self.instance,
            fix: occasion.fix,
            serial: ready.serial,
        };
        answers.check(transcript, due, self.clock.wall())?;
        let by_subject = transcript.sign_as_subject(&self.receipt_key)?;
        let deadline = Deadline::after(FRAME_WITHIN);
        write(&mut conn, &Frame::Agreed(by_subject), deadline).await?;
        let frame = read(&mut conn, deadline).await?;
        let Frame::Sealed(by_landmark) = frame else { return Err(no(&frame)) };
        let transcript = Transcript::clone(transcript);
        let signed = SignedTranscript { transcript, by_subject, by_landmark };
        let expected = Expected {
            cluster: occasion.cluster,
            incarnation: occasion.incarnation,
            landmark: &at.landmark,
            subject: &self.subject,
            subject_key: &self.subject_key,
            signing_key: &self.receipt_key.public(),
        };
        signed.verify(expected)?;
        Ok(signed)
    }

    async fn socket(
        &self,
        conn: &Conn,
        at: &LandmarkAt,
        ready: &Ready,
    ) -> Result<Datagrams, DialError> {
        let told = || Address::from(SocketAddr::new(conn.peer().addr.ip(), ready.port));
        let known = self.via.get(&at.landmark.id).or(at.datagrams.as_ref());
        let address = known.cloned().unwrap_or_else(told);
        self.dialer.datagrams(&address, PeerClass::Landmark).await
    }
}

fn no(frame: &Frame) -> ExchangeError {
    match frame {
        Frame::Refused(refusal) => ExchangeError::Refused(*refusal),
        Frame::Hello(_)
        | Frame::Ready(_)
        | Frame::Drawn(_)
        | Frame::Agreed(_)
        | Frame::Sealed(_) => ExchangeError::OutOfTurn,
    }
}

fn key_of(
    conn: &Conn,
    occasion: Occasion<'_>,
    at: &LandmarkAt,
) -> Result<RangingKey, ExchangeError> {
    let context = exporter_context(occasion.cluster, &at.landmark.id, &occasion.fix)?;
    Ok(RangingKey::new(conn.keying_material(EXPORTER_LABEL, &context)?))
}
