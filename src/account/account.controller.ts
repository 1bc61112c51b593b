import { Body, Controller, Get, Inject, Post, Query, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { CallerAddresses } from '../access/caller-address.js';
import { PersonalTokenList } from '../access/personal-token-list.js';
import { PersonalTokens } from '../access/personal-tokens.js';
import { Settings } from '../config/settings.js';
import { Grants } from '../oauth/grants.js';
import { errorPage } from '../oauth/pages/error.page.js';
import { PageFilter } from '../oauth/pages/page.filter.js';
import { newReference } from '../oauth/pages/reference.js';
import { sendOn, sendPage } from '../oauth/pages/send-page.js';
import { AccountDoor } from './account-door.js';
import { AccountFactsReader } from './account-facts.js';
import { accountPage, TOKEN_DAYS } from './pages/account.page.js';
import { newTokenPage } from './pages/token.page.js';

/** So many living personal tokens one person may have. */
const MOST_TOKENS = 50;

const chosen = z.object({ grant: z.string() });
const revoked = z.object({ token: z.string() });
const wantedToken = z.object({
  name: z.string().trim().min(1).max(100),
  days: z.coerce.number().refine((days) => TOKEN_DAYS.some((offered) => offered === days)),
  scope: z.union([z.string().transform((one) => [one]), z.array(z.string())]).default([]),
});

/** `/account`: connected applications and personal tokens of the signed-in person. */
@Controller('account')
@UseFilters(PageFilter)
export class AccountController {
  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(AccountDoor) private readonly door: AccountDoor,
    @Inject(AccountFactsReader) private readonly facts: AccountFactsReader,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(PersonalTokens) private readonly tokens: PersonalTokens,
    @Inject(PersonalTokenList) private readonly tokenList: PersonalTokenList,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
  ) {}

  @Get()
  async show(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Query('done') done: unknown,
    @Query('older') older: unknown,
  ): Promise<void> {
    const signedIn = await this.door.enter(request, reply, '/account');
    if (!signedIn) return;
    const csrf = this.door.formToken(request, reply, signedIn);
    sendPage(reply, accountPage(await this.facts.read(signedIn, { csrf, done, older })));
  }

  @Post('disconnect')
  async disconnect(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Body() body: unknown): Promise<void> {
    const signedIn = await this.door.submit(request, reply, body);
    if (!signedIn) return;
    const parsed = chosen.safeParse(body);
    const grant = parsed.success ? await this.grants.find(parsed.data.grant) : null;
    if (grant?.userId === signedIn.user.id)
      await this.grants.revoke(grant.id, {
        ...this.#by(request, grant.userId),
        reason: 'user',
      });
    sendOn(reply, '/account?done=disconnected');
  }

  @Post('disconnect-all')
  async disconnectAll(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Body() body: unknown,
  ): Promise<void> {
    const signedIn = await this.door.submit(request, reply, body);
    if (!signedIn) return;
    const { id } = signedIn.user;
    await this.grants.revokeAll(id, { ...this.#by(request, id), reason: 'user' });
    sendOn(reply, '/account?done=disconnected-all');
  }

  @Post('tokens')
  async makeToken(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Body() body: unknown): Promise<void> {
    const signedIn = await this.door.submit(request, reply, body);
    if (!signedIn) return;
    const { id: userId } = signedIn.user;
    const parsed = wantedToken.safeParse(body);
    const offered = this.facts.tokenScopes().map(({ name }) => name);
    if (!parsed.success || parsed.data.scope.some((name) => !offered.includes(name)))
      return this.#refuseToken(reply, 'Give it a name of up to 100 characters, a life and permissions from the list.');
    const living = await this.tokenList.page({ user: userId, status: 'active' }, { after: null, limit: MOST_TOKENS });
    if (living.items.length >= MOST_TOKENS)
      return this.#refuseToken(reply, `You have ${MOST_TOKENS} already: revoke one first.`);
    const { name, days, scope } = parsed.data;
    const expiresAt = Math.floor(Date.now() / 1000) + days * 86_400;
    const by = this.#by(request, userId);
    const { token } = await this.tokens.create({ name, userId, scopes: scope, expiresAt, ...by });
    sendPage(reply, newTokenPage({ name, token, mcpUrl: this.settings.mcpUrl }));
  }

  @Post('revoke')
  async revokeToken(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Body() body: unknown): Promise<void> {
    const signedIn = await this.door.submit(request, reply, body);
    if (!signedIn) return;
    const parsed = revoked.safeParse(body);
    const token = parsed.success ? await this.tokenList.find(parsed.data.token) : null;
    if (token?.userId === signedIn.user.id) await this.tokens.revoke(token.id, this.#by(request, token.userId));
    sendOn(reply, '/account?done=revoked');
  }

  #refuseToken(reply: FastifyReply, remedy: string): void {
    sendPage(
      reply,
      errorPage({ title: 'The token was not made', what: 'Nothing was changed.', remedy, reference: newReference() }),
    );
  }

  #by(request: FastifyRequest, actor: string): { actor: string; ip: string; reference: string } {
    return { actor, ip: this.addresses.of(request.raw), reference: request.id };
  }
}
