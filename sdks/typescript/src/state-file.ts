/**
 * What outlives a restart: the time floor, and the last license. Nothing in it is believed without
 * its signature, and a file that cannot be read is as good as none.
 */

import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";

import type { Log } from "./usage";

export interface Kept {
  readonly floor: number;
  readonly license: string | null;
}

export class StateFile {
  constructor(private readonly path: string, private readonly log: Log) {}

  read(): Kept {
    try {
      const { floor, license } = JSON.parse(readFileSync(this.path, "utf8")) as Record<string, unknown>;
      return {
        floor: Number.isSafeInteger(floor) ? (floor as number) : 0,
        license: typeof license === "string" ? license : null,
      };
    } catch {
      return { floor: 0, license: null };
    }
  }

  /** Replaces the file as a whole; a failure is logged, never thrown. */
  write(kept: Kept): void {
    try {
      const beside = `${this.path}.new`;
      const file = openSync(beside, "w", 0o600);
      try {
        writeSync(file, JSON.stringify(kept));
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(beside, this.path);
    } catch (error) {
      this.log(`the license state cannot be kept: ${(error as Error).message}`);
    }
  }
}
