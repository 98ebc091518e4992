/**
 * The three questions of a product: may this work go on, is this feature granted, does one more fit.
 * Codes and words are the same in every language. Refuses to do anything itself.
 */

import type { Action, License, Limit } from "./claims";
import { millionths, show, type Amount } from "./quantity";
import type { Verdict } from "./state";

const PAYMENT_REQUIRED = 402;
const MISSING_DEFAULT = 403;
const ACTIONS: readonly Action[] = ["allow", "warn", "banner", "block_new", "block"];
const CALENDAR = { day: "Daily", month: "Monthly", year: "Yearly" } as const;

/**
 * `status`: the HTTP status to answer with, 200, 402 or 403. `code` is stable. `message` is for
 * people; with `banner` it belongs on every page.
 */
export interface Decision {
  readonly allowed: boolean;
  readonly status: number;
  readonly code: string;
  readonly message: string | null;
  readonly banner: boolean;
}

export type Work = "new" | "running";

/** Whether work of a kind may go on in the state of the license. */
export function work(license: License, verdict: Verdict, kind: Work = "new"): Decision {
  if (verdict.state === "active") return allowed("ok", verdict.notice);
  const action = ACTIONS.indexOf(license.enforcement[verdict.state]);
  const refused = action >= ACTIONS.indexOf(kind === "running" ? "block" : "block_new");
  return {
    allowed: !refused,
    status: refused ? PAYMENT_REQUIRED : 200,
    code: `license_${verdict.reason}`,
    message: action > 0 ? verdict.notice : null,
    banner: action >= ACTIONS.indexOf("banner"),
  };
}

/** Whether a feature may be used: granted, and new work not refused. */
export function feature(license: License, verdict: Verdict, id: string): Decision {
  if (license.features.has(id)) return work(license, verdict);
  const status = license.enforcement.missing.get(id) ?? MISSING_DEFAULT;
  const message = `\`${id}\` is not part of the plan ${license.tier}. ${ask(license, "To add it")}`;
  return refused(status, "feature_missing", message);
}

/** Whether `more` fits on top of `used`. A limit that is not named grants nothing. */
export function limit(license: License, verdict: Verdict, id: string, used: Amount, more: Amount): Decision {
  const held = millionths(used);
  const total = held + millionths(more);
  const state = work(license, verdict);
  if (!state.allowed) return state;
  const bound = license.limits.get(id);
  if (bound === undefined) {
    const message = `The license has no limit \`${id}\`, so none of it is granted.`;
    return refused(PAYMENT_REQUIRED, "limit_reached", message);
  }
  const { max } = bound;
  if (max === null) return state;
  if (total > max) return past(license, bound, id, `${show(held)}/${show(max)}`);
  const reached = bound.warnAt.filter((percent) => total * 100n >= max * BigInt(percent));
  if (reached.length === 0) return state;
  const near = `${what(bound, id, "limit", "quota")}: ${show(total)}/${show(max)}`;
  const message = `${near} (${Math.max(...reached)}% reached).`;
  return { ...allowed("limit_near", message), banner: state.banner };
}

function past(license: License, bound: Limit, id: string, standing: string): Decision {
  const code = bound.per === null ? "limit_reached" : "quota_exceeded";
  const sentence = `${what(bound, id, "limit reached", "quota exceeded")}: ${standing}.`;
  switch (bound.over) {
    case "block":
      return refused(PAYMENT_REQUIRED, code, `${sentence} ${ask(license, "To raise it")}`);
    case "warn":
      return allowed(code, sentence);
    case "charge":
      return allowed(code, `${sentence} More is charged.`);
    case "true_up":
      return allowed(code, `${sentence} More is settled at the end of the year.`);
  }
}

function what(bound: Limit, id: string, held: string, consumed: string): string {
  if (bound.per !== null) return `${CALENDAR[bound.per]} ${consumed}`;
  const [first = "", ...rest] = bound.unit ?? id;
  return `${first.toUpperCase()}${rest.join("")} ${held}`;
}

function ask(license: License, purpose: string): string {
  return `${purpose}, contact ${license.salesContact ?? "the vendor"}.`;
}

function allowed(code: string, message: string | null): Decision {
  return { allowed: true, status: 200, code, message, banner: false };
}

function refused(status: number, code: string, message: string): Decision {
  return { allowed: false, status, code, message, banner: false };
}
