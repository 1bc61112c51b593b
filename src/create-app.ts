import type { Type, DynamicModule, LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { sendProblem } from './admin/problems.filter.js';

/** What the Fastify adapter needs so that Gatehouse keeps its contract; pass it to your own `new FastifyAdapter(…)` too. */
export const adapterOptions = {
  routerOptions: {
    /** `/mcp/` is served like `/mcp`, never redirected: a redirect loses the bearer token. */
    ignoreTrailingSlash: true,
    /** Ids of metadata document clients are URLs: with the router's own limit of 100 characters they would be unknown addresses. */
    maxParamLength: 2048,
  },
  /** An address that cannot be decoded leads to no route, so to none of the filters. */
  frameworkErrors: (error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void =>
    sendProblem(reply, error),
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
