import { Controller, Get, Header, NotFoundException, Res } from '@nestjs/common';
import { HealthCheckService, HealthIndicatorService, type HealthCheckResult } from '@nestjs/terminus';
import type { FastifyReply } from 'fastify';
import { Database } from '../persistence/database.js';
import { sql } from '../persistence/statement.js';
import { Metrics } from './metrics.js';
import { Requests } from './requests.js';

/** A database that answers later than this is not ready, milliseconds. */
const DATABASE_PATIENCE_MS = 2000;

/** `/health/live`, `/health/ready`, `/metrics`. */
@Controller()
export class OpsController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly database: Database,
    private readonly requests: Requests,
    private readonly metrics: Metrics,
  ) {}

  /** The process runs and answers; says nothing of what it depends on. */
  @Get('health/live')
  @Header('cache-control', 'no-store')
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  /** Requests may be sent here: the database answers and no shutdown has begun; otherwise 503. */
  @Get('health/ready')
  @Header('cache-control', 'no-store')
  async ready(): Promise<HealthCheckResult> {
    return this.health.check([() => this.#server(), () => this.#database()]);
  }

  /** Prometheus text; 404 when metrics are off. */
  @Get('metrics')
  async scrape(@Res() reply: FastifyReply): Promise<void> {
    if (!this.metrics.enabled) throw new NotFoundException();
    await reply.header('content-type', this.metrics.registry.contentType).send(await this.metrics.registry.metrics());
  }

  #server() {
    const server = this.indicators.check('server');
    return this.requests.draining ? server.down('shutting down') : server.up();
  }

  /** The reason stays in the log: an error of the driver names hosts and files. */
  async #database() {
    const database = this.indicators.check('database');
    const result = await database
      .attempt(async () => void (await this.database.row(sql`SELECT 1 AS one`)))
      .withTimeout(DATABASE_PATIENCE_MS);
    return result.database.status === 'up' ? database.up() : database.down('out of reach');
  }
}
