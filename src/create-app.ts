import type { Type, DynamicModule, LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';

/** What the Fastify adapter needs so that Gatehouse keeps its contract; pass it to your own `new FastifyAdapter(…)` too. */
export const adapterOptions = {
  /** `/mcp/` is served like `/mcp`, never redirected: a redirect loses the bearer token. */
  routerOptions: { ignoreTrailingSlash: true },
  /** Addresses come from the socket; `GATEHOUSE_TRUSTED_PROXIES` decides about headers. */
  trustProxy: false,
  /** Idle keep-alive connections end at shutdown instead of holding it up. */
  forceCloseConnections: 'idle',
} as const;

/** A Nest application on Fastify, not yet listening. */
export async function createApp(
  root: Type | DynamicModule,
  options: { logger?: LoggerService | false; https?: object } = {},
): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    ...adapterOptions,
    ...(options.https ? { https: options.https } : {}),
  } as ConstructorParameters<typeof FastifyAdapter>[0]);
  return NestFactory.create<NestFastifyApplication>(root, adapter, {
    ...(options.logger === undefined ? {} : { logger: options.logger }),
    abortOnError: false,
    bufferLogs: false,
  });
}
