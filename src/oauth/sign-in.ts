import { Inject, Injectable, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CallerAddresses } from '../access/caller-address.js';
import { EventList } from '../audit/event-list.js';
import { Events } from '../audit/events.js';
import { type FlowStep, Flows } from '../audit/flows.js';
import { Settings } from '../config/settings.js';
import { type LoginAsk, type LoginProvider, LoginRefused, UpstreamUnavailable } from '../providers/contract.js';
import { notGranted } from '../providers/granted-scopes.js';
import { Providers } from '../providers/providers.js';
import { blamesOurRegistration } from '../providers/upstream-errors.js';
import { accountOf, PersonBlocked, Users } from '../users/users.js';
import { Attempts, randomValue, type Attempt, type Finished, type Outcome } from './attempts.js';
import { BrowserCookies } from './browser-cookies.js';
import type { CallbackFault } from './sign-in-refusals.js';
import { UpstreamAsks } from './upstream-asks.js';

/** What a sign-in at a provider is for; see `Attempt`. */
export type NewAttempt = Omit<Attempt, 'memo'>;

/**
 * The walk to a provider and back, for an Interaction or for the account page: `begin` sends the browser away, `takeCallback` ends the upstream leg,
 * `finished` hands its outcome to the page that began it, in the same browser only.
 */
