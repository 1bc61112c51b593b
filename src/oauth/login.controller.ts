import { Body, Controller, Get, Inject, Param, Post, Query, Req, Res, UseFilters } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { CallerAddresses } from '../access/caller-address.js';
import { Events } from '../audit/events.js';
import { type FlowStep, Flows } from '../audit/flows.js';
import { Settings } from '../config/settings.js';
import { Providers } from '../providers/providers.js';
import { UpstreamUnavailable } from '../providers/contract.js';
import type { Outcome } from './attempts.js';
import { BrowserCookies } from './browser-cookies.js';
import { Connections } from './connections.js';
import { Engine } from './engine/engine.js';
import { type AskedFor, SignInAsk } from './sign-in-ask.js';
import { finishingPage, nothingChosenPage } from './pages/error.page.js';
import { PAGE_ROUTE } from './pages/page-hooks.js';
import { PageFilter } from './pages/page.filter.js';
import { refusedPage } from './pages/refused.page.js';
import { sendOn, sendPage } from './pages/send-page.js';
import { signInPage } from './pages/sign-in.page.js';
import { SignIn } from './sign-in.js';
import { SignInRefusals } from './sign-in-refusals.js';

const form = z.object({
  csrf: z.string(),
  decision: z.enum(['approve', 'deny', 'leave']).optional(),
  provider: z.string().optional(),
  scope: z.union([z.string().transform((one) => [one]), z.array(z.string())]).default([]),
});

const ERRORS = {
  refused: { error: 'access_denied', error_description: 'the sign-in was refused' },
  unavailable: {
    error: 'temporarily_unavailable',
    error_description: 'the login provider cannot be reached, try again',
  },
  failed: { error: 'server_error', error_description: 'the sign-in could not be finished' },
  proved: { error: 'server_error', error_description: 'the sign-in could not be finished' },
  denied: { error: 'access_denied', error_description: 'the person did not allow it' },
} as const;

/**
 * The page of an Interaction: `/login/<uid>` for a browser in which nobody is signed in, `/consent/<uid>` for one that has a person. Every render of it
 * stays submittable, since its form holds nothing but this browser's token; what was decided is kept on the server.
 */
