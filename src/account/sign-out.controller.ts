import { Body, Controller, Inject, Post, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { CallerAddresses } from '../access/caller-address.js';
import { Events } from '../audit/events.js';
import { Settings } from '../config/settings.js';
import { BrowserCookies } from '../oauth/browser-cookies.js';
import { Browsers } from '../oauth/browsers.js';
import { PageFilter } from '../oauth/pages/page.filter.js';
import { sendOn, sendPage } from '../oauth/pages/send-page.js';
import { Database } from '../persistence/database.js';
import { Providers } from '../providers/providers.js';
import { AccountDoor } from './account-door.js';
import { AccountSignIns } from './account-sign-ins.js';
import { signedOutPage } from './pages/signed-out.page.js';
import { UpstreamSignOut } from './upstream-sign-out.js';

/** To what the form of the signed-out page is tied, besides the browser. */
const SIGNED_OUT_FORM = 'account-signed-out';

const form = z.object({ ticket: z.string() });

/** Signing out of the account page: here at once, at the provider when the person asks for it. */
@Controller('account/sign-out')
@UseFilters(PageFilter)
export class SignOutController {
  constructor(
    @Inject(AccountDoor) private readonly door: AccountDoor,
    @Inject(AccountSignIns) private readonly signIns: AccountSignIns,
    @Inject(UpstreamSignOut) private readonly upstream: UpstreamSignOut,
    @Inject(Browsers) private readonly browsers: Browsers,
    @Inject(BrowserCookies) private readonly cookies: BrowserCookies,
    @Inject(Providers) private readonly providers: Providers,
    @Inject(Database) private readonly database: Database,
    @Inject(Events) private readonly events: Events,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
    @Inject(Settings) private readonly settings: Settings,
  ) {}

  @Post()
  async signOut(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Body() body: unknown): Promise<void> {
    const signedIn = await this.door.submit(request, reply, body);
    if (!signedIn) return;
    const { user, provider } = signedIn;
    const remembered = this.cookies.rememberedBrowser(request);
    await this.database.commit([
      this.signIns.end(request),
      // Otherwise whoever sits here next could connect an application in this person's name.
      ...(remembered === null ? [] : [this.browsers.end(remembered)]),
      this.events.record({
        type: 'account.signed_out',
        actor: user.id,
        userId: user.id,
        provider,
        ip: this.addresses.of(request.raw),
      }),
    ]);
    this.signIns.dropCookie(reply);
    sendPage(
      reply,
      signedOutPage({
        publicHost: new URL(this.settings.publicUrl).host,
        provider: this.providers.login(provider)?.label ?? provider,
        ticket: await this.upstream.ticket({ provider, idToken: this.signIns.idTokenOf(signedIn) }),
        csrf: this.cookies.formToken(request, reply, SIGNED_OUT_FORM),
      }),
    );
  }

  @Post('provider')
  async signOutThere(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Body() body: unknown): Promise<void> {
    if (!this.door.isOwnForm(request, SIGNED_OUT_FORM, body)) return this.door.refuseForm(request, reply);
    const parsed = form.safeParse(body);
    const url = parsed.success ? await this.upstream.leave(request, reply, parsed.data.ticket) : null;
    sendOn(reply, url?.href ?? '/account');
  }
}
