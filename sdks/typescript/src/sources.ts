/**
 * Where a license comes from while the product runs: an agent beside it, or the vendor's server.
 *
 * What they answer is a `Grant` of tokens, which are verified by whoever uses them. Fields outside a
 * signature are used only where they make the answer stricter.
 */

import { hostname } from "node:os";

import type { Revocation } from "./claims";
import { TransportError } from "./errors";
import { call, type Answer } from "./http";
import type { LicenseKey } from "./presented";

export const AGENT_ADDRESS = "http://127.0.0.1:8766";
const BATCH = "application/cloudevents-batch+json";

/** Tokens, yet to be verified. `heldSince`, `floor` and `takenBack` are unsigned. */
export interface Grant {
  readonly license: string | null;
  readonly lease?: string | null;
  readonly revocations?: string | null;
  readonly heldSince?: number | null;
  readonly floor?: number | null;
  readonly takenBack?: Revocation | null;
}

export interface Source {
  readonly refreshSeconds: number;
  /** Whether it holds leases, so that staying out of contact can be judged. */
  readonly followsContact: boolean;
  fetch(held?: { readonly token: string; readonly revision: number }): Promise<Grant>;
  sendUsage(events: readonly object[]): Promise<Answer>;
}

/** The agent on this machine, opened with its local secret. */
export class Agent implements Source {
  readonly refreshSeconds = 60;
  readonly followsContact = true;
  readonly #secret: string;

  constructor(secret: string, private readonly address: string = AGENT_ADDRESS) {
    this.#secret = secret.trim();
  }

  async fetch(): Promise<Grant> {
    const answer = await call(`${base(this.address)}/v1/license`, { bearer: this.#secret });
    return {
      license: text(answer, "license"),
      lease: text(answer, "lease"),
      revocations: text(answer, "revocations"),
      heldSince: moment(answer["held_since"]),
      floor: moment(answer["floor"]),
    };
  }

  sendUsage(events: readonly object[]): Promise<Answer> {
    const url = `${base(this.address)}/v1/usage`;
    return call(url, { bearer: this.#secret, body: events, contentType: BATCH });
  }

  /** Checks a quota and records the event, both or neither. */
  consume(quota: string, quantity: string, event: object): Promise<Answer> {
    const url = `${base(this.address)}/v1/quota/${encodeURIComponent(quota)}/consume`;
    return call(url, { bearer: this.#secret, body: { quantity, event } });
  }
}

/** The vendor's server. `key`: a short license key; `apiKey`: opens the usage API. */
export class Server implements Source {
  readonly refreshSeconds = 3600;
  readonly followsContact = false;
  readonly #key: LicenseKey | null;
  readonly #apiKey: string | undefined;

  constructor(private readonly address: string, key: LicenseKey | null = null, apiKey?: string) {
    this.#key = key;
    this.#apiKey = apiKey;
  }

  /** Exchanges the license key for a license. No key pair is shown, so no lease is given. */
  async activate(): Promise<Answer> {
    if (this.#key === null) throw new TransportError("there is no license key to exchange");
    const body = { license_key: this.#key.text, name: hostname().slice(0, 100) };
    return call(`${base(this.address)}/api/v1/activate`, { body });
  }

  /** Whether the vendor still stands by a license token: `valid`, `status`, `reason`. */
  validate(token: string): Promise<Answer> {
    return call(`${base(this.address)}/api/v1/validate`, { body: { token } });
  }

  async fetch(held?: { readonly token: string; readonly revision: number }): Promise<Grant> {
    if (held) {
      const { revision, reason } = await this.validate(held.token);
      const newer = typeof revision === "number" && revision > held.revision;
      if (!newer || this.#key === null) {
        const taken = reason === "revoked" || reason === "superseded" ? reason : null;
        const at = Math.floor(Date.now() / 1000);
        return { license: held.token, takenBack: taken && { kind: taken, at } };
      }
    }
    const answer = await this.activate();
    return { license: text(answer, "license_token"), revocations: text(answer, "revocations") };
  }

  sendUsage(events: readonly object[]): Promise<Answer> {
    const url = `${base(this.address)}/api/v1/usage`;
    return call(url, { bearer: this.#apiKey, body: events, contentType: BATCH });
  }
}

function base(address: string): string {
  return address.replace(/\/+$/, "");
}

function text(answer: Answer, name: string): string | null {
  const value = answer[name];
  return typeof value === "string" ? value : null;
}

/** Whole seconds, or RFC 3339; `null` for anything else. */
function moment(value: unknown): number | null {
  const seconds = typeof value === "string" ? Math.floor(Date.parse(value) / 1000) : value;
  return typeof seconds === "number" && Number.isSafeInteger(seconds) ? seconds : null;
}
