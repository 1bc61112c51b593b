import type { Principal, ProviderHouse } from './contract.js';
import { UpstreamUnavailable } from './contract.js';
import { foreignPrincipal, isForUs, isTimely } from './foreign-principal.js';
import { askJson, asObject } from './upstream-json.js';

/** How to ask an introspection endpoint, and what its answer must fit. */
export interface IntrospectorSettings {
  readonly id: string;
  readonly url: URL;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly authMethod: 'client_secret_basic' | 'client_secret_post';
  /** Seconds for which a positive answer holds. */
  readonly cacheTtl: number;
  /** Empty: not checked. */
  readonly audiences: readonly string[];
  /** `iss` must be one of these where the answer has it; empty: not checked. */
  readonly issuers: readonly string[];
}

/** Error codes by which servers refuse a token instead of calling it inactive. */
const TOKEN_ERRORS = new Set(['invalid_request', 'invalid_token', 'unsupported_token_type']);

/** Asks a foreign server whether a token is good (RFC 7662). */
export class Introspector {
  constructor(
    private readonly settings: IntrospectorSettings,
    private readonly house: Pick<ProviderHouse, 'outbound' | 'log'>,
  ) {}

  /** @returns null: not good  @throws UpstreamUnavailable it did not answer, or not us */
  async verify(token: string): Promise<Principal | null> {
    const { id, cacheTtl, audiences, issuers } = this.settings;
    const claims = await this.#ask(token);
    // Strictly true: a string "false" must not open the door.
    if (claims['active'] !== true || !isTimely(claims, Date.now() / 1000)) return null;
    // A refresh token is active too, and no key to anything here.
    if (claims['token_use'] === 'refresh_token' || claims['token_type'] === 'refresh_token') return null;
    if (audiences.length > 0 && !isForUs(claims['aud'], audiences)) return null;
    if (issuers.length > 0 && claims['iss'] !== undefined && !isForUs(claims['iss'], issuers)) return null;
    const recheckAt = Math.floor(Date.now() / 1000) + cacheTtl;
    return foreignPrincipal({ via: id, token, claims, recheckAt });
  }

  async #ask(token: string): Promise<Readonly<Record<string, unknown>>> {
    const { id, url, clientId, clientSecret, authMethod } = this.settings;
    const form = new URLSearchParams({ token, token_type_hint: 'access_token' });
    const headers: Record<string, string> = { 'content-type': 'application/x-www-form-urlencoded' };
    if (authMethod === 'client_secret_basic') headers['authorization'] = basic(clientId, clientSecret);
    else {
      form.set('client_id', clientId);
      form.set('client_secret', clientSecret);
    }
    const { status, body } = await askJson(this.house.outbound, url, {
      method: 'POST',
      headers,
      body: form.toString(),
    });
    const answer = asObject(body);
    if (status === 200 && answer) return answer;
    // Our requests are well formed, so this blames the token: oidc-provider answers so for any JWT it issued.
    if (status === 400 && TOKEN_ERRORS.has(String(answer?.['error']))) return { active: false };
    if (status === 400 || status === 401 || status === 403)
      this.house.log.error(
        `${id}: the introspection endpoint refuses us with ${status}: check client id, secret and method`,
      );
    throw new UpstreamUnavailable(
      `${id}: the introspection endpoint answered ${status}${answer ? '' : ' and no JSON object'}`,
    );
  }
}

/**
 * RFC 6749 §2.3.1 wants both halves form-encoded. Some servers do not decode; this encoding leaves `-`, `_` and `.` alone, which are all that generated
 * credentials usually hold.
 */
function basic(clientId: string, clientSecret: string): string {
  const encode = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1);
  return `Basic ${Buffer.from(`${encode(clientId)}:${encode(clientSecret)}`).toString('base64')}`;
}
