import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { Settings } from '../config/settings.js';

/** Prometheus metrics of this process. Off unless `GATEHOUSE_METRICS=on`: then nothing is counted. */
@Injectable()
export class Metrics {
  readonly enabled: boolean;
  /** One per application, so that two in one process do not meet. */
  readonly registry = new Registry();
  readonly #requests: Counter<'route' | 'status'>;
  readonly #seconds: Histogram<'route'>;

  constructor(settings: Settings) {
    this.enabled = settings.values.metrics;
    if (this.enabled) collectDefaultMetrics({ register: this.registry });
    this.#requests = new Counter({
      name: 'gatehouse_http_requests_total',
      help: 'Answered requests by route and status',
      labelNames: ['route', 'status'],
      registers: [this.registry],
    });
    this.#seconds = new Histogram({
      name: 'gatehouse_http_request_duration_seconds',
      help: 'From the first byte of a request to the last of its answer',
      labelNames: ['route'],
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
      registers: [this.registry],
    });
  }

  /** Counts an answered request. The label is the route's pattern, never the path: paths are without number. */
  observe(request: FastifyRequest, status: number, seconds: number): void {
    const route = request.routeOptions.url ?? 'none';
    this.#requests.inc({ route, status: String(status) });
    this.#seconds.observe({ route }, seconds);
  }

  /** A figure that is read when somebody asks, for example the number of open sessions. */
  gauge(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({
      name: `gatehouse_${name}`,
      help,
      registers: [this.registry],
      collect: () => gauge.set(read()),
    });
  }
}
