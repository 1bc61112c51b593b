import { type ArgumentsHost, Catch, NotFoundException } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { sendPage } from '../oauth/pages/send-page.js';
import { unknownPage } from './front.page.js';
import { isPerson } from './person.js';

/** An address at which there is nothing: a page for a person, JSON for a program. Endpoints with errors of their own form never come here. */
@Catch(NotFoundException)
export class UnknownFilter extends BaseExceptionFilter {
  override catch(error: NotFoundException, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const reply = http.getResponse<FastifyReply>();
    void reply.header('Vary', 'Accept');
    if (isPerson(http.getRequest<FastifyRequest>())) return sendPage(reply, unknownPage());
    // oxlint-disable-next-line promise/valid-params, promise/no-promise-in-callback -- a filter, not a Promise
    super.catch(error, host);
  }
}
