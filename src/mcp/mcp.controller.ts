import { All, Controller, Req, Res, type Type } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Endpoint } from './endpoint.js';
import { MCP_ROUTE } from './mcp-hooks.js';

/** The controller of the MCP endpoint at a path that is only known at start. */
export function mcpController(path: string): Type {
  @Controller()
  class McpController {
    constructor(private readonly endpoint: Endpoint) {}

    @All(path)
    @RouteConfig(MCP_ROUTE)
    async mcp(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
      reply.hijack();
      await this.endpoint.serve({ request: request.raw, response: reply.raw, body: request.body });
    }
  }
  return McpController;
}
