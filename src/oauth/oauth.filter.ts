import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { DatabaseUnavailable } from '../persistence/faults.js';
import { PageFilter } from './pages/page.filter.js';
import { sendOauthError } from './oauth-hooks.js';

/** Whatever an OAuth endpoint's handler throws becomes RFC 6749 JSON; our own failures are 503, with the credential still good (real-clients T2). */
@Catch()
export class OauthFilter implements ExceptionFilter {
  readonly #log = new Logger('OAuth');
  readonly #pages = new PageFilter();

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const reply = http.getResponse<FastifyReply>();
    const request = http.getRequest<FastifyRequest>();
    if (reply.raw.headersSent) return;
    // People stand before `/authorize`; everything else is asked by programs.
    if (request.url.startsWith('/authorize') && (request.headers.accept ?? '').includes('text/html'))
      // oxlint-disable-next-line promise/valid-params -- a filter, not a Promise
      return this.#pages.catch(error, host);
    if (error instanceof DatabaseUnavailable) {
      void reply.header('retry-after', String(error.retryAfter));
      return sendOauthError(reply, 503, {
        error: 'temporarily_unavailable',
        error_description: 'the server cannot reach its database now; try again',
      });
    }
    if (error instanceof HttpException && error.getStatus() < 500)
      return sendOauthError(reply, error.getStatus(), {
        error: 'invalid_request',
        error_description: 'the request could not be read',
      });
    const path = request.url.split('?')[0];
    this.#log.error(`${request.method} ${path}: ${error instanceof Error ? (error.stack ?? error.message) : 'failed'}`);
    sendOauthError(reply, 500, { error: 'server_error', error_description: 'internal error' });
  }
}
