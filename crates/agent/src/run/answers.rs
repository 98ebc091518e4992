//! What came back: read, verified, taken; or why it was not.
//!
//! A token that does not verify spoils the whole answer: whoever sent it is not
//! the vendor, and none of the rest is believed either.

use serde::de::DeserializeOwned;
use tenure_api::licensing::{Activated, Beat, Released, Warning};
use tenure_core::InstanceId;
use tenure_license::{
    LeaseClaims, LicenseClaims, RevocationsClaims,
    instance::Purpose,
    token::{self, Payload},
};

use super::HttpAnswer;
use crate::{
    Agent, Error,
    agent::{Inner, held_license, meta},
    error::Result,
    machine::{self, Answer, Call, Event, Failure, Standing, Taken},
};

/// Words of a foreign server are cut to this, in characters.
const WORDS_CHARS_MAX: usize = 500;

/// An answer whose tokens verified.
struct Believed {
    answer: Answer,
    revocations: Option<String>,
    warnings: Vec<Warning>,
}

impl Agent {
    /// Takes what came of a call.
    pub(super) async fn answered(
        &self,
        call: &Call,
        came: std::result::Result<HttpAnswer, String>,
    ) -> Result<()> {
        let read = match came {
            Ok(answer) if answer.status == 200 => self.believe(call, &answer.body),
            Ok(answer) => Err(failure(&answer)),
            Err(message) => Err(no_answer(message)),
        };
        let now = self.now();
        let mut inner = self.inner.lock().await;
        self.draw(&mut inner)?;
        match read {
            Ok(believed) => {
                self.contact(now).await?;
                self.take(&mut inner, believed).await?;
            }
            Err(failure) => {
                tracing::warn!(?failure, seq = call.seq, "a call to the license service failed");
                machine::failed(&mut inner.state, call.seq, failure, now);
                inner.license = held_license(&inner.state, &self.trust)?;
            }
        }
        self.save(&mut inner).await
    }

    async fn take(&self, inner: &mut Inner, believed: Believed) -> Result<()> {
        let Believed { answer, revocations, warnings } = believed;
        let Some(events) = machine::answered(&mut inner.state, answer, self.now()) else {
            return Ok(());
        };
        for event in &events {
            match event {
                Event::Refused(refusal) => {
                    tracing::warn!(code = refusal.code(), %refusal, "a token was not taken");
                }
                event => tracing::info!(?event, "the license service answered"),
            }
            if matches!(event, Event::Revocations { .. })
                && let Some(list) = &revocations
            {
                self.store.set_meta(meta::REVOCATIONS, list).await?;
                inner.revocations = Some(list.clone());
            }
            if matches!(event, Event::Released) {
                self.store.set_meta(meta::RELEASE, "").await?;
                inner.release = None;
            }
        }
        let warnings = serde_json::to_string(&warnings)
            .map_err(|error| Error::Damaged { what: "warnings", why: error.to_string() })?;
        self.store.set_meta(meta::WARNINGS, &warnings).await?;
        inner.license = held_license(&inner.state, &self.trust)?;
        Ok(())
    }

    fn believe(&self, call: &Call, body: &[u8]) -> std::result::Result<Believed, Failure> {
        match call.purpose {
            Purpose::Activate => {
                let came: Activated = read(body)?;
                let words = (came.status, came.warnings);
                let license = Some(came.license_token);
                let tokens = (license, came.lease, came.revocations);
                let beat = Some(came.heartbeat_seconds);
                self.verified(call, words, Some(came.instance), (came.nonce, beat), tokens)
            }
            Purpose::Heartbeat => {
                let came: Beat = read(body)?;
                let words = (came.status, came.warnings);
                let tokens = (came.license_token, came.lease, came.revocations);
                let beat = Some(came.heartbeat_seconds);
                self.verified(call, words, None, (came.nonce, beat), tokens)
            }
            Purpose::Release => {
                let came: Released = read(body)?;
                let words = (came.status, Vec::new());
                self.verified(call, words, None, (String::new(), None), (None, None, None))
            }
        }
    }

    fn verified(
        &self,
        call: &Call,
        (status, warnings): (String, Vec<Warning>),
        instance: Option<InstanceId>,
        (nonce, heartbeat_seconds): (String, Option<u32>),
        (license, lease, revocations): (Option<String>, Option<String>, Option<String>),
    ) -> std::result::Result<Believed, Failure> {
        let list = revocations.as_deref().map(|list| self.verify(list)).transpose()?;
        let license = license.map(|token| self.verify_taken::<LicenseClaims>(token)).transpose()?;
        let lease = lease.map(|token| self.verify_taken::<LeaseClaims>(token)).transpose()?;
        let answer = Answer {
            seq: call.seq,
            standing: Standing::of(&status, &warnings),
            instance,
            nonce,
            heartbeat_seconds,
            license,
            lease,
            revocations: list.map(|list: Taken<RevocationsClaims>| list.claims),
        };
        Ok(Believed { answer, revocations, warnings })
    }

    fn verify_taken<C: Payload>(&self, token: String) -> std::result::Result<Taken<C>, Failure> {
        self.verify(&token)
    }

    fn verify<C: Payload>(&self, token: &str) -> std::result::Result<Taken<C>, Failure> {
        match token::verify::<C>(token, &self.trust) {
            Ok(verified) => Ok(Taken { token: token.to_owned(), claims: verified.into_claims() }),
            Err(error) => Err(no_answer(format!(
                "the answer is not the vendor's and is not believed: {error} ({})",
                error.code()
            ))),
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> std::result::Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| no_answer(format!("the answer cannot be read: {error}")))
}

fn no_answer(message: String) -> Failure {
    Failure::NoAnswer { message, retry_after: None }
}

/// The stable name and the sentence of a problem (RFC 9457).
pub(super) fn problem(answer: &HttpAnswer) -> (String, String) {
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let cut = |text: &str| text.chars().take(WORDS_CHARS_MAX).collect::<String>();
    let kind = json["type"].as_str().and_then(|kind| kind.rsplit([':', '/']).next());
    let code = kind.map_or_else(|| format!("http_{}", answer.status), cut);
    let said = json["detail"]
        .as_str()
        .map_or_else(|| format!("the license service answered HTTP {}", answer.status), cut);
    (code.replace('-', "_"), said)
}

/// What a refusal means. The server's name for the problem decides where a status has
/// several meanings.
fn failure(answer: &HttpAnswer) -> Failure {
    let (code, message) = problem(answer);
    let retry_after = answer.retry_after_seconds.map(|s| u32::try_from(s).unwrap_or(u32::MAX));
    match (answer.status, code.as_str()) {
        (429, _) => Failure::Busy { retry_after },
        (_, "no_free_slot") => Failure::NoFreeSlot { retry_after, message },
        (_, "instance_unknown") => Failure::UnknownInstance,
        // Both say that another history goes on under this key.
        (409, "stale_request" | "instance_quarantined") => Failure::Late,
        (401 | 403, _) => Failure::Denied { code, message },
        (400..=499, _) => Failure::Refused { code, message },
        _ => Failure::NoAnswer { message, retry_after },
    }
}
