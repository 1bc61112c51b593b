import { randomBytes } from 'node:crypto';
import { Body, Controller, Get, Inject, Logger, Param, Post, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AttemptLimit } from '../access/attempt-limit.js';
import { CallerAddresses, limitKey } from '../access/caller-address.js';
import { Events } from '../audit/events.js';
import { Settings } from '../config/settings.js';
import { Attempts, type Finished } from '../oauth/attempts.js';
import { finishingPage, tooManySignInsPage } from '../oauth/pages/error.page.js';
import { PageFilter } from '../oauth/pages/page.filter.js';
import { referenceOf } from '../oauth/pages/reference.js';
import { sendOn, sendPage } from '../oauth/pages/send-page.js';
import { SignIn } from '../oauth/sign-in.js';
import { UpstreamTokenVault } from '../oauth/upstream-token-vault.js';
import { Database } from '../persistence/database.js';
import { CommitConflict } from '../persistence/faults.js';
import { UpstreamUnavailable } from '../providers/contract.js';
import { AccountDoor, SIGN_IN_FORM } from './account-door.js';
import { AccountSignIns } from './account-sign-ins.js';
import { notSignedInPage } from './pages/not-signed-in.page.js';

/** Sign-ins that one address can begin in a minute: each writes a row. Offices share addresses. */
const SIGN_INS_PER_MINUTE = 60;

const form = z.object({
  provider: z.string(),
  // Only our own pages: anything else would make the sign-in an open redirect.
  next: z
    .string()
    .regex(/^\/account(\/widen\/[A-Za-z0-9_-]{43})?$/)
    .catch('/account'),
  another: z.literal('1').optional().catch(undefined),
});

/** Signing in to the account page: the same walk to a provider as an Interaction's, without a Client. */
@Controller('account')
@UseFilters(PageFilter)
export class AccountSignInController {
  readonly #log = new Logger('Account');
  readonly #limit = new AttemptLimit({ max: SIGN_INS_PER_MINUTE, seconds: 60 });

  constructor(
    @Inject(AccountDoor) private readonly door: AccountDoor,
    @Inject(AccountSignIns) private readonly signIns: AccountSignIns,
    @Inject(SignIn) private readonly signIn: SignIn,
    @Inject(Attempts) private readonly attempts: Attempts,
    @Inject(UpstreamTokenVault) private readonly vault: UpstreamTokenVault,
    @Inject(Database) private readonly database: Database,
    @Inject(Events) private readonly events: Events,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
    @Inject(Settings) private readonly settings: Settings,
  ) {}

  @Post('sign-in')
  async begin(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Body() body: unknown): Promise<void> {
    if (!this.door.isOwnForm(request, SIGN_IN_FORM, body)) return this.door.refuseForm(request, reply);
    const parsed = form.safeParse(body);
    if (!parsed.success) return sendOn(reply, '/account');
    const { provider, next, another } = parsed.data;
    const id = randomBytes(16).toString('hex');
    const reference = referenceOf(id);
    const ip = this.addresses.of(request.raw);
    // After the form's own check: otherwise a page elsewhere could use up what its visitors have.
    const wait = this.settings.values.rateLimits ? this.#limit.count(limitKey(ip)) : null;
    if (wait !== null) {
      this.#log.warn(`${reference}: too many sign-ins to the account page from one address`);
      void reply.header('retry-after', String(wait));
      return sendPage(reply, tooManySignInsPage({ wait, remedy: 'sign in again', reference }));
    }
    try {
      const url = await this.signIn.begin(request, reply, {
        provider,
        subject: id,
        clientId: null,
        scopes: [],
        // Nobody knows yet whose sign-in it is: what their connections need is asked for when they are back.
        upstreamScopes: [],
        continueAt: `/account/sign-in/${id}`,
        againAt: next,
        chooseAccount: another !== undefined,
        reference,
      });
      sendOn(reply, url?.href ?? next);
    } catch (error) {
      if (!(error instanceof UpstreamUnavailable)) throw error;
      sendPage(reply, notSignedInPage({ kind: 'unavailable' }, { reference, againAt: next }));
    }
  }

  @Get('sign-in/:id')
  async finish(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('id') id: string): Promise<void> {
    const finished = await this.signIn.finished(request, id);
    if (finished === 'pending') return sendPage(reply, finishingPage());
    // Loaded once more, or in another browser: the account page says who is signed in here.
    if (!finished) return sendOn(reply, '/account');
    const { outcome, attempt } = finished;
    if (outcome.kind === 'signed-in') return this.#enter(request, reply, { finished, outcome });
    await this.signIn.end(reply, id);
    sendPage(reply, notSignedInPage(outcome, attempt));
  }

  async #enter(
    request: FastifyRequest,
    reply: FastifyReply,
    { finished, outcome }: { finished: Finished; outcome: Extract<Finished['outcome'], { kind: 'signed-in' }> },
  ): Promise<void> {
    const { attempt } = finished;
    const { userId, identity, tokens } = outcome;
    const { provider } = identity;
    const entry = this.signIns.begin(request, { userId, provider, idToken: tokens.idToken });
    const event = this.events.record({
      type: 'account.signed_in',
      actor: userId,
      userId,
      provider,
      reference: attempt.reference,
      ip: this.addresses.of(request.raw),
    });
    try {
      await this.database.commit([
        this.attempts.use(finished),
        ...entry.statements,
        ...this.vault.keep({ ...identity, userId, grantId: null, tokens }),
        event,
      ]);
      entry.setCookie(reply);
    } catch (error) {
      // Two loads of this page at once: the other one has signed this browser in.
      if (!(error instanceof CommitConflict)) throw error;
    }
    await this.signIn.end(reply, attempt.subject);
    sendOn(reply, attempt.againAt);
  }
}