@Injectable()
export class SignIn {
  readonly #log = new Logger('SignIn');

  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Providers) private readonly providers: Providers,
    @Inject(UpstreamAsks) private readonly upstreamAsks: UpstreamAsks,
    @Inject(Attempts) private readonly attempts: Attempts,
    @Inject(BrowserCookies) private readonly cookies: BrowserCookies,
    @Inject(Users) private readonly users: Users,
    @Inject(Events) private readonly events: Events,
    @Inject(EventList) private readonly eventList: EventList,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
    @Inject(Flows) private readonly flows: Flows,
  ) {}

  /**
   * Asks the provider where to go, binds the sign-in to this browser by a cookie, and keeps what was approved.
   * @returns where to send the browser; null: there is no such provider
   * @throws UpstreamUnavailable
   */
  async begin(request: FastifyRequest, reply: FastifyReply, ask: NewAttempt): Promise<URL | null> {
    const provider = this.providers.login(ask.provider);
    if (!provider) return null;
    return this.#leave(provider, ask, { request, bind: () => this.cookies.bind(request, reply, ask.subject) });
  }

  /**
   * Ends the upstream leg. State and cookie are checked before `error` or `code` is read; the state is taken once.
   * @returns where to go on, or why not and in which sign-in; `reference` null: in none
   */
  async takeCallback(
    request: FastifyRequest,
    providerId: string,
  ): Promise<{ continueAt: string } | { fault: CallbackFault; reference: string | null }> {
    const callback = new URL(request.raw.url ?? '', this.settings.publicUrl);
    const states = callback.searchParams.getAll('state');
    const [state] = states;
    if (!state || states.length !== 1) return { fault: 'foreign', reference: null };
    const attempt = await this.attempts.find(state);
    if (!attempt) {
      const earlier = await this.attempts.takenBy(state, (subject) => this.cookies.binding(request, subject));
      return earlier ? { continueAt: earlier.continueAt } : { fault: 'over', reference: null };
    }
    const provider = this.providers.login(providerId);
    if (!provider || attempt.provider !== providerId) return { fault: 'foreign', reference: null };
    const binding = this.cookies.binding(request, attempt.subject);
    if (!binding || !(await this.attempts.take(state, binding))) {
      await this.#note(attempt, request, {
        why: 'the callback came without the cookie of the browser that approved',
        check: 'other-browser',
      });
      return { fault: 'other-browser', reference: attempt.reference };
    }
    const outcome = await this.#finish(provider, { attempt, callback, request });
    await this.attempts.close(state, outcome);
    const again =
      attempt.before === undefined
        ? await this.#askForMore(provider, { ...attempt, before: outcome }, { request, bind: () => binding })
        : null;
    return { continueAt: again?.href ?? attempt.continueAt };
  }

  /** How this browser's sign-in ended; `pending`: it is being worked on; null: there is none. */
  async finished(request: FastifyRequest, subject: string): Promise<Finished | 'pending' | null> {
    const binding = this.cookies.binding(request, subject);
    return binding === null ? null : this.attempts.finished(subject, binding);
  }

  /** The sign-in is over, whichever way: its cookie goes. */
  async end(reply: FastifyReply, subject: string): Promise<void> {
    this.cookies.release(reply, subject);
    await this.attempts.forget(subject);
  }

  /** `bind` gives the cookie's value once the provider has said where to go. */
  async #leave(
    provider: LoginProvider,
    ask: NewAttempt,
    { request, bind }: { request: FastifyRequest; bind: () => string },
  ): Promise<URL> {
    const state = randomValue();
    const callbackUrl = this.settings.callbackUrl(provider.id);
    const { chooseAccount, upstreamScopes: scopes } = ask;
    const { url, memo } = await this.#start(provider, ask, {
      request,
      with: { state, callbackUrl, scopes, chooseAccount },
    });
    await this.attempts.open({ ...ask, memo }, { state, binding: bind() });
    this.#step(ask, { step: 'upstream' }, request);
    return url;
  }

  /**
   * The account is known only now, and its tokens replace the ones before: what its other connections need, and was not asked for, is asked for at once,
   * by one more walk. @returns null: nothing is missing, or it was asked for and not given
   */
  async #askForMore(
    provider: LoginProvider,
    ask: Attempt & { readonly before: Outcome },
    from: { request: FastifyRequest; bind: () => string },
  ): Promise<URL | null> {
    const { before, linkTo, upstreamScopes } = ask;
    if (before.kind !== 'signed-in' && before.kind !== 'proved') return null;
    const userId = before.kind === 'signed-in' ? before.userId : (linkTo ?? '');
    const owed = await this.upstreamAsks.ofPerson(userId, before.identity);
    const lacking = notGranted(provider, before.tokens.scopes, owed).filter((scope) => !upstreamScopes.includes(scope));
    if (lacking.length === 0) return null;
    const wider = { ...ask, chooseAccount: false, upstreamScopes: [...upstreamScopes, ...lacking] };
    try {
      return await this.#leave(provider, wider, from);
    } catch (error) {
      if (!(error instanceof UpstreamUnavailable)) throw error;
      return null;
    }
  }

  async #start(
    provider: LoginProvider,
    ask: NewAttempt,
    { request, with: facts }: { request: FastifyRequest; with: LoginAsk },
  ): ReturnType<LoginProvider['start']> {
    try {
      return await provider.start(facts);
    } catch (error) {
      if (error instanceof UpstreamUnavailable)
        await this.#note(ask, request, { step: 'upstream', why: error.message, check: 'upstream-unavailable' });
      throw error;
    }
  }

  async #finish(
    provider: LoginProvider,
    { attempt, callback, request }: { attempt: Attempt; callback: URL; request: FastifyRequest },
  ): Promise<Outcome> {
    let login: Awaited<ReturnType<LoginProvider['finish']>>;
    try {
      login = await provider.finish(callback, { ...attempt.memo }, this.settings.callbackUrl(provider.id));
    } catch (error) {
      if (error instanceof LoginRefused) {
        await this.#note(attempt, request, { why: error.reason, check: 'upstream-denied', outcome: 'refused' });
        return attempt.before ?? { kind: 'refused', reason: error.reason };
      }
      const why = error instanceof UpstreamUnavailable ? error.message : 'internal error';
      const check = blamesOurRegistration(error) ? 'upstream-configuration' : 'upstream-unavailable';
      await this.#note(attempt, request, { why, check });
      if (error instanceof UpstreamUnavailable) return attempt.before ?? { kind: 'unavailable' };
      this.#log.error(`${attempt.reference}: ${error instanceof Error ? error.stack : String(error)}`);
      return attempt.before ?? { kind: 'failed' };
    }
    const { identity, tokens } = login;
    // Further permissions were wanted of the same account; another one must not slip in.
    if (attempt.before && subjectOf(attempt.before) !== identity.subject) return attempt.before;
    if (attempt.linkTo !== undefined) {
      this.#step(attempt, { step: 'callback', userId: attempt.linkTo }, request);
      return { kind: 'proved', identity, tokens };
    }
    try {
      const { clientId, reference } = attempt;
      const user = await this.users.signIn(identity, { clientId, reference, ip: this.addresses.of(request.raw) });
      this.#step(attempt, { step: 'callback', userId: user.id }, request);
      const { subject } = identity;
      return { kind: 'signed-in', userId: user.id, identity: { provider: provider.id, subject }, tokens };
    } catch (error) {
      if (!(error instanceof LoginRefused)) throw error;
      this.#log.warn(`${attempt.reference}: ${provider.id} account not let in: ${error.reason}`);
      await this.#noteRefused(attempt, request, error);
      return { kind: 'not-admitted', account: accountOf(identity), reason: error.reason, provider: provider.label };
    }
  }

  /** Somebody proved who they are and is not let in; the Event is written by `Users`. */
  async #noteRefused(attempt: Attempt, request: FastifyRequest, error: LoginRefused): Promise<void> {
    const step = { step: 'callback', outcome: 'refused' } as const;
    if (!(error instanceof PersonBlocked)) return this.#step(attempt, { ...step, check: 'not-admitted' }, request);
    const { userId } = error;
    const block = await this.eventList.latest({ type: 'user.blocked', user: userId });
    this.#step(attempt, { ...step, check: 'user-blocked', userId, detail: { ...block } }, request);
  }

  async #note(
    attempt: NewAttempt,
    request: FastifyRequest,
    {
      why,
      check,
      step = 'callback',
      outcome = 'failed',
    }: { why: string; check: string; step?: 'upstream' | 'callback'; outcome?: 'refused' | 'failed' },
  ): Promise<void> {
    const { provider, clientId, reference } = attempt;
    this.#log.warn(`${reference}: sign-in with ${provider} ${outcome}: ${why}`);
    this.#step(attempt, { step, outcome, check, detail: { why } }, request);
    const ip = this.addresses.of(request.raw);
    await this.events.write({ type: 'login.failed', outcome, provider, clientId, reference, ip, detail: { why } });
  }

  #step({ clientId, provider, reference }: NewAttempt, step: FlowStep, request: FastifyRequest): void {
    this.flows.step(reference, { ...step, clientId, provider, ip: this.addresses.of(request.raw) });
  }
}

/** The account that an outcome proved; null: none. */
function subjectOf(outcome: Outcome): string | null {
  return outcome.kind === 'signed-in' || outcome.kind === 'proved' ? outcome.identity.subject : null;
}
