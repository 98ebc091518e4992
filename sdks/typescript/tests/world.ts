/** A vendor of the test's own: a fresh key, licenses signed with it, and an agent or a server. */

import { generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import { thumbprint } from "../src/keys";
import { toBase64url } from "../src/text";

export type Json = any;
const PATH = join(__dirname, "../../../../crates/license/vectors/license.json");
export const VECTORS: Json = JSON.parse(readFileSync(PATH, "utf8"));

const PAIR = generateKeyPairSync("rsa", { modulusLength: 2048 });
const N = PAIR.publicKey.export({ format: "jwk" }).n as string;
const KID = thumbprint(N);
export const KEYS = JSON.stringify({ keys: [{ kty: "RSA", alg: "RS256", kid: KID, n: N, e: "AQAB" }] });
export const now = () => Math.floor(Date.now() / 1000);

function signed(kind: string, claims: object): string {
  const header = { alg: "RS256", typ: `tenure-${kind}+jwt`, kid: KID };
  const message = [header, claims].map((part) => toBase64url(JSON.stringify(part))).join(".");
  return `${message}.${toBase64url(sign("sha256", Buffer.from(message), PAIR.privateKey))}`;
}

/** The metered license of the vectors, in force for a year from yesterday. */
export function license(changes: object = {}): string {
  const iat = now() - 86_400;
  return signed("license", { ...VECTORS.licenses[1].claims, iat, exp: iat + 366 * 86_400, ...changes });
}

const ids = { iss: "urn:tenure:product:incidentfox", product: "incidentfox" };
export const LICENSE_ID = `lic_${"1".padStart(32, "0")}`;

export function lease(exp: number, licenseId = LICENSE_ID): string {
  const instance = `ins_${"7".padStart(32, "0")}`;
  const rest = { sub: "ten_01", jti: "lea_01", revision: 3, key: "k", epoch: 0, heartbeat_seconds: 300 };
  const times = { iat: exp - 5 * 86_400, exp };
  return signed("lease", { ...ids, aud: "urn:tenure:lease", ...times, ...rest, license: licenseId, instance });
}

export function revocations(epoch: number, withdrawn: object[]): string {
  return signed("revocations", { ...ids, aud: "urn:tenure:revocations", iat: now(), epoch, withdrawn });
}

/** An HTTP server that answers from a table and remembers what it was asked. */
export class Other {
  readonly asked: { path: string; bearer: string | undefined; body: Json }[] = [];

  private constructor(readonly answers: Record<string, [number, object]>, private readonly server: Server) {}

  static async start(answers: Record<string, [number, object]>): Promise<Other> {
    const server = createServer();
    const other = new Other(answers, server);
    server.on("request", (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = JSON.parse(Buffer.concat(chunks).toString() || "null");
        const path = request.url ?? "";
        other.asked.push({ path, bearer: request.headers.authorization, body });
        const [status, answer] = other.answers[path] ?? [404, { detail: "no such path" }];
        response.writeHead(status, { Connection: "close" }).end(JSON.stringify(answer));
      });
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    return other;
  }

  get address(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server.close();
  }
}
