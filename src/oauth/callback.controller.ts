import { Controller, Get, Inject, Param, Req, Res, type Type, UseFilters } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Settings } from '../config/settings.js';
import { PAGE_ROUTE } from './pages/page-hooks.js';
import { PageFilter } from './pages/page.filter.js';
import { sendOn } from './pages/send-page.js';
import { SignIn } from './sign-in.js';
import { SignInRefusals } from './sign-in-refusals.js';

/**
 * The controller of the redirect URIs registered upstream: `/callback/<provider id>`, and the paths that a FastMCP configuration registered
 * (`/auth/callback`), one for each provider.
 */
export function callbackController(settings: Settings): Type {
  const special = new Map([...settings.callbackPaths].map(([id, path]) => [path.replace(/\/$/, ''), id]));

  @Controller()
  @UseFilters(PageFilter)
  class CallbackController {
    constructor(
      @Inject(SignIn) private readonly signIn: SignIn,
      @Inject(SignInRefusals) private readonly refusals: SignInRefusals,
    ) {}

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
      await this.refusals.callback(request, reply, { ...end, provider: provider ?? null });
    }
  }
  return CallbackController;
}
