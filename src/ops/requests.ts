import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { type BeforeApplicationShutdown, Injectable, Logger, Optional } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Settings } from '../config/settings.js';
import { Log } from './log.js';
import { Metrics } from './metrics.js';

/** How long calls that are under way may take to finish at shutdown, milliseconds. */
const PATIENCE_MS = 20_000;

/**
 * Every request from its first byte to its last: gives it an id (`request.id`), logs it, counts it, and lets it finish at shutdown.
 * Query strings are never logged: those of OAuth hold codes and states.
 */
@Injectable()
export class Requests implements BeforeApplicationShutdown {
  readonly #log = new Logger('Requests');
  readonly #running = new Set<ServerResponse>();
  /** Tells apart the requests of several nodes and starts. */
  readonly #start = randomBytes(4).toString('hex');
  #count = 0;
  #draining = false;
  #idle: (() => void) | null = null;

  constructor(
    private readonly host: HttpAdapterHost,
    private readonly metrics: Metrics,
    settings: Settings,
    @Optional() log?: Log,
  ) {
    const server = host.httpAdapter.getInstance<FastifyInstance>();
    const lines = settings.values.logLevel === 'silent' ? null : (log?.pino ?? null);
    server.addHook('onRequest', (request, reply, done) => {
      request.id = `${this.#start}-${(++this.#count).toString(36)}`;
      this.#running.add(reply.raw);
      const begun = performance.now();
      if (this.#draining) reply.raw.setHeader('connection', 'close');
      reply.raw.once('close', () => {
        this.#running.delete(reply.raw);
        const milliseconds = performance.now() - begun;
        if (metrics.enabled) metrics.observe(request, reply.raw.statusCode, milliseconds / 1000);
        lines?.info({
          requestId: request.id,
          method: request.method,
          path: pathOf(request),
          status: reply.raw.statusCode,
          ms: Math.round(milliseconds * 100) / 100,
          ...(reply.raw.writableFinished ? {} : { aborted: true }),
        });
        if (this.#draining && this.#running.size === 0) this.#idle?.();
      });
      done();
    });
  }

  /** Shutdown has begun: no new work should be sent here. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Requests whose answers are not complete. */
  get running(): number {
    return this.#running.size;
  }

  /** From now on `/health/ready` says no and answers close their connections. */
  drain(): void {
    this.#draining = true;
  }

  /**
   * Stops accepting, then waits for calls under way. Rooms that hold streams open end them in `onModuleDestroy`, which runs before this.
   * What is still running after 20 s is cut off.
   */
  async beforeApplicationShutdown(): Promise<void> {
    this.drain();
    const server = this.host.httpAdapter.getHttpServer() as { close(done?: () => void): void; listening?: boolean };
    if (server.listening) server.close();
    if (this.#running.size === 0) return;
    this.#log.log(`waiting for ${this.#running.size} requests to finish`);
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      new Promise<void>((resolve) => (this.#idle = resolve)),
      new Promise<void>((resolve) => (timer = setTimeout(resolve, PATIENCE_MS))),
    ]);
    clearTimeout(timer);
    if (this.#running.size > 0) this.#log.warn(`${this.#running.size} requests did not finish and are cut off`);
    for (const response of this.#running) response.destroy();
  }
}

function pathOf({ url }: FastifyRequest): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}
