/** Failures in a row after which a host is left alone. */
const LIMIT = 5;
/** Milliseconds until one request may try again. */
const COOL_DOWN_MS = 10_000;

interface HostState {
  failures: number;
  /** On the monotonic clock, milliseconds; 0: closed. */
  retryAt: number;
}

/**
 * Spares a host that does not answer, and those who wait for it: after five failures in a row requests fail at once, and every ten seconds one may try
 * again. Only silence counts as failure: an answer of 500 may be caused by one request's content, which must not shut out the others.
 */
export class Circuit {
  readonly #hosts = new Map<string, HostState>();

  /** @param now milliseconds on a monotonic clock */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** May this origin be asked now? Seconds until the next try, 0: yes. */
  wait(origin: string): number {
    const state = this.#hosts.get(origin);
    if (!state || state.retryAt === 0) return 0;
    const left = state.retryAt - this.now();
    if (left > 0) return Math.ceil(left / 1000);
    state.retryAt = this.now() + COOL_DOWN_MS;
    return 0;
  }

  answered(origin: string): void {
    this.#hosts.delete(origin);
  }

  failed(origin: string): void {
    const state = this.#hosts.get(origin) ?? { failures: 0, retryAt: 0 };
    state.failures++;
    if (state.failures >= LIMIT) state.retryAt = this.now() + COOL_DOWN_MS;
    this.#hosts.set(origin, state);
  }
}
