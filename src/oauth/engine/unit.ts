import { AsyncLocalStorage } from 'node:async_hooks';
import type { Statement } from '../../persistence/statement.js';
import type { TokenKind } from '../token.entity.js';

/**
 * What one `/token` request wants to write. The engine consumes, then saves, then may still refuse; collected here, all of it is committed at once
 * before the answer leaves, or nothing is (as a refused request must consume nothing).
 */
export class TokenUnit {
  /** What the client presented, and of which Grant; null: nothing that is known. */
  presented: { readonly kind: TokenKind; readonly grantId: string | null } | null = null;
  /** The code or refresh token that this request uses up. */
  consumed: { readonly kind: TokenKind; readonly value: string } | null = null;
  readonly inserts: Statement[] = [];
  grantId: string | null = null;
  userId: string | null = null;
  clientId: string | null = null;
  /** Of the sign-in that made the Grant; null: unknown. */
  reference: string | null = null;
  /** Why the Client of what was presented may not use it; null: it may. */
  suspended: 'pending' | 'blocked' | null = null;
  /** What the person added to its Grant, space-separated; null: nothing. */
  widened: string | null = null;
  /** What its Client may have at most; null: everything. */
  limit: readonly string[] | null = null;
  /** When the last of the new tokens ends, epoch seconds. */
  until = 0;
  /** What the engine refused the request for. */
  refusal: Error | null = null;
}

/**
 * What one request of a browser to `/authorize` writes: Interaction, browser, code. Committed at once before the answer leaves, so that a code exists
 * exactly when its Interaction has ended, and a request costs one commit.
 */
export class Navigation {
  readonly #writes = new Map<string, Statement>();

  /** The latest write of a key counts, at the place of its first. */
  write(key: string, statement: Statement): void {
    this.#writes.set(key, statement);
  }

  get statements(): readonly Statement[] {
    return [...this.#writes.values()];
  }
}

const units = new AsyncLocalStorage<TokenUnit>();
const navigations = new AsyncLocalStorage<Navigation>();

/** Runs one request to `/authorize`; `currentNavigation` finds `navigation` meanwhile. */
export function inNavigation<T>(navigation: Navigation, run: () => Promise<T>): Promise<T> {
  return navigations.run(navigation, run);
}

/** undefined: not inside a request to `/authorize`, so writes happen at once. */
export function currentNavigation(): Navigation | undefined {
  return navigations.getStore();
}

/** Runs one `/token` request; `currentUnit` finds `unit` meanwhile. */
export function inUnit<T>(unit: TokenUnit, run: () => Promise<T>): Promise<T> {
  return units.run(unit, run);
}

/** undefined: not inside a `/token` request, so writes happen at once. */
export function currentUnit(): TokenUnit | undefined {
  return units.getStore();
}
