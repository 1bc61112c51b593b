import { randomBytes } from 'node:crypto';
import { Body, Controller, Get, Inject, Param, Post, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { CallerAddresses } from '../access/caller-address.js';
import type { Outcome } from '../oauth/attempts.js';
import { Browsers } from '../oauth/browsers.js';
import { Grants } from '../oauth/grants.js';
import { finishingPage } from '../oauth/pages/error.page.js';
import { PageFilter } from '../oauth/pages/page.filter.js';
import { referenceOf } from '../oauth/pages/reference.js';
import { sendOn, sendPage } from '../oauth/pages/send-page.js';
import { SignIn } from '../oauth/sign-in.js';
import { UpstreamAsks } from '../oauth/upstream-asks.js';
import { UpstreamFarewells } from '../oauth/upstream-farewells.js';
import { UpstreamTokenVault } from '../oauth/upstream-token-vault.js';
import { Database } from '../persistence/database.js';
import { LoginRefused, UpstreamUnavailable } from '../providers/contract.js';
import { Providers } from '../providers/providers.js';
import { Identities, IdentityTaken } from '../users/identities.js';
import { accountOf } from '../users/users.js';
import { AccountDoor } from './account-door.js';
import { AccountSignIns } from './account-sign-ins.js';
import { notSignedInPage } from './pages/not-signed-in.page.js';

const link = z.object({ provider: z.string() });
const unlink = z.object({ identity: z.string().regex(/^\S+ .+$/s) });

/** A person's accounts at providers: one more is added by signing in with it here and now, never by an equal e-mail address. */
@Controller('account')
@UseFilters(PageFilter)
export class IdentitiesController {
  constructor(
    @Inject(AccountDoor) private readonly door: AccountDoor,
    @Inject(SignIn) private readonly signIn: SignIn,
    @Inject(Identities) private readonly identities: Identities,
    @Inject(Providers) private readonly providers: Providers,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(Browsers) private readonly browsers: Browsers,
    @Inject(AccountSignIns) private readonly signIns: AccountSignIns,
    @Inject(UpstreamAsks) private readonly upstreamAsks: UpstreamAsks,
    @Inject(UpstreamTokenVault) private readonly vault: UpstreamTokenVault,
    @Inject(UpstreamFarewells) private readonly farewells: UpstreamFarewells,
    @Inject(Database) private readonly database: Database,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
  ) {}

  @Post('link')
  async begin(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Body() body: unknown): Promise<void> {
    const signedIn = await this.door.submit(request, reply, body);
    if (!signedIn) return;
    const parsed = link.safeParse(body);
    if (!parsed.success) return sendOn(reply, '/account');
    const id = randomBytes(16).toString('hex');
    const reference = referenceOf(id);
    const { provider } = parsed.data;
    try {
      const url = await this.signIn.begin(request, reply, {
        provider,
        subject: id,
        clientId: null,
        scopes: [],
        upstreamScopes: await this.upstreamAsks.ofPerson(signedIn.user.id, { provider }),
        continueAt: `/account/link/${id}`,
        againAt: '/account',
        linkTo: signedIn.user.id,
        chooseAccount: true,
        reference,
      });
      sendOn(reply, url?.href ?? '/account');
    } catch (error) {
      if (!(error instanceof UpstreamUnavailable)) throw error;
      sendPage(reply, notSignedInPage({ kind: 'unavailable' }, { reference, againAt: '/account' }));
    }
  }

  @Get('link/:id')
  async finish(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('id') id: string): Promise<void> {
    const signedIn = await this.door.enter(request, reply, '/account');
    if (!signedIn) return;
    const finished = await this.signIn.finished(request, id);
    if (finished === 'pending') return sendPage(reply, finishingPage());
    if (!finished) return sendOn(reply, '/account');
    await this.signIn.end(reply, id);
    const { outcome, attempt } = finished;
    // Somebody else has signed in here since the button was pressed.
    if (attempt.linkTo !== signedIn.user.id) return sendOn(reply, '/account');
    if (outcome.kind === 'signed-in') throw new Error('a link attempt signed somebody in');
    const fault =
      outcome.kind === 'proved'
        ? await this.#link(signedIn.user.id, outcome, {
            reference: attempt.reference,
            ip: this.addresses.of(request.raw),
          })
        : outcome;
    if (fault) return sendPage(reply, notSignedInPage(fault, attempt));
    sendOn(reply, '/account?done=linked');
  }

  @Post('unlink')
  async unlink(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Body() body: unknown): Promise<void> {
    const signedIn = await this.door.submit(request, reply, body);
    if (!signedIn) return;
    const parsed = unlink.safeParse(body);
    if (!parsed.success) return sendOn(reply, '/account');
    const { identity } = parsed.data;
    const space = identity.indexOf(' ');
    const account = { provider: identity.slice(0, space), subject: identity.slice(space + 1) };
    const { id: userId } = signedIn.user;
    const from = { ip: this.addresses.of(request.raw), reference: request.id };
    const giveBack = await this.farewells.prepare(userId, account);
    const connections = await this.grants.endingsOf(userId, account, {
      actor: userId,
      reason: 'account-removed',
      ...from,
    });
    const done = await this.identities.unlink(userId, account, {
      ...from,
      alongside: {
        revocations: connections.revocations,
        statements: [
          ...connections.statements,
          this.vault.forget(account),
          // Whoever else holds the account may be signed in with it.
          this.browsers.endAll(userId),
          this.signIns.endElsewhere(request, userId),
        ],
      },
    });
    if (done) giveBack();
    sendOn(reply, done ? '/account?done=unlinked' : '/account');
  }

  async #link(
    userId: string,
    { identity, tokens }: Extract<Outcome, { kind: 'proved' }>,
    from: { reference: string; ip: string },
  ): Promise<Parameters<typeof notSignedInPage>[0] | null> {
    try {
      await this.identities.link(userId, identity, from);
    } catch (error) {
      if (error instanceof IdentityTaken) return { kind: 'taken' };
      if (!(error instanceof LoginRefused)) throw error;
      const provider = this.providers.login(identity.provider)?.label ?? identity.provider;
      return { kind: 'not-admitted', account: accountOf(identity), reason: error.reason, provider };
    }
    const { provider, subject } = identity;
    await this.database.commit(this.vault.keep({ userId, provider, subject, grantId: null, tokens }));
    return null;
  }
}
