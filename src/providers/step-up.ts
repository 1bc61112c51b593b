import type { Principal } from './contract.js';

/** Injection token of the `StepUpLinks`; absent where no login provider is on. */
export const STEP_UP_LINKS = Symbol('STEP_UP_LINKS');

/** What a call lacked. */
export interface WantedScopes {
  readonly scopes: readonly string[];
  /** Names of the tools that need them, for the page. */
  readonly tools: readonly string[];
}

/** `GATEHOUSE_STEP_UP=link`: how a client that ignores a 403 challenge gets more scopes (real-clients S2). */
export interface StepUpLinks {
  /**
   * A page where the Principal's own person adds the scopes to the living Grant; the same call then succeeds with the same token.
   * @returns null: the Principal has no Grant that could be widened (a static token, a foreign issuer): answer the 403 challenge
   * @throws DatabaseUnavailable
   */
  linkFor(principal: Principal, wanted: WantedScopes): Promise<URL | null>;
}

/** What the tool result says: for the model to pass on to the person. */
export function stepUpWords(link: URL, { scopes, tools }: WantedScopes): string {
  return [
    `${tools.join(', ')} needs a permission that has not been given yet: ${scopes.join(' ')}.`,
    `Show this link to the person and ask them to open it in their browser, where they can allow it: ${link.href}`,
    'After they have, call the tool again. The link works once and for ten minutes.',
  ].join('\n');
}