@Controller(['login', 'consent'])
@UseFilters(PageFilter)
export class LoginController {
  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Engine) private readonly engine: Engine,
    @Inject(Providers) private readonly providers: Providers,
    @Inject(SignIn) private readonly signIn: SignIn,
    @Inject(SignInAsk) private readonly asks: SignInAsk,
    @Inject(Connections) private readonly connections: Connections,
    @Inject(BrowserCookies) private readonly cookies: BrowserCookies,
    @Inject(Events) private readonly events: Events,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
    @Inject(Flows) private readonly flows: Flows,
    @Inject(SignInRefusals) private readonly refusals: SignInRefusals,
  ) {}

  @Get(':uid')
  @RouteConfig(PAGE_ROUTE)
  async show(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('uid') uid: string,
    @Query('another') another: unknown,
  ): Promise<void> {
    const ask = await this.#ask(request, reply, uid);
    if (!ask) return;
    const csrf = this.cookies.formToken(request, reply, uid);
    const { refused, reference, client } = ask;
    if (refused && another === undefined)
      return this.refusals.noLongerAdmitted(request, reply, { refused, reference, clientId: client.id, csrf });
    sendPage(reply, signInPage({ ...this.asks.facts(ask), csrf }));
  }

  @Post(':uid')
  @RouteConfig(PAGE_ROUTE)
  async decide(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('uid') uid: string,
    @Body() body: unknown,
    @Query('another') another: unknown,
  ): Promise<void> {
    const parsed = form.safeParse(body);
    if (!parsed.success || !this.cookies.isOwnForm(request, uid, parsed.data.csrf))
      return this.refusals.foreignForm(request, reply, uid);
    const ask = await this.#ask(request, reply, uid);
    if (!ask) return;
    const { decision, provider, scope } = parsed.data;
    if (decision === 'deny' || decision === 'leave') return this.#deny(request, reply, ask);
    const scopes = this.asks.approved(ask, scope);
    if (scopes.length === 0) return sendPage(reply, nothingChosenPage(ask));
    if (provider !== undefined)
      return this.#leaveFor(request, reply, {
        ask,
        provider,
        scopes,
        chooseAccount: another !== undefined || ask.person !== null,
      });
    if (decision === 'approve' && ask.person) {
      const lacking = await this.asks.signInAgainAt(ask, scopes);
      if (lacking !== null)
        return this.#leaveFor(request, reply, { ask, provider: lacking, scopes, chooseAccount: false });
      return this.#connect(request, reply, ask, { userId: ask.person.id, identity: ask.person.identity, scopes });
    }
    const { refused, reference, client } = ask;
    if (!refused) return sendOn(reply, ask.path);
    const csrf = this.cookies.formToken(request, reply, uid);
    await this.refusals.noLongerAdmitted(request, reply, { refused, reference, clientId: client.id, csrf });
  }

  @Get(':uid/continue')
  @RouteConfig(PAGE_ROUTE)
  async continue(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('uid') uid: string): Promise<void> {
    const ask = await this.#ask(request, reply, uid);
    if (!ask) return;
    if (ask.settled) return this.#resume(request, reply, ask);
    const finished = await this.signIn.finished(request, uid);
    if (finished === 'pending') return sendPage(reply, finishingPage());
    if (!finished) return this.refusals.over(request, reply, uid, 'no finished sign-in of this browser');
    const { outcome, attempt } = finished;
    if (outcome.kind === 'not-admitted') return this.#notAdmitted(request, reply, ask, outcome);
    if (outcome.kind !== 'signed-in') {
      await this.signIn.end(reply, uid);
      return this.#refuse(request, reply, ERRORS[outcome.kind]);
    }
    const { userId, identity, tokens } = outcome;
    return this.#connect(request, reply, ask, {
      userId,
      identity,
      scopes: attempt.scopes,
      login: { finished, tokens },
    });
  }

  async #ask(request: FastifyRequest, reply: FastifyReply, uid: string): Promise<AskedFor | null> {
    const ask = await this.asks.read(request, reply, uid);
    if (typeof ask === 'string') await this.refusals.unreadable(request, reply, uid, ask);
    else if (ask.client.status === 'pending') await this.refusals.waiting(request, reply, ask);
    else return ask;
    return null;
  }

  async #leaveFor(
    request: FastifyRequest,
    reply: FastifyReply,
    choice: { ask: AskedFor; provider: string; scopes: readonly string[]; chooseAccount: boolean },
  ): Promise<void> {
    const { ask, provider, scopes } = choice;
    const before = await this.signIn.finished(request, ask.uid);
    const wasRefused = before !== null && before !== 'pending' && before.outcome.kind === 'not-admitted';
    const chooseAccount = choice.chooseAccount || wasRefused;
    try {
      const url = await this.signIn.begin(request, reply, {
        provider,
        subject: ask.uid,
        clientId: ask.client.id,
        scopes,
        upstreamScopes: await this.asks.upstreamScopes(ask, { provider, scopes, chooseAccount }),
        continueAt: `${ask.path}/continue`,
        againAt: ask.path,
        reference: ask.reference,
        chooseAccount,
      });
      sendOn(reply, url?.href ?? ask.path);
    } catch (error) {
      if (!(error instanceof UpstreamUnavailable)) throw error;
      await this.#refuse(request, reply, ERRORS.unavailable);
    }
  }

  async #connect(
    request: FastifyRequest,
    reply: FastifyReply,
    ask: AskedFor,
    approval: Parameters<Connections['make']>[1],
  ): Promise<void> {
    const grantId = await this.connections.make(ask, approval, this.addresses.of(request.raw));
    if (!grantId)
      return this.refusals.over(
        request,
        reply,
        ask.uid,
        'finished in another tab a moment ago, or the person was blocked',
      );
    const { userId, identity } = approval;
    this.#step(ask, request, { step: 'consent', grantId, userId, provider: identity?.provider });
    await this.signIn.end(reply, ask.uid);
    reply.hijack();
    await this.engine.finish(request.raw, reply.raw, { accountId: approval.userId, grantId });
  }

  async #deny(request: FastifyRequest, reply: FastifyReply, ask: AskedFor): Promise<void> {
    await this.events.write({
      type: 'consent.denied',
      outcome: 'refused',
      actor: ask.person?.id,
      userId: ask.person?.id,
      clientId: ask.client.id,
      reference: ask.reference,
      ip: this.addresses.of(request.raw),
    });
    this.#step(ask, request, { step: 'consent', outcome: 'refused', check: 'consent-denied' });
    await this.signIn.end(reply, ask.uid);
    await this.#refuse(request, reply, ERRORS.denied);
  }

  async #refuse(
    request: FastifyRequest,
    reply: FastifyReply,
    error: { error: string; error_description: string },
  ): Promise<void> {
    reply.hijack();
    await this.engine.refuse(request.raw, reply.raw, { error: error.error, description: error.error_description });
  }

  async #resume(request: FastifyRequest, reply: FastifyReply, ask: AskedFor): Promise<void> {
    await this.signIn.end(reply, ask.uid);
    sendOn(reply, ask.settled!);
  }

  #notAdmitted(
    request: FastifyRequest,
    reply: FastifyReply,
    ask: AskedFor,
    outcome: Extract<Outcome, { kind: 'not-admitted' }>,
  ): void {
    const csrf = this.cookies.formToken(request, reply, ask.uid);
    sendPage(reply, refusedPage({ ...outcome, csrf, reference: ask.reference, pageAt: './' }));
  }

  #step(ask: AskedFor, request: FastifyRequest, step: FlowStep): void {
    this.flows.step(ask.reference, {
      ...step,
      clientId: ask.client.id,
      ip: this.addresses.of(request.raw),
      traits: { clientId: ask.client.id, name: ask.client.name, redirectUris: [ask.redirectUri] },
    });
  }
}
