import { Controller, Get, NotFoundException, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Settings } from '../config/settings.js';
import { sendPage } from '../oauth/pages/send-page.js';
import { frontPage } from './front.page.js';
import { isPerson } from './person.js';

/** `/`: says to a person what this server is; to a program there is nothing here. */
@Controller()
export class FrontController {
  constructor(private readonly settings: Settings) {}

  @Get()
  show(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    if (!isPerson(request)) throw new NotFoundException('Cannot GET /');
    const { mcpUrl, hasLogin } = this.settings;
    void reply.header('Vary', 'Accept');
    sendPage(reply, frontPage({ mcpUrl, accountUrl: hasLogin ? '/account' : null }));
  }
}
