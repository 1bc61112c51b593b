/** A bounded HTTP request to an upstream. */
export interface OutboundRequest {
  readonly method?: 'GET' | 'POST' | 'DELETE' | 'HEAD';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Whole exchange, milliseconds; default 8000. */
  readonly timeoutMs?: number;
  /** Response body cap, bytes; default 1 MiB. */
  readonly maxBytes?: number;
  /**
   * `operator`: an address from our configuration (any host may be dialled). `stranger`: an address a client gave us: https only, and every
   * address the name resolves to must be global unicast, checked before connecting.
   */
  readonly trust?: 'operator' | 'stranger';
}

export interface OutboundResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/**
 * The one door out. Follows no redirect, asks for identity encoding, sends no cookie.
 * Replaceable in tests and by `forRoot({ outbound })`.
 */
export interface Outbound {
  /**
   * @throws OutboundFailed for refused addresses, time-outs, resets, answers over the cap
   */
  send(url: URL, request?: OutboundRequest): Promise<OutboundResponse>;
}

/** No usable answer came. `cause` is for the log; `kind` is safe to show. */
export class OutboundFailed extends Error {
  override readonly name = 'OutboundFailed';
  constructor(
    readonly kind: 'refused-address' | 'unreachable' | 'timeout' | 'too-large',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
