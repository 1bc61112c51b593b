import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { internal, type Problem, problemOf } from './problem.js';

const log = new Logger('Admin');

/** Writes whatever went wrong as problem details (RFC 9457). */
@Catch()
export class ProblemsFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    sendProblem(host.switchToHttp().getResponse<FastifyReply>(), error);
  }
}

/** Answers a request of the admin API that failed; for the house's global filter too, which alone sees the parser's errors. */
export function sendProblem(reply: FastifyReply, error: unknown): void {
  const known = problemOf(error);
  if (!known) log.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  const problem: Problem = known ?? internal;
  void reply
    .status(problem.status)
    .headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', ...problem.headers })
    .type('application/problem+json')
    .send(JSON.stringify(problem.body));
}
