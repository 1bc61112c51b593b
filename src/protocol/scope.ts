/** A scope parameter as a list, each once, in order; undefined or blank: none. */
export function parseScope(scope: string | undefined): string[] {
  return [...new Set((scope ?? '').split(' ').filter(Boolean))];
}

/**
 * What an authorization request asks for: unknown scopes are dropped (`offline_access` too: refresh tokens come without it), and when no scope of
 * the resource is left, the defaults are meant (real-clients S1, T3). `openid` belongs to no resource and stays.
 */
export function askedScopes(
  scope: string | undefined,
  known: { readonly names: readonly string[]; readonly defaults: readonly string[] },
): string[] {
  const asked = parseScope(scope);
  const kept = asked.filter((name) => known.names.includes(name));
  const openid = asked.includes('openid') ? ['openid'] : [];
  return [...openid, ...(kept.length > 0 ? kept : known.defaults)];
}
