//! One exchange, as its subject.

use super::answering::Answering;
use super::limit::{DRAWN_WITHIN, EXCHANGE_WITHIN, FRAME_WITHIN, READY_WITHIN};
use super::{Host, LandmarkAt};
use sekisho_evidence::canonical::CanonicalError;
use sekisho_evidence::location::exchange::{EXPORTER_LABEL, RangingKey, exporter_context};
use sekisho_evidence::location::subject::Due;
use sekisho_evidence::location::transcript::{
    Expected, FixId, SignedTranscript, Transcript, TranscriptError,
};
use sekisho_evidence::location::wire::{Frame, Hello, Ready, Refusal};
use sekisho_transport::address::Address;
use sekisho_transport::conn::Conn;
use sekisho_transport::datagram::Datagrams;
use sekisho_transport::deadline::{Deadline, DeadlinePassed, within};
use sekisho_transport::dial::DialError;
use sekisho_transport::identity::PeerClass;
use sekisho_transport::listen::Protocol;
use sekisho_transport::ranging::{self, RangingError};
use sekisho_transport::verify::Expect;
use sekisho_types::id::ClusterId;
use sekisho_types::revision::Incarnation;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

/// Why there is no transcript.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The landmark is not reached, or who is there is no member of its operator.
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
        let expect = Expect::MemberOf(operator);
        let mut conn = self.dialer.connect_for(Protocol::Ranging, &at.address, &expect).await?;
        let hello = Frame::Hello(Hello {
            landmark: at.landmark.id.clone(),
            fix: occasion.fix,
            subject: self.subject.clone(),
            subject_key: self.subject_key,
            instance: self.instance,
        });
        ranging::write(&mut conn, &hello, Deadline::after(FRAME_WITHIN)).await?;
        let frame = ranging::read(&mut conn, Deadline::after(READY_WITHIN)).await?;
        let Frame::Ready(ready) = &frame else { return Err(no(&frame)) };
        let key = key_of(&conn, occasion, at)?;
        let socket = self.socket(&conn, at, ready).await?;
        let answering = Answering::begin(socket, ready.cookie, key);
        let drawn = ranging::read(&mut conn, Deadline::after(DRAWN_WITHIN)).await;
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
        ranging::write(&mut conn, &Frame::Agreed(by_subject), deadline).await?;
        let frame = ranging::read(&mut conn, deadline).await?;
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
