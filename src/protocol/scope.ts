/** A scope parameter as a list, each once, in order; undefined or blank: none. */
export function parseScope(scope: string | undefined): string[] {
  return [...new Set((scope ?? '').split(' ').filter(Boolean))];
}

/** What an authorization request comes to. */
export interface AskedScopes {
  readonly scopes: readonly string[];
  /** What it means, when its Client may have nothing of it; empty: something is left. */
  readonly withheld: readonly string[];
}

/**
 * What an authorization request asks for: unknown scopes are dropped (`offline_access` too: refresh tokens come without it), and when it names no scope
 * of the resource, the defaults are meant (real-clients S1, T3). What the Client may not have (`limit`; null: it may have everything) is taken off, and
 * nothing else put in its place: a narrow request is never widened (S4, security.md 19). `openid` belongs to no resource and stays.
 */
export function askedScopes(
  scope: string | undefined,
  known: {
    readonly names: readonly string[];
    readonly defaults: readonly string[];
    readonly limit?: readonly string[] | null;
  },
): AskedScopes {
  const asked = parseScope(scope);
  const named = asked.filter((name) => known.names.includes(name));
  const meant = named.length > 0 ? named : known.defaults;
  const left = withinLimit(known.limit ?? null, meant);
  const openid = asked.includes('openid') ? ['openid'] : [];
  const nothing = meant.length > 0 && left.length === 0;
  return { scopes: [...openid, ...left], withheld: nothing ? meant : [] };
}

/** Scopes without those that an administrator withholds from a Client. `limit` null: nothing is withheld. `openid` belongs to no resource and stays. */
export function withinLimit(limit: readonly string[] | null, scopes: readonly string[]): string[] {
  return limit === null ? [...scopes] : scopes.filter((scope) => scope === 'openid' || limit.includes(scope));
}

/** What decides on the scopes of a token; lists are space-separated. */
export interface TokenScopes {
  /** When it was issued. */
  readonly scope: string | undefined;
  /** What the person added to its Grant at a step-up link; null: nothing. */
  readonly widened: string | null;
  /** Of that, what its Client left out by asking for less; undefined: nothing. */
  readonly leftOut: string | undefined;
  /** What its Client may have now; null: everything. */
  readonly limit: readonly string[] | null;
}

/** The scopes that a token carries now: what the person added later counts, what an administrator withholds from its Client does not. */
export function scopesOfToken({ scope, widened, leftOut, limit }: TokenScopes): string[] {
  const without = parseScope(leftOut);
  const added = parseScope(widened ?? '').filter((name) => !without.includes(name));
  return withinLimit(limit, parseScope([scope ?? '', ...added].join(' ')));
}
