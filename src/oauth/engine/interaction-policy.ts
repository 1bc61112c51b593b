import { interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider';
import type { IdentityKey } from '../../providers/contract.js';

/**
 * When a person is asked: the engine's own rules without the one that asks on every loopback login, and with one for Users who are gone or must sign in
 * anew. `refusedIn` names the account that no rule admits any more, for the page.
 */
export function gatehousePolicy(
  refusedIn: (ctx: KoaContextWithOIDC) => IdentityKey | undefined,
): interactionPolicy.DefaultPolicy {
  const { Check, base } = interactionPolicy;
  const policy = base();
  policy.get('consent')?.checks.remove('native_client_prompt');
  policy.get('login')?.checks.add(
    // Without it a blocked or erased User in a signed-in browser is a 500.
    new Check('account_gone', 'the signed-in person must sign in anew', (ctx) =>
      ctx.oidc.session?.accountId !== undefined && ctx.oidc.account === undefined
        ? Check.REQUEST_PROMPT
        : Check.NO_NEED_TO_PROMPT,
    ),
  );
  policy.get('login')?.checks.add(
    new Check(
      'not_admitted',
      'no rule admits the person any more',
      (ctx) => (refusedIn(ctx) ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT),
      (ctx) => ({ refused: refusedIn(ctx) }),
    ),
  );
  return policy;
}
