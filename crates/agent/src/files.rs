//! Files that are carried by hand, for places without a network.
//!
//! Owns: taking in what the vendor wrote (license, receipt, revocation list,
//! told apart by their first line), and writing what the vendor is given
//! (request, return, usage report). Refuses: a file that does not verify, a
//! lower revision than the one held, a file for another instance, and the
//! agent's own files brought back.

use jiff::Timestamp;
use serde::Serialize;
use tenure_core::LicenseId;
use tenure_license::{
    RevocationsClaims,
    file::{self, FileKind},
    instance::{self, Request, RequestKind, Return, StatementKind},
    token,
};
use uuid::Uuid;

use crate::{
    Agent, Error,
    agent::{self, Inner, finished, meta},
    error::Result,
    machine::{self, Phase},
    run::Written,
};

/// Largest file that is read, in bytes.
pub const FILE_LEN_MAX: usize = FileKind::Revocations.len_max();
/// Pages of a ledger that one report file holds at most; further ones go into the next file.
const REPORT_PAGES_MAX: usize = 50;

/// What was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Installed {
    /// `license`, `receipt`, `revocations`.
    pub kind: String,
    /// Whether it was new.
    pub changed: bool,
    /// In a sentence.
    pub message: String,
}

impl Agent {
    /// Takes in a file of the vendor's.
    pub async fn install(&self, text: &str) -> Result<Installed> {
        let kind = FileKind::of(text).ok_or_else(|| {
            Error::refused(
                "file_unknown",
                "not a file of the vendor's: it must begin with `-----BEGIN TENURE ...-----`",
            )
        })?;
        let read = |kind| {
            file::read_kind(kind, text)
                .map_err(|error| Error::refused(error.code(), error.to_string()))
        };
        match kind {
            FileKind::License => self.install_license(&read(kind)?).await,
            FileKind::Receipt => {
                let through = self.take_receipt(&read(kind)?).await?;
                let message = format!("usage up to entry {} is counted", through.seq);
                Ok(Installed { kind: "receipt".into(), changed: true, message })
            }
            FileKind::Revocations => self.install_revocations(&read(kind)?).await,
            FileKind::Request | FileKind::Return => Err(Error::refused(
                "file_of_instance",
                format!("this is a {}: it is for the vendor, not for the agent", kind.name()),
            )),
        }
    }

    /// Takes a license from a file, which says how it was meant: bound, or for everybody.
    pub async fn install_license(&self, license: &str) -> Result<Installed> {
        let now = self.now();
        let mut inner = self.inner.lock().await;
        if inner.state.phase == Phase::Released {
            return Err(finished());
        }
        let changed =
            agent::take_license(&mut inner, &self.store, &self.trust, license, now).await?;
        self.save(&mut inner).await?;
        let revision = inner.state.license.as_ref().map_or(0, |held| held.revision);
        let exp = inner.state.license.as_ref().map_or(now, |held| held.exp);
        let message = match changed {
            true => format!("license revision {revision} is installed; it expires on {}", day(exp)),
            false => format!("license revision {revision} was installed before"),
        };
        self.wake.notify_one();
        Ok(Installed { kind: "license".into(), changed, message })
    }

    async fn install_revocations(&self, list: &str) -> Result<Installed> {
        let verified = token::verify::<RevocationsClaims>(list, &self.trust).map_err(|error| {
            Error::refused(error.code(), format!("the revocation list: {error}"))
        })?;
        let claims = verified.into_claims();
        let epoch = claims.epoch;
        let mut inner = self.inner.lock().await;
        let changed = machine::take_revocations(&mut inner.state, claims)
            .map_err(|refusal| Error::refused(refusal.code(), refusal.to_string()))?;
        self.store.set_meta(meta::REVOCATIONS, list).await?;
        inner.revocations = Some(list.to_owned());
        self.save(&mut inner).await?;
        let message = format!("revocation list {epoch} is installed");
        Ok(Installed { kind: "revocations".into(), changed, message })
    }

    /// What `LICENSE_KEY` would hold: a short key to be exchanged, a token, or a file's text.
    pub async fn activate(&self, presented: &str) -> Result<()> {
        let now = self.now();
        let mut inner = self.inner.lock().await;
        if inner.state.phase == Phase::Released {
            return Err(finished());
        }
        let another = agent::present(&mut inner, &self.store, &self.trust, presented, now).await?;
        if another && inner.state.phase != Phase::Fresh {
            self.new_key(&mut inner).await?;
        }
        // Whoever acts now does not wait for a pause that an earlier failure earned.
        inner.state.marked_at = None;
        self.save(&mut inner).await?;
        drop(inner);
        self.wake.notify_one();
        Ok(())
    }

