/**
 * What licenses, leases and revocation lists say.
 *
 * A reader ignores members that it does not know, so a newer vendor can add some. The words of the
 * enumerations are closed. Refuses claims that contradict themselves, and more of anything than its
 * named limit. Times are whole seconds since 1970, UTC.
 */

import { between, cap, ensure, field, fieldOr, flag, idOf, listOf, mapOf, maybe, members, moment, oneOf, text, u32, u64, type Read } from "./fields";
import { plain, type Members } from "./json";
import { checkLicense } from "./check";
import { millionths } from "./quantity";

export const WITHDRAWN_MAX = 8_000;

/** What was read, and how to check that it makes sense in itself. */
export interface Claims<T> {
  readonly value: T;
  readonly check: () => void;
}

export type Edition = "standard" | "enterprise" | "government";
export type DeploymentModel = "managed" | "byoi" | "self_hosted" | "air_gapped";
export type Action = "allow" | "warn" | "banner" | "block_new" | "block";

/** `max` is in millionths, `null` for unlimited; `per` is `null` for what is held. */
export interface Limit {
  readonly max: bigint | null;
  readonly per: "day" | "month" | "year" | null;
  readonly over: "block" | "warn" | "charge" | "true_up";
  readonly unit: string | null;
  readonly warnAt: readonly number[];
}

/** What each state does, and the status of a missing feature by its id. */
export interface Enforcement {
  readonly expiring: Action;
  readonly grace: Action;
  readonly restricted: Action;
  readonly terminated: Action;
  readonly missing: ReadonlyMap<string, number>;
}

export interface ExpiryPolicy {
  readonly warnBeforeSeconds: number;
  readonly fullUntilSeconds: number;
  readonly restrictedUntilSeconds: number;
}

/** Everything that a license grants, to whom, and until when. Only `verifyLicense` makes one. */
export interface License {
  readonly id: string;
  readonly revision: number;
  readonly tokenId: string;
  readonly product: string;
  readonly subscription: string;
  readonly customer: { readonly id: string; readonly name: string; readonly domain: string };
  readonly edition: Edition;
  readonly model: DeploymentModel;
  readonly mode: string | null;
  readonly tier: string;
  readonly seats: number | null;
  readonly features: ReadonlySet<string>;
  readonly limits: ReadonlyMap<string, Limit>;
  readonly values: Readonly<Record<string, unknown>>;
  readonly supportSlaHours: number | null;
  readonly customFields: Readonly<Record<string, unknown>>;
  readonly issued: number;
  readonly starts: number;
  readonly expires: number;
  readonly updateUntil: number | null;
  readonly offlineGraceDays: number;
  readonly phoneHomeRequired: boolean;
  readonly expiryPolicy: ExpiryPolicy;
  readonly binding: { readonly instance: string; readonly key: string } | null;
  readonly enforcement: Enforcement;
  readonly salesContact: string | null;
}

/** This instance was in contact with the vendor; it grants nothing by itself. */
export interface Lease {
  readonly license: string;
  readonly instance: string;
  readonly key: string;
  readonly issued: number;
  readonly expires: number;
}

/** What was taken back; the list with the higher `epoch` governs. */
export interface Revocations {
  readonly epoch: number;
  readonly issued: number;
  readonly withdrawn: readonly { readonly license: string; readonly below: number | null; readonly at: number }[];
}

/** What is known about a license being taken back, and from when. */
export interface Revocation {
  readonly kind: "revoked" | "superseded";
  readonly at: number;
}

/** Whether a lease is that license's, and that instance's where the license is bound to one. */
export function renews(lease: Lease, license: License): boolean {
  const bound = license.binding;
  const same = bound === null || (bound.instance === lease.instance && bound.key === lease.key);
  return lease.license === license.id && same;
}

/** What a list says of a license; the graver of both, or `null`. */
export function revocationOf(list: Revocations, license: License): Revocation | null {
  const mine = list.withdrawn.filter((entry) => entry.license === license.id);
  const earliest = (entries: typeof mine) => Math.min(...entries.map((entry) => entry.at));
  const revoked = mine.filter((entry) => entry.below === null);
  if (revoked.length > 0) return { kind: "revoked", at: earliest(revoked) };
  const replaced = mine.filter((entry) => entry.below !== null && license.revision < entry.below);
  return replaced.length > 0 ? { kind: "superseded", at: earliest(replaced) } : null;
}

