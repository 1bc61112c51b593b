import { InternalOAuthError, TokenError, type Strategy, type VerifyFunction } from 'passport-oauth2';
import { type Outbound, OutboundFailed } from '../outbound/outbound.js';
import { type LoginAsk, UpstreamUnavailable } from './contract.js';
import { readCallback, reportOurFault, safeCode } from './upstream-errors.js';

/** Milliseconds for everything one sign-in asks of its upstream. */
const DEADLINE_MS = 8000;

/** What a strategy learned of the person; `profile` is the upstream's own JSON. */
export interface StrategyLogin {
  readonly accessToken: string;
  readonly refreshToken: string | undefined;
  /** The rest of the token answer: `scope`, `expires_in`, `id_token`. */
  readonly params: Readonly<Record<string, unknown>>;
  readonly profile: Readonly<Record<string, unknown>>;
}

interface StrategyRequest {
  readonly query: Record<string, string>;
  readonly state: string;
  readonly memo: Record<string, string>;
}

/** Options of one run, as the strategies name them. */
export interface RunOptions {
  readonly scope?: readonly string[];
  readonly accessType?: string;
  readonly prompt?: string;
}

type Outcome = { readonly redirect: URL } | { readonly login: StrategyLogin };
type StoreDone = (error: Error | null, value: string) => void;

/** What every strategy of ours is constructed with: S256, and a state store that keeps nothing but the caller's memo. */
export const strategyBasics = {
  pkce: true,
  // The packages look at the number of parameters: with fewer, `store` is not given the PKCE verifier and `verify` not asked for it.
  store: {
    store(request: StrategyRequest, verifier: string, _appState: unknown, _meta: unknown, done: StoreDone) {
      request.memo['verifier'] = verifier;
      done(null, request.state);
    },
    verify(request: StrategyRequest, _state: unknown, _meta: unknown, done: StoreDone) {
      done(null, request.memo['verifier'] ?? '');
    },
  } as never,
};

/** The verify function of every strategy of ours; with fewer than five parameters the packages withhold `params`. */
export const keepLogin: VerifyFunction<{ _json: Readonly<Record<string, unknown>> }, Record<string, unknown>> = (
  accessToken,
  refreshToken,
  params,
  profile,
  done,
) => done(null, { accessToken, refreshToken: refreshToken || undefined, params, profile: profile._json });

/** Runs a passport strategy for one sign-in at a time: no session, no registry of strategies, every request through `outbound/`. */
export class PassportLogin {
  constructor(
    private readonly id: string,
    private readonly strategy: Strategy,
    private readonly house: { readonly outbound: Outbound; readonly log: { error(message: string): void } },
  ) {}

  /** @throws UpstreamUnavailable */
  async start(ask: LoginAsk, options: RunOptions): Promise<{ url: URL; memo: Record<string, string> }> {
    const memo: Record<string, string> = {};
    const outcome = await this.#run(
      { query: {}, state: ask.state, memo },
      { ...options, callbackURL: ask.callbackUrl.href },
    );
    if ('redirect' in outcome) return { url: outcome.redirect, memo };
    throw new UpstreamUnavailable(`${this.id}: the strategy did not redirect`);
  }

  /** @throws LoginRefused  @throws UpstreamUnavailable */
  async finish(callback: URL, memo: Record<string, string>, callbackUrl: URL): Promise<StrategyLogin> {
    const { code, state } = readCallback(this.id, callback);
    const request = { query: { code, state }, state, memo: { ...memo } };
    const outcome = await this.#run(request, { callbackURL: callbackUrl.href });
    if ('login' in outcome) return outcome.login;
    throw new UpstreamUnavailable(`${this.id}: the strategy redirected instead of finishing`);
  }

  async #run(request: StrategyRequest, options: RunOptions & { callbackURL: string }): Promise<Outcome> {
    try {
      return await runStrategy(this.strategy, { request, options, outbound: this.house.outbound });
    } catch (cause) {
      throw this.#asUnavailable(cause);
    }
  }

  #asUnavailable(cause: unknown): UpstreamUnavailable {
    if (cause instanceof UpstreamUnavailable) return cause;
    if (!(cause instanceof TokenError)) return new UpstreamUnavailable(`${this.id}: ${describe(cause)}`, 5, { cause });
    reportOurFault(this.id, cause.code, this.house.log);
    return new UpstreamUnavailable(`${this.id} refused the code: ${safeCode(cause.code)}`, 5, { cause });
  }
}

