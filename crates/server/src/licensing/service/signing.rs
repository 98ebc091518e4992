//! Signing what licensing issues: licenses, leases, receipts, revocation lists.

use std::sync::Arc;

use tenure_core::ProductId;
use tenure_license::{
    Signer,
    token::{self, IssueError, Payload},
};

use crate::{App, http::Problem, products::signing};

/// Signs with the product's active key.
pub(in crate::licensing) async fn sign<C: Payload + Send + 'static>(
    app: &App,
    product: ProductId,
    claims: C,
) -> Result<String, Problem> {
    sign_with(signing::signer(app, product).await?, claims).await
}

/// Signs. An RSA signature takes milliseconds: not on the runtime's threads.
pub(in crate::licensing) async fn sign_with<C: Payload + Send + 'static>(
    signer: Arc<dyn Signer>,
    claims: C,
) -> Result<String, Problem> {
    let signed = tokio::task::spawn_blocking(move || token::sign(&claims, &*signer)).await;
    signed.map_err(Problem::internal)?.map_err(|error| match error {
        IssueError::Sign(error) => signing::not_signed(error),
        refused => Problem::conflict("license-not-issuable", format!("{refused}.")),
    })
}
