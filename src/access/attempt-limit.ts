import { LRUCache } from 'lru-cache';

const REMEMBERED_KEYS = 20_000;

/** How many attempts a caller has in a stretch of time, counted in this process; memory is bounded. */
export class AttemptLimit {
  readonly #windows = new LRUCache<string, { count: number; endsAt: number }>({ max: REMEMBERED_KEYS });

  /** @param rule `now` is a monotonic clock in milliseconds */
  constructor(private readonly rule: { readonly max: number; readonly seconds: number; readonly now?: () => number }) {}

  /** Notes one attempt. @returns null: within the limit; else seconds until the next stretch */
  count(key: string): number | null {
    const now = this.#now();
    const window = this.#windows.get(key);
    if (!window || window.endsAt <= now) {
      this.#windows.set(key, { count: 1, endsAt: now + this.rule.seconds * 1000 });
      return null;
    }
    window.count++;
    return window.count > this.rule.max ? Math.ceil((window.endsAt - now) / 1000) : null;
  }

  /** Looks without counting. @returns null: an attempt is left; else seconds until the next stretch */
  wait(key: string): number | null {
    const now = this.#now();
    const window = this.#windows.get(key);
    if (!window || window.endsAt <= now || window.count < this.rule.max) return null;
    return Math.ceil((window.endsAt - now) / 1000);
  }

  #now(): number {
    return (this.rule.now ?? (() => performance.now()))();
  }
}
