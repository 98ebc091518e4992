/**
 * Whom a verifier believes: the public keys of ONE product.
 *
 * Refuses: any algorithm but RS256, moduli outside 2048 to 4096 bits, exponents other than 65537, a
 * `kid` that is not the key's own thumbprint, members that do not belong to a public key, and the
 * published test keys.
 */

import { createHash, createPublicKey, verify, type KeyObject } from "node:crypto";

import { TenureError } from "./errors";
import { maybe, members, text } from "./fields";
import { readJson, type Json, type Members } from "./json";
import { fromBase64url, toBase64url } from "./text";

export const JWKS_LEN_MAX = 32 * 1024;
export const KEYS_MAX = 16;
const BITS_MIN = 2048;
const BITS_MAX = 4096;
const EXPONENT = "AQAB";
const MEMBERS = ["kty", "use", "alg", "kid", "n", "e"];
/** Their private halves are published with the golden vectors. */
const TEST_KIDS = [
  "eg2cUMqIzVAF2hzY-5Z5LtZQKlx6zM88iG2U1A82qjs",
  "VPT2uYORtGgTQ44x0v6zkYKDGyb_SM8wGiV-sG3IZSI",
];

/** The keys of one product, each parsed once. */
export class TrustSet {
  private constructor(readonly product: string, private readonly keys: Map<string, KeyObject>) {}

  /**
   * The keys of `product` from the JSON Web Key Set that its vendor publishes. `allowTestKeys` is
   * for the golden vectors and for nothing else.
   */
  static fromJwks(product: string, jwks: string, options: { allowTestKeys?: boolean } = {}): TrustSet {
    if (Buffer.byteLength(jwks) > JWKS_LEN_MAX) {
      throw new TenureError("keys_too_large", `the key set has more than ${JWKS_LEN_MAX} bytes`);
    }
    const keys = new Map<string, KeyObject>();
    for (const [kid, key] of readSet(jwks, issuer(product)).map(readJwk)) {
      if (keys.has(kid)) throw new TenureError("keys_duplicate", `key \`${kid}\` is listed twice`);
      keys.set(kid, key);
    }
    if (keys.size === 0) throw new TenureError("keys_empty", "the key set is empty");
    const test = TEST_KIDS.find((kid) => keys.has(kid));
    if (test !== undefined && !options.allowTestKeys) {
      const message = `key \`${test}\` is a published test key; anybody can sign with it`;
      throw new TenureError("keys_test_key", message);
    }
    return new TrustSet(product, keys);
  }

  get kids(): string[] {
    return [...this.keys.keys()];
  }

  knows(kid: string): boolean {
    return this.keys.has(kid);
  }

  /** Whether `signature` is that key's RS256 signature of `message`. */
  verifies(kid: string, message: Buffer, signature: Buffer): boolean {
    const key = this.keys.get(kid);
    return key !== undefined && verify("sha256", message, key, signature);
  }
}

/** The `iss` of every token of a product. */
export function issuer(product: string): string {
  return `urn:tenure:product:${product}`;
}

function readSet(jwks: string, expected: string): Members[] {
  const [found, keys] = malformed(() => {
    const set = members(readJson(Buffer.from(jwks)), "a key set");
    const other = [...set.keys()].find((name) => name !== "issuer" && name !== "keys");
    if (other !== undefined) throw new Error(`it has the member \`${other}\``);
    const list = set.get("keys");
    if (!Array.isArray(list)) throw new Error("`keys` is no list");
    return [maybe(set, "issuer", text), list.map(checkMembers)] as const;
  });
  if (found !== null && found !== expected) {
    const message = `the key set is that of \`${found}\`, expected \`${expected}\``;
    throw new TenureError("keys_wrong_issuer", message);
  }
  if (keys.length > KEYS_MAX) {
    throw new TenureError("keys_too_many", `the key set has more than ${KEYS_MAX} keys`);
  }
  return keys;
}

function malformed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new TenureError("keys_malformed", `not a key set: ${(error as Error).message}`);
  }
}

function checkMembers(json: Json): Members {
  const jwk = members(json, "a key");
  for (const name of jwk.keys()) {
    if (!MEMBERS.includes(name)) throw new Error(`a key has the member \`${name}\``);
  }
  for (const name of MEMBERS) {
    if (name === "use") maybe(jwk, name, text);
    else text(jwk.get(name) ?? null, name);
  }
  return jwk;
}

function readJwk(jwk: Members): [string, KeyObject] {
  const [kid, n] = [jwk.get("kid") as string, jwk.get("n") as string];
  const unusable = (why: string) => new TenureError("keys_unusable_key", `key \`${kid}\`: ${why}`);
  for (const [member, wanted] of [["kty", "RSA"], ["alg", "RS256"], ["use", "sig"]] as const) {
    const absent = member === "use" && (jwk.get(member) ?? null) === null;
    if (!absent && jwk.get(member) !== wanted) {
      throw new TenureError("keys_not_rs256", `key \`${kid}\`: ${member} must be \`${wanted}\``);
    }
  }
  if (jwk.get("e") !== EXPONENT) throw unusable("the public exponent must be 65537");
  const modulus = fromBase64url(n);
  if (modulus === null) throw new TenureError("keys_malformed", `key \`${kid}\`: n is not base64url`);
  const [first, last] = [modulus[0], modulus[modulus.length - 1]];
  if (!first || last === undefined) throw unusable("not an RSA key that can be read");
  const bits = modulus.length * 8 - (Math.clz32(first) - 24);
  if (bits < BITS_MIN || bits > BITS_MAX) {
    throw unusable(`a modulus has ${BITS_MIN} to ${BITS_MAX} bits, this one has ${bits}`);
  }
  if (last % 2 === 0) throw unusable("not an RSA key that can be read");
  if (thumbprint(n) !== kid) {
    throw new TenureError("keys_wrong_kid", `key \`${kid}\`: its kid is not its thumbprint`);
  }
  return [kid, createPublicKey({ key: { kty: "RSA", n, e: EXPONENT }, format: "jwk" })];
}

/** RFC 7638, section 3: the required members in order, hashed. */
export function thumbprint(n: string): string {
  const canonical = `{"e":"${EXPONENT}","kty":"RSA","n":"${n}"}`;
  return toBase64url(createHash("sha256").update(canonical).digest());
}
