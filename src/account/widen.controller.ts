import { Body, Controller, Get, Inject, Param, Post, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CallerAddresses } from '../access/caller-address.js';
import { Settings } from '../config/settings.js';
import { Clients } from '../oauth/clients.js';
import { errorPage } from '../oauth/pages/error.page.js';
import { PageFilter } from '../oauth/pages/page.filter.js';
import { newReference } from '../oauth/pages/reference.js';
import { sendPage } from '../oauth/pages/send-page.js';
import { AccountDoor } from './account-door.js';
import { AccountFactsReader, shownPlace } from './account-facts.js';
import type { SignedIn } from './account-sign-ins.js';
import { widenedPage, wideningPage } from './pages/widen.page.js';
import { AccountStepUpLinks, type OpenLink } from './step-up-links.js';

/** `/account/widen/<id>`: the person a Grant belongs to, and nobody else, adds scopes to it. */
@Controller('account/widen')
@UseFilters(PageFilter)
export class WidenController {
  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(AccountDoor) private readonly door: AccountDoor,
    @Inject(AccountStepUpLinks) private readonly links: AccountStepUpLinks,
    @Inject(Clients) private readonly clients: Clients,
    @Inject(AccountFactsReader) private readonly facts: AccountFactsReader,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
  ) {}

  @Get(':id')
  async show(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('id') id: string): Promise<void> {
    if (!isId(id)) return this.#over(reply);
    const signedIn = await this.door.enter(request, reply, `/account/widen/${id}`);
    if (!signedIn) return;
    const link = await this.#link(reply, id, signedIn);
    if (!link) return;
    const { redirectUri } = link.grant;
    sendPage(
      reply,
      wideningPage({
        client: await this.#clientName(link),
        place: redirectUri === null ? null : shownPlace(redirectUri),
        publicHost: new URL(this.settings.publicUrl).host,
        tools: link.tools,
        scopes: link.scopes.map((name) => ({ name, words: this.facts.words(name) })),
        person: signedIn.user.name ?? signedIn.user.email ?? signedIn.user.id,
        action: `/account/widen/${id}`,
        csrf: this.door.formToken(request, reply, signedIn),
      }),
    );
  }

  @Post(':id')
  async decide(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('id') id: string,
    @Body() body: unknown,
  ): Promise<void> {
    if (!isId(id)) return this.#over(reply);
    const signedIn = await this.door.submit(request, reply, body);
    if (!signedIn) return;
    const link = await this.#link(reply, id, signedIn);
    if (!link) return;
    const allowed = typeof body === 'object' && body !== null && 'decision' in body && body.decision === 'allow';
    const from = { ip: this.addresses.of(request.raw), reference: request.id };
    const client = await this.#clientName(link);
    if (!allowed) await this.links.refuse(link, from);
    else if (!(await this.links.allow(link, from))) return this.#over(reply);
    sendPage(reply, widenedPage({ client, allowed }));
  }

  /** null: an answer was sent. Another person learns no more of a link than that it is not theirs. */
  async #link(reply: FastifyReply, id: string, { user }: SignedIn): Promise<OpenLink | null> {
    const link = await this.links.find(id);
    if (!link) {
      this.#over(reply);
      return null;
    }
    if (link.grant.userId === user.id) return link;
    sendPage(
      reply,
      errorPage({
        status: 403,
        title: 'This link is for another person',
        what: 'You are signed in with another account than the one whose application asks.',
        remedy: 'If it is your own application, sign out of your account page here and sign in with that account.',
        reference: newReference(),
      }),
    );
    return null;
  }

  async #clientName({ grant }: OpenLink): Promise<string> {
    return (await this.clients.find(grant.clientId))?.name ?? grant.clientId;
  }

  #over(reply: FastifyReply): void {
    sendPage(
      reply,
      errorPage({
        title: 'This link is over',
        what: 'It was used, is older than ten minutes, or its application was disconnected.',
        remedy: 'Go back to your application and let it try again: it gets a new link when it still needs one.',
        reference: newReference(),
      }),
    );
  }
}

function isId(id: string): boolean {
  return /^[A-Za-z0-9_-]{43}$/.test(id);
}
