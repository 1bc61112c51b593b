import { type DynamicModule, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import type { Settings } from '../config/settings.js';
import { ShippedTools } from '../tools/shipped-tools.js';
import { CallLimit } from './call-limit.js';
import { Catalogue } from './catalogue.js';
import { Changes } from './changes.js';
import { Endpoint } from './endpoint.js';
import { Handlers } from './handlers.js';
import { mcpController } from './mcp.controller.js';
import { McpHooks } from './mcp-hooks.js';
import { Policy } from './policy.js';
import { Refusals } from './refusals.js';
import { RequestStates } from './request-state.js';
import { Servers } from './servers.js';
import { Sessions } from './sessions.js';
import { Streams } from './streams.js';
import { UpstreamAccess } from './upstream-access.js';
import { UpstreamNeeds } from './upstream-needs.js';

/** The MCP endpoint and everything behind it. Global, so that tools can inject `Changes`. */
@Module({})
export class McpModule {
  /** At the path of the settings. */
  static at(settings: Settings): DynamicModule {
    return {
      module: McpModule,
      global: true,
      imports: [DiscoveryModule],
      controllers: [mcpController(settings.values.mcpPath)],
      providers: [
        CallLimit,
        Catalogue,
        Changes,
        Endpoint,
        Handlers,
        McpHooks,
        Policy,
        Refusals,
        RequestStates,
        Servers,
        Sessions,
        ShippedTools,
        Streams,
        UpstreamAccess,
        UpstreamNeeds,
      ],
      exports: [Changes],
    };
  }
}
