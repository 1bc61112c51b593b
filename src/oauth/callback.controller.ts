import { Controller, Get, Inject, Logger, Param, Req, Res, type Type, UseFilters } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Settings } from '../config/settings.js';
import { errorPage, expiredPage } from './pages/error.page.js';
import type { Page } from './pages/layout.js';
import { PAGE_ROUTE } from './pages/page-hooks.js';
import { PageFilter } from './pages/page.filter.js';
import { newReference } from './pages/reference.js';
import { sendOn, sendPage } from './pages/send-page.js';
import { type CallbackFault, SignIn } from './sign-in.js';

/**
 * The controller of the redirect URIs registered upstream: `/callback/<provider id>`, and the paths that a FastMCP configuration registered
 * (`/auth/callback`), one for each provider.
 */
export function callbackController(settings: Settings): Type {
  const special = new Map([...settings.callbackPaths].map(([id, path]) => [path.replace(/\/$/, ''), id]));

  @Controller()
  @UseFilters(PageFilter)
  class CallbackController {
    readonly #log = new Logger('Callback');

    constructor(@Inject(SignIn) private readonly signIn: SignIn) {}

    @RouteConfig(PAGE_ROUTE)
    @Get(['/callback/:provider', ...special.keys()])
    async callback(
      @Req() request: FastifyRequest,
      @Res() reply: FastifyReply,
      @Param('provider') named?: string,
    ): Promise<void> {
      const provider =
        named ?? special.get(new URL(request.raw.url ?? '', settings.publicUrl).pathname.replace(/\/$/, ''));
      const end = await this.signIn.takeCallback(request, provider ?? '');
      if ('continueAt' in end) {
        sendOn(reply, end.continueAt);
        return;
      }
      const reference = newReference();
      this.#log.warn(`${reference}: callback of ${provider ?? 'no provider'} refused: ${end.fault}`);
      sendPage(reply, faultPage(end.fault, reference));
    }
  }
  return CallbackController;
}

function faultPage(fault: CallbackFault, reference: string): Page {
  if (fault === 'over') return expiredPage(reference);
  return errorPage({
    status: 400,
    title: fault === 'foreign' ? 'This sign-in did not begin here' : 'This sign-in began in another browser',
    what:
      fault === 'foreign'
        ? 'Somebody sent your browser here with an answer that this server never asked for. Nothing was done.'
        : 'The approval was given in another browser, or this browser does not keep cookies. Nothing was done.',
    remedy:
      'If you were connecting an application, go back to it and connect again, in this browser, with cookies allowed.',
    reference,
  });
}
