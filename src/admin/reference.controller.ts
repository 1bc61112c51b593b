import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Settings } from '../config/settings.js';
import { pageHeaders } from '../oauth/pages/layout.js';
import { openApiDocument } from './openapi.js';
import { referencePage } from './reference.page.js';

/** The admin API's documents: they say nothing of this installation but its address, so they need no token. */
@Controller('admin')
export class ReferenceController {
  constructor(@Inject(Settings) private readonly settings: Settings) {}

  @Get('openapi.json')
  document(@Res() reply: FastifyReply): void {
    void reply.type('application/json; charset=utf-8').send(openApiDocument(this.settings.publicUrl));
  }

  @Get('docs')
  page(@Res() reply: FastifyReply): void {
    const { status, markup } = referencePage(this.settings.publicUrl);
    void reply.status(status).headers(pageHeaders).send(markup);
  }
}
