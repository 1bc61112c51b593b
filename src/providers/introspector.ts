import type { Principal, ProviderHouse } from './contract.js';
import { UpstreamUnavailable } from './contract.js';
import {
  foreignPrincipal,
  isForUs,
  isTimely,
  refusedAudience,
  refusedIssuer,
  type TokenFault,
} from './foreign-principal.js';
import { SeldomLog } from './seldom-log.js';
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

/** Milliseconds for an answer that only an administrator waits for. */
const PROBE_MS = 3000;

/** Asks a foreign server whether a token is good (RFC 7662). */
export class Introspector {
  readonly #warnings: SeldomLog;
  readonly #errors: SeldomLog;

  constructor(
    private readonly settings: IntrospectorSettings,
    private readonly house: Pick<ProviderHouse, 'outbound' | 'log' | 'now'>,
  ) {
    this.#warnings = new SeldomLog((line) => house.log.warn(line), house.now);
    this.#errors = new SeldomLog((line) => house.log.error(line), house.now);
  }

  /** @returns null: not good  @throws UpstreamUnavailable it did not answer, or not us */
  async verify(token: string): Promise<Principal | null> {
    const { id, cacheTtl, audiences, issuers } = this.settings;
    const claims = await this.#ask(token);
    // Strictly true: a string "false" must not open the door.
    if (claims['active'] !== true || !isTimely(claims, Date.now() / 1000)) return null;
    // A refresh token is active too, and no key to anything here.
    if (claims['token_use'] === 'refresh_token' || claims['token_type'] === 'refresh_token') return null;
    if (issuers.length > 0 && claims['iss'] !== undefined && !isForUs(claims['iss'], issuers))
      return this.#refuse(refusedIssuer(id, claims['iss'], issuers));
    if (audiences.length > 0 && !isForUs(claims['aud'], audiences))
      return this.#refuse(refusedAudience(id, { iss: issuers[0], ...claims }, audiences));
    const recheckAt = Math.floor(Date.now() / 1000) + cacheTtl;
    return foreignPrincipal({ via: id, token, claims, recheckAt });
  }

  /** Asks about a token that nobody has: the server answers, and takes our credentials. @throws UpstreamUnavailable */
  async probe(): Promise<void> {
    await this.#ask('probe', PROBE_MS);
  }

  /** The server calls these tokens active, so strangers cannot cause the line. */
  #refuse({ name, line }: TokenFault): null {
    this.#warnings.say(name, line);
    return null;
  }

  async #ask(token: string, timeoutMs?: number): Promise<Readonly<Record<string, unknown>>> {
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
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    }).catch((error: unknown): never => this.#undecided(error));
    const answer = asObject(body);
    if (status === 200 && answer) return answer;
    // Our requests are well formed, so this blames the token: oidc-provider answers so for any JWT it issued.
    if (status === 400 && TOKEN_ERRORS.has(String(answer?.['error']))) return { active: false };
    if (status === 400 || status === 401 || status === 403)
      this.#errors.say(
        'credentials',
        `${id}: the introspection endpoint refuses us with ${status}: check client id, secret and method`,
      );
    return this.#undecided(
      new UpstreamUnavailable(
        `${id}: the introspection endpoint answered ${status}${answer ? '' : ' and no JSON object'}`,
      ),
    );
  }

  /** Each token asks anew, so a failing server must not cost a log line for each token of a stranger. */
  #undecided(error: unknown): never {
    if (!(error instanceof UpstreamUnavailable)) throw error;
    this.#warnings.say('undecided', `${this.settings.id}: tokens cannot be checked: ${error.message}`);
    throw new UpstreamUnavailable(error.message, error.retryAfter, { cause: error, isQuiet: true });
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
