/** Reading typed members out of verified JSON. Each throws an `Error` that says what is wrong. */

import { type Json, type Members } from "./json";

export const NAME_LEN_MAX = 256;
export const COUNT_MAX = Number.MAX_SAFE_INTEGER;
// What a timestamp can say, in seconds: the years -9999 to 9999.
export const TIME_MIN = -377_705_023_201;
export const TIME_MAX = 253_402_207_200;

export type Read<T> = (value: Json, name: string) => T;

/** A member that must be there. */
export function field<T>(source: Members, name: string, read: Read<T>): T {
  const value = source.get(name);
  if (value === undefined) throw new Error(`${name} is missing`);
  return read(value, name);
}

/** A member that may be left out. */
export function fieldOr<T>(source: Members, name: string, read: Read<T>, otherwise: T): T {
  const value = source.get(name);
  return value === undefined ? otherwise : read(value, name);
}

/** A member that may be left out or `null`. */
export function maybe<T>(source: Members, name: string, read: Read<T>): T | null {
  const value = source.get(name);
  return value === undefined || value === null ? null : read(value, name);
}

export const text: Read<string> = (value, name) => {
  if (typeof value !== "string") throw new Error(`${name} is no text`);
  return value;
};

export const flag: Read<boolean> = (value, name) => {
  if (typeof value !== "boolean") throw new Error(`${name} is neither true nor false`);
  return value;
};

export function between(lowest: number, highest: number): Read<number> {
  return (value, name) => {
    if (typeof value !== "number" || value < lowest || value > highest) {
      throw new Error(`${name} is no integer from ${lowest} to ${highest}`);
    }
    return value;
  };
}

export const moment = between(TIME_MIN, TIME_MAX);
export const u32 = between(0, 0xffff_ffff);
export const count = between(0, COUNT_MAX);

/** Up to 2^64 - 1; beyond 2^53 it is only known to be large. */
export const u64: Read<number> = (value, name) =>
  typeof value === "bigint" && value > 0n && value < 1n << 64n ? Number(value) : count(value, name);

/** A count, or -1 for unlimited (`null`). */
export const cap: Read<number | null> = (value, name) => {
  const found = between(-1, COUNT_MAX)(value, name);
  return found === -1 ? null : found;
};

export function oneOf<W extends string>(...words: W[]): Read<W> {
  return (value, name) => {
    const word = words.find((word) => word === value);
    if (word === undefined) throw new Error(`${name} is none of ${words.join(", ")}`);
    return word;
  };
}

export function listOf<T>(read: Read<T>): Read<T[]> {
  return (value, name) => {
    if (!Array.isArray(value)) throw new Error(`${name} is no list`);
    return value.map((item) => read(item, name));
  };
}

export const members: Read<Members> = (value, name) => {
  if (!(value instanceof Map)) throw new Error(`${name} is no object`);
  return value;
};

export function mapOf<T>(read: Read<T>): Read<Map<string, T>> {
  return (value, name) =>
    new Map([...members(value, name)].map(([key, item]) => [key, read(item, `${name}.${key}`)]));
}

export function idOf(prefix: string): Read<string> {
  const pattern = new RegExp(`^${prefix}_[0-9a-f]{32}$`);
  return (value, name) => {
    if (typeof value !== "string" || !pattern.test(value) || value.length !== prefix.length + 33) {
      throw new Error(`${name} is no id that begins with ${prefix}_`);
    }
    return value;
  };
}

export function ensure(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
}

/** A name: bounded, without control characters. */
export function short(name: string, value: string): void {
  ensure(Buffer.byteLength(value) <= NAME_LEN_MAX, `${name} is longer than ${NAME_LEN_MAX} bytes`);
  ensure(!/[\u0000-\u001f\u007f-\u009f]/.test(value), `${name} has control characters`);
}
