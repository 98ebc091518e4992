/** Why something is refused. `code` is stable and for programs; the message is for people. */
export class TenureError extends Error {
  constructor(readonly code: string, message: string) {
    super(message);
    this.name = "TenureError";
  }
}

/** Agent or server gave no answer, or refused. `status` is `null` when nobody answered. */
export class TransportError extends TenureError {
  constructor(message: string, readonly status: number | null = null) {
    super(status === null ? "unreachable" : "refused", message);
    this.name = "TransportError";
  }

  /** Whether the very same request may succeed later. */
  get worthRetrying(): boolean {
    const { status } = this;
    return status === null || status >= 500 || [401, 403, 408, 429].includes(status);
  }
}
