/**
 * Exact quantities: at most 15 digits before and 6 after the point, as whole millionths.
 * A fraction is given as text (`"0.5"`): a floating-point number would already be another one.
 */

export type Amount = number | bigint | string;

export const MILLION = 1_000_000n;
const PLAIN = /^(-?)([0-9]+)(?:\.([0-9]+))?$/;
const BOUND = 10n ** 15n * MILLION;

/** An amount in millionths; throws a `RangeError` where it is none. */
export function millionths(amount: Amount): bigint {
  if (typeof amount === "number" && !Number.isSafeInteger(amount)) {
    throw new RangeError("a quantity is an integer, or a text such as '0.5'");
  }
  const text = String(amount);
  const [, minus, whole = "", fraction = ""] = (text.length <= 60 && !text.endsWith("\n") && PLAIN.exec(text)) || [];
  if (whole === "") throw new RangeError(`\`${text.slice(0, 60)}\` is not a quantity`);
  const digits = fraction.replace(/0+$/, "");
  const value = BigInt(whole) * MILLION + BigInt(digits.slice(0, 6).padEnd(6, "0"));
  if (minus && value > 0n) throw new RangeError("a quantity cannot be negative");
  if (digits.length > 6 || value >= BOUND) {
    throw new RangeError("a quantity has at most 15 digits before and 6 after the point");
  }
  return value;
}

/** Without trailing zeros and without an exponent. */
export function show(value: bigint): string {
  const fraction = String(value % MILLION).padStart(6, "0").replace(/0+$/, "");
  return `${value / MILLION}${fraction && `.${fraction}`}`;
}
