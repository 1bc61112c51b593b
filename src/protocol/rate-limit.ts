/** Keys that are remembered at once; older ones are forgotten, which can only let a request through. */
const REMEMBERED = 50_000;
const WINDOW_MS = 60_000;

/** A counter for each key in fixed windows of a minute; time comes from a monotonic clock. */
export class RateLimit {
  readonly #perMinute: number;
  readonly #now: () => number;
  #windows = new Map<string, { startedAt: number; count: number }>();

  /** @param options `now`: milliseconds of a monotonic clock */
  constructor(options: { perMinute: number; now?: () => number }) {
    this.#perMinute = options.perMinute;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Counts one request. @returns 0: it may pass; otherwise the seconds to wait */
  take(key: string): number {
    const now = this.#now();
    const window = this.#windows.get(key);
    if (!window || now - window.startedAt >= WINDOW_MS) {
      this.#windows.delete(key);
      if (this.#windows.size >= REMEMBERED) this.#windows.delete(this.#windows.keys().next().value!);
      this.#windows.set(key, { startedAt: now, count: 1 });
      return 0;
    }
    window.count++;
    return window.count <= this.#perMinute ? 0 : Math.max(1, Math.ceil((window.startedAt + WINDOW_MS - now) / 1000));
  }
}

/** What an address is counted by: IPv4 as it is, IPv6 by its /64, which one subscriber holds (security.md 45). */
export function addressKey(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1]!;
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('%')[0]!.toLowerCase().split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle =
    tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  return [...left, ...middle, ...right]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