export function readLicense(source: Members): Claims<License> {
  const grant = field(source, "entitlements", members);
  const caps = new Map<string, number | null>();
  for (const [name, value] of grant) {
    if (name.startsWith("max_")) caps.set(name, cap(value, name));
  }
  const issued = field(source, "iat", moment);
  const features = field(source, "features", listOf(text));
  const license: License = {
    id: field(source, "license", idOf("lic")),
    revision: field(source, "revision", u64),
    tokenId: field(source, "jti", text),
    product: field(source, "product", text),
    subscription: field(source, "subscription", idOf("sub")),
    customer: customer(field(source, "customer", members)),
    edition: field(source, "edition", oneOf("standard", "enterprise", "government")),
    model: field(source, "model", oneOf("managed", "byoi", "self_hosted", "air_gapped")),
    mode: maybe(source, "mode", text),
    tier: field(grant, "tier", text),
    seats: field(source, "seats", cap),
    features: new Set(features),
    limits: fieldOr(source, "limits", mapOf(limit), new Map()),
    values: fieldOr(source, "values", object, {}),
    supportSlaHours: maybe(grant, "support_sla_hours", u32),
    customFields: fieldOr(grant, "custom_fields", object, {}),
    issued,
    starts: maybe(source, "nbf", moment) ?? issued,
    expires: field(source, "exp", moment),
    updateUntil: maybe(source, "update_until", moment),
    offlineGraceDays: field(source, "offlineGracePeriod", u32),
    phoneHomeRequired: field(source, "phoneHomeRequired", flag),
    expiryPolicy: policy(field(source, "expiry_policy", members)),
    binding: maybe(source, "binding", binding),
    enforcement: maybe(source, "enforcement", enforcement) ?? enforcement(new Map(), "enforcement"),
    salesContact: maybe(source, "sales_contact", text),
  };
  const unchecked = {
    license,
    caps,
    features,
    subject: field(source, "sub", text),
    granted: field(grant, "features", listOf(text)),
    supersedes: maybe(source, "supersedes", supersedes),
    receipt: maybe(source, "receipt", text),
  };
  return { value: license, check: () => checkLicense(unchecked) };
}

export function readLease(source: Members): Claims<Lease> {
  const lease: Lease = {
    license: field(source, "license", idOf("lic")),
    instance: field(source, "instance", idOf("ins")),
    key: field(source, "key", text),
    issued: field(source, "iat", moment),
    expires: field(source, "exp", moment),
  };
  const names = [field(source, "sub", text), field(source, "jti", text), lease.key];
  field(source, "revision", u64);
  field(source, "epoch", u64);
  field(source, "heartbeat_seconds", u32);
  const check = () => {
    ensure(lease.expires > lease.issued, "the lease ends before it begins");
    const fits = (name: string) => name !== "" && Buffer.byteLength(name) <= 256;
    ensure(names.every(fits), "sub, jti and key have 1 to 256 bytes");
  };
  return { value: lease, check };
}

export function readRevocations(source: Members): Claims<Revocations> {
  const list: Revocations = {
    epoch: field(source, "epoch", u64),
    issued: field(source, "iat", moment),
    withdrawn: field(source, "withdrawn", listOf((value, name) => {
      const entry = members(value, name);
      const [license, at] = [field(entry, "license", idOf("lic")), field(entry, "at", moment)];
      return { license, below: maybe(entry, "below", u64), at };
    })),
  };
  const many = `a list has at most ${WITHDRAWN_MAX} entries`;
  return { value: list, check: () => ensure(list.withdrawn.length <= WITHDRAWN_MAX, many) };
}

const object: Read<Record<string, unknown>> = (value, name) =>
  plain(members(value, name)) as Record<string, unknown>;

function customer(source: Members): License["customer"] {
  const domain = fieldOr(source, "domain", text, "");
  return { id: field(source, "id", text), name: field(source, "name", text), domain };
}

const limit: Read<Limit> = (value, name) => {
  const source = members(value, name);
  const max = maybe(source, "max", text);
  return {
    max: max === null ? null : millionths(max),
    per: maybe(source, "per", oneOf("day", "month", "year")),
    over: field(source, "over", oneOf("block", "warn", "charge", "true_up")),
    unit: maybe(source, "unit", text),
    warnAt: fieldOr(source, "warn_at", listOf(u32), []),
  };
};

function policy(source: Members): ExpiryPolicy {
  return {
    warnBeforeSeconds: field(source, "warn_before_seconds", u32),
    fullUntilSeconds: field(source, "full_until_seconds", u32),
    restrictedUntilSeconds: field(source, "restricted_until_seconds", u32),
  };
}

const enforcement: Read<Enforcement> = (value, name) => {
  const source = members(value, name);
  const action = oneOf("allow", "warn", "banner", "block_new", "block");
  return {
    expiring: fieldOr(source, "expiring", action, "banner"),
    grace: fieldOr(source, "grace", action, "banner"),
    restricted: fieldOr(source, "restricted", action, "block_new"),
    terminated: fieldOr(source, "terminated", action, "block"),
    missing: fieldOr(source, "missing", mapOf(between(0, 0xffff)), new Map()),
  };
};

const binding: Read<{ instance: string; key: string }> = (value, name) => {
  const source = members(value, name);
  return { instance: field(source, "instance", idOf("ins")), key: field(source, "key", text) };
};

const supersedes: Read<number> = (value, name) => {
  const source = members(value, name);
  field(source, "at", moment);
  return field(source, "revision", u64);
};
