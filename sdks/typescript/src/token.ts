/**
 * Signed tokens: compact JWS, RS256, and nothing else.
 *
 * Does NOT look at `exp`: an expired license is a genuine license, and what it is still worth is
 * for `evaluate` to say.
 */

import { readLease, readLicense, readRevocations, type Claims, type Lease, type License, type Revocations } from "./claims";
import { TenureError } from "./errors";
import { members, text } from "./fields";
import { readJson, type Members } from "./json";
import { issuer, type TrustSet } from "./keys";
import { fromBase64url } from "./text";

const HEADER_LEN_MAX = 2 * 1024;
const ALGORITHM = "RS256";
const NAMES = ["alg", "typ", "kid"] as const;

/** A license, believing only `trust`. */
export function verifyLicense(token: string, trust: TrustSet): License {
  return verify(token, trust, "license", 48 * 1024, readLicense);
}

/** A lease, believing only `trust`. */
export function verifyLease(token: string, trust: TrustSet): Lease {
  return verify(token, trust, "lease", 8 * 1024, readLease);
}

/** A revocation list, believing only `trust`. */
export function verifyRevocations(token: string, trust: TrustSet): Revocations {
  return verify(token, trust, "revocations", 1024 * 1024, readRevocations);
}

type Reader<T> = (source: Members) => Claims<T>;

function verify<T>(token: string, trust: TrustSet, kind: string, lenMax: number, read: Reader<T>): T {
  if (Buffer.byteLength(token) > lenMax) {
    throw new TenureError("token_too_large", `a ${kind} token has at most ${lenMax} bytes`);
  }
  const [header, payload, signature, more] = token.split(".");
  if (header === undefined || payload === undefined || signature === undefined || more !== undefined) {
    throw new TenureError("token_malformed", "expected three parts with dots between");
  }
  const kid = readHeader(header, `tenure-${kind}+jwt`);
  if (!trust.knows(kid)) {
    const message = `the token is signed by key \`${shown(kid)}\`, which is not trusted here`;
    throw new TenureError("token_unknown_key", message);
  }
  // The text as it came: what is verified is what is read.
  if (!trust.verifies(kid, Buffer.from(`${header}.${payload}`), decoded("signature", signature))) {
    throw new TenureError("token_bad_signature", "the token's signature does not verify");
  }
  return readClaims(decoded("payload", payload), trust.product, kind, read);
}

function decoded(part: string, encoded: string): Buffer {
  const bytes = fromBase64url(encoded);
  if (bytes === null) {
    throw new TenureError("token_encoding", `the token's ${part} is not canonical base64url`);
  }
  return bytes;
}

function readHeader(encoded: string, typ: string): string {
  const malformed = (why: string) => new TenureError("token_header_malformed", `the token's header: ${why}`);
  if (Buffer.byteLength(encoded) > Math.floor(HEADER_LEN_MAX / 3) * 4) {
    throw malformed(`longer than ${HEADER_LEN_MAX} bytes`);
  }
  const bytes = decoded("header", encoded);
  let header: Members;
  try {
    header = members(readJson(bytes), "it");
  } catch (error) {
    throw malformed((error as Error).message);
  }
  const other = [...header.keys()].find((name) => !NAMES.some((known) => known === name));
  if (other !== undefined) {
    const message = `the header has the field \`${shown(other)}\`; only alg, typ and kid are allowed`;
    throw new TenureError("token_header_field_refused", message);
  }
  const given = (name: string): string => {
    const value = header.get(name);
    if (typeof value !== "string") throw malformed(`\`${name}\` must be given as text`);
    return value;
  };
  if (given("alg") !== ALGORITHM) {
    throw new TenureError("token_algorithm_refused", `only ${ALGORITHM} is accepted`);
  }
  if (given("typ") !== typ) throw new TenureError("token_wrong_type", `the token is not a \`${typ}\``);
  return given("kid");
}

function readClaims<T>(payload: Buffer, product: string, kind: string, read: Reader<T>): T {
  const unusable = <R>(step: () => R): R => {
    try {
      return step();
    } catch (error) {
      const message = `the token's claims are not usable: ${(error as Error).message}`;
      throw new TenureError("token_claims_invalid", message);
    }
  };
  const [found, claims] = unusable(() => {
    const source = members(readJson(payload), "they");
    const registered = (name: string) => text(source.get(name) ?? null, name);
    const found = { iss: registered("iss"), aud: registered("aud"), product: registered("product") };
    return [found, read(source)] as const;
  });
  const foreign = () => {
    throw new TenureError("token_wrong_issuer", `the token was issued by \`${shown(found.iss)}\``);
  };
  if (found.iss !== issuer(product)) foreign();
  if (found.aud !== `urn:tenure:${kind}`) {
    throw new TenureError("token_wrong_audience", `the token is meant for \`${shown(found.aud)}\``);
  }
  if (found.product !== product) foreign();
  unusable(claims.check);
  return claims.value;
}

function shown(text: string): string {
  return text.slice(0, 80);
}
