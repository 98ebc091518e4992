/** The license of a running product. */

import { readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";

import { renews, revocationOf, type License, type Revocation, type Revocations } from "./claims";
import { feature, limit, work, type Decision, type Work } from "./enforcement";
import { TenureError, TransportError } from "./errors";
import { TrustSet } from "./keys";
import { FILE_LEN_MAX, LicenseKey, readPresented } from "./presented";
import { millionths, show, type Amount } from "./quantity";
import { Agent, Server, type Grant, type Source } from "./sources";
import { evaluate, type State, type Verdict } from "./state";
import { StateFile } from "./state-file";
import { verifyLease, verifyLicense, verifyRevocations } from "./token";
import { Recorder, type Log } from "./usage";

const TICK_MS = 5_000;
const SAVE_SECONDS = 3600;
const PATH_LEN_MAX = 4096;

export interface Options {
  /** The product's id in its product file. */
  readonly product: string;
  /** The key set that the vendor publishes, as text. */
  readonly keys: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** For the golden vectors and for nothing else. */
  readonly allowTestKeys?: boolean;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  readonly log?: Log;
}

interface Parts {
  readonly trust: TrustSet;
  readonly source: Source | null;
  readonly recorder: Recorder | null;
  readonly stateFile: StateFile | null;
  readonly clock: () => number;
  readonly log: Log;
}

/** Questions are answered from memory; the network is asked in the background. */
export class Tenure {
  private held!: { readonly token: string; readonly license: License };
  private judged!: Verdict;
  private revocations: Revocations | null = null;
  private takenBack: Revocation | null = null;
  private contact: number | null = null;
  private floor = 0;
  private saved = 0;
  private timer: NodeJS.Timeout | null = null;
  private due = 0;

  private constructor(private readonly parts: Parts) {}

  /**
   * As the environment says: `TENURE_AGENT_SECRET_FILE` for an agent, else `LICENSE_KEY` with a
   * token, a `.lic` file or its path, or a short key for `TENURE_SERVER`.
   */
  static async fromEnv(options: Options): Promise<Tenure> {
    const { product, keys, env = process.env, allowTestKeys = false, clock = Date.now } = options;
    const log = options.log ?? ((message) => console.error(`tenure: ${message}`));
    const trust = TrustSet.fromJwks(product, keys, { allowTestKeys });
    const { token, source, takesUsage } = place(env);
    const origin = env["TENURE_SOURCE"] || `/${product}/${hostname() || "unknown"}`;
    const recorder = source && takesUsage ? new Recorder((it) => source.sendUsage(it), origin, log) : null;
    const path = env["TENURE_STATE_FILE"];
    const stateFile = path ? new StateFile(path, log) : null;
    const tenure = new Tenure({ trust, source, recorder, stateFile, clock, log });
    await tenure.start(token);
    return tenure;
  }

  /** What was granted, to whom, and until when. Verified. */
  get license(): License {
    return this.held.license;
  }

  get state(): State {
    return this.verdict().state;
  }

  /** What to tell people now, if anything. */
  get notice(): string | null {
    return this.verdict().notice;
  }

  /** Events that wait to be sent, and events that were not taken since the start. */
  get usage(): { readonly waiting: number; readonly refused: number } {
    const { recorder } = this.parts;
    return { waiting: recorder?.waiting ?? 0, refused: recorder?.refused ?? 0 };
  }

  /** The state with its reason; judged anew when it changes, or when the clock went back. */
  verdict(): Verdict {
    const now = this.now();
    const current = this.judged.until === null || now < this.judged.until;
    if (now >= this.floor && current && !this.judged.clockSuspect) {
      this.floor = now;
      if (now - this.saved >= SAVE_SECONDS) this.save(now);
      return this.judged;
    }
    return this.judge(now);
  }

  /** Whether a feature may be used now. */
  feature(id: string): Decision {
    return feature(this.license, this.verdict(), id);
  }

  /** Whether `more` fits on top of `used`. */
  limit(id: string, used: Amount, more: Amount = 1): Decision {
    return limit(this.license, this.verdict(), id, used, more);
  }

  /** Whether `new` work may begin, or `running` work go on. */
  work(kind: Work = "new"): Decision {
    return work(this.license, this.verdict(), kind);
  }

  /**
   * Records usage in the background; the event's id, or `null` when it was not taken (nowhere to
   * send it, or the queue is full). Never waits.
   */
  record(type: string, data?: object, options: { id?: string; time?: Date } = {}): string | null {
    return this.parts.recorder?.record(type, data, options) ?? null;
  }

  /**
   * Uses a part of a quota and records it, both or neither: the agent beside decides and writes the
   * event down in one step. `quantity` is what the quota's meter counts of the event. `id` names
   * what is counted, so that asking again after a lost answer counts once.
   */
  async consume(
    quota: string,
    type: string,
    data?: object,
    options: { quantity?: Amount; id?: string; time?: Date } = {},
  ): Promise<Decision> {
    const { source, recorder } = this.parts;
    if (!(source instanceof Agent) || !recorder) {
      throw new TenureError("agent_missing", "quotas are used through an agent");
    }
    const { quantity = 1, ...named } = options;
    const event = recorder.event(type, data, named);
    const answer = await source.consume(quota, show(millionths(quantity)), event);
    const [status, message] = [answer["status"], answer["message"]];
    return {
      allowed: answer["allowed"] === true,
      status: typeof status === "number" ? status : 402,
      code: String(answer["code"]),
      message: typeof message === "string" ? message : null,
      banner: answer["banner"] === true,
    };
  }

  /** Asks agent or server now; what is held stays when that fails. */
  async refresh(): Promise<void> {
    const { source } = this.parts;
    const { token, license } = this.held;
    if (source) this.apply(await source.fetch({ token, revision: license.revision }));
  }

  /** Sends what waits; whether all of it was taken. */
  async flush(): Promise<boolean> {
    return (await this.parts.recorder?.flush()) ?? true;
  }

  /** Sends what waits, once, and ends what runs in the background. */
  async close(): Promise<void> {
    if (this.timer) clearInterval(this.timer);
    await this.flush();
    this.save(this.now());
  }

  private async start(token: string | null): Promise<void> {
    const { source, stateFile } = this.parts;
    const kept = stateFile?.read();
    this.floor = kept?.floor ?? 0;
    this.apply(token === null ? await this.first(kept?.license ?? null) : { license: token });
    if (source === null) return;
    this.due = Date.now() + source.refreshSeconds * 1000;
    // A product that has nothing else to do may end.
    this.timer = setInterval(() => void this.tick(source), TICK_MS).unref();
  }

  /** The first grant; the license kept from before when nobody can be reached. */
  private async first(kept: string | null): Promise<Grant> {
    const { source } = this.parts;
    if (source === null) throw missing();
    try {
      return await source.fetch();
    } catch (error) {
      if (kept === null || !(error instanceof TransportError)) throw error;
      return { license: kept };
    }
  }

  /** Believes what is signed, and takes over all of it or nothing. */
  private apply(grant: Grant): void {
    const { trust, source } = this.parts;
    if (grant.license === null) throw missing();
    const license = verifyLicense(grant.license, trust);
    const lease = grant.lease ? verifyLease(grant.lease, trust) : null;
    const list = grant.revocations ? verifyRevocations(grant.revocations, trust) : null;
    const before = this.held?.license;
    if (before && before.id === license.id && before.revision > license.revision) {
      throw new TenureError("license_older", "a newer revision of this license is held");
    }
    this.held = { token: grant.license, license };
    if (list && list.epoch >= (this.revocations?.epoch ?? 0)) this.revocations = list;
    this.takenBack = grant.takenBack ?? null;
    const mine = lease && renews(lease, license) ? lease : null;
    if (mine) this.contact = Math.max(mine.expires, this.contact ?? mine.expires);
    else if (source?.followsContact) this.contact ??= grant.heldSince ?? null;
    this.floor = Math.max(this.floor, license.issued, mine?.issued ?? 0, list?.issued ?? 0, grant.floor ?? 0);
    const now = this.now();
    this.judge(now);
    this.save(now);
  }

  private judge(now: number): Verdict {
    const signed = this.revocations && revocationOf(this.revocations, this.license);
    const facts = { floor: this.floor, revocation: signed ?? this.takenBack, contactUntil: this.contact };
    this.judged = evaluate(this.license, now, facts);
    this.floor = Math.max(this.floor, now);
    if (Math.abs(now - this.saved) >= SAVE_SECONDS) this.save(now);
    return this.judged;
  }

  private save(now: number): void {
    this.saved = now;
    this.parts.stateFile?.write({ floor: this.floor, license: this.held.token });
  }

  private now(): number {
    return Math.floor(this.parts.clock() / 1000);
  }

  private async tick(source: Source): Promise<void> {
    try {
      await this.parts.recorder?.flush({ patient: true });
      if (Date.now() < this.due) return;
      this.due = Date.now() + source.refreshSeconds * 1000;
      await this.refresh();
    } catch (error) {
      this.parts.log(`the license was not renewed: ${(error as Error).message}`);
    }
  }
}

interface Place {
  readonly token: string | null;
  readonly source: Source | null;
  readonly takesUsage: boolean;
}

/** The token that is held, and who is asked: an agent where there is one, else the server. */
function place(env: Readonly<Record<string, string | undefined>>): Place {
  const secretFile = env["TENURE_AGENT_SECRET_FILE"];
  if (secretFile) {
    const agent = new Agent(readText(secretFile), env["TENURE_AGENT"] || undefined);
    return { token: null, source: agent, takesUsage: true };
  }
  const found = presented(env["LICENSE_KEY"] ?? "");
  const key = found instanceof LicenseKey ? found : null;
  const token = found instanceof LicenseKey ? null : found;
  const [address, apiKey] = [env["TENURE_SERVER"], env["TENURE_API_KEY"] || undefined];
  if (address) return { token, source: new Server(address, key, apiKey), takesUsage: apiKey !== undefined };
  if (key) {
    const message = "a license key is exchanged for a license: set TENURE_SERVER, or run an agent";
    throw new TenureError("license_key_needs_server", message);
  }
  return { token, source: null, takesUsage: false };
}

/** A key, a token or a file; or the path of a file that holds one of them. */
function presented(text: string): string | LicenseKey {
  if (text.trim() === "") throw missing();
  const isPath = text.length < PATH_LEN_MAX && !/[\n\0]/.test(text) && isFile(text);
  return readPresented(isPath ? readText(text) : text);
}

/** A text that cannot even be a path is none; its error, which would show the text, is not told. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function readText(path: string): string {
  try {
    if (statSync(path).size > FILE_LEN_MAX) throw new Error("the file is too large");
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new TenureError("file_unreadable", `${path}: ${(error as Error).message}`);
  }
}

function missing(): TenureError {
  return new TenureError("license_missing", "there is no license: set LICENSE_KEY, or run an agent");
}
