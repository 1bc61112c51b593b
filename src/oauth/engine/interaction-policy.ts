import { interactionPolicy } from 'oidc-provider';

/** When a person is asked: the engine's own rules without the one that asks on every loopback login, and with one for Users who are gone. */
export function gatehousePolicy(): interactionPolicy.DefaultPolicy {
  const { Check, base } = interactionPolicy;
  const policy = base();
  policy.get('consent')?.checks.remove('native_client_prompt');
  policy.get('login')?.checks.add(
    // Without it a blocked or erased User in a signed-in browser is a 500.
    new Check('account_gone', 'the signed-in person is no longer known', (ctx) =>
      ctx.oidc.session?.accountId !== undefined && ctx.oidc.account === undefined
        ? Check.REQUEST_PROMPT
        : Check.NO_NEED_TO_PROMPT,
    ),
  );
  return policy;
}