interface Run {
  readonly request: StrategyRequest;
  readonly options: RunOptions & { readonly callbackURL: string };
  readonly outbound: Outbound;
}

/** One run on an object of its own: strategies keep their callbacks on themselves, so two runs must not share one. */
function runStrategy(strategy: Strategy, { request, options, outbound }: Run): Promise<Outcome> {
  return new Promise<Outcome>((resolve, reject) => {
    const own = (strategy as unknown as { _oauth2: OAuth2Parts })._oauth2;
    const oauth2 = Object.assign(Object.create(own) as OAuth2Parts, {
      _request: boundedRequest(own, outbound, reject),
    });
    const run = Object.assign(Object.create(strategy) as Strategy, {
      _oauth2: oauth2,
      redirect: (url: string) => resolve({ redirect: new URL(url) }),
      success: (login: StrategyLogin) => resolve({ login }),
      fail: () => reject(new UpstreamUnavailable('the strategy refused')),
      error: (error: unknown) => reject(error instanceof Error ? error : new Error(describe(error))),
      pass: () => reject(new UpstreamUnavailable('the strategy passed')),
    });
    run.authenticate(request as never, options);
  });
}

/** The protected members of node-oauth's OAuth2 that a run replaces or reads. */
interface OAuth2Parts {
  readonly _customHeaders: Readonly<Record<string, string>>;
  _request: BoundedRequest;
}
type RequestDone = (error: { statusCode: number; data: string } | null, data?: string, response?: object) => void;
type BoundedRequest = (
  method: string,
  url: string,
  headers: Record<string, string> | null,
  body: string | null,
  accessToken: string | null,
  done: RequestDone,
) => void;

/**
 * The transport under a strategy. The packages' own waits for ever, has no cap, takes redirects for success and puts Google's token into the query; and
 * they parse answers outside any `try`, so only what they can parse is passed on, from inside a promise chain that turns a throw into a failed run.
 */
function boundedRequest(oauth2: OAuth2Parts, outbound: Outbound, reject: (error: Error) => void): BoundedRequest {
  const giveUpAt = performance.now() + DEADLINE_MS;
  return (method, url, headers, body, accessToken, answer) => {
    outbound
      .send(new URL(url), {
        method: method === 'POST' ? 'POST' : 'GET',
        headers: {
          ...oauth2._customHeaders,
          ...headers,
          Accept: 'application/json',
          ...(accessToken ? { Authorization: `Bearer ${accessToken}` } : {}),
        },
        ...(body ? { body } : {}),
        timeoutMs: Math.max(1, giveUpAt - performance.now()),
      })
      .then(({ status, text, headers }) => {
        const data = method === 'POST' ? readFormOrJson(text, headers.get('content-type')) : readJson(text);
        if (method === 'POST' && isErrorAnswer(data)) return answer({ statusCode: 400, data: JSON.stringify(data) });
        if (status < 200 || status > 299) return answer({ statusCode: status, data: text });
        if (data === undefined) return answer({ statusCode: 502, data: text });
        return answer(null, JSON.stringify(data), {});
      })
      .catch((cause: unknown) =>
        reject(
          cause instanceof OutboundFailed
            ? new UpstreamUnavailable(cause.message, 5, { cause })
            : cause instanceof Error
              ? cause
              : new Error(describe(cause)),
        ),
      );
  };
}

function readJson(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A token answer: JSON as the standard says, or a form as GitHub and older servers send it. */
function readFormOrJson(text: string, contentType: string | null): object | undefined {
  const json = readJson(text);
  if (json !== undefined) return json;
  const isForm = contentType?.includes('application/x-www-form-urlencoded') ?? false;
  return isForm || /^(access_token|error)=/.test(text) ? Object.fromEntries(new URLSearchParams(text)) : undefined;
}

function isErrorAnswer(data: object | undefined): boolean {
  return data !== undefined && 'error' in data && Boolean(data.error);
}

/** What went wrong, without anything an upstream wrote: the packages' errors quote its descriptions, and parsers its text. */
function describe(cause: unknown): string {
  if (!(cause instanceof Error)) return 'it failed without saying why';
  if (cause instanceof InternalOAuthError) {
    const status = (cause.oauthError as { statusCode?: unknown } | undefined)?.statusCode;
    return `${cause.message}${typeof status === 'number' ? `, it answered ${status}` : ''}`;
  }
  const code = 'code' in cause && typeof cause.code === 'string' ? `, it answered ${safeCode(cause.code)}` : '';
  return `${cause.name}${code}`;
}
