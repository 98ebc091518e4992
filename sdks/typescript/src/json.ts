/**
 * JSON as a security boundary: one meaning for every text.
 *
 * Refuses: a key given twice at any depth (two readers would see two documents), deep nesting, text
 * that is not Unicode, and anything after the document. `JSON.parse` keeps the last of two equal
 * keys and says nothing, so the document is walked here; strings and numbers are its own.
 */

export const DEPTH_MAX = 8;

/** A number that is not written as an integer: `5.0` is none. */
export class Fraction {
  constructor(readonly value: number) {}
}

export type Json = null | boolean | number | bigint | Fraction | string | Json[] | Members;
export type Members = Map<string, Json>;

const BLANK = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** The document in `bytes`; throws an `Error` that says what is wrong. */
export function readJson(bytes: Buffer): Json {
  // `ignoreBOM` keeps a byte order mark, which is then refused like any other character.
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  const reader = new Reader(text);
  const document = reader.value(0);
  reader.end();
  return document;
}

class Reader {
  private at = 0;

  constructor(private readonly text: string) {}

  value(depth: number): Json {
    this.take(BLANK);
    switch (this.text[this.at]) {
      case "{":
        return this.members(inside(depth));
      case "[":
        return this.list(inside(depth));
      case '"':
        return this.string();
      case "n":
        return this.word("null", null);
      case "t":
        return this.word("true", true);
      case "f":
        return this.word("false", false);
      default:
        return this.number();
    }
  }

  end(): void {
    this.take(BLANK);
    if (this.at < this.text.length) throw this.unexpected();
  }

  private members(depth: number): Members {
    const members: Members = new Map();
    this.at += 1;
    if (this.next("}")) return members;
    do {
      this.take(BLANK);
      const key = this.string();
      if (members.has(key)) throw new Error(`key \`${key}\` is given twice`);
      if (!this.next(":")) throw this.unexpected();
      members.set(key, this.value(depth));
    } while (this.next(","));
    if (!this.next("}")) throw this.unexpected();
    return members;
  }

  private list(depth: number): Json[] {
    const list: Json[] = [];
    this.at += 1;
    if (this.next("]")) return list;
    do list.push(this.value(depth));
    while (this.next(","));
    if (!this.next("]")) throw this.unexpected();
    return list;
  }

  private string(): string {
    const quoted = this.take(STRING);
    if (!quoted) throw this.unexpected();
    const string = JSON.parse(quoted[0]) as string;
    if (LONE_SURROGATE.test(string)) throw new Error("a text is not Unicode");
    return string;
  }

  private number(): number | bigint | Fraction {
    const number = this.take(NUMBER);
    if (!number || number[0] === "") throw this.unexpected();
    if (number[1] !== undefined || number[2] !== undefined) return new Fraction(Number(number[0]));
    const value = Number(number[0]);
    return Number.isSafeInteger(value) ? value : BigInt(number[0]);
  }

  private word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) throw this.unexpected();
    this.at += word.length;
    return value;
  }

  private next(sign: string): boolean {
    this.take(BLANK);
    const here = this.text[this.at] === sign;
    if (here) this.at += 1;
    return here;
  }

  private take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at = pattern.lastIndex;
    return found;
  }

  private unexpected(): Error {
    return new Error(`unexpected text at character ${this.at}`);
  }
}

function inside(depth: number): number {
  if (depth >= DEPTH_MAX) throw new Error(`nested more than ${DEPTH_MAX} deep`);
  return depth + 1;
}

/** The same for people who use it: plain objects, lists and numbers. */
export function plain(json: Json): unknown {
  if (json instanceof Fraction) return json.value;
  if (Array.isArray(json)) return json.map(plain);
  if (json instanceof Map) return Object.fromEntries([...json].map(([key, value]) => [key, plain(value)]));
  return json;
}
