import type { OutboundRequest } from '../outbound/outbound.js';
import { type ProviderHouse, UpstreamGrantDead, type UpstreamTokens, UpstreamUnavailable } from './contract.js';
import { reportOurFault, safeCode } from './upstream-errors.js';
import { asObject, asText, askJson, endOf } from './upstream-json.js';

/** Error codes of a token endpoint that end a grant: only a new sign-in helps. `bad_refresh_token` is GitHub's, `invalid_code` ORY's and others'. */
const DEAD = new Set(['invalid_grant', 'bad_refresh_token', 'unsupported_grant_type', 'invalid_code', 'invalid_token']);

/** Does this error code of a token endpoint end the grant? */
export function endsGrant(code: unknown): boolean {
  return typeof code === 'string' && DEAD.has(code);
}

/** A refresh at an upstream whose passport strategy has none. */
export interface RefreshAsk {
  readonly id: string;
  readonly url: URL;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly refreshToken: string;
}

/**
 * RFC 6749 §6, with the client's secret in the body. Keeps the old refresh token when the answer brings none.
 * @throws UpstreamGrantDead  @throws UpstreamUnavailable
 */
export async function refreshAt(
  ask: RefreshAsk,
  house: Pick<ProviderHouse, 'outbound' | 'log'>,
): Promise<UpstreamTokens> {
  const { status, body } = await askJson(
    house.outbound,
    ask.url,
    formPost({
      grant_type: 'refresh_token',
      refresh_token: ask.refreshToken,
      client_id: ask.clientId,
      client_secret: ask.clientSecret,
    }),
  );
  const answer = asObject(body);
  const error = answer?.['error'];
  if (endsGrant(error)) throw new UpstreamGrantDead(`${ask.id} answered the refresh with ${safeCode(error)}`);
  if (typeof error === 'string') reportOurFault(ask.id, error, house.log);
  if (status !== 200 || !answer || error || !asText(answer['access_token']))
    throw new UpstreamUnavailable(
      `${ask.id} answered the refresh with ${status}${error ? `, ${safeCode(error)}` : ''}`,
    );
  const tokens = tokensOf(answer);
  return { ...tokens, refreshToken: tokens.refreshToken ?? ask.refreshToken };
}

/** A token answer as our tokens; scopes separated by spaces (RFC 6749) or commas (GitHub). `asked`: what they are when the answer names none (§5.1). */
export function tokensOf(answer: Readonly<Record<string, unknown>>, asked = ''): UpstreamTokens {
  const { scope } = answer;
  return {
    accessToken: String(answer['access_token']),
    refreshToken: asText(answer['refresh_token']),
    idToken: asText(answer['id_token']),
    expiresAt: endOf(answer['expires_in']),
    scopes: (typeof scope === 'string' ? scope : asked).split(/[\s,]+/).filter((scope) => scope !== ''),
  };
}

/** A form-encoded POST. */
export function formPost(fields: Readonly<Record<string, string>>): OutboundRequest {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  };
}
