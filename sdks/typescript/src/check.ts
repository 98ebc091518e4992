/** Whether the claims of a license make sense in themselves. */

import type { License, Limit } from "./claims";
import { COUNT_MAX, ensure, short } from "./fields";
import { MILLION } from "./quantity";

const FEATURES_MAX = 128;
const LIMITS_MAX = 128;
const VALUES_MAX = 128;
const WARNINGS_MAX = 8;
const OFFLINE_GRACE_DAYS_MAX = 3_660;
const POLICY_SECONDS_MAX = 10 * 366 * 86_400;

/** A license with what was said beside it. */
export interface Unchecked {
  readonly license: License;
  readonly caps: ReadonlyMap<string, number | null>;
  readonly features: readonly string[];
  readonly granted: readonly string[];
  readonly subject: string;
  readonly supersedes: number | null;
  readonly receipt: string | null;
}

export function checkLicense(claims: Unchecked): void {
  const { license, features, granted, supersedes } = claims;
  ensure(claims.subject === license.customer.id, "sub is not the customer's id");
  checkNames(claims);
  checkTimes(license);
  checkSizes(claims);
  const same = granted.length === features.length && granted.every((id, at) => id === features[at]);
  ensure(same, "features and entitlements.features differ");
  ensure(license.features.size === features.length, "a feature is listed twice");
  checkCaps(claims);
  ensure(license.revision >= 1 && license.revision <= COUNT_MAX, "revisions count from 1");
  const lower = supersedes === null || supersedes < license.revision;
  ensure(lower, "a license supersedes lower revisions only");
}

function checkNames({ license, features, receipt }: Unchecked): void {
  const required = {
    jti: license.tokenId,
    "customer.id": license.customer.id,
    "customer.name": license.customer.name,
    product: license.product,
    "entitlements.tier": license.tier,
  };
  for (const [name, value] of Object.entries(required)) {
    ensure(value !== "", `${name} is empty`);
    short(name, value);
  }
  const units = [...license.limits.values()].map((limit) => limit.unit);
  const optional = [license.customer.domain, license.mode, license.binding?.key, receipt, license.salesContact];
  for (const name of [...optional, ...features, ...license.limits.keys(), ...units]) {
    if (name) short(`\`${name.slice(0, 20)}\``, name);
  }
}

function checkTimes(license: License): void {
  const policy = license.expiryPolicy;
  const longest = Math.max(policy.warnBeforeSeconds, policy.restrictedUntilSeconds);
  const ordered = policy.fullUntilSeconds <= policy.restrictedUntilSeconds;
  ensure(license.issued >= 0, "iat lies before 1970");
  ensure(license.starts < license.expires, "the license ends before it starts");
  ensure(license.issued < license.expires, "the license was signed after its end");
  ensure(license.offlineGraceDays <= OFFLINE_GRACE_DAYS_MAX, "offlineGracePeriod is too long");
  ensure(longest <= POLICY_SECONDS_MAX, "expiry_policy has a time that is too long");
  ensure(ordered, "expiry_policy: full_until lies after restricted_until");
}

function checkSizes({ license, features }: Unchecked): void {
  const { missing } = license.enforcement;
  ensure(features.length <= FEATURES_MAX, "too many features");
  ensure(license.limits.size <= LIMITS_MAX, "too many limits");
  ensure(Object.keys(license.values).length <= VALUES_MAX, "too many values");
  ensure(Object.keys(license.customFields).length <= VALUES_MAX, "too many custom_fields");
  ensure(missing.size <= FEATURES_MAX, "too many entries of enforcement.missing");
  const warned = [...license.limits.values()].every((limit) => limit.warnAt.length <= WARNINGS_MAX);
  ensure(warned, "too many entries of warn_at");
  const known = [...missing.values()].every((status) => status === 402 || status === 403);
  ensure(known, "enforcement.missing must be 402 or 403");
}

/** The grant is said twice, exactly and for products to read: both must agree. */
function checkCaps({ license, caps }: Unchecked): void {
  const expected = new Map<string, number | null>();
  for (const [id, limit] of license.limits) {
    expected.set(`max_${id}${limit.per === null ? "" : `_per_${limit.per}`}`, whole(limit));
  }
  ensure(expected.size === license.limits.size, "two limits have the same name in entitlements");
  const same = [...expected].every(([name, count]) => caps.get(name) === count);
  ensure(same && caps.size === expected.size, "limits and entitlements.max_... differ");
}

function whole({ max }: Limit): number | null {
  // At most 15 digits: well within what a number holds exactly.
  return max === null ? null : Number(max / MILLION);
}
