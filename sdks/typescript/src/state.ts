/**
 * What a verified license is worth at a moment: verification is apart from enforcement.
 *
 *        warn_before            full_until          restricted_until
 * active ----------> expiring -> exp -> grace ----> restricted -----> terminated
 */

import type { License, Revocation } from "./claims";
import { TIME_MAX, TIME_MIN } from "./fields";

export const CLOCK_TOLERANCE_SECONDS = 5 * 60;
const DAY = 24 * 60 * 60;

/** How much of the product works, from best to worst. */
export const STATES = ["active", "expiring", "grace", "restricted", "terminated"] as const;
export type State = (typeof STATES)[number];

const STATE_OF = {
  valid: "active",
  expires_soon: "expiring",
  expired_full: "grace",
  expired_restricted: "restricted",
  not_yet_valid: "restricted",
  phone_home_overdue: "restricted",
  superseded: "restricted",
  expired: "terminated",
  revoked: "terminated",
} as const satisfies Record<string, State>;
export type Reason = keyof typeof STATE_OF;

/**
 * `until`: when the state changes next, if it ever does. `notice`: what to tell people. `asOf`: the
 * moment that was judged, later than the clock where that was set back. Seconds since 1970.
 */
export interface Verdict {
  readonly state: State;
  readonly reason: Reason;
  readonly until: number | null;
  readonly notice: string | null;
  readonly asOf: number;
  readonly clockSuspect: boolean;
}

/**
 * What is known beside the license. `floor`: the latest moment proven to have passed.
 * `contactUntil`: the end of the last lease, or since when the license is held without one; left
 * out where contact is not followed.
 */
export interface Facts {
  readonly floor?: number | null;
  readonly revocation?: Revocation | null;
  readonly contactUntil?: number | null;
}

/** How grave a state is: 0 for `active`. */
export function gravity(state: State): number {
  return STATES.indexOf(state);
}

/**
 * What the license is worth at `now`, in whole seconds. Time never improves a state, except that a
 * license whose time had not come becomes valid.
 */
export function evaluate(license: License, now: number, facts: Facts = {}): Verdict {
  const floor = Math.max(license.issued, facts.floor ?? license.issued);
  const clockSuspect = now < floor - CLOCK_TOLERANCE_SECONDS;
  // Time stands still at the floor: setting a clock back gains nothing.
  const asOf = Math.max(now, floor);
  const reason = reasonAt(license, facts, asOf);
  const state = STATE_OF[reason];
  const until = nextChange(license, facts, asOf, state);
  const notice = noticeOf(license, reason, until, clockSuspect ? now : null);
  return { state, reason, until, notice, asOf, clockSuspect };
}

/** The gravest reason that holds; of two equally grave ones, the one listed first. */
function reasonAt(license: License, facts: Facts, at: number): Reason {
  const { revocation } = facts;
  const overdue = contactEnds(license, facts);
  const findings: Reason[] = [
    revocation && revocation.at <= at ? revocation.kind : "valid",
    overdue !== null && overdue <= at ? "phone_home_overdue" : "valid",
    at < license.starts - CLOCK_TOLERANCE_SECONDS ? "not_yet_valid" : "valid",
    expiry(license, at),
  ];
  const graver = (a: Reason, b: Reason) => (gravity(STATE_OF[b]) > gravity(STATE_OF[a]) ? b : a);
  return findings.reduce(graver, "valid");
}

function contactEnds(license: License, facts: Facts): number | null {
  const from = facts.contactUntil ?? null;
  if (!license.phoneHomeRequired || from === null) return null;
  return shift(from, license.offlineGraceDays * DAY);
}

function expiry(license: License, at: number): Reason {
  const [warns, end, full, restricted] = edges(license);
  if (at >= restricted) return "expired";
  if (at >= full) return "expired_restricted";
  if (at >= end) return "expired_full";
  return at >= warns ? "expires_soon" : "valid";
}

function edges({ expires, expiryPolicy }: License): [number, number, number, number] {
  return [
    shift(expires, -expiryPolicy.warnBeforeSeconds),
    expires,
    shift(expires, expiryPolicy.fullUntilSeconds),
    shift(expires, expiryPolicy.restrictedUntilSeconds),
  ];
}

function nextChange(license: License, facts: Facts, asOf: number, state: State): number | null {
  const all = [license.starts - CLOCK_TOLERANCE_SECONDS, ...edges(license)];
  const overdue = contactEnds(license, facts);
  if (overdue !== null) all.push(overdue);
  if (facts.revocation) all.push(facts.revocation.at);
  const changes = (edge: number) => edge > asOf && STATE_OF[reasonAt(license, facts, edge)] !== state;
  return all.sort((a, b) => a - b).find(changes) ?? null;
}

function shift(at: number, seconds: number): number {
  return Math.min(Math.max(at + seconds, TIME_MIN), TIME_MAX);
}

/** What is so, the date, what to do. */
function noticeOf(license: License, reason: Reason, until: number | null, clock: number | null): string | null {
  const said = reason === "valid" ? [] : [about(license, reason, until)];
  if (clock !== null) {
    said.push(
      `This machine's clock says ${day(clock)}, which is earlier than a moment known to have ` +
        "passed. Set the clock; until then license time stands still.",
    );
  }
  return said.join(" ") || null;
}

function about(license: License, reason: Exclude<Reason, "valid">, until: number | null): string {
  const name = `The ${license.product} license of ${license.customer.name}`;
  const end = day(license.expires);
  const then = until === null ? "further notice" : day(until);
  const renew = howToRenew(license);
  const blocked = `New work is blocked; what runs goes on until ${then}.`;
  switch (reason) {
    case "expires_soon":
      return `${name} ends on ${end}. Everything keeps working until then. ${renew}`;
    case "expired_full":
      return `${name} ended on ${end}. Everything keeps working until ${then}. ${renew}`;
    case "expired_restricted":
      return `${name} ended on ${end}. ${blocked} ${renew}`;
    case "expired":
      return `${name} ended on ${end} and its grace time is over. ${renew}`;
    case "not_yet_valid":
      return `${name} begins on ${day(license.starts)}. Until then, use the license before it.`;
    case "phone_home_overdue":
      return (
        `${name} has been out of contact with the vendor for longer than the ` +
        `${license.offlineGraceDays} days allowed. ${blocked} Restore the connection to the license ` +
        "service, or ask the vendor for an offline license."
      );
    case "superseded":
      return (
        `${name}, revision ${license.revision}, was replaced by a newer one. ${blocked} Install the ` +
        "newer license; it can be fetched from the customer portal."
      );
    case "revoked":
      return `${name} was revoked by the vendor. Contact the vendor to learn why.`;
  }
}

function howToRenew(license: License): string {
  return license.model === "air_gapped"
    ? "Ask the vendor for a new .lic file and install it; no connection is needed."
    : "Renew it in the customer portal, or ask the vendor.";
}

function day(at: number): string {
  return `${new Date(at * 1000).toISOString().slice(0, 10)} (UTC)`;
}
