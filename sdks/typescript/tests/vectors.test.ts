/** The golden vectors that every language's SDK must agree with. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import * as tenure from "../src";
import { show } from "../src/quantity";

// Next to the sources, from where this is compiled to.
const PATH = join(__dirname, "../../../../crates/license/vectors/license.json");
type Case = any;
const VECTORS: Case = JSON.parse(readFileSync(PATH, "utf8"));
const PRODUCT: string = VECTORS.product;
const TRUST = tenure.TrustSet.fromJwks(PRODUCT, JSON.stringify(VECTORS.jwks), { allowTestKeys: true });

const LICENSES = new Map<string, tenure.License>(
  VECTORS.licenses.map((it: Case) => [it.name, tenure.verifyLicense(it.token, TRUST)]),
);
const license = (name: string) => LICENSES.get(name) as tenure.License;
const seconds = (text: string) => Date.parse(text) / 1000;
const moment = (at: number | null) =>
  at === null ? null : new Date(at * 1000).toISOString().replace(".000Z", "Z");

function refuses(it: Case, read: () => unknown): void {
  assert.throws(read, (error: tenure.TenureError) => {
    assert.equal(error.code, it.error, `${it.name ?? it.text}: ${error.message}`);
    return true;
  }, it.name ?? it.text);
}

function textOf(it: Case): string {
  return (it.token ?? it.text).repeat(it.times ?? 1);
}

function reads(of: tenure.License): unknown {
  const { expiring, grace, restricted, terminated, missing } = of.enforcement;
  const limits = [...of.limits].map(([id, { max, per, over, unit, warnAt }]) => [
    id, { max: max === null ? null : show(max), per, over, unit, warn_at: warnAt },
  ]);
  return {
    license: of.id, revision: of.revision, product: of.product, customer: of.customer,
    edition: of.edition, model: of.model, mode: of.mode, tier: of.tier, seats: of.seats,
    features: [...of.features], limits: Object.fromEntries(limits), values: of.values,
    starts: of.starts, expires: of.expires, update_until: of.updateUntil,
    offline_grace_days: of.offlineGraceDays, phone_home_required: of.phoneHomeRequired,
    enforcement: { expiring, grace, restricted, terminated, missing: Object.fromEntries(missing) },
    sales_contact: of.salesContact,
  };
}

test("the format is the one that this test knows", () => {
  assert.equal(VECTORS.version, 2);
});

test("every genuine license is read alike", () => {
  for (const it of VECTORS.licenses) assert.deepEqual(reads(license(it.name)), it.reads, it.name);
});

test("every attack is refused for its reason", () => {
  for (const it of VECTORS.refused) refuses(it, () => tenure.verifyLicense(textOf(it), TRUST));
});

test("revocation lists", () => {
  for (const it of VECTORS.revocation_lists) {
    if (it.error) {
      refuses(it, () => tenure.verifyRevocations(it.token, TRUST));
      continue;
    }
    const list = tenure.verifyRevocations(it.token, TRUST);
    const of = tenure.revocationOf(list, license("standard"));
    assert.deepEqual([list.epoch, list.issued], [it.epoch, it.iat], it.name);
    assert.deepEqual(of && { [of.kind]: moment(of.at) }, it.of, it.name);
  }
});

test("leases", () => {
  for (const it of VECTORS.leases) {
    if (it.error) {
      refuses(it, () => tenure.verifyLease(it.token, TRUST));
      continue;
    }
    const lease = tenure.verifyLease(it.token, TRUST);
    const renewed = ["standard", "bound"].filter((name) => tenure.renews(lease, license(name)));
    assert.deepEqual([lease.issued, lease.expires], [it.iat, it.exp], it.name);
    assert.deepEqual(renewed, it.renews, it.name);
  }
});

test("verdicts", () => {
  for (const it of VECTORS.verdicts) {
    const of = license(it.license);
    const listed = VECTORS.revocation_lists.find((list: Case) => list.name === it.revocations);
    const list = listed && tenure.verifyRevocations(listed.token, TRUST);
    const contact = it.lease_until ?? it.held_since;
    const verdict = tenure.evaluate(of, seconds(it.now), {
      floor: it.floor === undefined ? null : seconds(it.floor),
      revocation: list ? tenure.revocationOf(list, of) : null,
      contactUntil: contact === undefined ? null : seconds(contact),
    });
    const { state, reason, until, notice, asOf, clockSuspect } = verdict;
    const found = { state, reason, until: moment(until), notice, as_of: moment(asOf), clock_suspect: clockSuspect };
    assert.deepEqual(found, it.verdict, it.name);
  }
});

test("decisions", () => {
  for (const it of VECTORS.decisions) {
    const [of, ask] = [license(it.license), it.ask];
    const verdict = tenure.evaluate(of, seconds(it.now));
    const decision =
      ask.feature !== undefined ? tenure.feature(of, verdict, ask.feature)
      : ask.limit !== undefined ? tenure.limit(of, verdict, ask.limit, ask.used, ask.more)
      : tenure.work(of, verdict, ask.work);
    assert.deepEqual(decision, it.decision, it.name);
  }
});

test("key sets", () => {
  for (const it of VECTORS.key_sets) {
    const read = () => tenure.TrustSet.fromJwks(PRODUCT, it.jwks, { allowTestKeys: it.test });
    if (it.error) refuses(it, read);
    else assert.deepEqual(read().kids, it.kids, it.name);
  }
});

test("license keys", () => {
  for (const it of VECTORS.license_keys.valid) {
    const key = tenure.LicenseKey.parse(it.text);
    assert.deepEqual([key.text, key.hint], [it.exposed, it.hint]);
    assert.ok(!JSON.stringify({ key }).includes(key.text), "not shown by accident");
  }
  for (const it of VECTORS.license_keys.refused) refuses(it, () => tenure.LicenseKey.parse(it.text));
});

test("files", () => {
  for (const it of VECTORS.files) {
    if (it.error) {
      refuses(it, () => tenure.readFile(textOf(it)));
      continue;
    }
    const token = VECTORS.licenses.find((other: Case) => other.name === it.license).token;
    assert.equal(tenure.readFile(it.text), token, it.name);
  }
});

test("presented values", () => {
  for (const it of VECTORS.presented) {
    if (it.error) {
      refuses(it, () => tenure.readPresented(it.text));
      continue;
    }
    const found = tenure.readPresented(it.text);
    assert.equal(typeof found === "string" ? found : found.text, it.token ?? it.key, it.name);
  }
});
