/** One request, one bounded answer. No redirects and no proxies: a credential goes where it was meant to. */

import { request as plain } from "node:http";
import { request as secure } from "node:https";

import { TransportError } from "./errors";

const TIMEOUT_MS = 30_000;
const ANSWER_LEN_MAX = 4 * 1024 * 1024;

export interface Call {
  readonly bearer?: string | undefined;
  readonly body?: unknown;
  readonly contentType?: string;
}

export type Answer = Record<string, unknown>;

/** GET, or POST where there is a body. */
export function call(url: string, { bearer, body, contentType = "application/json" }: Call = {}): Promise<Answer> {
  const text = body === undefined ? null : Buffer.from(JSON.stringify(body));
  const headers: Record<string, string | number> = { Accept: "application/json" };
  if (text) Object.assign(headers, { "Content-Type": contentType, "Content-Length": text.length });
  if (bearer !== undefined) headers["Authorization"] = `Bearer ${bearer}`;
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => reject(new TransportError(`${url}: ${error.message}`));
    let send: typeof plain;
    try {
      send = new URL(url).protocol === "https:" ? secure : plain;
    } catch (error) {
      return fail(error as Error);
    }
    const sent = send(url, { method: text ? "POST" : "GET", headers, timeout: TIMEOUT_MS }, (answer) => {
      const chunks: Buffer[] = [];
      let length = 0;
      answer.on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length > ANSWER_LEN_MAX) answer.destroy(new Error("the answer is too large to be read"));
        else chunks.push(chunk);
      });
      answer.on("error", fail);
      answer.on("end", () => {
        const status = answer.statusCode ?? 0;
        const found = parse(Buffer.concat(chunks));
        if (status >= 200 && status < 300) {
          return found ? resolve(found) : fail(new Error("the answer cannot be read"));
        }
        const detail = typeof found?.["detail"] === "string" ? found["detail"] : answer.statusMessage;
        reject(new TransportError(`${detail} (HTTP ${status})`, status));
      });
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer in time")));
    sent.on("error", fail);
    sent.end(text ?? undefined);
  });
}

function parse(bytes: Buffer): Answer | null {
  try {
    const found: unknown = JSON.parse(bytes.toString("utf8"));
    return typeof found === "object" && found !== null && !Array.isArray(found) ? (found as Answer) : null;
  } catch {
    return null;
  }
}
