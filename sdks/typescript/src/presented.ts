/**
 * What a customer puts into `LICENSE_KEY`: the short key, the token itself, or a `.lic` file.
 *
 * A short key has a check group, which finds every single wrong character and every swap of two
 * neighbours. A file is the token in armour, 64 characters a line, and nothing else.
 */

import { inspect } from "node:util";

import { TenureError } from "./errors";

const KEY_LEN_MAX = 160;
const LINE_LEN = 64;
export const FILE_LEN_MAX = 48 * 1024 + 2 * ((48 * 1024) / LINE_LEN) + 160;
const BEGIN = "-----BEGIN TENURE LICENSE-----";
const END = "-----END TENURE LICENSE-----";
const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHECK_PRIME = 1_048_573;
const CHECK_BASE = 1_021;
// What counts as a blank, as Unicode says (White_Space).
const BLANKS = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/g;

/** A key whose check group is right. `text` is a secret; `hint` may be shown. */
export class LicenseKey {
  readonly #text: string;

  private constructor(text: string) {
    this.#text = text;
  }

  /** Reads what a person typed; forgives case, blanks, dashes, and O for 0, I and L for 1. */
  static parse(typed: string): LicenseKey {
    const malformed = (why: string) =>
      new TenureError("license_key_malformed", `this is not a license key: ${why}`);
    if (Buffer.byteLength(typed) > KEY_LEN_MAX) throw malformed("it is too long");
    const plain = typed.replace(BLANKS, "").replace(/[\u2010-\u2015\u2212]/g, "-");
    if (/[^A-Za-z0-9-]/.test(plain)) throw malformed("it has a character that no key has");
    const text = plain.toUpperCase();
    const folded = text.replace(/O/g, "0").replace(/[IL]/g, "1");
    const parts = folded.split("-");
    if (parts.length !== 8) throw malformed("it has a wrong number of groups");
    const fits = [12, 6, 12].every((max, at) => {
      const length = parts[at]?.length ?? 0;
      return length >= 1 && length <= max;
    });
    if (!fits) throw malformed("its first groups have a wrong length");
    const groups = parts.slice(3);
    if (groups.some((group) => group.length !== 4)) {
      throw malformed("its last groups have four characters each");
    }
    const body = folded.slice(0, folded.lastIndexOf("-"));
    if (checkGroup(body) !== parts[7] || groups.some((group) => group.includes("U"))) {
      const message = "the license key has a typing mistake; compare it with the one you were sent";
      throw new TenureError("license_key_mistyped", message);
    }
    return new LicenseKey(text);
  }

  get text(): string {
    return this.#text;
  }

  get hint(): string {
    return `${this.#text.split("-").slice(0, 3).join("-")}-...`;
  }

  toJSON(): string {
    return this.hint;
  }

  [inspect.custom](): string {
    return `LicenseKey(${this.hint})`;
  }
}

function checkGroup(folded: string): string {
  const step = (sum: number, byte: number) => (sum * CHECK_BASE + byte) % CHECK_PRIME;
  const sum = Buffer.from(folded).reduce(step, 0);
  return [15, 10, 5, 0].map((bits) => CROCKFORD[(sum >> bits) & 31]).join("");
}

/** The token inside a license file; it has yet to be verified. */
export function readFile(file: string): string {
  if (Buffer.byteLength(file) > FILE_LEN_MAX) {
    throw new TenureError("file_too_large", `at most ${FILE_LEN_MAX} bytes are read`);
  }
  if (/[^\u0001-\u007f]/.test(file)) {
    const message = "the license file is not plain ASCII text; was it saved in another encoding?";
    throw new TenureError("file_not_plain", message);
  }
  const lines = split(file);
  if (lines[0] !== BEGIN) {
    const message = `the license file must begin with \`${BEGIN}\`; remove whatever stands before it`;
    throw new TenureError("file_no_begin", message);
  }
  return body(lines);
}

function body(lines: string[]): string {
  const badLine = (number: number) =>
    new TenureError("file_bad_line", `line ${number} is not part of a license; was the file re-wrapped or edited?`);
  let token = "";
  let short: number | null = null;
  for (const [index, line] of lines.entries()) {
    if (index === 0) continue;
    if (line === END) {
      if (lines.length > index + 1) {
        throw new TenureError("file_trailing", `line ${index + 2}: nothing may follow \`${END}\``);
      }
      if (token === "") throw badLine(index + 1);
      return token;
    }
    if (line.length > LINE_LEN || !/^[A-Za-z0-9._-]+$/.test(line)) throw badLine(index + 1);
    // Only the last line may be short, or the same token had many files.
    if (short !== null) throw badLine(short);
    if (line.length < LINE_LEN) short = index + 1;
    token += line;
  }
  throw new TenureError("file_no_end", `the license file lacks its last line, \`${END}\``);
}

/** The lines without their ends, which must all be alike; the last line's may lack. */
function split(file: string): string[] {
  const crlf = file.includes("\r\n");
  const ended = file.endsWith("\n");
  const lines = (ended ? file.slice(0, -1) : file).split("\n");
  return lines.map((line, index) => {
    const wants = crlf && (ended || index + 1 < lines.length);
    const has = line.endsWith("\r");
    const bare = has ? line.slice(0, -1) : line;
    if (wants !== has || bare.includes("\r")) {
      const message = `line ${index + 1}: line ends are mixed; all must be LF, or all CRLF`;
      throw new TenureError("file_mixed_line_ends", message);
    }
    return bare;
  });
}

/** A token, yet to be verified, or a key, to be exchanged. */
export function readPresented(text: string): string | LicenseKey {
  if (text.includes("-----BEGIN")) return readFile(text);
  // An environment file or a mounted secret often ends with a line break.
  const trimmed = text.replace(/^[ \t\n\r\f]+|[ \t\n\r\f]+$/g, "");
  return trimmed.includes(".") ? trimmed : LicenseKey.parse(trimmed);
}
