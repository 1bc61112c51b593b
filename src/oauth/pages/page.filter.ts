import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { DatabaseUnavailable } from '../../persistence/faults.js';
import { errorPage } from './error.page.js';
import { newReference } from './reference.js';
import { sendPage } from './send-page.js';

/** Whatever a page's controller throws becomes a page; the cause is in the log under the reference id that the page shows. */
@Catch()
export class PageFilter implements ExceptionFilter {
  readonly #log = new Logger('Pages');

  catch(error: unknown, host: ArgumentsHost): void {
    this.answer(error, host.switchToHttp().getResponse<FastifyReply>());
  }

  /** Also for what the framework refuses before a controller runs, which never comes to a filter. */
  answer(error: unknown, reply: FastifyReply): void {
    const reference = newReference();
    if (reply.raw.headersSent) {
      this.#log.error(`${reference}: after the answer had begun: ${describe(error)}`);
      return;
    }
    if (error instanceof DatabaseUnavailable) {
      this.#log.warn(`${reference}: ${describe(error)}`);
      void reply.header('Retry-After', String(error.retryAfter));
      sendPage(reply, unavailable(reference));
      return;
    }
    const status = statusOf(error);
    if (status !== null && status >= 400 && status < 500) {
      sendPage(reply, unreadable(status, reference));
      return;
    }
    this.#log.error(`${reference}: ${describe(error)}`);
    sendPage(reply, broken(reference));
  }
}

function unavailable(reference: string) {
  return errorPage({
    status: 503,
    title: 'Please try again in a moment',
    what: 'The server cannot reach its database just now. Nothing is lost.',
    remedy: 'Wait a few seconds and reload this page.',
    reference,
  });
}

function unreadable(status: number, reference: string) {
  return errorPage({
    status,
    title: 'This request could not be read',
    what: 'The browser sent something that this page does not understand.',
    remedy: 'Go back to your application and connect again.',
    reference,
  });
}

function broken(reference: string) {
  return errorPage({
    status: 500,
    title: 'Something broke here',
    what: 'This is a fault of the server, not of yours.',
    remedy: 'Try again. If it happens again, give the reference below to whoever runs this server.',
    reference,
  });
}

/** What the framework wanted to answer; null: the error is no HTTP one. */
function statusOf(error: unknown): number | null {
  if (error instanceof HttpException) return error.getStatus();
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === 'number' ? status : null;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