    /// A request file: asks the vendor for a license, or for one that runs longer.
    pub async fn request(&self) -> Result<String> {
        let inner = self.inner.lock().await;
        if inner.state.phase == Phase::Released {
            return Err(finished());
        }
        let held = inner.state.license.as_ref();
        let request = Request {
            aud: StatementKind::Request.audience().into(),
            key: *inner.seed.public(),
            // The vendor knows this key pair by the name that it was given, and else not yet.
            kind: match held.and(inner.state.instance) {
                Some(_) => RequestKind::Renewal,
                None => RequestKind::Activation,
            },
            license_key: inner.license_key.clone().filter(|key| !key.contains('.')),
            license: held.map(|held| held.license),
            instance: inner.state.instance,
            jti: Uuid::now_v7().to_string(),
            iat: self.now(),
            name: self.settings.name.clone().unwrap_or_default(),
            k8s_cluster_uid: self.settings.k8s_cluster_uid.clone(),
            agent_version: env!("CARGO_PKG_VERSION").into(),
            ledger: self.store.ledger().await?.and_then(|row| row.head),
        };
        if request.license_key.is_none() && request.license.is_none() {
            return Err(Error::refused(
                "request_without_license",
                "the vendor could not tell which license is wanted: run `tenure-agent activate \
                 --license-key KEY` first, which works without a network",
            ));
        }
        let signed = instance::sign(&request, inner.seed.key())
            .map_err(|error| Error::refused(error.code(), error.to_string()))?;
        Ok(file::write_kind(FileKind::Request, &signed))
    }

    /// The same with a new key pair, for an installation that the vendor knows two of: it goes on
    /// as an instance of its own. Again, before a license for it is here, it makes no other.
    pub async fn request_with_new_key(&self) -> Result<String> {
        let mut inner = self.inner.lock().await;
        if inner.state.phase == Phase::Released {
            return Err(finished());
        }
        let made = self.store.meta(meta::NEW_KEY).await?;
        let waits = inner.state.phase == Phase::Fresh && made == Some(inner.seed.thumbprint());
        if !waits {
            self.new_key(&mut inner).await?;
            self.store.set_meta(meta::NEW_KEY, &inner.seed.thumbprint()).await?;
        }
        drop(inner);
        self.wake.notify_one();
        self.request().await
    }

    /// A return file. The instance is finished from here on, which is written down
    /// before the file is handed out.
    pub async fn give_back(&self) -> Result<String> {
        let mut inner = self.inner.lock().await;
        if let Some(before) = self.store.meta(RETURNED).await? {
            return Ok(before);
        }
        let (Some(instance), Some(held)) = (inner.state.instance, inner.state.license.clone())
        else {
            return Err(Error::refused(
                "nothing_to_return",
                "this installation holds no license that was issued to it",
            ));
        };
        let claims = Return {
            aud: StatementKind::Return.audience().into(),
            key: *inner.seed.public(),
            instance,
            license: held.license,
            iat: self.now(),
            ledger: self.store.ledger().await?.and_then(|row| row.head),
        };
        let signed = instance::sign(&claims, inner.seed.key())
            .map_err(|error| Error::refused(error.code(), error.to_string()))?;
        let text = file::write_kind(FileKind::Return, &signed);
        // A report of what is not counted yet needs the license's name.
        self.store.set_meta(RETURNED_LICENSE, &held.license.to_string()).await?;
        self.store.set_meta(RETURNED, &text).await?;
        inner.state.phase = Phase::Released;
        inner.state.outstanding = None;
        inner.state.license = None;
        inner.state.lease = None;
        inner.license = None;
        self.save(&mut inner).await?;
        Ok(text)
    }

    /// Has the slot given back over the network, by the loop's next round.
    pub async fn release(&self, reason: &str) -> Result<()> {
        let mut inner = self.inner.lock().await;
        if self.http.is_none() {
            let message = "there is no license service to tell; use `return export`";
            return Err(Error::refused("no_server", message));
        }
        let reason = if reason.is_empty() { "given back" } else { reason };
        if let Some(held) = &inner.state.license {
            self.store.set_meta(RETURNED_LICENSE, &held.license.to_string()).await?;
        }
        self.store.set_meta(meta::RELEASE, reason).await?;
        inner.release = Some(reason.to_owned());
        inner.state.marked_at = None;
        self.save(&mut inner).await?;
        drop(inner);
        self.wake.notify_one();
        Ok(())
    }

    /// A report of what is not counted yet; with `all`, of everything still held. None
    /// when there is nothing.
    pub async fn report(&self, all: bool) -> Result<Option<Written>> {
        let inner = self.inner.lock().await;
        let Some(row) = self.store.ledger().await? else { return Ok(None) };
        let Some(license) = self.reported_license(&inner).await? else {
            return Err(Error::refused(
                "report_without_license",
                "usage can be reported once this installation has a license of its own; it is kept \
                 until then",
            ));
        };
        let after = if all { row.pruned } else { row.counted };
        let mut lines = Vec::new();
        let mut seq = after.map_or(0, |head| head.seq);
        for _ in 0..REPORT_PAGES_MAX {
            let page = self.store.lines(row.id, seq).await?;
            let Some(last) = page.last() else { break };
            seq = last.seq;
            lines.extend(page);
        }
        Ok(self.write(&inner, license, after, &lines)?.map(|(written, _)| written))
    }

    /// The license that usage is reported under: also after it was given back.
    async fn reported_license(&self, inner: &Inner) -> Result<Option<LicenseId>> {
        if let Some(held) = &inner.state.license {
            return Ok(inner.state.instance.and(Some(held.license)));
        }
        let before = self.store.meta(RETURNED_LICENSE).await?;
        Ok(before.and_then(|id| id.parse().ok()))
    }
}

const RETURNED: &str = "returned";
const RETURNED_LICENSE: &str = "returned_license";

fn day(at: Timestamp) -> jiff::civil::Date {
    at.to_zoned(jiff::tz::TimeZone::UTC).date()
}
