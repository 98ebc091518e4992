//! The proof that goes with each call of an instance: who sends it, exactly
//! this body, exactly now in its sequence.

use axum::http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use tenure_api::licensing::{PROOF_HEADER, Warning};
use tenure_core::InstanceId;
use tenure_license::{
    Digest,
    activation::sequence::{Judgement, Presented},
    instance::{self, Proof, Purpose},
};

use crate::{App, http::Problem, licensing::instances::Instance};

/// How far an instance's clock may be off before it is told, in minutes.
const CLOCK_SKEW_MINUTES: i64 = 5;
/// The purpose that nonces are derived for.
const NONCE: &str = "instance nonce";
/// Highest number of a call: what every JSON reader holds exactly.
const SEQ_MAX: u64 = (1 << 53) - 1;

/// A proof whose signature, purpose and body were checked.
pub(crate) struct Proven {
    pub(crate) proof: Proof,
    /// Over everything that it says.
    pub(crate) digest: Digest,
}

/// 401: the proof does not prove what it should.
fn refused(detail: impl std::fmt::Display) -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "proof-refused",
        "The proof is not accepted",
        format!("{detail}. Sign every call anew, over exactly the bytes of its body."),
    )
}

/// Reads and checks the proof of a call, if it has one.
pub(crate) fn read(
    headers: &HeaderMap,
    body: &[u8],
    purpose: Purpose,
) -> Result<Option<Proven>, Problem> {
    let Some(value) = headers.get(PROOF_HEADER) else { return Ok(None) };
    let text = value.to_str().map_err(|_| refused("The header Tenure-Proof is not a text"))?;
    let proof = instance::verify::<Proof>(text).map_err(|error| {
        let sentence = error.to_string();
        refused(format!("{} ({})", capital(&sentence), error.code()))
    })?;
    let proof = proof.into_claims();
    if proof.purpose != purpose {
        return Err(refused("The proof was made for another operation"));
    }
    if proof.body != Digest::sha256(body) {
        return Err(refused("The proof was made for another body"));
    }
    if !(1..=SEQ_MAX).contains(&proof.seq) {
        return Err(refused("The calls of an instance are numbered from 1"));
    }
    Ok(Some(Proven { digest: Digest::sha256(text.as_bytes()), proof }))
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// The nonce of the call after `seq`: follows from the calls themselves, so nothing is stored.
pub(crate) fn nonce(app: &App, instance: InstanceId, seq: u64, digest: &Digest) -> String {
    let mut said = Vec::with_capacity(16 + 8 + 32);
    said.extend_from_slice(instance.uuid().as_bytes());
    said.extend_from_slice(&seq.to_be_bytes());
    said.extend_from_slice(digest.as_bytes());
    hex::encode(&app.vault().digest(NONCE, &said)[..16])
}

impl Proven {
    /// The nonce that the answer to this call hands out.
    pub(crate) fn next_nonce(&self, app: &App, instance: InstanceId) -> String {
        nonce(app, instance, self.proof.seq, &self.digest)
    }

    /// Whether its nonce is the one that the answer to the call `before` handed out.
    pub(crate) fn follows(&self, app: &App, instance: InstanceId, before: &Digest) -> bool {
        self.proof.nonce == nonce(app, instance, self.proof.seq.saturating_sub(1), before)
    }

    pub(crate) fn presented(&self, app: &App, instance: &Instance) -> Presented {
        let before = instance.sequence.recent.last();
        // The answer to a release hands out no nonce: after it, any will do.
        let nonce_matches = instance.returned
            || before.is_some_and(|before| self.follows(app, instance.id, before));
        Presented { seq: self.proof.seq, digest: self.digest, nonce_matches }
    }

    /// What this call is to an instance.
    pub(crate) fn judge(&self, app: &App, instance: &Instance) -> Judgement {
        instance.sequence.judge(&self.presented(app, instance))
    }

    /// A warning where the instance's clock is off. Nothing is refused for it.
    pub(crate) fn skew(&self, now: Timestamp) -> Option<Warning> {
        let off = now.duration_since(self.proof.iat);
        (off.abs() > tolerance()).then(|| {
            let minutes = off.abs().as_mins();
            let side = if off.is_negative() { "ahead of" } else { "behind" };
            warning(
                "clock_skew",
                format!("This instance's clock is {minutes} minutes {side} the vendor's. Set it."),
            )
        })
    }
}

fn tolerance() -> SignedDuration {
    SignedDuration::from_mins(CLOCK_SKEW_MINUTES)
}

/// Something that people should know.
pub(crate) fn warning(code: &str, message: impl Into<String>) -> Warning {
    Warning { code: code.to_owned(), message: message.into() }
}

/// 409: a late duplicate. Nothing was changed.
pub(crate) fn stale() -> Problem {
    Problem::conflict(
        "stale-request",
        "This call was answered before, and others after it. Nothing was changed; go on with a new one.",
    )
}

/// 401: no instance of that id and key. The same for a wrong key as for no such id.
pub(crate) fn unknown() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "instance-unknown",
        "Unknown instance",
        "No instance of this id has this key. Activate again with the license key.",
    )
}
