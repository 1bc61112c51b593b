import * as oidc from 'openid-client';
import { OutboundFailed } from '../outbound/outbound.js';
import { type ProviderHouse, UpstreamGrantDead, UpstreamUnavailable } from './contract.js';
import { endsGrant } from './token-endpoint.js';
import { reportOurFault, safeCode } from './upstream-errors.js';

/**
 * Runs requests of openid-client and turns what it throws into the contract's errors. `what`: a failure of this request can mean that our tokens are dead.
 * @throws UpstreamUnavailable  @throws UpstreamGrantDead
 */
export async function asking<Answer>(
  { id, log }: { readonly id: string; readonly log: ProviderHouse['log'] },
  ask: () => Promise<Answer>,
  what?: 'refresh' | 'identify',
): Promise<Answer> {
  try {
    return await ask();
  } catch (cause) {
    if (cause instanceof UpstreamUnavailable) throw cause;
    const message = `${id}: ${describeError(cause)}`;
    if (cause instanceof oidc.ResponseBodyError) {
      if (what === 'refresh' && endsGrant(cause.error)) throw new UpstreamGrantDead(message, { cause });
      reportOurFault(id, cause.error, log);
    }
    // Some answer junk with an empty 401, without the challenge that RFC 6750 §3 wants.
    if (what === 'identify' && statusOf(cause) === 401) throw new UpstreamGrantDead(message, { cause });
    if (what === 'refresh' && statusOf(cause) === 400 && !(cause instanceof oidc.ResponseBodyError))
      throw new UpstreamGrantDead(message, { cause });
    throw new UpstreamUnavailable(message, 5, { cause });
  }
}

function statusOf(error: unknown): number | undefined {
  if (error instanceof oidc.WWWAuthenticateChallengeError) return error.status;
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Response ? cause.status : undefined;
}

/** What went wrong, without anything an upstream or a browser wrote. */
export function describeError(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (cause instanceof OutboundFailed) return cause.message;
  if (error instanceof oidc.ResponseBodyError) return `the token endpoint answered ${safeCode(error.error)}`;
  const status = statusOf(error);
  const code = error instanceof Error && 'code' in error ? ` (${safeCode(error.code)})` : '';
  return `${error instanceof Error ? error.message.slice(0, 200) : 'failed'}${code}${status === undefined ? '' : `, status ${status}`}`;
}
