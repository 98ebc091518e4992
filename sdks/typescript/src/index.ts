/**
 * Licenses of Tenure: verify offline, ask what is granted, record usage. The way in is `Tenure`;
 * everything below it can be used alone.
 */

export { renews, revocationOf } from "./claims";
export type { Action, DeploymentModel, Edition, Enforcement, ExpiryPolicy, Lease, License, Limit, Revocation, Revocations } from "./claims";
export { Tenure, type Options } from "./client";
export { feature, limit, work, type Decision, type Work } from "./enforcement";
export { TenureError, TransportError } from "./errors";
export { TrustSet } from "./keys";
export { LicenseKey, readFile, readPresented } from "./presented";
export type { Amount } from "./quantity";
export { Agent, Server, type Grant, type Source } from "./sources";
export { evaluate, gravity, type Facts, type Reason, type State, type Verdict } from "./state";
export { verifyLease, verifyLicense, verifyRevocations } from "./token";
