/**
 * Recording usage: a bounded queue whose events are sent in batches until they are taken.
 *
 * An event gets its id once, when it is recorded. Sending it again is safe: it is counted once.
 */

import { randomUUID } from "node:crypto";

import { TransportError } from "./errors";
import type { Answer } from "./http";

export const QUEUE_MAX = 10_000;
export const BATCH_MAX = 500;
const RETRY_MS_FIRST = 5_000;
const RETRY_MS_MAX = 300_000;

export type Log = (message: string) => void;

/** A CloudEvent 1.0. */
export interface UsageEvent {
  readonly specversion: "1.0";
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly time: string;
  readonly data?: object;
}

export class Recorder {
  private readonly queue: UsageEvent[] = [];
  private sending: Promise<boolean> | null = null;
  private waitMs = 0;
  private notBefore = 0;
  /** Events that were not taken: the queue was full, or the other side will never take them. */
  refused = 0;

  constructor(
    private readonly send: (events: readonly UsageEvent[]) => Promise<Answer>,
    private readonly source: string,
    private readonly log: Log,
  ) {}

  get waiting(): number {
    return this.queue.length;
  }

  /** Queues one event; its id, or `null` when the queue is full. */
  record(type: string, data?: object, options: { id?: string; time?: Date } = {}): string | null {
    if (this.queue.length >= QUEUE_MAX) {
      this.refuse(1, "the queue is full");
      return null;
    }
    const event = this.event(type, data, options);
    this.queue.push(event);
    return event.id;
  }

  /** An event of this source, not queued. */
  event(type: string, data?: object, options: { id?: string; time?: Date } = {}): UsageEvent {
    const { id = randomUUID(), time = new Date() } = options;
    const event = { specversion: "1.0", id, source: this.source, type, time: time.toISOString() } as const;
    return data === undefined ? event : { ...event, data };
  }

  /** Sends what waits; whether all was sent. `patient` waits longer after each failure. */
  async flush(options: { patient?: boolean } = {}): Promise<boolean> {
    if (options.patient && Date.now() < this.notBefore) return false;
    this.sending ??= this.sendAll().finally(() => (this.sending = null));
    return this.sending;
  }

  private async sendAll(): Promise<boolean> {
    while (this.queue.length > 0) {
      const batch = this.queue.slice(0, BATCH_MAX);
      try {
        this.report(await this.send(batch));
      } catch (error) {
        if (!(error instanceof TransportError)) throw error;
        if (error.worthRetrying) {
          this.waitMs = Math.min(Math.max(2 * this.waitMs, RETRY_MS_FIRST), RETRY_MS_MAX);
          this.notBefore = Date.now() + this.waitMs;
          this.log(`usage waits, ${this.queue.length} events: ${error.message}`);
          return false;
        }
        this.refuse(batch.length, error.message);
      }
      this.waitMs = this.notBefore = 0;
      this.queue.splice(0, batch.length);
    }
    return true;
  }

  private report(receipt: Answer): void {
    const results = Array.isArray(receipt["results"]) ? receipt["results"] : [];
    for (const result of results as { id?: string; outcome?: string; reason?: string; detail?: string }[]) {
      if (result?.outcome === "rejected" || result?.outcome === "conflict") {
        this.refuse(1, `${result.id}: ${result.detail ?? result.reason}`);
      }
    }
  }

  private refuse(count: number, why: string): void {
    this.refused += count;
    this.log(`usage not taken, ${count} events: ${why}`);
  }
}
