//! Landmarks with keys from their names, and what they would sign of a node.

use super::{Federation, admin, agent, cluster, key, member, node_key, receipt_key};
use crate::command::Command;
use crate::outcome::Applied;
use sekisho_evidence::grant::Instance;
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_evidence::location::range::occasion;
use sekisho_evidence::location::transcript::{FixId, SignedTranscript, Subject, Transcript};
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::revision::Incarnation;

/// Landmarks of two operators in Tokyo, and one in Fukuoka.
pub const LANDMARKS: [(&str, &str); 3] = [
    ("hokuto/fukuoka", "33.590,130.402"),
    ("kanto/otemachi", "35.686,139.764"),
    ("naniwa/shinagawa", "35.628,139.738"),
];

/// One at the site of `ishikari-1`, of its operator.
pub const BEACON: (&str, &str) = ("hokuto/ishikari-1", "43.171,141.315");

/// Those in Tokyo.
pub const IN_TOKYO: [&str; 2] = ["kanto/otemachi", "naniwa/shinagawa"];

/// A delay that bounds a host to 150 km.
pub const NEAR_NS: u64 = 1_000_000;

/// The start of its program that every agent of the fixture is in.
pub const INSTANCE: Instance = Instance([6; 16]);

/// One of [`LANDMARKS`], or [`BEACON`].
#[must_use]
pub fn landmark(id: &str) -> Landmark {
    let mut all = LANDMARKS.iter().chain([&BEACON]);
    let (_, position) = all.find(|(name, _)| *name == id).unwrap();
    Landmark {
        id: id.parse().unwrap(),
        position: position.parse().unwrap(),
        survey_m: 10,
        key: key("landmark", id).public(),
    }
}

/// The fix of this number.
#[must_use]
pub fn fix_id(number: u8) -> FixId {
    FixId([number; 16])
}

/// Signs as landmark and node.
#[must_use]
pub fn signed(node: &NodeId, transcript: Transcript) -> SignedTranscript {
    let by_landmark = key("landmark", &transcript.landmark.to_string());
    SignedTranscript {
        by_subject: transcript.sign_as_subject(&receipt_key(node)).unwrap(),
        by_landmark: transcript.sign_as_landmark(&by_landmark).unwrap(),
        transcript,
    }
}

/// Signs as both landmarks.
#[must_use]
pub fn signed_by_both(measured: &str, transcript: Transcript) -> SignedTranscript {
    let by_landmark = key("landmark", &transcript.landmark.to_string());
    SignedTranscript {
        by_subject: transcript.sign_as_subject(&key("landmark", measured)).unwrap(),
        by_landmark: transcript.sign_as_landmark(&by_landmark).unwrap(),
        transcript,
    }
}

impl Federation {
    /// What one landmark says a moment ago of the delay to another one, signed by both.
    #[must_use]
    pub fn range(&self, measuring: &str, measured: &str, rtt_min_ns: u64) -> SignedTranscript {
        let node = "tokyo-1/n-01".parse().unwrap();
        let fix = occasion(&landmark(measured)).unwrap();
        let subject = Subject::Landmark(measured.parse().unwrap());
        let said = self.transcript(measuring, &node, fix).transcript;
        signed_by_both(measured, Transcript { subject, rtt_min_ns, ..said })
    }

    /// Hands in ranges as a member.
    pub fn submit_range(&mut self, transcripts: Vec<SignedTranscript>) -> Applied {
        self.run(member("hokuto"), Command::SubmitRange { transcripts })
    }

    /// Registers all of [`LANDMARKS`].
    pub fn landmarks(&mut self) {
        for (id, _) in LANDMARKS {
            self.register_landmark(id);
        }
    }

    /// Registers [`BEACON`].
    pub fn beacon(&mut self) {
        self.register_landmark(BEACON.0);
    }

    /// What takes out a landmark as it stands.
    #[must_use]
    pub fn removal(&self, id: &str) -> Command {
        let id: LandmarkId = id.parse().unwrap();
        let out = || self.state.convicted(&id).map(|row| row.reach.revision);
        let stands = self.state.landmarks().get(&id).map(|(_, reach)| reach.revision);
        Command::RemoveLandmark { expected: stands.or_else(out).unwrap(), id }
    }

    fn register_landmark(&mut self, id: &str) {
        let register = Command::RegisterLandmark {
            landmark: Box::new(landmark(id)),
            address: "127.0.0.1:7100".to_owned(),
            datagrams: "127.0.0.1:7101".to_owned(),
        };
        let id: LandmarkId = id.parse().unwrap();
        self.accept(admin(id.operator.as_str()), register);
    }

    /// What this landmark measured of a node a moment ago, signed by both.
    #[must_use]
    pub fn transcript(&self, landmark_id: &str, node: &NodeId, fix: FixId) -> SignedTranscript {
        self.transcript_of(landmark_id, node, fix, NEAR_NS)
    }

    /// The same with this delay.
    #[must_use]
    pub fn transcript_of(
        &self,
        landmark_id: &str,
        node: &NodeId,
        fix: FixId,
        rtt_min_ns: u64,
    ) -> SignedTranscript {
        let landmark = landmark(landmark_id);
        let ended = self.state.clock();
        let said = Transcript {
            cluster: cluster(),
            incarnation: self.state.federation().map_or(Incarnation(1), |held| held.incarnation),
            landmark: landmark.id,
            position: landmark.position,
            subject: Subject::Node(node.clone()),
            subject_key: node_key(node),
            instance: INSTANCE,
            fix,
            binding: Digest([8; 32]),
            asked: 32,
            answered: 32,
            rtt_min_ns,
            nonces: Digest([9; 32]),
            started: ended,
            ended,
            serial: 1,
        };
        signed(node, said)
    }

    /// Hands these transcripts in as the node's agent, in its session.
    pub fn submit_fix(
        &mut self,
        node: &NodeId,
        fix: FixId,
        transcripts: Vec<SignedTranscript>,
    ) -> Applied {
        let session = self.state.node(node).unwrap().session.as_ref().unwrap().id;
        let submit = Command::SubmitFix { node: node.clone(), session, fix, transcripts };
        self.run(agent(node), submit)
    }

    /// Proves a node in Tokyo at f = 1 by the fix of this number.
    pub fn prove(&mut self, node: &str, number: u8) -> NodeId {
        let node: NodeId = node.parse().unwrap();
        let fix = fix_id(number);
        let transcripts = IN_TOKYO.map(|id| self.transcript(id, &node, fix)).to_vec();
        let applied = self.submit_fix(&node, fix, transcripts);
        assert!(applied.outcome.is_ok(), "{:?}", applied.outcome);
        node
    }

    /// Has [`BEACON`] measure a node of its site, by the fix of this number and with this delay.
    pub fn prove_site(&mut self, node: &str, number: u8, rtt_ns: u64) -> NodeId {
        let node: NodeId = node.parse().unwrap();
        let fix = fix_id(number);
        let transcript = self.transcript_of(BEACON.0, &node, fix, rtt_ns);
        let applied = self.submit_fix(&node, fix, vec![transcript]);
        assert!(applied.outcome.is_ok(), "{:?}", applied.outcome);
        node
    }
}
