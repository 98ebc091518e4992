/** Base64url in its one canonical form. */

const BASE64URL = /^[A-Za-z0-9_-]*$/;

/** The bytes of a canonical base64url text; `null` for any other text. */
export function fromBase64url(text: string): Buffer | null {
  if (!BASE64URL.test(text) || text.endsWith("\n")) return null;
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : null;
}

export function toBase64url(bytes: Buffer | string): string {
  return Buffer.from(bytes).toString("base64url");
}
