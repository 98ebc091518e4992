//! How much usage may be on its way at once.
//!
//! Owns: the bytes of bodies in memory, for the process and for each tenant.
//! Refuses: more than that, at once and with a time to come back, instead of
//! queueing until everything is slow.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::{StatusCode, header};
use tenure_core::TenantId;

use super::{BODY_BYTES_MAX, UNPACKED_BYTES_MAX};
use crate::http::Problem;

/// Bytes of all bodies at work.
pub(crate) const WORK_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes of one tenant's bodies at work: nobody keeps the others out.
pub(crate) const TENANT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Requests of one tenant at work.
pub(crate) const TENANT_REQUESTS_MAX: usize = 64;
/// How long a body may take to arrive: it takes up room meanwhile.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// When to come back.
const RETRY_AFTER_SECONDS: u32 = 1;

const _: () = assert!(BODY_BYTES_MAX + UNPACKED_BYTES_MAX <= TENANT_BYTES_MAX);
const _: () = assert!(TENANT_BYTES_MAX < WORK_BYTES_MAX);

/// What is at work.
#[derive(Debug, Default)]
pub(crate) struct Intake(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    tenants: HashMap<TenantId, Share>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Share {
    requests: usize,
    bytes: usize,
}

/// A request that was let in, until it is dropped.
#[derive(Debug)]
pub(super) struct Admitted<'i> {
    intake: &'i Intake,
    tenant: TenantId,
    bytes: usize,
}

impl Intake {
    /// Lets a request in whose body has that many bytes; as many as may be, when
    /// it does not say.
    pub(super) fn admit(
        &self,
        tenant: TenantId,
        length: Option<usize>,
    ) -> Result<Admitted<'_>, Problem> {
        let mut state = self.state();
        let requests = state.tenants.get(&tenant).map_or(0, |share| share.requests);
        if requests >= TENANT_REQUESTS_MAX {
            let what = format!("{requests} of your requests with usage are at work already");
            return Err(busy(StatusCode::TOO_MANY_REQUESTS, &what));
        }
        let bytes = length.unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX);
        state.take(tenant, bytes)?;
        state.tenants.entry(tenant).or_default().requests += 1;
        Ok(Admitted { intake: self, tenant, bytes })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, tenant: TenantId, bytes: usize) -> Result<(), Problem> {
        let share = self.tenants.get(&tenant).copied().unwrap_or_default();
        if share.bytes + bytes > TENANT_BYTES_MAX {
            let what = format!("{} bytes of your usage are at work already", share.bytes);
            return Err(busy(StatusCode::TOO_MANY_REQUESTS, &what));
        }
        if self.bytes + bytes > WORK_BYTES_MAX {
            let what = "As much usage as this server takes at once is at work already";
            return Err(busy(StatusCode::SERVICE_UNAVAILABLE, what));
        }
        self.bytes += bytes;
        self.tenants.entry(tenant).or_default().bytes += bytes;
        Ok(())
    }
}

impl Admitted<'_> {
    /// Takes that many bytes more.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        self.intake.state().take(self.tenant, bytes)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let mut state = self.intake.state();
        state.bytes -= self.bytes;
        if let Some(share) = state.tenants.get_mut(&self.tenant) {
            share.bytes -= self.bytes;
            share.requests -= 1;
            if share.requests == 0 {
                state.tenants.remove(&self.tenant);
            }
        }
    }
}

fn busy(status: StatusCode, what: &str) -> Problem {
    let detail = format!("{what}. Nothing was recorded; send it again in a moment.");
    Problem::new(status, "busy", "Too much at once", detail)
        .with_header(header::RETRY_AFTER, &RETRY_AFTER_SECONDS.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(n: u128) -> TenantId {
        TenantId::from_uuid(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn a_tenant_fills_its_own_share_and_all_together_the_server() {
        let intake = Intake::default();
        let full = TENANT_BYTES_MAX / BODY_BYTES_MAX;
        let first: Vec<_> = (0..full).map(|_| intake.admit(tenant(1), None).unwrap()).collect();
        assert_eq!(intake.admit(tenant(1), Some(1)).unwrap_err().status, 429);
        let rest = (WORK_BYTES_MAX - TENANT_BYTES_MAX) / BODY_BYTES_MAX;
        let second: Vec<_> = (0..rest).map(|_| intake.admit(tenant(2), None).unwrap()).collect();
        assert_eq!(intake.admit(tenant(3), Some(1)).unwrap_err().status, 503);
        drop((first, second));
        let state = intake.state();
        assert_eq!((state.bytes, state.tenants.len()), (0, 0));
    }

    #[test]
    fn what_does_not_fit_leaves_everything_as_it_was() {
        let intake = Intake::default();
        let mut one = intake.admit(tenant(1), Some(10)).unwrap();
        assert_eq!(one.grow(TENANT_BYTES_MAX).unwrap_err().status, 429);
        one.grow(TENANT_BYTES_MAX - 10).unwrap();
        drop(one);
        let many: Vec<_> =
            (0..TENANT_REQUESTS_MAX).map(|_| intake.admit(tenant(1), Some(0)).unwrap()).collect();
        assert_eq!(intake.admit(tenant(1), Some(0)).unwrap_err().status, 429);
        drop(many);
        intake.admit(tenant(1), Some(0)).unwrap();
    }
}
