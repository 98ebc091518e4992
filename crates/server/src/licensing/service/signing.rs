//! Signing what the service issues: leases and revocation lists.

use tenure_core::ProductId;
use tenure_license::token::{self, Payload};

use crate::{App, http::Problem, products::signing};

/// Signs with the product's active key. An RSA signature takes milliseconds: not on the
/// runtime's threads.
pub(in crate::licensing) async fn sign<C: Payload + Send + 'static>(
    app: &App,
    product: ProductId,
    claims: C,
) -> Result<String, Problem> {
    let signer = signing::signer(app, product).await?;
    let signed = tokio::task::spawn_blocking(move || token::sign(&claims, &*signer)).await;
    signed.map_err(Problem::internal)?.map_err(Problem::internal)
}
