import type { LoginProvider } from './contract.js';

/** Optional power of a LoginProvider: scopes of its upstream that bring others along, or that it answers under another name. */
export interface WidensScopes {
  /** What a granted scope also stands for, directly; without itself. */
  alsoGrants(scope: string): readonly string[];
}

/** Scopes that say how to sign in and permit nothing: upstreams grant them without naming them in their answer. */
const NO_PERMISSION = new Set(['openid', 'offline_access']);

/** Those of `needed` that the upstream did not grant. */
export function notGranted(provider: LoginProvider, granted: readonly string[], needed: readonly string[]): string[] {
  const covered = new Set(granted);
  if (widens(provider)) for (const scope of covered) for (const also of provider.alsoGrants(scope)) covered.add(also);
  return needed.filter((scope) => !covered.has(scope) && !NO_PERMISSION.has(scope));
}

function widens(provider: LoginProvider): provider is LoginProvider & WidensScopes {
  return 'alsoGrants' in provider && typeof provider.alsoGrants === 'function';
}
